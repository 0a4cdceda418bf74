/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls of the UCX backend, client side: the request goes out, the payload of the reply
 * comes straight into the caller's memory; a call that ends while UCX still works on
 * its memory takes the connection down, since nothing less makes UCX let go. */
#include <errno.h>
#include <stdlib.h>

#include "base/iovec.h"
#include "transport/rpc_ucx_internal.h"

/* rpc_outgoing.transport: exists only while UCX may use the call's memory. */
struct ucx_call {
    struct ucx_link *link;
    struct rpc_outgoing *out;
    struct rpc_timer timer; /* released: until the memory must be free */
    struct ucx_op receive;
    bool is_sending;
    bool is_receiving;
    bool is_answered;
    bool is_released; /* the core waits for rpc_outgoing_released() */
};

static void release_timed_out(struct rpc_timer *timer)
{
    struct ucx_call *call = list_entry((void *)timer, struct ucx_call, timer);

    ucx_link_fail(call->link, -ETIMEDOUT);
}

static struct ucx_call *call_get(struct ucx_link *link, struct rpc_outgoing *out)
{
    struct ucx_call *call = out->transport;

    if (call)
        return call;
    call = calloc(1, sizeof(*call));
    if (!call)
        return NULL;
    call->link = link;
    call->out = out;
    call->timer.fire = release_timed_out;
    out->transport = call;
    return call;
}

/* Frees it when nothing is under way. */
static bool call_settle(struct ucx_call *call)
{
    struct rpc_outgoing *out = call->out;
    bool is_released = call->is_released;

    if (call->is_sending || call->is_receiving)
        return false;
    rpc_timer_clear(call->link->state->rpc, &call->timer);
    out->transport = NULL;
    free(call);
    if (is_released)
        rpc_outgoing_released(out);
    return true;
}

static void call_sent(void *owner, int status)
{
    struct ucx_call *call = owner;

    (void)status; /* a failure has failed the link */
    call->is_sending = false;
    call_settle(call);
}

int ucx_call_send(struct rpc_connection *connection, struct rpc_outgoing *out)
{
    struct ucx_link *link = connection->transport;
    const struct rpc_call *request = out->call;
    struct ucx_packet *packet = ucx_packet_build(link,
                                                 out->bytes,
                                                 out->bytes + WIRE_HEADER_SIZE,
                                                 out->len - WIRE_HEADER_SIZE,
                                                 request ? request->send : NULL,
                                                 request ? request->n_send : 0,
                                                 out->send_size);
    struct ucx_call *call = NULL;
    int status;

    out->transport = NULL;
    if (!packet)
        return -ENOMEM;
    if (packet->op.has_memory) {
        call = call_get(link, out);
        if (!call) {
            free(packet);
            return -ENOMEM;
        }
        packet->owner = call;
        packet->done = call_sent;
    }
    status = ucx_packet_send(packet, link);
    if (call) {
        call->is_sending = status > 0;
        call_settle(call);
    }
    return status < 0 ? status : 0;
}

bool ucx_call_release(struct rpc_outgoing *out)
{
    struct ucx_call *call = out->transport;

    if (!call || call_settle(call))
        return true;
    call->is_released = true;
    /* Answered, the other side is done with the memory and UCX will hear so; else it
     * may come for it at any time. */
    if (!call->is_answered || call->is_receiving
        || rpc_timer_set(call->link->state->rpc,
                         &call->timer,
                         clock_now_ns() + UCX_RELEASE_TIMEOUT_NS)
               < 0)
        ucx_link_fail(call->link, -ETIMEDOUT);
    return false;
}

/* ---- the reply */

static void reply_received(struct ucx_op *op)
{
    struct ucx_call *call = list_entry((void *)op, struct ucx_call, receive);
    struct rpc_outgoing *out = call->out;
    int status = op->status;
    bool is_released = call->is_released;

    if (status < 0)
        ucx_link_fail(op->link, status);
    call->is_receiving = false;
    call_settle(call);
    if (!is_released)
        rpc_reply_end(out, status);
}

/* 1: under way, reply_received() follows; 0: done; -errno. */
static int reply_fetch(struct ucx_link *link,
                       struct ucx_message *message,
                       struct rpc_outgoing *out,
                       size_t size)
{
    const struct rpc_call *request = out->call;
    struct ucx_call *call = call_get(link, out);
    struct iovec *iov = calloc((size_t)request->n_recv, sizeof(*iov));
    ucp_request_param_t param;
    void *buffer, *desc;
    size_t count;
    int status = -ENOMEM;
    int n_iov;

    if (!call || !iov)
        goto out;
    n_iov = iovec_slice(
        request->recv, (size_t)request->n_recv, 0, size, iov, (size_t)request->n_recv);
    if (n_iov < 0) {
        status = n_iov;
        goto out;
    }
    ucx_op_init(&call->receive, link, reply_received, &param);
    call->receive.has_memory = true;
    param.cb.recv_am = ucx_op_received;
    status = ucx_op_memory(&call->receive, iov, n_iov, &param, &buffer, &count);
    if (status < 0)
        goto out;
    desc = message->held;
    message->held = NULL; /* UCX takes it, also when it fails */
    call->is_receiving = ucx_op_started(
        &call->receive,
        ucp_am_recv_data_nbx(link->state->worker, desc, buffer, count, &param));
    status = call->is_receiving ? 1 : call->receive.status;
out:
    free(iov);
    if (call)
        call_settle(call);
    return status;
}

void ucx_call_handle(struct ucx_link *link,
                     struct ucx_message *message,
                     const struct ucx_parts *parts)
{
    struct rpc_outgoing *out = rpc_reply_begin(link->connection,
                                               parts->head,
                                               parts->body,
                                               parts->body_len,
                                               parts->payload_len);
    struct ucx_call *call;
    int status = 0;

    if (!out)
        goto out;
    call = out->transport;
    if (call)
        call->is_answered = true;
    if (parts->payload_len > 0) {
        if (message->is_late)
            status = reply_fetch(link, message, out, parts->payload_len);
        else
            iovec_scatter(out->call->recv,
                          (size_t)out->call->n_recv,
                          0,
                          parts->payload,
                          parts->payload_len);
    }
    if (status <= 0)
        rpc_reply_end(out, status);
out:
    ucx_message_free(message);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests of the UCX backend, server side: fetching the payload straight into the
 * server's memory, sending the reply. A transfer that the other side does not take part
 * in is ended, with its connection, soon after the client's own deadline. */
#include <errno.h>
#include <stdlib.h>

#include "base/iovec.h"
#include "transport/rpc_ucx_internal.h"

/* A client's deadline is not believed beyond this. */
#define TRANSFER_TIMEOUT_MAX_MS 600000u
#define TRANSFER_GRACE_MS       1000u

static void transfer_timed_out(struct rpc_timer *timer)
{
    struct ucx_incoming *incoming =
        list_entry((void *)timer, struct ucx_incoming, timer);

    ucx_link_fail(incoming->link, -ETIMEDOUT);
}

static void transfer_timer_set(struct ucx_incoming *incoming)
{
    struct rpc *rpc = incoming->link->state->rpc;
    uint64_t timeout_ms = incoming->in->request.header.timeout_ms;

    if (timeout_ms == 0 || timeout_ms > TRANSFER_TIMEOUT_MAX_MS)
        timeout_ms = TRANSFER_TIMEOUT_MAX_MS;
    timeout_ms += TRANSFER_GRACE_MS;
    incoming->timer.fire = transfer_timed_out;
    if (rpc_timer_set(
            rpc, &incoming->timer, clock_now_ns() + timeout_ms * CLOCK_NS_PER_MS)
        < 0)
        ucx_link_fail(incoming->link, -ENOMEM);
}

static void transfer_timer_clear(struct ucx_incoming *incoming)
{
    rpc_timer_clear(incoming->link->state->rpc, &incoming->timer);
}

/* What the server is told of a transfer that UCX ended. */
static int transfer_status(int status)
{
    return status == -ECANCELED || status == -EHOSTDOWN ? -ENOTCONN : status;
}

void ucx_request_handle(struct ucx_link *link,
                        struct ucx_message *message,
                        const struct ucx_parts *parts)
{
    struct rpc_incoming *in = rpc_incoming_new(link->connection,
                                               parts->head,
                                               parts->body,
                                               parts->body_len,
                                               parts->payload_len);
    struct ucx_incoming *incoming;

    if (!in) {
        ucx_message_free(message);
        return;
    }
    incoming = in->transport;
    incoming->link = link;
    incoming->in = in;
    if (parts->payload_len > 0) {
        incoming->message = message;
        incoming->payload = parts->payload;
    } else {
        ucx_message_free(message);
    }
    rpc_incoming_deliver(in);
}

/* ---- the payload */

static void payload_received(struct ucx_op *op)
{
    struct ucx_incoming *incoming = list_entry((void *)op, struct ucx_incoming, pull);

    if (op->status < 0)
        ucx_link_fail(op->link, op->status);
    transfer_timer_clear(incoming);
    rpc_request_pulled(incoming->in, transfer_status(op->status));
}

/* 1: under way, payload_received() follows; 0: done; -errno. */
static int
payload_fetch(struct ucx_incoming *incoming, const struct iovec *iov, int n_iov)
{
    struct ucx_link *link = incoming->link;
    ucp_request_param_t param;
    void *buffer, *desc;
    size_t count;
    int status;

    ucx_op_init(&incoming->pull, link, payload_received, &param);
    incoming->pull.has_memory = true;
    param.cb.recv_am = ucx_op_received;
    status = ucx_op_memory(&incoming->pull, iov, n_iov, &param, &buffer, &count);
    if (status < 0)
        return status;
    desc = incoming->message->held;
    incoming->message->held = NULL; /* UCX takes it, also when it fails */
    if (!ucx_op_started(
            &incoming->pull,
            ucp_am_recv_data_nbx(link->state->worker, desc, buffer, count, &param)))
        return incoming->pull.status;
    transfer_timer_set(incoming);
    return 1;
}

void ucx_request_pull(struct rpc_incoming *in, const struct iovec *iov, int n_iov)
{
    struct ucx_incoming *incoming = in->transport;
    int status = 0;

    if (incoming->message->is_late)
        status = payload_fetch(incoming, iov, n_iov);
    else
        iovec_scatter(
            iov, (size_t)n_iov, 0, incoming->payload, in->request.header.payload_len);
    ucx_request_discard(in);
    if (status <= 0)
        rpc_request_pulled(in, transfer_status(status));
}

void ucx_request_discard(struct rpc_incoming *in)
{
    struct ucx_incoming *incoming = in->transport;

    ucx_message_free(incoming->message);
    incoming->message = NULL;
}

/* ---- the reply */

static void reply_sent(void *owner, int status)
{
    struct ucx_incoming *incoming = owner;

    transfer_timer_clear(incoming);
    rpc_request_replied(incoming->in, transfer_status(status));
}

void ucx_request_reply(struct rpc_incoming *in,
                       const struct wire_header *header,
                       const void *body,
                       const struct iovec *iov,
                       int n_iov)
{
    struct ucx_incoming *incoming = in->transport;
    struct ucx_link *link = in->request.connection->transport;
    uint8_t head[WIRE_HEADER_SIZE];
    struct ucx_packet *packet;
    bool has_memory;
    int status = -ENOMEM;

    wire_header_encode(header, head);
    packet = ucx_packet_build(
        link, head, body, header->body_len, iov, n_iov, header->payload_len);
    if (!packet)
        goto out;
    has_memory = packet->op.has_memory;
    if (has_memory) {
        packet->owner = incoming;
        packet->done = reply_sent;
    }
    status = ucx_packet_send(packet, link);
    if (status > 0 && has_memory) {
        transfer_timer_set(incoming);
        return;
    }
out:
    if (status < 0)
        ucx_link_fail(link, status); /* the client would wait for this reply */
    rpc_request_replied(in, status < 0 ? transfer_status(status) : 0);
}

void ucx_request_notify(struct rpc_connection *connection,
                        const struct wire_header *header)
{
    struct ucx_link *link = connection->transport;
    uint8_t head[WIRE_HEADER_SIZE];
    struct ucx_packet *packet;

    wire_header_encode(header, head);
    packet = ucx_packet_build(link, head, NULL, 0, NULL, 0, 0);
    if (packet)
        ucx_packet_send(packet, link);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Active messages of the UCX backend: those that come in are put aside until UCX has
 * returned, those that go out are packets of key, header and body with the payload as
 * the message's data. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/iovec.h"
#include "transport/rpc_ucx_internal.h"

/* ---- coming in */

void ucx_message_free(struct ucx_message *message)
{
    if (message && message->held)
        ucp_am_data_release(message->state->worker, message->held);
    free(message);
}

/* UCS_INPROGRESS: the data is held until ucx_message_free(); UCS_OK: it was copied, or
 * the message is dropped (a rendezvous then ends as if it had been received). */
static ucs_status_t message_put(struct ucx_state *state,
                                enum ucx_am_id id,
                                const void *head,
                                size_t head_len,
                                void *data,
                                size_t len,
                                const ucp_am_recv_param_t *param)
{
    bool is_late = param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV;
    bool is_held = is_late || (param->recv_attr & UCP_AM_RECV_ATTR_FLAG_DATA);
    struct ucx_message *message =
        malloc(sizeof(*message) + head_len + (is_held ? 0 : len));

    if (!message)
        return UCS_OK; /* the caller's deadline ends the call */
    *message = (struct ucx_message){
        .state = state,
        .id = (uint8_t)id,
        .is_late = is_late,
        .held = is_held ? data : NULL,
        .head_len = head_len,
        .data_len = len,
    };
    if (param->recv_attr & UCP_AM_RECV_ATTR_FIELD_REPLY_EP)
        message->reply_ep = param->reply_ep;
    memcpy(message->head, head, head_len);
    if (is_held) {
        message->data = is_late ? NULL : data;
    } else {
        if (len > 0)
            memcpy(message->head + head_len, data, len);
        message->data = message->head + head_len;
    }
    list_push_back(&state->inbox, &message->node);
    return is_held ? UCS_INPROGRESS : UCS_OK;
}

ucs_status_t ucx_message_connect(void *arg,
                                 const void *head,
                                 size_t head_len,
                                 void *data,
                                 size_t len,
                                 const ucp_am_recv_param_t *param)
{
    if (head_len != UCX_CONNECT_SIZE || len > UCX_ADDRESS_MAX)
        return UCS_OK;
    return message_put(arg, UCX_AM_CONNECT, head, head_len, data, len, param);
}

ucs_status_t ucx_message_accept(void *arg,
                                const void *head,
                                size_t head_len,
                                void *data,
                                size_t len,
                                const ucp_am_recv_param_t *param)
{
    if (head_len != UCX_ACCEPT_SIZE || len != 0)
        return UCS_OK;
    return message_put(arg, UCX_AM_ACCEPT, head, head_len, data, len, param);
}

ucs_status_t ucx_message_message(void *arg,
                                 const void *head,
                                 size_t head_len,
                                 void *data,
                                 size_t len,
                                 const ucp_am_recv_param_t *param)
{
    struct ucx_state *state = arg;
    struct wire_reader r = {.data = head, .length = head_len};

    /* without a key nobody can be blamed; with one, the link's user checks the rest */
    if (head_len < UCX_KEY_SIZE || head_len > UCX_HEAD_SIZE + WIRE_BODY_MAX
        || len > WIRE_BODY_MAX + WIRE_PAYLOAD_MAX
        || !table_get(&state->keys, wire_get_u64(&r)))
        return UCS_OK;
    return message_put(state, UCX_AM_MESSAGE, head, head_len, data, len, param);
}

ucs_status_t ucx_message_close(void *arg,
                               const void *head,
                               size_t head_len,
                               void *data,
                               size_t len,
                               const ucp_am_recv_param_t *param)
{
    if (head_len != UCX_KEY_SIZE || len != 0)
        return UCS_OK;
    return message_put(arg, UCX_AM_CLOSE, head, head_len, data, len, param);
}

/* 0 or -EPROTO, -EPROTONOSUPPORT. The body follows the head in the active message's
 * header or, when it does not fit there, leads its data. */
static int message_split(const struct ucx_message *message, struct ucx_parts *ret_parts)
{
    size_t inline_len = message->head_len - UCX_HEAD_SIZE;
    struct ucx_parts parts = {
        .head = message->head + UCX_KEY_SIZE,
        .body = message->head + UCX_HEAD_SIZE,
        .payload = message->data,
        .payload_len = message->data_len,
    };
    struct wire_header header;
    int status;

    if (message->head_len < UCX_HEAD_SIZE)
        return -EPROTO;
    status = wire_header_decode(&header, parts.head, WIRE_HEADER_SIZE);
    if (status < 0)
        return status;
    parts.body_len = header.body_len;
    if (inline_len != header.body_len) {
        if (inline_len != 0 || message->is_late || message->data_len < header.body_len)
            return -EPROTO;
        parts.body = message->data;
        parts.payload += header.body_len;
        parts.payload_len -= header.body_len;
    }
    if (parts.payload_len != header.payload_len)
        return -EPROTO;
    *ret_parts = parts;
    return 0;
}

static void message_handle(struct ucx_state *state, struct ucx_message *message)
{
    struct wire_reader r = {.data = message->head, .length = message->head_len};
    struct ucx_link *link = table_get(&state->keys, wire_get_u64(&r));
    struct ucx_parts parts;
    int status;

    if (!link || !link->is_up || link->is_failed) {
        ucx_message_free(message);
        return;
    }
    status = message_split(message, &parts);
    if (status < 0) {
        ucx_message_free(message);
        ucx_link_fail(link, status);
    } else if (link->is_server) {
        ucx_request_handle(link, message, &parts);
    } else {
        ucx_call_handle(link, message, &parts);
    }
}

unsigned ucx_message_handle_all(struct ucx_state *state)
{
    struct list_node *node;
    unsigned n = 0;

    while ((node = list_pop_front(&state->inbox))) {
        struct ucx_message *message = list_entry(node, struct ucx_message, node);

        n++;
        switch ((enum ucx_am_id)message->id) {
        case UCX_AM_CONNECT:
            ucx_link_on_connect(state, message);
            ucx_message_free(message);
            break;
        case UCX_AM_ACCEPT:
            ucx_link_on_accept(state, message);
            ucx_message_free(message);
            break;
        case UCX_AM_MESSAGE:
            message_handle(state, message);
            break;
        case UCX_AM_CLOSE:
            ucx_link_on_close(state, message);
            ucx_message_free(message);
            break;
        }
    }
    return n;
}

/* ---- going out */

struct ucx_packet *ucx_packet_create(size_t size)
{
    struct ucx_packet *packet = malloc(sizeof(*packet) + size);

    if (packet)
        *packet = (struct ucx_packet){0};
    return packet;
}

/* Key, header and body, then the payload if it has to be gathered: when the body does
 * not fit into the active message's header and goes at the front of its data, and when
 * there are several small pieces. */
struct ucx_packet *ucx_packet_build(struct ucx_link *link,
                                    const uint8_t *head,
                                    const void *body,
                                    size_t body_len,
                                    const struct iovec *iov,
                                    int n_iov,
                                    size_t size)
{
    bool is_inline = UCX_HEAD_SIZE + body_len <= link->state->header_max;
    bool is_gathered = !is_inline || (n_iov > 1 && size < UCX_RENDEZVOUS_MIN);
    struct ucx_packet *packet =
        ucx_packet_create(UCX_HEAD_SIZE + body_len + (is_gathered ? size : 0));
    struct wire_writer w;

    if (!packet)
        return NULL;
    w = (struct wire_writer){
        .data = packet->bytes,
        .capacity = UCX_HEAD_SIZE + body_len,
    };
    wire_put_u64(&w, link->remote_key);
    wire_put_bytes(&w, head, WIRE_HEADER_SIZE);
    wire_put_bytes(&w, body, body_len);
    packet->id = UCX_AM_MESSAGE;
    packet->head_len = UCX_HEAD_SIZE + (is_inline ? body_len : 0);
    packet->data_len = w.length - packet->head_len;
    if (is_gathered) {
        packet->data_len +=
            iovec_gather(iov, (size_t)n_iov, 0, packet->bytes + w.length, size);
    } else if (size > 0) {
        packet->iov = iov;
        packet->n_iov = n_iov;
        packet->size = size;
        packet->op.has_memory = true;
    }
    return packet;
}

static void packet_finish(struct ucx_op *op)
{
    struct ucx_packet *packet = list_entry((void *)op, struct ucx_packet, op);

    if (op->status < 0)
        ucx_link_fail(op->link, op->status);
    if (packet->done)
        packet->done(packet->owner, op->status);
    free(packet);
}

static unsigned packet_flags(const struct ucx_packet *packet)
{
    switch (packet->id) {
    case UCX_AM_CONNECT:
        return UCP_AM_SEND_FLAG_REPLY | UCP_AM_SEND_FLAG_EAGER;
    case UCX_AM_ACCEPT:
    case UCX_AM_CLOSE:
        return UCP_AM_SEND_FLAG_EAGER;
    case UCX_AM_MESSAGE:
        break;
    }
    if (packet->data_len > 0 && packet->head_len == UCX_HEAD_SIZE)
        return UCP_AM_SEND_FLAG_EAGER; /* may begin with the body: see message_split()
                                        */
    return packet->size >= UCX_RENDEZVOUS_MIN ? UCP_AM_SEND_FLAG_RNDV : 0;
}

int ucx_packet_send(struct ucx_packet *packet, struct ucx_link *link)
{
    bool has_memory = packet->op.has_memory;
    void *buffer = packet->bytes + packet->head_len;
    size_t count = packet->data_len;
    ucp_request_param_t param;
    int status;

    ucx_op_init(&packet->op, link, packet_finish, &param);
    packet->op.has_memory = has_memory;
    param.cb.send = ucx_op_sent;
    param.op_attr_mask |= UCP_OP_ATTR_FIELD_FLAGS;
    param.flags = packet_flags(packet);
    if (has_memory) {
        status = ucx_op_memory(
            &packet->op, packet->iov, packet->n_iov, &param, &buffer, &count);
        if (status < 0)
            goto out;
    }
    if (ucx_op_started(&packet->op,
                       ucp_am_send_nbx(link->ep,
                                       packet->id,
                                       packet->bytes,
                                       packet->head_len,
                                       buffer,
                                       count,
                                       &param)))
        return 1;
    status = packet->op.status;
out:
    free(packet);
    return status;
}

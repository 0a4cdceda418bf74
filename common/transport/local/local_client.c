/* SPDX-License-Identifier: Apache-2.0
 *
 * The client's end: requests into the ring, replies out of it, and taking a call's
 * memory back from the server when the call ends.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/iovec.h"
#include "transport/local/local.h"

/* A server that holds a gate for so long has been stopped: right after the transfer, as
 * signals do not interrupt one. */
#define REVOKE_GIVE_UP_NS (900 * CLOCK_NS_PER_MS)
#define REVOKE_RETRY_NS   (1 * CLOCK_NS_PER_MS)

static void outgoing_free(struct local_outgoing *lo)
{
    struct local_connection *connection = lo->connection;

    list_remove(&lo->link);
    local_bounce_give(connection, &lo->send);
    local_bounce_give(connection, &lo->space);
    if (lo->gate_word)
        connection->free_gates[connection->n_free_gates++] = lo->gate;
    free(lo);
}

static uint8_t
mode_choose(const struct local_connection *connection, size_t size, int n)
{
    if (size == 0)
        return LOCAL_PAYLOAD_NONE;
    if (size <= LOCAL_INLINE_MAX)
        return LOCAL_PAYLOAD_INLINE;
    if (connection->is_direct && n <= (int)LOCAL_SPANS_MAX)
        return LOCAL_PAYLOAD_DIRECT;
    return LOCAL_PAYLOAD_BOUNCE;
}

static int bounce_prepare(struct local_outgoing *lo)
{
    struct local_connection *connection = lo->connection;
    struct rpc_outgoing *out = lo->out;

    if (lo->payload_mode == LOCAL_PAYLOAD_BOUNCE && lo->send.count == 0) {
        int rc = local_bounce_take(connection, out->send_size, &lo->send);

        if (rc)
            return rc;
        iovec_gather(out->call->send,
                     (size_t)out->call->n_send,
                     0,
                     connection->region.bounce
                         + (size_t)lo->send.first * LOCAL_BOUNCE_UNIT,
                     out->send_size);
    }
    if (lo->space_mode == LOCAL_PAYLOAD_BOUNCE && lo->space.count == 0)
        return local_bounce_take(connection, out->recv_size, &lo->space);
    return 0;
}

/* Gate and bounce space; -EAGAIN: not now. */
static int outgoing_prepare(struct local_outgoing *lo)
{
    struct local_connection *connection = lo->connection;
    bool needs_gate = lo->payload_mode == LOCAL_PAYLOAD_DIRECT
                      || lo->space_mode == LOCAL_PAYLOAD_DIRECT;

    if (needs_gate && !lo->gate_word) {
        if (connection->n_free_gates == 0)
            return -EAGAIN;
        lo->gate = connection->free_gates[--connection->n_free_gates];
        lo->gate_word = local_gate_open(&connection->region.control->gates[lo->gate],
                                        ++connection->generation);
    }
    return bounce_prepare(lo);
}

static uint8_t *spans_put(uint8_t *place,
                          uint8_t mode,
                          const struct local_bounce *bounce,
                          size_t size,
                          const struct iovec *iov,
                          int n)
{
    struct local_span span;

    if (mode == LOCAL_PAYLOAD_BOUNCE) {
        span = (struct local_span){
            .address = (uint64_t)bounce->first * LOCAL_BOUNCE_UNIT, .length = size};
        return (uint8_t *)mempcpy(place, &span, sizeof(span));
    }
    for (int i = 0; mode == LOCAL_PAYLOAD_DIRECT && i < n; i++) {
        span = (struct local_span){.address = (uintptr_t)iov[i].iov_base,
                                   .length = iov[i].iov_len};
        place = mempcpy(place, &span, sizeof(span));
    }
    return place;
}

static uint16_t spans_count(uint8_t mode, int n)
{
    return mode == LOCAL_PAYLOAD_DIRECT ? (uint16_t)n : mode == LOCAL_PAYLOAD_BOUNCE;
}

static void request_put(const struct local_outgoing *lo,
                        uint8_t *place,
                        struct local_record *record)
{
    const struct rpc_outgoing *out = lo->out;
    const struct rpc_call *call = out->call;

    place = mempcpy(place, record, sizeof(*record));
    place = mempcpy(place, out->bytes, WIRE_HEADER_SIZE);
    place = spans_put(
        place, lo->payload_mode, &lo->send, out->send_size, call->send, call->n_send);
    place = spans_put(
        place, lo->space_mode, &lo->space, out->recv_size, call->recv, call->n_recv);
    place = mempcpy(place, out->bytes + WIRE_HEADER_SIZE, out->len - WIRE_HEADER_SIZE);
    if (lo->payload_mode == LOCAL_PAYLOAD_INLINE)
        iovec_gather(call->send, (size_t)call->n_send, 0, place, out->send_size);
}

/* Puts it into the ring: 0, -EAGAIN or -EPROTO. */
static int outgoing_write(struct local_outgoing *lo)
{
    struct local_connection *connection = lo->connection;
    const struct rpc_outgoing *out = lo->out;
    struct local_record record = {
        .kind = LOCAL_RECORD_MESSAGE,
        .payload_mode = lo->payload_mode,
        .space_mode = lo->space_mode,
        .n_payload = spans_count(lo->payload_mode, out->call->n_send),
        .n_space = spans_count(lo->space_mode, out->call->n_recv),
        .payload_len = out->send_size,
        .body_len = (uint32_t)(out->len - WIRE_HEADER_SIZE),
    };
    uint8_t *place;
    size_t size;
    int rc = outgoing_prepare(lo);

    connection->is_full = false;
    if (rc)
        return rc;
    size = LOCAL_LINE + out->len
           + (size_t)(record.n_payload + record.n_space) * sizeof(struct local_span);
    if (lo->payload_mode == LOCAL_PAYLOAD_INLINE)
        size += out->send_size;
    size = (size + LOCAL_LINE - 1) / LOCAL_LINE * LOCAL_LINE;
    rc = local_ring_reserve(&connection->out, size, &place);
    if (rc) {
        connection->is_full = rc == -EAGAIN;
        return rc;
    }
    record.size = (uint32_t)size;
    record.gate = lo->gate;
    record.gate_word = lo->gate_word;
    request_put(lo, place, &record);
    lo->is_sent = true;
    local_ring_publish(&connection->out, size);
    local_connection_ring(connection, &connection->other->sleeps);
    return 0;
}

int local_send(struct rpc_connection *rpc_connection, struct rpc_outgoing *out)
{
    struct local_connection *connection = rpc_connection->transport;
    uint8_t payload_mode = mode_choose(connection, out->send_size, out->call->n_send);
    uint8_t space_mode = mode_choose(connection, out->recv_size, out->call->n_recv);
    struct local_outgoing *lo;

    if (space_mode == LOCAL_PAYLOAD_INLINE)
        space_mode = LOCAL_PAYLOAD_NONE;
    if (payload_mode == LOCAL_PAYLOAD_BOUNCE && space_mode == LOCAL_PAYLOAD_BOUNCE
        && out->send_size + out->recv_size > LOCAL_BOUNCE_SIZE - 2 * LOCAL_BOUNCE_UNIT)
        return -EMSGSIZE;
    lo = calloc(1, sizeof(*lo));
    if (!lo)
        return -ENOMEM;
    list_node_init(&lo->link);
    lo->connection = connection;
    lo->out = out;
    lo->client = out->client;
    lo->request = out->request;
    lo->payload_mode = payload_mode;
    lo->space_mode = space_mode;
    out->transport = lo;
    local_activate(connection);
    if (!list_is_empty(&connection->pending) || outgoing_write(lo))
        list_push_back(&connection->pending, &lo->link);
    return 0;
}

unsigned local_pending_flush(struct local_connection *connection)
{
    struct list_node *node;
    unsigned n = 0;

    while ((node = list_front(&connection->pending))) {
        int rc = outgoing_write(list_entry(node, struct local_outgoing, link));

        if (rc == -EPROTO)
            local_break(connection, rc);
        if (rc)
            break;
        list_remove(node);
        n++;
    }
    return n;
}

/* ---- ending --------------------------------------------------------------- */

static void revoke_later(struct local_outgoing *lo)
{
    struct local_state *state = lo->connection->state;

    lo->give_up_ns = clock_now_ns() + REVOKE_GIVE_UP_NS;
    lo->connection->n_revoking++;
    list_push_back(&state->revoking, &lo->link);
    if (state->revoke_timer.index == 0)
        (void)rpc_timer_set(
            state->rpc, &state->revoke_timer, clock_now_ns() + REVOKE_RETRY_NS);
}

bool local_release(struct rpc_outgoing *out)
{
    struct local_outgoing *lo = out->transport;
    struct local_connection *connection = lo->connection;
    bool has_bounce = lo->send.count > 0 || lo->space.count > 0;

    out->transport = NULL;
    if (lo->gate_word
        && !local_gate_revoke(&connection->region.control->gates[lo->gate],
                              lo->gate_word)
        && !connection->is_hung_up) {
        revoke_later(lo);
        return false;
    }
    if (lo->is_sent && !lo->is_answered && has_bounce) {
        lo->out = NULL;
        list_push_back(&connection->zombies, &lo->link);
        return true;
    }
    outgoing_free(lo);
    return true;
}

void local_revoking_check(struct local_state *state)
{
    list_for_each(node, &state->revoking)
    {
        struct local_outgoing *lo = list_entry(node, struct local_outgoing, link);
        struct local_connection *connection = lo->connection;
        struct rpc_outgoing *out = lo->out;
        _Atomic uint64_t *gate = &connection->region.control->gates[lo->gate];
        bool is_revoked = local_gate_revoke(gate, lo->gate_word);

        if (!is_revoked && !connection->is_hung_up && clock_now_ns() < lo->give_up_ns)
            continue;
        if (!is_revoked) {
            lo->gate_word = 0; /* this gate is not used again */
            local_break(connection, -EHOSTDOWN);
        }
        connection->n_revoking--;
        outgoing_free(lo);
        rpc_outgoing_released(out);
    }
    if (!list_is_empty(&state->revoking) && state->revoke_timer.index == 0)
        (void)rpc_timer_set(
            state->rpc, &state->revoke_timer, clock_now_ns() + REVOKE_RETRY_NS);
}

void local_zombies_free(struct local_connection *connection)
{
    struct list_node *node;

    assert(list_is_empty(&connection->pending) && connection->n_revoking == 0);
    while ((node = list_front(&connection->zombies)))
        outgoing_free(list_entry(node, struct local_outgoing, link));
}

/* ---- replies -------------------------------------------------------------- */

static void zombie_answered(struct local_connection *connection, const uint8_t *head)
{
    struct wire_header header;

    if (wire_header_decode(&header, head, WIRE_HEADER_SIZE))
        return;
    list_for_each(node, &connection->zombies)
    {
        struct local_outgoing *lo = list_entry(node, struct local_outgoing, link);

        if (lo->client == header.client && lo->request == header.request) {
            outgoing_free(lo);
            return;
        }
    }
}

/* Brings the payload into the caller's memory, if it is not there. */
static int payload_take(const struct local_outgoing *lo,
                        const struct local_record *record,
                        const uint8_t *inlined)
{
    const struct rpc_call *call = lo->out->call;
    const uint8_t *from = inlined;

    if (record->payload_mode == LOCAL_PAYLOAD_NONE)
        return record->payload_len == 0 ? 0 : -EPROTO;
    if (record->payload_mode == LOCAL_PAYLOAD_PLACED) {
        if (lo->space_mode == LOCAL_PAYLOAD_DIRECT)
            return 0;
        if (lo->space_mode != LOCAL_PAYLOAD_BOUNCE)
            return -EPROTO;
        from =
            lo->connection->region.bounce + (size_t)lo->space.first * LOCAL_BOUNCE_UNIT;
    } else if (record->payload_mode != LOCAL_PAYLOAD_INLINE) {
        return -EPROTO;
    }
    iovec_scatter(call->recv, (size_t)call->n_recv, 0, from, record->payload_len);
    return 0;
}

int local_reply_take(struct local_connection *connection,
                     const struct local_record *record,
                     const uint8_t *place)
{
    const uint8_t *body = place + LOCAL_LINE + WIRE_HEADER_SIZE;
    uint8_t head[WIRE_HEADER_SIZE];
    struct rpc_outgoing *out;
    struct local_outgoing *lo;

    if (record->n_payload > 0 || record->n_space > 0)
        return -EPROTO;
    memcpy(head, place + LOCAL_LINE, sizeof(head));
    if (!list_is_empty(&connection->zombies))
        zombie_answered(connection, head);
    out = rpc_reply_begin(
        connection->rpc_connection, head, body, record->body_len, record->payload_len);
    if (!out)
        return 0;
    lo = out->transport;
    lo->is_answered = true;
    rpc_reply_end(out, payload_take(lo, record, body + record->body_len));
    return 0;
}

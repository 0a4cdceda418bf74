/* SPDX-License-Identifier: Apache-2.0
 *
 * The server's end: requests out of the ring, payloads, replies into it.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/iovec.h"
#include "transport/local/local.h"

/* A client that has so much under way, or does not take its replies, has to wait. */
#define CLIENT_REQUESTS_MAX 1024u
#define CLIENT_BUFFERED_MAX 256u

bool local_is_stalled(const struct local_connection *connection)
{
    return connection->role == LOCAL_SERVER
           && (connection->n_buffered >= CLIENT_BUFFERED_MAX
               || connection->rpc_connection->n_requests >= CLIENT_REQUESTS_MAX);
}

/* ---- requests ------------------------------------------------------------- */

/* Copies `n` spans and checks them: within the bounce area, or of a sane length. */
static int spans_take(const struct local_connection *connection,
                      uint8_t mode,
                      const uint8_t *place,
                      unsigned n,
                      struct iovec *ret_spans,
                      uint64_t *ret_total)
{
    *ret_total = 0;
    if (mode != LOCAL_PAYLOAD_DIRECT && mode != LOCAL_PAYLOAD_BOUNCE)
        return n == 0 && mode <= LOCAL_PAYLOAD_INLINE ? 0 : -EPROTO;
    if (mode == LOCAL_PAYLOAD_BOUNCE ? n != 1 : !connection->is_direct)
        return -EPROTO;
    assert(n == 0 || ret_spans);
    for (unsigned i = 0; i < n; i++) {
        struct local_span span;

        memcpy(&span, place + i * sizeof(span), sizeof(span));
        if (span.length > WIRE_PAYLOAD_MAX)
            return -EPROTO;
        *ret_total += span.length;
        if (mode == LOCAL_PAYLOAD_BOUNCE) {
            if (span.address > LOCAL_BOUNCE_SIZE - span.length)
                return -EPROTO;
            span.address += (uintptr_t)connection->region.bounce;
        }
        ret_spans[i] = (struct iovec){.iov_base = local_address(span.address),
                                      .iov_len = span.length};
    }
    return *ret_total <= WIRE_PAYLOAD_MAX ? 0 : -EPROTO;
}

static bool gate_is_valid(const struct local_record *record)
{
    if (record->payload_mode != LOCAL_PAYLOAD_DIRECT
        && record->space_mode != LOCAL_PAYLOAD_DIRECT)
        return true;
    return record->gate < LOCAL_GATES && (record->gate_word & 3) == LOCAL_GATE_OPEN;
}

/* What goes into in->transport; `detail` is its one allocation, freed by
 * local_finish().*/
static int incoming_take(const struct local_connection *connection,
                         const struct local_record *record,
                         const uint8_t *place,
                         struct local_incoming *ret)
{
    const uint8_t *spans = place + LOCAL_LINE + WIRE_HEADER_SIZE;
    unsigned n = (unsigned)record->n_payload + record->n_space;
    bool is_inline = record->payload_mode == LOCAL_PAYLOAD_INLINE;
    size_t inline_len = is_inline ? record->payload_len : 0;
    uint64_t payload_len = 0;
    int rc;

    *ret = (struct local_incoming){.n_payload = record->n_payload,
                                   .n_space = record->n_space,
                                   .gate = (uint16_t)record->gate,
                                   .gate_word = record->gate_word,
                                   .payload_mode = record->payload_mode,
                                   .space_mode = record->space_mode};
    if (!gate_is_valid(record) || record->space_mode == LOCAL_PAYLOAD_INLINE)
        return -EPROTO;
    if (n + inline_len > 0) {
        ret->spans = malloc(n * sizeof(struct iovec) + inline_len);
        if (!ret->spans)
            return -ENOMEM;
    }
    rc = spans_take(connection,
                    record->payload_mode,
                    spans,
                    record->n_payload,
                    ret->spans,
                    &payload_len);
    if (!rc)
        rc = spans_take(connection,
                        record->space_mode,
                        spans + record->n_payload * sizeof(struct local_span),
                        record->n_space,
                        ret->spans ? ret->spans + record->n_payload : NULL,
                        &ret->space_len);
    if (!rc && !is_inline && payload_len != record->payload_len)
        rc = -EPROTO;
    if (rc || !is_inline)
        return rc;
    if (inline_len > 0) {
        assert(ret->spans);
        ret->inlined = memcpy(ret->spans + n,
                              spans + n * sizeof(struct local_span) + record->body_len,
                              inline_len);
    }
    return 0;
}

int local_request_take(struct local_connection *connection,
                       const struct local_record *record,
                       const uint8_t *place)
{
    struct local_incoming incoming;
    struct rpc_incoming *in;
    uint8_t head[WIRE_HEADER_SIZE];
    const uint8_t *body =
        place + LOCAL_LINE + WIRE_HEADER_SIZE
        + ((size_t)record->n_payload + record->n_space) * sizeof(struct local_span);
    int rc = incoming_take(connection, record, place, &incoming);

    if (rc)
        goto fail;
    memcpy(head, place + LOCAL_LINE, sizeof(head));
    in = rpc_incoming_new(
        connection->rpc_connection, head, body, record->body_len, record->payload_len);
    if (!in)
        goto fail; /* with rc 0: the core has seen to the connection */
    *(struct local_incoming *)in->transport = incoming;
    rpc_incoming_deliver(in);
    return 0;
fail:
    free(incoming.spans);
    return rc;
}

void local_finish(struct rpc_incoming *in)
{
    struct local_incoming *incoming = in->transport;

    free(incoming->spans);
}

void local_pull(struct rpc_incoming *in, const struct iovec *iov, int n_iov)
{
    const struct local_incoming *incoming = in->transport;
    struct local_connection *connection = in->request.connection->transport;
    size_t size = in->request.header.payload_len;
    int rc = 0;

    if (incoming->payload_mode == LOCAL_PAYLOAD_DIRECT) {
        rc = local_memory_move(connection, true, iov, (size_t)n_iov, incoming, size);
        if (rc == -EPERM) /* no longer allowed: have it negotiated again */
            local_break(connection, rc);
    } else {
        const void *from = incoming->payload_mode == LOCAL_PAYLOAD_INLINE
                               ? incoming->inlined
                               : incoming->spans[0].iov_base;

        assert(from);
        iovec_scatter(iov, (size_t)n_iov, 0, from, size);
    }
    rpc_request_pulled(in, rc);
}

/* ---- replies -------------------------------------------------------------- */

struct reply {
    const struct wire_header *header;
    const void *body;
    const struct iovec *iov; /* inline payload */
    size_t n_iov;
    struct local_record record;
};

static void reply_put(const struct reply *reply, uint8_t *place)
{
    memcpy(place, &reply->record, sizeof(reply->record));
    place += LOCAL_LINE;
    wire_header_encode(reply->header, place);
    place += WIRE_HEADER_SIZE;
    assert(reply->record.body_len == 0 || reply->body);
    if (reply->record.body_len > 0)
        place = mempcpy(place, reply->body, reply->record.body_len);
    if (reply->record.payload_mode == LOCAL_PAYLOAD_INLINE)
        iovec_gather(reply->iov, reply->n_iov, 0, place, reply->record.payload_len);
}

static int reply_buffer(struct local_connection *connection, const struct reply *reply)
{
    struct local_buffered *buffered = malloc(sizeof(*buffered) + reply->record.size);

    if (!buffered)
        return -ENOMEM;
    buffered->size = reply->record.size;
    reply_put(reply, buffered->record);
    list_push_back(&connection->buffered, &buffered->link);
    connection->n_buffered++;
    local_activate(connection);
    return 0;
}

/* Into the ring, or aside until there is room. */
static int reply_write(struct local_connection *connection, struct reply *reply)
{
    uint8_t *place;
    size_t size = LOCAL_LINE + WIRE_HEADER_SIZE + reply->header->body_len;
    int rc = -EAGAIN;

    reply->record.kind = LOCAL_RECORD_MESSAGE;
    reply->record.body_len = reply->header->body_len;
    reply->record.payload_len = reply->header->payload_len;
    if (reply->record.payload_mode == LOCAL_PAYLOAD_INLINE)
        size += reply->record.payload_len;
    size = (size + LOCAL_LINE - 1) / LOCAL_LINE * LOCAL_LINE;
    reply->record.size = (uint32_t)size;
    if (list_is_empty(&connection->buffered))
        rc = local_ring_reserve(&connection->out, size, &place);
    if (rc == -EAGAIN) {
        connection->is_full = true;
        return reply_buffer(connection, reply);
    }
    if (rc)
        return rc;
    reply_put(reply, place);
    local_ring_publish(&connection->out, size);
    local_connection_ring(connection, &connection->other->sleeps);
    return 0;
}

/* Puts a payload that is too long for the ring where the client wants it. */
static int reply_place(struct local_connection *connection,
                       const struct local_incoming *incoming,
                       const struct iovec *iov,
                       size_t n_iov,
                       size_t size)
{
    if (size > incoming->space_len)
        return -EPROTO;
    if (incoming->space_mode == LOCAL_PAYLOAD_DIRECT)
        return local_memory_move(connection, false, iov, n_iov, incoming, size);
    iovec_gather(iov, n_iov, 0, incoming->spans[incoming->n_payload].iov_base, size);
    return 0;
}

void local_reply(struct rpc_incoming *in,
                 const struct wire_header *header,
                 const void *body,
                 const struct iovec *iov,
                 int n_iov)
{
    struct local_connection *connection = in->request.connection->transport;
    struct wire_header failed = *header;
    struct reply reply = {
        .header = header, .body = body, .iov = iov, .n_iov = (size_t)n_iov};
    size_t size = header->payload_len;
    int status = 0;
    int rc;

    if (size > LOCAL_INLINE_MAX) {
        reply.record.payload_mode = LOCAL_PAYLOAD_PLACED;
        status = reply_place(connection, in->transport, iov, (size_t)n_iov, size);
    } else if (size > 0) {
        reply.record.payload_mode = LOCAL_PAYLOAD_INLINE;
    }
    if (status) {
        failed.status = status;
        failed.payload_len = failed.body_len = 0;
        reply.header = &failed;
        reply.record.payload_mode = LOCAL_PAYLOAD_NONE;
    }
    rc = status == -ECANCELED ? 0 : reply_write(connection, &reply);
    if (rc || status == -EPERM || status == -EPROTO)
        local_break(connection, rc ? rc : status);
    rpc_request_replied(in, status ? status : rc);
}

void local_notify(struct rpc_connection *rpc_connection,
                  const struct wire_header *header)
{
    struct reply reply = {.header = header};

    (void)reply_write(rpc_connection->transport, &reply);
}

unsigned local_buffered_flush(struct local_connection *connection)
{
    struct list_node *node;
    unsigned n = 0;

    while ((node = list_front(&connection->buffered))) {
        struct local_buffered *buffered = list_entry(node, struct local_buffered, link);
        uint8_t *place;
        int rc = local_ring_reserve(&connection->out, buffered->size, &place);

        connection->is_full = rc == -EAGAIN;
        if (rc == -EPROTO)
            local_break(connection, rc);
        if (rc)
            break;
        memcpy(place, buffered->record, buffered->size);
        local_ring_publish(&connection->out, buffered->size);
        list_remove(node);
        free(buffered);
        connection->n_buffered--;
        n++;
    }
    if (n > 0)
        local_connection_ring(connection, &connection->other->sleeps);
    return n;
}

void local_buffered_free(struct local_connection *connection)
{
    struct list_node *node;

    while ((node = list_pop_front(&connection->buffered)))
        free(list_entry(node, struct local_buffered, link));
    connection->n_buffered = 0;
}

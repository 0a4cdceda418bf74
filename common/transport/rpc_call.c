/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls in progress on the client side: numbering, matching replies, deadlines, and the
 * hand-back of a call's memory before its done callback runs.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/iovec.h"
#include "proto/ops.h"
#include "transport/rpc_core.h"

#define STATUS_MIN (-4095)

enum outgoing_state {
    OUT_QUEUED = 1, /* in the peer's queue, or in no list */
    OUT_SENT,       /* in the connection's calls */
    OUT_RECEIVING,  /* as SENT; between rpc_reply_begin() and rpc_reply_end() */
    OUT_RELEASING,  /* in rpc->releasing */
    OUT_FINISHED,   /* in rpc->finished */
};

static struct rpc_outgoing **
outgoing_bucket(struct rpc *rpc, uint64_t client, uint64_t request)
{
    return &rpc->calls[hash_u64(client ^ hash_u64(request)) % RPC_CALL_BUCKETS];
}

/* The same number may be under way to several peers (a request that a daemon passes on
 * to some of them), but only once to each. */
static bool outgoing_is_under_way(struct rpc *rpc, const struct rpc_outgoing *other)
{
    const struct rpc_outgoing *out =
        *outgoing_bucket(rpc, other->client, other->request);

    while (out
           && (out->request != other->request || out->client != other->client
               || out->peer != other->peer))
        out = out->hash_next;
    return out;
}

static struct rpc_outgoing *outgoing_find(const struct rpc_connection *connection,
                                          uint64_t client,
                                          uint64_t request)
{
    struct rpc_outgoing *out = *outgoing_bucket(connection->rpc, client, request);

    while (out
           && (out->request != request || out->client != client
               || out->connection != connection))
        out = out->hash_next;
    return out;
}

static void outgoing_insert(struct rpc_outgoing *out)
{
    struct rpc_outgoing **bucket = outgoing_bucket(out->rpc, out->client, out->request);

    out->hash_next = *bucket;
    *bucket = out;
}

static void outgoing_remove(struct rpc_outgoing *out)
{
    struct rpc_outgoing **place = outgoing_bucket(out->rpc, out->client, out->request);

    while (*place && *place != out)
        place = &(*place)->hash_next;
    if (*place)
        *place = out->hash_next;
}

static void outgoing_finish(struct rpc_outgoing *out)
{
    out->state = OUT_FINISHED;
    out->connection = NULL;
    list_push_back(&out->rpc->finished, &out->link);
}

static void outgoing_timeout(struct rpc_timer *timer)
{
    struct rpc_outgoing *out = list_entry(timer, struct rpc_outgoing, timer);
    struct rpc_peer *peer = out->state == OUT_QUEUED ? out->peer : NULL;
    struct rpc_connection *connection = out->state == OUT_SENT ? out->connection : NULL;
    uint64_t sent_ns = out->sent_ns;
    int status = -ETIMEDOUT;

    if (peer && peer->failure)
        status = peer->failure;
    if (peer && out->is_probe && peer->lost)
        status = peer->lost;
    rpc_outgoing_end(out, status, true);
    if (connection)
        rpc_connection_suspect(connection, sent_ns);
    if (peer)
        rpc_reconnect_abandon(peer);
}

void rpc_outgoing_end(struct rpc_outgoing *out, int status, bool is_transport)
{
    bool was_sent = out->state == OUT_SENT || out->state == OUT_RECEIVING;

    if (out->state == OUT_FINISHED || (out->state == OUT_RELEASING && !out->is_unsent))
        return;
    outgoing_remove(out);
    rpc_timer_clear(out->rpc, &out->timer);
    out->status = status;
    out->is_transport = is_transport;
    out->is_unsent = false;
    if (out->state == OUT_RELEASING)
        return;
    list_remove(&out->link);
    if (was_sent && !out->connection->backend->release(out)) {
        out->state = OUT_RELEASING;
        out->connection = NULL;
        list_push_back(&out->rpc->releasing, &out->link);
        return;
    }
    outgoing_finish(out);
}

static void outgoing_queue(struct rpc_outgoing *out)
{
    out->state = OUT_QUEUED;
    out->connection = NULL;
    out->is_unsent = false;
    list_push_back(&out->peer->queue, &out->link);
    out->rpc->has_unconnected = true;
}

void rpc_outgoing_requeue(struct rpc_outgoing *out)
{
    assert((out->state == OUT_SENT || out->state == OUT_RECEIVING) && out->peer);
    list_remove(&out->link);
    if (out->connection->backend->release(out)) {
        outgoing_queue(out);
        return;
    }
    out->is_unsent = true;
    out->state = OUT_RELEASING;
    out->connection = NULL;
    list_push_back(&out->rpc->releasing, &out->link);
}

void rpc_outgoing_released(struct rpc_outgoing *out)
{
    assert(out->state == OUT_RELEASING);
    list_remove(&out->link);
    if (out->is_unsent && out->peer)
        outgoing_queue(out);
    else
        outgoing_finish(out);
}

bool rpc_outgoing_is_answered(const struct rpc_outgoing *out)
{
    return out->state == OUT_RECEIVING;
}

/* The server is told how long the client still waits. */
static void header_renew(struct rpc_outgoing *out)
{
    struct deadline deadline = {.at_ns = out->timer.when_ns};
    struct wire_header header;

    if (wire_header_decode(&header, out->bytes, WIRE_HEADER_SIZE))
        return; /* our own bytes */
    header.timeout_ms = (uint32_t)deadline_remaining_ms(deadline);
    wire_header_encode(&header, out->bytes);
}

void rpc_outgoing_send(struct rpc_outgoing *out, struct rpc_connection *connection)
{
    int rc;

    assert(out->state == OUT_QUEUED);
    list_remove(&out->link);
    out->connection = connection;
    out->transport = NULL;
    out->status = 0;
    out->sent_ns = clock_now_ns();
    if (out->is_probe) { /* sets it later, which takes no memory */
        (void)rpc_timer_set(out->rpc, &out->timer, out->until_ns);
        out->is_probe = false;
    }
    if (out->n_sends++ > 0)
        header_renew(out);
    rc = connection->backend->send(connection, out);
    if (rc && rpc_status_is_transient(rc) && rpc_outgoing_may_resend(out)) {
        /* the connection has broken, and the backend is about to say so */
        outgoing_queue(out);
        rpc_connection_lost(connection, rc);
        return;
    }
    if (rc) {
        rpc_outgoing_end(out, rc, true);
        return;
    }
    out->state = OUT_SENT;
    list_push_back(&connection->calls, &out->link);
}

/* Limits that a caller of ours must keep; the peer would close the connection. */
static int call_check(const struct rpc_call *call, size_t *ret_send, size_t *ret_recv)
{
    int rc = iovec_length(call->send, (size_t)call->n_send, ret_send);

    if (!rc)
        rc = iovec_length(call->recv, (size_t)call->n_recv, ret_recv);
    if (rc || call->body_len > WIRE_BODY_MAX || *ret_send > WIRE_PAYLOAD_MAX
        || *ret_recv > WIRE_PAYLOAD_MAX || !op_find(call->opcode) || !call->done)
        return -EINVAL;
    return 0;
}

static struct rpc_outgoing *outgoing_new(struct rpc *rpc,
                                         struct rpc_call *call,
                                         unsigned timeout_ms,
                                         size_t send,
                                         size_t recv)
{
    struct rpc_outgoing *out;
    struct wire_header header = {
        .opcode = call->opcode,
        .client = call->client ? call->client : rpc->config.client,
        .request = call->sequence ? call->sequence : ++rpc->last_request,
        .target = call->target,
        .body_len = (uint32_t)call->body_len,
        .timeout_ms = timeout_ms,
        .payload_len = send,
        .reply_space = recv,
        .slot = call->slot,
        .asks_only = call->asks_only,
    };

    out = malloc(sizeof(*out) + WIRE_HEADER_SIZE + call->body_len);
    if (!out)
        return NULL;
    memset(out, 0, sizeof(*out));
    list_node_init(&out->link);
    out->rpc = rpc;
    out->call = call;
    out->client = header.client;
    out->request = header.request;
    out->send_size = send;
    out->recv_size = recv;
    out->state = OUT_QUEUED;
    out->opcode = call->opcode;
    out->is_once = call->is_once || (op_find(call->opcode)->flags & OP_NO_RESEND) != 0;
    out->timer.fire = outgoing_timeout;
    out->len = WIRE_HEADER_SIZE + call->body_len;
    wire_header_encode(&header, out->bytes);
    if (call->body_len > 0)
        memcpy(out->bytes + WIRE_HEADER_SIZE, call->body, call->body_len);
    return out;
}

int rpc_outgoing_start(struct rpc *rpc,
                       struct rpc_peer *peer,
                       struct rpc_connection *connection,
                       bool is_probe,
                       struct rpc_call *call)
{
    unsigned timeout_ms =
        call->timeout_ms ? call->timeout_ms : rpc->config.request_timeout_ms;
    struct rpc_outgoing *out;
    size_t send, recv;
    int rc = call_check(call, &send, &recv);

    if (rc)
        return rc;
    if (rpc->is_destroying)
        return -ECANCELED;
    out = outgoing_new(rpc, call, timeout_ms, send, recv);
    if (!out)
        return -ENOMEM;
    out->peer = peer;
    out->is_probe = is_probe;
    out->until_ns = clock_now_ns() + (uint64_t)timeout_ms * CLOCK_NS_PER_MS;
    rc = -EALREADY;
    if (peer && outgoing_is_under_way(rpc, out))
        goto fail;
    rc = rpc_timer_set(
        rpc, &out->timer, is_probe ? clock_now_ns() + PROBE_WAIT_NS : out->until_ns);
    if (rc)
        goto fail;
    outgoing_insert(out);
    call->outgoing = out;
    call->request = out->request;
    rpc->stats.calls_out++;
    if (connection)
        rpc_outgoing_send(out, connection);
    else
        list_push_back(&peer->queue, &out->link);
    return 0;
fail:
    free(out);
    return rc;
}

/* The reply's head is sane and answers this call. */
static int
reply_check(const struct wire_header *header, size_t body_len, uint64_t payload_len)
{
    if (!header->is_reply || header->body_len != body_len
        || header->payload_len != payload_len || header->status > 0
        || header->status < STATUS_MIN)
        return -EPROTO;
    return 0;
}

struct rpc_outgoing *rpc_reply_begin(struct rpc_connection *connection,
                                     const uint8_t *head,
                                     const uint8_t *body,
                                     size_t body_len,
                                     uint64_t payload_len)
{
    struct wire_header header;
    struct rpc_outgoing *out;
    int rc = wire_header_decode(&header, head, WIRE_HEADER_SIZE);

    if (!rc)
        rc = reply_check(&header, body_len, payload_len);
    if (rc)
        goto fail;
    if (header.request == 0) { /* the server's goodbye */
        if (!connection->is_leaving) {
            connection->is_leaving = true;
            list_push_back(&connection->rpc->leaving, &connection->client_link);
        }
        return NULL;
    }
    connection->heard_ns = clock_now_ns();
    out = outgoing_find(connection, header.client, header.request);
    if (!out || out->state != OUT_SENT)
        return NULL;
    rc = -EPROTO;
    if (header.opcode != out->opcode || payload_len > out->recv_size)
        goto fail;
    out->state = OUT_RECEIVING;
    out->status = header.status;
    if (body_len > 0)
        memcpy(out->call->reply, body, body_len);
    out->call->reply_len = body_len;
    out->call->received = payload_len;
    return out;
fail:
    rpc_connection_lost(connection, rc);
    return NULL;
}

void rpc_reply_end(struct rpc_outgoing *out, int status)
{
    if (out->state != OUT_RECEIVING)
        return;
    if (rpc_status_is_transient(status) && out->peer && !out->is_once) {
        /* the payload was lost with the connection: the call fares as all others on it
         */
        out->state = OUT_SENT;
        rpc_connection_lost(out->connection, status);
        return;
    }
    if (!status)
        out->rpc->stats.bytes_in += out->call->received;
    rpc_outgoing_end(out, status ? status : out->status, status != 0);
}

unsigned rpc_call_drain(struct rpc *rpc)
{
    struct list finished;
    struct list_node *node;
    unsigned n = 0;

    list_init(&finished);
    list_splice_back(&finished, &rpc->finished);
    while ((node = list_pop_front(&finished))) {
        struct rpc_outgoing *out = list_entry(node, struct rpc_outgoing, link);
        struct rpc_call *call = out->call;

        call->status = out->status;
        call->is_transport = out->is_transport;
        call->sent_ns = out->sent_ns;
        if (out->is_transport)
            call->reply_len = call->received = 0;
        if (!out->is_transport)
            rpc->stats.bytes_out += out->send_size;
        call->outgoing = NULL;
        free(out);
        call->done(call);
        n++;
    }
    return n;
}

int rpc_call_start(struct rpc_peer *peer, struct rpc_call *call)
{
    struct rpc_connection *connection = peer->connection;
    bool is_ready = connection && connection->state == RPC_READY;
    bool is_probe = peer->lost && !is_ready && !call->is_once && !call->is_patient;
    int rc;

    if (is_probe && !rpc_reconnect_probe(peer))
        return peer->lost;
    rc = rpc_outgoing_start(
        peer->rpc, peer, is_ready ? connection : NULL, is_probe, call);
    if (rc)
        return rc;
    if (!peer->connection && (rpc_reconnect_is_due(peer) || call->is_once))
        rpc_client_connect(peer);
    return 0;
}

struct sync_wait {
    void (*done)(struct rpc_call *call);
    void *arg;
    bool is_done;
};

static void sync_done(struct rpc_call *call)
{
    struct sync_wait *wait = call->arg;

    wait->is_done = true;
}

int rpc_call_sync(struct rpc_peer *peer, struct rpc_call *call)
{
    struct sync_wait wait = {.done = call->done, .arg = call->arg};
    struct rpc *rpc = peer->rpc;
    int rc;

    call->done = sync_done;
    call->arg = &wait;
    rc = rpc_call_start(peer, call);
    while (!rc && !wait.is_done) {
        if (rpc_progress(rpc) == 0)
            rpc_wait(rpc, -1);
    }
    call->done = wait.done;
    call->arg = wait.arg;
    return rc ? rc : call->status;
}

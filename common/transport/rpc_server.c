/* SPDX-License-Identifier: Apache-2.0
 *
 * The server side: who may connect, HELLO and AUTH, the checks before a request is
 * handed on, and requests until their reply is out. A peer that breaks a rule loses its
 * connection; nothing but HELLO and AUTH is looked at before it is READY.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/iovec.h"
#include "base/log.h"
#include "base/random.h"
#include "proto/messages.h"
#include "proto/ops.h"
#include "transport/rpc_core.h"

/* Time for a rejection to reach the client before the connection is closed. */
#define REJECT_LINGER_NS (200 * CLOCK_NS_PER_MS)
#define UID_UNKNOWN      UINT32_MAX

enum incoming_state {
    IN_NEW = 1, /* payload, if any, still with the backend */
    IN_PULLING,
    IN_PULLED, /* or discarded, or there is none */
    IN_REPLYING,
};

struct rpc_connection *rpc_accept(struct rpc *rpc,
                                  const struct rpc_backend *backend,
                                  void *transport,
                                  bool is_local,
                                  uint32_t uid)
{
    struct rpc_connection *connection;

    /* Clients within the limit, daemons, and a few that are about to be let in or have
     * been told goodbye. */
    if (rpc->is_destroying || !rpc->config.server || (!is_local && !rpc->config.auth)
        || rpc->n_accepted >= 4 * (uint64_t)rpc->config.client_limit + 1024)
        goto refuse;
    connection = rpc_connection_new(rpc, backend, is_local);
    if (!connection)
        goto refuse;
    connection->state = RPC_NEW;
    connection->transport = transport;
    connection->uid = uid;
    list_push_back(&rpc->accepted, &connection->link);
    rpc->n_accepted++;
    rpc->stats.connects++;
    rpc->stats.connections_now++;
    return connection;
refuse:
    rpc->stats.refused++;
    return NULL;
}

/* ---- requests ----------------------------------------------------------- */

static void incoming_discard(struct rpc_incoming *in)
{
    if (in->state != IN_NEW)
        return;
    in->state = IN_PULLED;
    if (in->request.header.payload_len > 0 && in->backend->discard)
        in->backend->discard(in);
}

static void incoming_free(struct rpc_incoming *in)
{
    list_remove(&in->link);
    list_remove(&in->connection_link);
    if (in->request.connection)
        in->request.connection->n_requests--;
    if (in->backend->finish)
        in->backend->finish(in);
    free(in);
}

/* 0, the status to refuse the request with (> 0: errno), or < 0: close. */
static int request_check(const struct rpc_connection *connection,
                         const struct wire_header *header)
{
    const struct op_info *op = op_find(header->opcode);
    bool is_handshake = header->opcode == OP_HELLO || header->opcode == OP_AUTH;

    if (header->is_reply || header->client == 0 || header->request == 0
        || header->status)
        return -EPROTO;
    if (connection->state == RPC_NEW && header->opcode != OP_HELLO)
        return -EPROTO;
    if (connection->state == RPC_CHALLENGED && header->opcode != OP_AUTH)
        return -EPROTO;
    if (connection->state == RPC_READY && is_handshake)
        return -EPROTO;
    if (connection->state != RPC_NEW && connection->kind != HELLO_DAEMON
        && header->client != connection->client_id)
        return -EPROTO;
    if (!op)
        return EOPNOTSUPP;
    if (header->body_len > op->request_max
        || (header->payload_len > 0 && !(op->flags & OP_REQUEST_PAYLOAD))
        || (header->reply_space > 0 && !(op->flags & OP_REPLY_PAYLOAD)))
        return -EPROTO;
    if ((op->flags & OP_PEER) && connection->kind != HELLO_DAEMON)
        return EPERM;
    return 0;
}

static struct rpc_incoming *incoming_alloc(struct rpc_connection *connection,
                                           const struct wire_header *header,
                                           const uint8_t *body)
{
    size_t align = _Alignof(max_align_t);
    size_t head = (sizeof(struct rpc_incoming) + align - 1) / align * align;
    size_t fixed = head + connection->backend->request_size;
    uint8_t *memory = malloc(fixed + header->body_len);
    struct rpc_incoming *in = (struct rpc_incoming *)(void *)memory;

    if (!memory)
        return NULL;
    memset(memory, 0, fixed);
    if (header->body_len > 0)
        memcpy(memory + fixed, body, header->body_len);
    in->transport = memory + head;
    in->rpc = connection->rpc;
    in->backend = connection->backend;
    in->state = header->payload_len > 0 ? IN_NEW : IN_PULLED;
    in->request.header = *header;
    in->request.body = memory + fixed;
    in->request.connection = connection;
    in->request.is_local = connection->is_local;
    list_node_init(&in->request.link);
    list_node_init(&in->link);
    list_node_init(&in->connection_link);
    list_push_back(&connection->requests, &in->connection_link);
    connection->n_requests++;
    return in;
}

struct rpc_incoming *rpc_incoming_new(struct rpc_connection *connection,
                                      const uint8_t *head,
                                      const uint8_t *body,
                                      size_t body_len,
                                      uint64_t payload_len)
{
    struct rpc *rpc = connection->rpc;
    struct rpc_incoming *in;
    struct wire_header header;
    int rc;

    if (connection->state == RPC_CLOSING || connection->state == RPC_CLOSED)
        return NULL;
    rc = wire_header_decode(&header, head, WIRE_HEADER_SIZE);
    if (!rc && (header.body_len != body_len || header.payload_len != payload_len))
        rc = -EPROTO;
    if (!rc)
        rc = request_check(connection, &header);
    if (rc < 0)
        goto fail;
    in = incoming_alloc(connection, &header, body);
    if (!in) {
        rc = -ENOMEM;
        goto fail;
    }
    in->refuse = rc;
    list_remove(&connection->link);
    list_push_back(&rpc->accepted, &connection->link);
    rpc->stats.requests_in++;
    return in;
fail:
    rpc->stats.refused++;
    rpc_connection_lost(connection, rc);
    return NULL;
}

void rpc_incoming_deliver(struct rpc_incoming *in)
{
    list_push_back(&in->rpc->delivered, &in->link);
}

void rpc_request_pull(struct rpc_request *request,
                      const struct iovec *iov,
                      int n_iov,
                      rpc_transfer_done done,
                      void *arg)
{
    struct rpc_incoming *in = (struct rpc_incoming *)request;
    size_t len;
    int rc = iovec_length(iov, (size_t)n_iov, &len);

    assert(rc == 0 && len == request->header.payload_len);
    (void)rc;
    if (!request->connection) {
        done(arg, -ENOTCONN);
        return;
    }
    assert(in->state == IN_NEW);
    in->state = IN_PULLING;
    in->pull_done = done;
    in->pull_arg = arg;
    in->backend->pull(in, iov, n_iov);
}

void rpc_request_pulled(struct rpc_incoming *in, int status)
{
    assert(in->state == IN_PULLING);
    in->state = IN_PULLED;
    if (!status)
        in->rpc->stats.bytes_in += in->request.header.payload_len;
    in->pull_done(in->pull_arg, status);
}

void rpc_request_reply(struct rpc_request *request,
                       int status,
                       const void *body,
                       size_t body_len,
                       const struct iovec *iov,
                       int n_iov,
                       rpc_transfer_done done,
                       void *arg)
{
    struct rpc_incoming *in = (struct rpc_incoming *)request;
    struct wire_header header = {
        .opcode = request->header.opcode,
        .is_reply = true,
        .client = request->header.client,
        .request = request->header.request,
        .target = in->rpc->config.target,
        .status = status,
        .body_len = (uint32_t)body_len,
    };
    size_t len;
    int rc = iovec_length(iov, (size_t)n_iov, &len);

    assert(rc == 0 && len <= request->header.reply_space && body_len <= WIRE_BODY_MAX);
    (void)rc;
    assert(status <= 0 && in->state != IN_PULLING && in->state != IN_REPLYING);
    header.payload_len = len;
    if (request->connection)
        incoming_discard(in);
    in->state = IN_REPLYING;
    in->reply_done = done;
    in->reply_arg = arg;
    in->reply_size = len;
    if (request->connection)
        in->backend->reply(in, &header, body, iov, n_iov);
    else
        rpc_request_replied(in, -ENOTCONN);
}

void rpc_request_replied(struct rpc_incoming *in, int status)
{
    rpc_transfer_done done = in->reply_done;
    void *arg = in->reply_arg;

    assert(in->state == IN_REPLYING);
    if (!status) {
        in->rpc->stats.replies_out++;
        in->rpc->stats.bytes_out += in->reply_size;
    }
    incoming_free(in);
    if (done)
        done(arg, status);
}

/* ---- HELLO and AUTH ----------------------------------------------------- */

static void
reply_short(struct rpc_incoming *in, int status, const void *body, size_t len)
{
    rpc_request_reply(&in->request, status, body, len, NULL, 0, NULL, NULL);
}

/* Answers and closes, with time for the answer to arrive. */
static void handshake_reject(struct rpc_incoming *in, int status)
{
    struct rpc_connection *connection = in->request.connection;

    connection->rpc->stats.refused++;
    connection->state = RPC_CLOSING;
    (void)rpc_timer_set(
        connection->rpc, &connection->timer, clock_now_ns() + REJECT_LINGER_NS);
    reply_short(in, status, NULL, 0);
}

static int connection_admit(struct rpc_connection *connection)
{
    int rc = rpc_registry_add(connection, connection->client_id);

    if (rc)
        return rc;
    connection->state = RPC_READY;
    rpc_timer_clear(connection->rpc, &connection->timer);
    return 0;
}

static int hello_check(const struct rpc_connection *connection,
                       const struct msg_hello_request *hello)
{
    const char *job = connection->rpc->config.job;

    if (hello->kind < HELLO_CLIENT || hello->kind > HELLO_CONTROL)
        return -EPROTO;
    /* The route's proof on a local connection; of a remote one the claim, until AUTH.
     */
    if (hello->uid != (connection->is_local ? connection->uid : (uint32_t)geteuid()))
        return -EACCES;
    if (hello->job.len == 0 && connection->is_local)
        return 0;
    if (hello->job.len != strlen(job)
        || memcmp(hello->job.data, job, hello->job.len) != 0)
        return -EACCES;
    return 0;
}

static void hello_handle(struct rpc_incoming *in)
{
    struct rpc_connection *connection = in->request.connection;
    struct rpc *rpc = connection->rpc;
    bool needs_auth = connection->uid == UID_UNKNOWN;
    struct msg_hello_request hello;
    struct msg_hello_reply reply = {
        .target = rpc->config.target,
        .n_targets = rpc->n_targets,
        .node = rpc->config.node,
        .instance = rpc->config.instance,
        .needs_auth = needs_auth,
        .nonce = {.data = (const char *)connection->nonce,
                  .len = needs_auth ? sizeof(connection->nonce) : 0},
    };
    uint8_t body[MSG_hello_reply_MAX];
    int rc =
        msg_hello_request_decode(&hello, in->request.body, in->request.header.body_len);

    if (!rc)
        rc = hello_check(connection, &hello);
    if (!rc)
        rc = random_bytes(connection->nonce, sizeof(connection->nonce));
    if (!rc) {
        connection->kind = hello.kind;
        connection->node = hello.node;
        connection->client_target = hello.target;
        connection->client_id = in->request.header.client;
        connection->state = RPC_CHALLENGED;
        if (!needs_auth)
            rc = connection_admit(connection);
    }
    if (rc) {
        handshake_reject(in, rc);
        return;
    }
    reply_short(in, 0, body, msg_hello_reply_encode(&reply, body, sizeof(body)));
}

static int auth_check(struct rpc_connection *connection,
                      const struct rpc_request *request)
{
    const struct rpc_auth *auth = connection->rpc->config.auth;
    uint8_t challenge[sizeof(connection->nonce) + 8];
    struct wire_writer w = {.data = challenge, .capacity = sizeof(challenge)};
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct msg_auth_request message;
    int rc = msg_auth_request_decode(&message, request->body, request->header.body_len);

    if (rc)
        return rc;
    wire_put_bytes(&w, connection->nonce, sizeof(connection->nonce));
    wire_put_u64(&w, connection->client_id);
    rc = auth->check(auth->arg,
                     message.credential.data,
                     message.credential.len,
                     challenge,
                     w.length,
                     (uint32_t)geteuid(),
                     &err);
    if (rc) {
        log_debug("rpc: client %016llx refused: %s",
                  (unsigned long long)connection->client_id,
                  err.text);
        return rc;
    }
    connection->uid = (uint32_t)geteuid();
    return 0;
}

static void auth_handle(struct rpc_incoming *in)
{
    int rc = auth_check(in->request.connection, &in->request);

    if (!rc)
        rc = connection_admit(in->request.connection);
    if (rc)
        handshake_reject(in, rc);
    else
        reply_short(in, 0, NULL, 0);
}

static void incoming_dispatch(struct rpc_incoming *in)
{
    struct rpc_connection *connection = in->request.connection;
    struct rpc *rpc = in->rpc;
    uint16_t opcode = in->request.header.opcode;
    bool is_expected = connection
                       && connection->state
                              == (opcode == OP_HELLO  ? RPC_NEW
                                  : opcode == OP_AUTH ? RPC_CHALLENGED
                                                      : RPC_READY);

    if (!connection) {
        incoming_free(in);
    } else if (!is_expected) { /* several handshake messages at once */
        incoming_discard(in);
        incoming_free(in);
        rpc_connection_lost(connection, -EPROTO);
    } else if (in->refuse) {
        reply_short(in, -in->refuse, NULL, 0);
    } else if (opcode == OP_HELLO) {
        hello_handle(in);
    } else if (opcode == OP_AUTH) {
        auth_handle(in);
    } else if (opcode == OP_PING) {
        reply_short(in, 0, NULL, 0);
    } else {
        rpc->stats.reuses += connection->has_served;
        connection->has_served = true;
        connection->heard_ns = clock_now_ns();
        list_push_back(&rpc->requests, &in->link);
        rpc->config.server->on_request(rpc->config.server->arg, &in->request);
    }
}

unsigned rpc_server_drain(struct rpc *rpc)
{
    struct list delivered;
    struct list_node *node;
    unsigned n = 0;

    list_init(&delivered);
    list_splice_back(&delivered, &rpc->delivered);
    while ((node = list_pop_front(&delivered))) {
        incoming_dispatch(list_entry(node, struct rpc_incoming, link));
        n++;
    }
    return n;
}

static bool op_is_ordered(uint16_t opcode)
{
    const struct op_info *op = op_find(opcode);

    return op && (op->flags & OP_ORDERED);
}

void rpc_server_connection_closed(struct rpc_connection *connection)
{
    struct list_node *node;

    connection->rpc->n_accepted--;
    rpc_registry_remove(connection);
    while ((node = list_pop_front(&connection->requests))) {
        struct rpc_incoming *in =
            list_entry(node, struct rpc_incoming, connection_link);

        incoming_discard(in);
        in->origin = rpc_connection_origin(connection);
        in->request.connection = NULL;
        connection->n_requests--;
        if (op_is_ordered(in->request.header.opcode))
            list_push_back(&connection->rpc->orphans, &in->connection_link);
    }
}

void rpc_server_drop_all(struct rpc *rpc)
{
    struct list_node *node;

    list_splice_back(&rpc->requests, &rpc->delivered);
    while ((node = list_front(&rpc->requests)))
        incoming_free(list_entry(node, struct rpc_incoming, link));
}

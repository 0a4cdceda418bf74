/* SPDX-License-Identifier: Apache-2.0
 *
 * Peers and the client's half of HELLO and AUTH: connect with the first call, say who
 * we are, prove it if asked, then send what has queued up.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "proto/messages.h"
#include "proto/ops.h"
#include "transport/rpc_core.h"

void rpc_client_queue_fail(struct rpc_peer *peer, int status)
{
    struct list_node *node;

    while ((node = list_front(&peer->queue)))
        rpc_outgoing_end(list_entry(node, struct rpc_outgoing, link), status, true);
}

static void peer_is_ready(struct rpc_peer *peer)
{
    struct rpc_connection *connection = peer->connection;
    struct list_node *node;

    connection->state = RPC_READY;
    rpc_timer_clear(peer->rpc, &connection->timer);
    connection->heard_ns = clock_now_ns();
    peer->n_connects++;
    rpc_reconnect_up(peer);
    while (connection->state == RPC_READY && (node = list_front(&peer->queue)))
        rpc_outgoing_send(list_entry(node, struct rpc_outgoing, link), connection);
}

/* ---- HELLO and AUTH ----------------------------------------------------- */

static int handshake_send(struct rpc_connection *connection,
                          uint16_t opcode,
                          const void *body,
                          size_t body_len,
                          void (*done)(struct rpc_call *))
{
    struct rpc_call *call = connection->hello;
    int rc;

    *call = (struct rpc_call){
        .opcode = opcode,
        .target = connection->peer->config.target,
        .body = body,
        .body_len = body_len,
        .timeout_ms = connection->rpc->config.connect_timeout_ms,
        .done = done,
        .arg = connection,
    };
    rc = rpc_outgoing_start(connection->rpc, NULL, connection, false, call);
    if (!rc)
        connection->references++; /* until done */
    return rc;
}

static void handshake_free(struct rpc_connection *connection)
{
    free(connection->hello);
    connection->hello = NULL;
}

/* Common part of the two done callbacks: true when the connection goes on. */
static bool handshake_goes_on(struct rpc_connection *connection)
{
    int status = connection->hello->status;

    if (connection->state != RPC_CLOSED && status)
        rpc_connection_lost(connection, status);
    return connection->state != RPC_CLOSED;
}

static void auth_done(struct rpc_call *call)
{
    struct rpc_connection *connection = call->arg;
    bool goes_on = handshake_goes_on(connection);

    handshake_free(connection);
    if (goes_on)
        peer_is_ready(connection->peer);
    rpc_connection_put(connection);
}

static int auth_send(struct rpc_connection *connection, struct wire_text nonce)
{
    const struct rpc_auth *auth = connection->rpc->config.auth;
    uint8_t challenge[WIRE_TEXT_MAX + 8];
    char credential[WIRE_TEXT_MAX];
    uint8_t body[MSG_auth_request_MAX];
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct wire_writer w = {.data = challenge, .capacity = sizeof(challenge)};
    int rc;

    if (!auth)
        return -EACCES;
    wire_put_bytes(&w, nonce.data, nonce.len);
    wire_put_u64(&w, connection->rpc->config.client);
    rc = auth->make(auth->arg, w.data, w.length, credential, sizeof(credential), &err);
    if (rc < 0) {
        log_debug(
            "rpc: credential for %s: %s", connection->peer->config.name, err.text);
        return rc;
    }
    struct msg_auth_request request = {
        .credential = {.data = credential, .len = (uint16_t)rc},
    };
    size_t len = msg_auth_request_encode(&request, body, sizeof(body));

    connection->state = RPC_AUTH_SENT;
    return handshake_send(connection, OP_AUTH, body, len, auth_done);
}

/* What the HELLO reply says; 0, or what to close the connection with. */
static int hello_take(struct rpc_connection *connection,
                      struct msg_hello_reply *ret_reply)
{
    const struct rpc_call *call = connection->hello;
    struct rpc_peer *peer = connection->peer;
    int rc = msg_hello_reply_decode(ret_reply, call->reply, call->reply_len);

    if (rc)
        return rc;
    /* An address that is in use again, by another daemon. */
    if (peer->config.target != RPC_TARGET_ANY
        && peer->config.target != ret_reply->target)
        return -ESTALE;
    peer->has_info = true;
    peer->info = (struct rpc_peer_info){
        .target = ret_reply->target,
        .n_targets = ret_reply->n_targets,
        .node = ret_reply->node,
        .instance = ret_reply->instance,
    };
    return 0;
}

static void hello_done(struct rpc_call *call)
{
    struct rpc_connection *connection = call->arg;
    struct msg_hello_reply reply;
    uint8_t nonce[WIRE_TEXT_MAX];
    int rc;

    if (!handshake_goes_on(connection))
        goto end;
    rc = hello_take(connection, &reply);
    if (!rc && reply.needs_auth) {
        /* AUTH goes out with the same rpc_call, whose reply buffer holds the nonce. */
        memcpy(nonce, reply.nonce.data, reply.nonce.len);
        reply.nonce.data = (const char *)nonce;
        rc = auth_send(connection, reply.nonce);
    }
    if (rc)
        rpc_connection_lost(connection, rc);
    else if (!reply.needs_auth)
        peer_is_ready(connection->peer);
    if (connection->state == RPC_AUTH_SENT)
        goto put;
end:
    handshake_free(connection);
put:
    rpc_connection_put(connection);
}

void rpc_connection_up(struct rpc_connection *connection)
{
    const struct rpc_config *config = &connection->rpc->config;
    struct msg_hello_request request = {
        .kind = config->kind,
        .uid = (uint32_t)geteuid(),
        .node = config->node,
        .target = config->kind == HELLO_DAEMON ? config->target : UINT32_MAX,
        .job = {.data = config->job, .len = (uint16_t)strlen(config->job)},
    };
    uint8_t body[MSG_hello_request_MAX];
    size_t len = msg_hello_request_encode(&request, body, sizeof(body));
    int rc = -ENOMEM;

    assert(connection->state == RPC_CONNECTING);
    connection->hello = calloc(1, sizeof(*connection->hello));
    if (connection->hello) {
        connection->state = RPC_HELLO_SENT;
        rc = handshake_send(connection, OP_HELLO, body, len, hello_done);
    }
    if (rc) {
        handshake_free(connection);
        rpc_connection_lost(connection, rc);
    }
}

/* ---- peers -------------------------------------------------------------- */

/* Those that do not wait for another connection. */
static void queue_fail_once(struct rpc_peer *peer, int status)
{
    list_for_each(node, &peer->queue)
    {
        struct rpc_outgoing *out = list_entry(node, struct rpc_outgoing, link);

        if (out->is_once)
            rpc_outgoing_end(out, status, true);
    }
}

/* The queue waits or ends; true: it waits. */
static bool peer_unconnected(struct rpc_peer *peer, int status, bool was_ready)
{
    bool waits = rpc_reconnect_plan(peer, status, was_ready);

    if (status == -ENOENT) /* no socket: nobody there, as the callers know it */
        status = -ECONNREFUSED;
    if (waits)
        queue_fail_once(peer, status);
    else
        rpc_client_queue_fail(peer, peer->lost ? peer->lost : status);
    return waits;
}

void rpc_client_connect(struct rpc_peer *peer)
{
    struct rpc *rpc = peer->rpc;
    const struct rpc_backend *backend =
        peer->config.local_path ? &rpc_backend_local : rpc->config.remote;
    struct rpc_connection *connection;
    int rc = -EHOSTUNREACH;

    assert(!peer->connection);
    if (!backend)
        goto fail;
    rc = -ENOMEM;
    connection = rpc_connection_new(rpc, backend, backend == &rpc_backend_local);
    if (!connection)
        goto fail;
    connection->state = RPC_CONNECTING;
    connection->peer = peer;
    rc = backend->connect(rpc_backend_state(rpc, backend), connection, &peer->config);
    if (rc) {
        rpc_timer_clear(rpc, &connection->timer);
        free(connection);
        goto fail;
    }
    peer->connection = connection;
    list_push_back(&rpc->connections, &connection->link);
    rpc->stats.connects++;
    rpc->stats.connections_now++;
    return;
fail:
    log_debug("rpc: connecting to %s: %d", peer->config.name, rc);
    peer_unconnected(peer, rc, false);
}

/* What was sent and not answered: goes out again, or ends. */
static void sent_settle(struct rpc_connection *connection, int status, bool goes_again)
{
    struct list_node *node;

    while ((node = list_front(&connection->calls))) {
        struct rpc_outgoing *out = list_entry(node, struct rpc_outgoing, link);
        bool is_unseen = connection->is_leaving && !rpc_outgoing_is_answered(out);

        if (goes_again && out->peer && (is_unseen || rpc_outgoing_may_resend(out)))
            rpc_outgoing_requeue(out);
        else
            rpc_outgoing_end(out, status, true);
    }
}

void rpc_client_connection_closed(struct rpc_connection *connection,
                                  int status,
                                  bool was_ready)
{
    struct rpc_peer *peer = connection->peer;
    bool goes_again = connection->is_leaving;

    list_remove(&connection->client_link); /* of rpc->leaving */
    peer->connection = NULL;
    if (!goes_again)
        goes_again = peer_unconnected(peer, status, was_ready);
    sent_settle(connection, status, goes_again);
}

unsigned rpc_client_drain(struct rpc *rpc)
{
    struct list_node *first;
    unsigned n = 0;

    while ((first = list_pop_front(&rpc->leaving))) {
        rpc_connection_lost(list_entry(first, struct rpc_connection, client_link),
                            -ESHUTDOWN);
        n++;
    }
    if (!rpc->has_unconnected)
        return n;
    rpc->has_unconnected = false;
    list_for_each(node, &rpc->peers)
    {
        struct rpc_peer *peer = list_entry(node, struct rpc_peer, link);

        if (!peer->connection && !list_is_empty(&peer->queue)
            && rpc_reconnect_is_due(peer))
            rpc_client_connect(peer);
    }
    return n + 1;
}

static void peer_free(struct rpc_peer *peer)
{
    if (!peer)
        return;
    free((char *)peer->config.name);
    free((char *)peer->config.local_path);
    free((void *)peer->config.socket_address);
    free((void *)peer->config.worker_address);
    free(peer);
}

static int copy_bytes(const void *data, size_t len, const void **ret_copy)
{
    void *copy = NULL;

    if (data) {
        copy = malloc(len ? len : 1);
        if (!copy)
            return -ENOMEM;
        memcpy(copy, data, len);
    }
    *ret_copy = copy;
    return 0;
}

static int peer_config_copy(struct rpc_peer *peer, const struct rpc_peer_config *config)
{
    const char *name = config->name ? config->name : "?";
    const void *name_copy = NULL, *path_copy = NULL;
    int rc = copy_bytes(name, strlen(name) + 1, &name_copy);

    peer->config.name = name_copy;
    if (!rc && config->local_path)
        rc = copy_bytes(config->local_path, strlen(config->local_path) + 1, &path_copy);
    peer->config.local_path = path_copy;
    if (!rc)
        rc = copy_bytes(config->socket_address,
                        config->socket_address_len,
                        &peer->config.socket_address);
    if (!rc)
        rc = copy_bytes(config->worker_address,
                        config->worker_address_len,
                        &peer->config.worker_address);
    peer->config.socket_address_len = config->socket_address_len;
    peer->config.worker_address_len = config->worker_address_len;
    peer->config.use_worker_address = config->use_worker_address;
    peer->config.target = config->target;
    peer->config.patience_ms = config->patience_ms;
    peer->config.is_logged = config->is_logged;
    return rc;
}

int rpc_peer_create(struct rpc *rpc,
                    const struct rpc_peer_config *config,
                    struct rpc_peer **ret,
                    struct benchfs_error *err)
{
    struct rpc_peer *peer;

    if (!config->local_path && !rpc->config.remote)
        return benchfs_error_set(err,
                                 EHOSTUNREACH,
                                 "%s: not on this node, and no network transport here",
                                 config->name ? config->name : "peer");
    peer = calloc(1, sizeof(*peer));
    if (!peer)
        goto fail;
    peer->rpc = rpc;
    list_init(&peer->queue);
    list_node_init(&peer->link);
    rpc_reconnect_init(peer);
    if (peer_config_copy(peer, config))
        goto fail;
    list_push_back(&rpc->peers, &peer->link);
    *ret = peer;
    return 0;
fail:
    peer_free(peer);
    return benchfs_error_set(err, ENOMEM, "%s: out of memory", config->name);
}

void rpc_peer_destroy(struct rpc_peer *peer)
{
    if (!peer)
        return;
    if (peer->connection)
        rpc_connection_lost(peer->connection, -ECANCELED);
    rpc_client_queue_fail(peer, -ECANCELED);
    list_for_each(node, &peer->rpc->releasing)
    {
        struct rpc_outgoing *out = list_entry(node, struct rpc_outgoing, link);

        if (out->peer == peer) {
            rpc_outgoing_end(out, -ECANCELED, true);
            out->peer = NULL;
        }
    }
    rpc_reconnect_reset(peer);
    list_remove(&peer->link);
    peer_free(peer);
}

enum rpc_peer_state rpc_peer_state_get(const struct rpc_peer *peer,
                                       uint64_t *ret_connects)
{
    *ret_connects = peer->n_connects;
    if (peer->connection && peer->connection->state == RPC_READY)
        return RPC_PEER_CONNECTED;
    if (peer->lost)
        return RPC_PEER_LOST;
    return peer->connection || peer->failure ? RPC_PEER_CONNECTING : RPC_PEER_NONE;
}

bool rpc_peer_is_lost(const struct rpc_peer *peer)
{
    return peer->lost != 0;
}

bool rpc_peer_is_local(const struct rpc_peer *peer)
{
    return peer->config.local_path != NULL;
}

bool rpc_peer_is_by_address(const struct rpc_peer *peer)
{
    return !peer->config.local_path && peer->config.use_worker_address;
}

int rpc_peer_disconnect(struct rpc_peer *peer)
{
    struct rpc_connection *connection = peer->connection;

    if (!list_is_empty(&peer->queue)
        || (connection && !list_is_empty(&connection->calls)))
        return -EBUSY;
    if (!connection)
        return 0;
    /* as if the server had said goodbye: no failure, and nothing to come back to */
    connection->is_leaving = true;
    rpc_connection_lost(connection, -ESHUTDOWN);
    return 0;
}

const struct rpc_peer_info *rpc_peer_info_get(const struct rpc_peer *peer)
{
    return peer->has_info ? &peer->info : NULL;
}

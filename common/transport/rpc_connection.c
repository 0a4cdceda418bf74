/* SPDX-License-Identifier: Apache-2.0
 *
 * Life of a connection, either side: made, timed out, lost, freed.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "transport/rpc_core.h"

static void connection_timeout(struct rpc_timer *timer)
{
    rpc_connection_lost(list_entry(timer, struct rpc_connection, timer), -ETIMEDOUT);
}

struct rpc_connection *
rpc_connection_new(struct rpc *rpc, const struct rpc_backend *backend, bool is_local)
{
    struct rpc_connection *connection = calloc(1, sizeof(*connection));

    if (!connection)
        return NULL;
    connection->rpc = rpc;
    connection->backend = backend;
    connection->is_local = is_local;
    connection->references = 2; /* the core's and the backend's */
    connection->timer.fire = connection_timeout;
    list_node_init(&connection->link);
    list_node_init(&connection->client_link);
    list_init(&connection->calls);
    list_init(&connection->requests);
    if (rpc_timer_set(rpc,
                      &connection->timer,
                      clock_now_ns()
                          + (uint64_t)rpc->config.connect_timeout_ms
                                * CLOCK_NS_PER_MS)) {
        free(connection);
        return NULL;
    }
    return connection;
}

void rpc_connection_put(struct rpc_connection *connection)
{
    assert(connection->references > 0);
    if (--connection->references > 0)
        return;
    assert(connection->state == RPC_CLOSED);
    free(connection);
}

void rpc_connection_lost(struct rpc_connection *connection, int status)
{
    struct rpc *rpc = connection->rpc;
    enum rpc_connection_state state = connection->state;

    if (state == RPC_CLOSED)
        return;
    log_debug("rpc: %s connection %s %s closed in state %d: %d",
              connection->backend->name,
              connection->peer ? "to" : "from",
              connection->peer ? connection->peer->config.name : "client",
              (int)state,
              status);
    connection->state = RPC_CLOSED;
    rpc_timer_clear(rpc, &connection->timer);
    list_remove(&connection->link);
    rpc->stats.disconnects++;
    rpc->stats.connections_now--;
    if (connection->peer)
        rpc_client_connection_closed(connection, status, state == RPC_READY);
    else
        rpc_server_connection_closed(connection);
    connection->backend->close(connection);
    rpc_connection_put(connection);
}

uint64_t rpc_connection_client(const struct rpc_connection *connection)
{
    return connection->client_id;
}

uint8_t rpc_connection_kind(const struct rpc_connection *connection)
{
    return connection->kind;
}

uint32_t rpc_connection_uid(const struct rpc_connection *connection)
{
    return connection->uid;
}

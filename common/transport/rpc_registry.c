/* SPDX-License-Identifier: Apache-2.0
 *
 * Which clients a server has: their connections by client id, the limit and who makes
 * room, and the news of a client's last connection gone.
 *
 * An evicted client's connection is told goodbye; what the server has not answered by
 * then it never looks at, and the client sends it again over a new connection.
 */
#include <errno.h>
#include <stdlib.h>

#include "proto/messages.h"
#include "proto/ops.h"
#include "transport/rpc_core.h"

static void registry_evict(struct rpc_connection *connection)
{
    struct rpc *rpc = connection->rpc;
    struct wire_header goodbye = {
        .opcode = OP_HELLO,
        .is_reply = true,
        .client = connection->client_id,
        .status = -ESHUTDOWN,
        .target = rpc->config.target,
    };

    rpc->n_ready_clients--;
    rpc->stats.evictions++;
    connection->is_evicted = true;
    connection->state = RPC_CLOSING;
    /* The client closes; the timer is for one that does not look. */
    (void)rpc_timer_set(
        rpc,
        &connection->timer,
        clock_now_ns() + (uint64_t)rpc->config.connect_timeout_ms * CLOCK_NS_PER_MS);
    connection->backend->notify(connection, &goodbye);
}

static bool is_idle(const struct rpc_connection *connection)
{
    return connection->state == RPC_READY && connection->n_requests == 0
           && connection->kind != HELLO_DAEMON;
}

static bool has_open(const struct rpc_connection *connection)
{
    const struct rpc_server *server = connection->rpc->config.server;

    return server->has_open && server->has_open(server->arg, connection->client_id);
}

/* The one that has been idle for longest; of those with something open only if there is
 * no other. */
static struct rpc_connection *idle_find(const struct rpc *rpc,
                                        const struct rpc_connection *keep)
{
    struct rpc_connection *first = NULL;

    list_for_each(node, &rpc->accepted)
    {
        struct rpc_connection *connection =
            list_entry(node, struct rpc_connection, link);

        if (connection == keep || !is_idle(connection))
            continue;
        if (!has_open(connection))
            return connection;
        if (!first)
            first = connection;
    }
    return first;
}

static void registry_make_room(struct rpc *rpc, const struct rpc_connection *keep)
{
    struct rpc_connection *idle;

    while (rpc->n_ready_clients > rpc->config.client_limit
           && (idle = idle_find(rpc, keep)))
        registry_evict(idle);
}

/* Of one that was told goodbye already, or the one that has been idle for longest. It
 * is not waited for: what it has sent meanwhile it sends again. */
void rpc_descriptors_exhausted(struct rpc *rpc)
{
    struct rpc_connection *idle;

    list_for_each(node, &rpc->accepted)
    {
        struct rpc_connection *connection =
            list_entry(node, struct rpc_connection, link);

        if (connection->is_evicted) {
            rpc_connection_lost(connection, -ESHUTDOWN);
            return;
        }
    }
    idle = idle_find(rpc, NULL);
    if (idle) {
        registry_evict(idle);
        rpc_connection_lost(idle, -ESHUTDOWN);
    }
}

static struct rpc_client *client_get(struct rpc *rpc, uint64_t id)
{
    struct rpc_client *client = table_get(&rpc->clients, id);

    if (client)
        return client;
    client = calloc(1, sizeof(*client));
    if (!client)
        return NULL;
    client->id = id;
    list_init(&client->connections);
    list_node_init(&client->link);
    if (table_put(&rpc->clients, id, client)) {
        free(client);
        return NULL;
    }
    return client;
}

static void tell_up(struct rpc_connection *connection)
{
    const struct rpc_server *server = connection->rpc->config.server;
    struct rpc_client_info info = {
        .id = connection->client_id,
        .kind = connection->kind,
        .is_local = connection->is_local,
        .node = connection->node,
        .target = connection->client_target,
        .pid = connection->pid,
    };

    if (server->on_client_up)
        server->on_client_up(server->arg, &info);
}

struct rpc_origin rpc_connection_origin(const struct rpc_connection *connection)
{
    return (struct rpc_origin){
        .client = connection->client_id,
        .target =
            connection->kind == HELLO_DAEMON ? connection->client_target : UINT32_MAX,
    };
}

static bool is_same_origin(struct rpc_origin a, struct rpc_origin b)
{
    return a.client == b.client || (a.target != UINT32_MAX && a.target == b.target);
}

/* One that `connection` takes the place of; NULL. */
static struct rpc_connection *predecessor_find(const struct rpc_connection *connection)
{
    struct rpc_origin origin = rpc_connection_origin(connection);

    list_for_each(node, &connection->rpc->accepted)
    {
        struct rpc_connection *other = list_entry(node, struct rpc_connection, link);

        if (other != connection && other->client
            && is_same_origin(rpc_connection_origin(other), origin))
            return other;
    }
    return NULL;
}

static bool may_have_predecessor(const struct rpc_connection *connection)
{
    const struct list *all = &connection->client->connections;

    return connection->kind == HELLO_DAEMON || list_front(all) != list_back(all);
}

/*
 * What is left on the connections that the client had before, it has sent again, or
 * given up: were it done later, it would overwrite what has been acknowledged since.
 * So those are closed, and the client waits for what is beyond that.
 */
static int predecessors_close(const struct rpc_connection *connection)
{
    struct rpc *rpc = connection->rpc;
    struct rpc_origin origin = rpc_connection_origin(connection);
    struct rpc_connection *other;

    while (may_have_predecessor(connection) && (other = predecessor_find(connection)))
        rpc_connection_lost(other, -ECONNABORTED);
    list_for_each(node, &rpc->orphans)
    {
        const struct rpc_incoming *in =
            list_entry(node, struct rpc_incoming, connection_link);

        if (is_same_origin(in->origin, origin))
            return -EAGAIN;
    }
    return 0;
}

int rpc_registry_add(struct rpc_connection *connection, uint64_t id)
{
    struct rpc *rpc = connection->rpc;
    struct rpc_client *client = client_get(rpc, id);
    int rc;

    if (!client)
        return -ENOMEM;
    connection->client = client;
    list_push_back(&client->connections, &connection->client_link);
    rc = predecessors_close(connection);
    if (rc) {
        connection->is_evicted = true; /* it comes again, and has not been counted */
        rpc_registry_remove(connection);
        return rc;
    }
    connection->heard_ns = clock_now_ns();
    tell_up(connection);
    if (connection->kind != HELLO_DAEMON) {
        rpc->n_ready_clients++;
        registry_make_room(rpc, connection);
    }
    return 0;
}

void rpc_registry_remove(struct rpc_connection *connection)
{
    struct rpc *rpc = connection->rpc;
    struct rpc_client *client = connection->client;

    if (!client)
        return;
    connection->client = NULL;
    list_remove(&connection->client_link);
    if (connection->kind != HELLO_DAEMON && !connection->is_evicted)
        rpc->n_ready_clients--;
    if (!list_is_empty(&client->connections))
        return;
    table_remove(&rpc->clients, client->id);
    client->is_evicted = connection->is_evicted;
    list_push_back(&rpc->gone, &client->link);
}

uint64_t rpc_client_heard_ns(const struct rpc *rpc, uint64_t id)
{
    const struct rpc_client *client = table_get(&rpc->clients, id);
    uint64_t heard_ns = 0;

    if (!client)
        return 0;
    list_for_each(node, &client->connections)
    {
        const struct rpc_connection *connection =
            list_entry(node, struct rpc_connection, client_link);

        if (connection->heard_ns > heard_ns)
            heard_ns = connection->heard_ns;
    }
    return heard_ns;
}

void rpc_client_close(struct rpc *rpc, uint64_t id)
{
    const struct rpc_client *client;

    while ((client = table_get(&rpc->clients, id)))
        rpc_connection_lost(list_entry(list_front(&client->connections),
                                       struct rpc_connection,
                                       client_link),
                            -ETIMEDOUT);
}

unsigned rpc_registry_drain(struct rpc *rpc)
{
    const struct rpc_server *server = rpc->config.server;
    struct list_node *node;
    unsigned n = 0;

    while ((node = list_pop_front(&rpc->gone))) {
        struct rpc_client *client = list_entry(node, struct rpc_client, link);

        /* it may be back already, and has said so */
        if (server && server->on_client_down && !rpc->is_destroying
            && !table_get(&rpc->clients, client->id))
            server->on_client_down(server->arg, client->id, client->is_evicted);
        free(client);
        n++;
    }
    return n;
}

void rpc_registry_fini(struct rpc *rpc)
{
    rpc_registry_drain(rpc);
    table_fini(&rpc->clients);
}

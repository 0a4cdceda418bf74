/* SPDX-License-Identifier: Apache-2.0
 *
 * From nothing to a client: finding the node's daemon, taking the endpoint table from
 * it, and the way to each target.
 */
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/random.h"
#include "client/client_internal.h"
#include "client/remote.h"

#define RUN_DIR            "/run/benchfs"
#define TIMEOUT_MS_DEFAULT 30000u
#define CONNECT_MS_DEFAULT 10000u
#define SPIN_US            20u
/* A daemon may be restarting when a program starts; or have ended, and its socket is
 * left over. */
#define PATIENCE_MS_FIRST 3000u
#define TABLE_SPACE_MIN   (256u << 10)

/* ---- finding the daemon ---------------------------------------------- */

/* `table`: what is known already; of any node, since the path is the same on all. */
static int socket_path_find(const struct client_config *config,
                            const struct endpoint_table *table,
                            char **ret,
                            struct benchfs_error *err)
{
    const char *path = config->socket_path;
    const char *job = getenv("SLURM_JOB_ID");
    char *made = NULL;

    if (!path)
        path = getenv("BENCHFS_SOCKET");
    if (path && path[0] != '\0') {
        made = strdup(path);
    } else if (job && job[0] != '\0' && !strchr(job, '/')) {
        if (asprintf(&made, RUN_DIR "/%s/shard-0.sock", job) < 0)
            made = NULL;
    } else if (table->n_endpoints > 0 && table->endpoints[0].local_path) {
        made = strdup(table->endpoints[0].local_path);
    } else {
        return benchfs_error_set(err,
                                 ENOENT,
                                 "no BenchFS service found: neither BENCHFS_SOCKET nor "
                                 "SLURM_JOB_ID is set");
    }
    if (!made)
        return benchfs_error_set(err, ENOMEM, "out of memory");
    if (access(made, F_OK) < 0) {
        benchfs_error_set(err, errno, "no BenchFS service at %s: %m", made);
        free(made);
        return err ? -err->code : -ENOENT;
    }
    *ret = made;
    return 0;
}

/* ---- routes ---------------------------------------------------------- */

static bool is_reachable_directly(const struct client *client,
                                  const struct endpoint *endpoint)
{
    return client->route == CLIENT_ROUTE_AUTO && client->remote
           && (endpoint->socket_address_len > 0 || endpoint->worker_address_len > 0);
}

static bool is_same_host(const struct client *client, const struct endpoint *endpoint)
{
    return endpoint->host == client->host && endpoint->local_path;
}

uint32_t client_route_peer(const struct client *client, uint32_t target)
{
    const struct endpoint *endpoint;

    if (client->n_own == 0 || target >= client->table.n_endpoints)
        return target;
    endpoint = &client->table.endpoints[target];
    if (endpoint->node == client->node)
        return target;
    if (client->route == CLIENT_ROUTE_AUTO && is_same_host(client, endpoint))
        return target;
    if (is_reachable_directly(client, endpoint))
        return target;
    return client->own[target % client->n_own];
}

static void peer_config_remote(const struct client *client,
                               const struct endpoint *endpoint,
                               struct rpc_peer_config *config)
{
    config->socket_address = endpoint->socket_address;
    config->socket_address_len = endpoint->socket_address_len;
    config->worker_address = endpoint->worker_address;
    config->worker_address_len = endpoint->worker_address_len;
    config->use_worker_address = client->table.connection_mode == CONNECTION_ADDRESS
                                 || endpoint->socket_address_len == 0;
}

/* For the engine, on whatever thread drives it. */
static int peer_config(void *arg,
                       uint32_t peer,
                       struct rpc_peer_config *config,
                       bool *ret_is_remote)
{
    const struct client *client = arg;
    const struct endpoint *endpoint;

    *ret_is_remote = false;
    config->target = peer;
    config->patience_ms = client->timeout_ms;
    if (client->n_own == 0) {
        config->patience_ms = PATIENCE_MS_FIRST;
        config->target = RPC_TARGET_ANY;
        config->name = client->socket_path;
        config->local_path = client->socket_path;
        return 0;
    }
    endpoint = &client->table.endpoints[peer];
    config->name = endpoint->host_name ? endpoint->host_name : "?";
    /* The socket that answered is right even if the table's path is seen differently
     * from here (another mount namespace). */
    if (peer == client->own[0]) {
        config->local_path = client->socket_path;
        return 0;
    }
    if (is_same_host(client, endpoint)) {
        config->local_path = endpoint->local_path;
        return 0;
    }
    *ret_is_remote = true;
    peer_config_remote(client, endpoint, config);
    return 0;
}

static bool table_has_ipv6(const struct endpoint_table *table)
{
    for (uint32_t i = 0; i < table->n_endpoints; i++) {
        const struct endpoint *endpoint = &table->endpoints[i];
        sa_family_t family = AF_UNSPEC;

        if (endpoint->socket_address_len >= sizeof(struct sockaddr_in))
            memcpy(&family,
                   endpoint->socket_address + offsetof(struct sockaddr, sa_family),
                   sizeof(family));
        if (family == AF_INET6)
            return true;
    }
    return false;
}

static int remote_create(void *arg, struct rpc **ret)
{
    struct client *client = arg;
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct rpc_config config = {
        .client = client->id,
        .job = client->table.job,
        .kind = client->kind,
        .request_timeout_ms = client->timeout_ms,
        .connect_timeout_ms = client->table.connect_timeout_ms,
        .spin_us = SPIN_US,
        .node = client->node,
        .uses_ipv6 = table_has_ipv6(&client->table),
    };
    int status = 0;

    assert(client->remote);
    config.remote = client->remote->backend;
    if (client->auth_state)
        client->remote->auth_close(client->auth_state); /* of a try that failed */
    client->auth_state = NULL;
    if (client->remote->auth_open)
        status = client->remote->auth_open(&client->auth_state, &config.auth, &err);
    if (status == 0)
        status = rpc_create(&config, ret, &err);
    if (status < 0)
        log_debug("no route to other nodes: %s", err.text);
    return status;
}

/* ---- the endpoint table ---------------------------------------------- */

/* Sends TABLE with room for `space` bytes; -EMSGSIZE: it needs more. */
static int table_ask(struct client *client, size_t space, uint32_t *ret_node)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct msg_table_reply reply;
    struct iovec iov = {.iov_base = malloc(space), .iov_len = space};
    struct client_call *call = calloc(1, sizeof(*call));
    int status = -ENOMEM;

    if (!iov.iov_base || !call)
        goto done;
    client_call_set(client, &call->call, OP_TABLE, 0, NULL, 0);
    call->call.rpc.recv = &iov;
    call->call.rpc.n_recv = 1;
    status = client_call_run(client, call);
    if (status == 0)
        status = client_reply_decode(call, table_reply, &reply);
    if (status == 0)
        status = endpoint_table_decode(
            &client->table, iov.iov_base, call->call.rpc.received, &err);
    if (status == 0)
        *ret_node = reply.node;
done:
    free(call);
    free(iov.iov_base);
    return status;
}

static int
table_fetch(struct client *client, uint32_t *ret_node, struct benchfs_error *err)
{
    int status = -EMSGSIZE;

    for (size_t space = TABLE_SPACE_MIN;
         status == -EMSGSIZE && space <= WIRE_PAYLOAD_MAX;
         space *= 16)
        status = table_ask(client, space, ret_node);
    if (status < 0)
        return benchfs_error_set(err,
                                 status,
                                 "%s: no endpoint table from the BenchFS daemon: %s",
                                 client->socket_path,
                                 strerror(-status));
    return 0;
}

/* The table came another way; HELLO says which node this is. */
static int
node_ask(struct client *client, uint32_t *ret_node, struct benchfs_error *err)
{
    struct rpc_peer_info info;
    struct client_call *call = calloc(1, sizeof(*call));
    int status = -ENOMEM;

    if (call) {
        client_call_set(client, &call->call, OP_PING, 0, NULL, 0);
        status = client_call_run(client, call);
    }
    free(call);
    if (status == 0)
        status = engine_peer_info(client->engine, 0, &info);
    if (status)
        return benchfs_error_set(err,
                                 status,
                                 "%s: no answer from the BenchFS daemon: %s",
                                 client->socket_path,
                                 strerror(-status));
    *ret_node = info.node;
    return 0;
}

/* Finds this node's targets in the table, in the order of their shards. */
static int
own_targets_find(struct client *client, uint32_t node, struct benchfs_error *err)
{
    const struct endpoint_table *table = &client->table;
    uint32_t n = 0;
    uint32_t *own =
        calloc(table->n_endpoints ? table->n_endpoints : 1, sizeof(uint32_t));

    if (!own)
        return benchfs_error_set(err, ENOMEM, "out of memory");
    for (uint32_t i = 0; i < table->n_endpoints; i++) {
        if (table->endpoints[i].node == node)
            own[n++] = i;
    }
    if (n == 0) {
        free(own);
        return benchfs_error_set(err,
                                 EPROTO,
                                 "%s: the endpoint table has no target of node %u",
                                 client->socket_path,
                                 (unsigned)node);
    }
    client->node = node;
    client->host = table->endpoints[own[0]].host;
    client->own = own;
    client->n_own = n;
    return 0;
}

/* ---- open and close -------------------------------------------------- */

static int engine_open(struct client *client, struct benchfs_error *err)
{
    struct rpc_config config = {
        .client = client->id,
        .job = "",
        .kind = client->kind,
        .request_timeout_ms = client->timeout_ms,
        .connect_timeout_ms = CONNECT_MS_DEFAULT,
        .spin_us = SPIN_US,
    };
    struct engine_config engine_config = {
        .spin_us = SPIN_US,
        .peer_config = peer_config,
        .remote_create = remote_create,
        .arg = client,
    };
    struct rpc *rpc;
    int status = rpc_create(&config, &rpc, err);

    if (status < 0)
        return status;
    status = engine_create(&engine_config, rpc, &client->engine);
    if (status < 0) {
        rpc_destroy(rpc);
        return benchfs_error_set(err, status, "cannot start: %s", strerror(-status));
    }
    status = engine_set_peers(client->engine, 1, 0);
    if (status < 0)
        return benchfs_error_set(err, status, "out of memory");
    return 0;
}

static int service_join(struct client *client,
                        const struct client_config *config,
                        struct benchfs_error *err)
{
    uint32_t node = 0;
    int status;

    if (config->table)
        status = node_ask(client, &node, err);
    else
        status = table_fetch(client, &node, err);
    if (status < 0)
        return status;
    if (config->timeout_ms == 0 && client->table.request_timeout_ms > 0)
        client->timeout_ms = client->table.request_timeout_ms;
    /* Peer 0 was the socket, whatever target that is; from here on peers are targets.
     */
    status = engine_set_peers(
        client->engine, client->table.n_endpoints, client_hold_ns(client));
    if (status < 0)
        return benchfs_error_set(err, status, "out of memory");
    return own_targets_find(client, node, err);
}

int client_open(const struct client_config *config,
                struct client **ret,
                struct benchfs_error *err)
{
    struct benchfs_error own_err = BENCHFS_ERROR_INIT;
    struct client *client = calloc(1, sizeof(*client));
    int status;

    if (!err)
        err = &own_err;
    if (!client)
        return benchfs_error_set(err, ENOMEM, "out of memory");
    pthread_mutex_init(&client->inodes_lock, NULL);
    table_init(&client->inodes);
    client_dirs_init(&client->dirs);
    list_init(&client->lates);
    client->route = config->route;
    client->remote = config->route == CLIENT_ROUTE_LOCAL ? NULL : config->remote;
    client->kind = config->kind ? config->kind : HELLO_CLIENT;
    client->timeout_ms = config->timeout_ms ? config->timeout_ms : TIMEOUT_MS_DEFAULT;
    do {
        status = random_u64(&client->id);
    } while (status == 0 && client->id == 0);
    if (status < 0) {
        benchfs_error_set(err, status, "no random number for a client id");
        goto fail;
    }
    if (config->table)
        status = endpoint_table_decode(
            &client->table, config->table, config->table_len, err);
    if (status < 0)
        goto fail;
    status = socket_path_find(config, &client->table, &client->socket_path, err);
    if (status < 0)
        goto fail;
    status = engine_open(client, err);
    if (status < 0)
        goto fail;
    status = service_join(client, config, err);
    if (status < 0)
        goto fail;
    *ret = client;
    return 0;
fail:
    client_close(client);
    return status;
}

void client_close(struct client *client)
{
    if (!client)
        return;
    engine_destroy(client->engine);
    client_late_fini(client);
    if (client->auth_state)
        client->remote->auth_close(client->auth_state);
    endpoint_table_fini(&client->table);
    table_fini(&client->inodes);
    client_dirs_fini(&client->dirs);
    pthread_mutex_destroy(&client->inodes_lock);
    free(client->own);
    free(client->socket_path);
    free(client);
}

const struct endpoint_table *client_table(const struct client *client)
{
    return &client->table;
}

uint32_t client_node(const struct client *client)
{
    return client->node;
}

uint64_t client_id(const struct client *client)
{
    return client->id;
}

/* ---- requests -------------------------------------------------------- */

void client_call_set(const struct client *client,
                     struct engine_call *call,
                     uint16_t opcode,
                     uint32_t target,
                     const void *body,
                     size_t body_len)
{
    struct rpc_call *rpc = &call->rpc;

    rpc->opcode = opcode;
    rpc->target = target;
    rpc->client = 0;
    rpc->sequence = 0;
    rpc->slot = 0;
    rpc->asks_only = false;
    rpc->body = body;
    rpc->body_len = body_len;
    rpc->send = NULL;
    rpc->n_send = 0;
    rpc->recv = NULL;
    rpc->n_recv = 0;
    rpc->timeout_ms = client->timeout_ms;
    rpc->is_once = false;
    rpc->is_patient = false;
    rpc->status = 0;
    rpc->is_transport = false;
    rpc->reply_len = 0;
    rpc->received = 0;
    call->peer = client_route_peer(client, target);
    call->keeps_slot = false;
    call->repeats = false;
}

int client_call_run(struct client *client, struct client_call *call)
{
    struct engine_set set;

    engine_set_init(&set, NULL);
    engine_set_add(&set, &call->call);
    engine_run(client->engine, &set);
    return call->call.rpc.status;
}

int client_request_sync(struct client *client, struct client_request *request)
{
    struct engine_set set;
    struct engine_call call;

    client_call_set(client,
                    &call,
                    request->opcode,
                    request->target,
                    request->body,
                    request->body_len);
    call.rpc.send = request->send;
    call.rpc.n_send = request->n_send;
    call.rpc.recv = request->recv;
    call.rpc.n_recv = request->n_recv;
    if (request->timeout_ms > 0)
        call.rpc.timeout_ms = request->timeout_ms;
    engine_set_init(&set, NULL);
    engine_set_add(&set, &call);
    engine_run(client->engine, &set);
    memcpy(request->reply, call.rpc.reply, call.rpc.reply_len);
    request->reply_len = call.rpc.reply_len;
    request->received = call.rpc.received;
    return call.rpc.status;
}

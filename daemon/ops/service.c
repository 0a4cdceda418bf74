/* SPDX-License-Identifier: Apache-2.0
 *
 * Operations on the service itself: the endpoint table, space, status, counters, and
 * the end of tasks and of the service.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "config/json.h"
#include "daemon/ops/ops.h"
#include "daemon/peer.h"
#include "daemon/server.h"
#include "daemon/service.h"
#include "daemon/session.h"
#include "daemon/stage_host.h"

/* Replies with memory that outlives the request, or that the op frees (payload_memory).
 */
static int reply_payload(struct op *op, void *data, size_t len)
{
    if (len > op->request->header.reply_space)
        return -EMSGSIZE;
    op->payload = calloc(1, sizeof(*op->payload));
    if (!op->payload)
        return -ENOMEM;
    op->payload[0] = (struct iovec){data, len};
    op->n_payload = len > 0;
    return 0;
}

int op_ping(struct op *op)
{
    (void)op;
    return 0;
}

int op_table_get(struct op *op)
{
    struct server *server = op->shard->server;
    struct msg_table_reply reply = {.node = server->config.node};
    int rc;

    if (server->table_blob.size == 0)
        return -EAGAIN; /* still starting */
    rc = reply_payload(op, server->table_blob.data, server->table_blob.size);
    return rc ? rc : OP_REPLY(op, table_reply, &reply);
}

int op_client_gone(struct op *op)
{
    struct msg_client_request m;

    OP_DECODE(op, client_request, &m);
    session_client_gone(op->shard, m.client);
    return 0;
}

static void statfs_local(struct shard *shard, struct msg_statfs_reply *ret)
{
    struct store_usage usage;

    store_usage_get(shard->store, &usage);
    *ret = (struct msg_statfs_reply){
        .capacity_bytes = usage.capacity_bytes,
        .used_bytes = usage.used_bytes,
        .inodes_used = usage.inodes_used,
        .inodes_free = usage.inodes_free,
    };
}

int op_statfs(struct op *op)
{
    struct msg_statfs_reply reply;

    statfs_local(op->shard, &reply);
    return OP_REPLY(op, statfs_reply, &reply);
}

/* ---- status */

struct status_node {
    struct msg_statfs_reply usage;
    bool is_lost; /* or a part of it */
};

struct status_sum {
    struct msg_statfs_reply total;
    struct status_node *nodes; /* n_nodes */
};

static void
status_add(struct status_sum *sum, uint32_t node, const struct msg_statfs_reply *part)
{
    struct msg_statfs_reply *into[] = {&sum->total, &sum->nodes[node].usage};

    for (size_t i = 0; i < 2; i++) {
        into[i]->capacity_bytes += part->capacity_bytes;
        into[i]->used_bytes += part->used_bytes;
        into[i]->inodes_used += part->inodes_used;
        into[i]->inodes_free += part->inodes_free;
    }
}

/* A node that is lost has no part in the sums. */
static int status_gather(struct op *op, struct status_sum *sum)
{
    const struct endpoint_table *table = &op->shard->server->table;
    uint32_t n = op->shard->n_targets - 1;
    struct msg_statfs_reply part;
    struct peer_call *calls;
    int rc = peer_call_others(op, OP_STATFS, NULL, 0, &calls);

    if (calls)
        rc = peer_calls_reachable(op, calls, n);
    statfs_local(op->shard, &part);
    status_add(sum, table->endpoints[op->shard->target].node, &part);
    for (uint32_t i = 0; rc == 0 && calls && i < n; i++) {
        const struct rpc_call *call = &calls[i].rpc;
        uint32_t node = table->endpoints[call->target].node;

        if (call->status) {
            sum->nodes[node].is_lost = true;
            continue;
        }
        rc = msg_statfs_reply_decode(&part, call->reply, call->reply_len);
        if (rc == 0)
            status_add(sum, node, &part);
    }
    free(calls);
    return rc;
}

/* Adds to an object; the first failure stays in *rc. */
static void put_u64(struct json *object, const char *key, uint64_t value, int *rc)
{
    if (*rc == 0)
        *rc = json_set(object, key, json_make_u64(value));
}

static void
put_usage(struct json *object, const struct msg_statfs_reply *usage, int *rc)
{
    put_u64(object, "capacity_bytes", usage->capacity_bytes, rc);
    put_u64(object, "used_bytes", usage->used_bytes, rc);
    put_u64(object, "inodes_used", usage->inodes_used, rc);
    put_u64(object, "inodes_free", usage->inodes_free, rc);
}

static const char *host_of_node(const struct endpoint_table *table, uint32_t node)
{
    for (uint32_t i = 0; i < table->n_endpoints; i++) {
        if (table->endpoints[i].node == node)
            return table->endpoints[i].host_name;
    }
    return "";
}

static int status_nodes_put(struct json *status,
                            const struct endpoint_table *table,
                            const struct status_sum *sum)
{
    struct json *nodes = json_make_array();
    int rc = json_set(status, "nodes", nodes);

    for (uint32_t n = 0; rc == 0 && n < table->n_nodes; n++) {
        struct json *node = json_make_object();

        rc = json_append(nodes, node);
        put_u64(node, "node", n, &rc);
        if (rc == 0)
            rc = json_set(node, "host", json_make_string(host_of_node(table, n)));
        if (rc == 0)
            rc = json_set(node, "is_lost", json_make_bool(sum->nodes[n].is_lost));
        put_usage(node, &sum->nodes[n].usage, &rc);
    }
    return rc;
}

static int status_text(struct op *op, const struct status_sum *sum, char **ret_text)
{
    const struct endpoint_table *table = &op->shard->server->table;
    const char *state = service_state_name(service_state_get(op->shard->service));
    struct json *status = json_make_object();
    int rc = json_set(status, "job", json_make_string(table->job));

    if (rc == 0)
        rc = json_set(status, "state", json_make_string(state));
    put_u64(status, "n_nodes", table->n_nodes, &rc);
    put_u64(status, "n_targets", table->n_endpoints, &rc);
    put_u64(status, "chunk_size_bytes", table->chunk_size, &rc);
    put_usage(status, &sum->total, &rc);
    if (rc == 0)
        rc = status_nodes_put(status, table, sum);
    if (rc == 0)
        rc = json_write(status, false, ret_text, NULL);
    json_destroy(status);
    return rc;
}

int op_status(struct op *op)
{
    struct shard *shard = op->shard;
    struct msg_status_reply reply;
    struct status_sum sum = {.nodes = NULL};
    char *text = NULL;
    int rc;

    if (!shard->service)
        return -EINVAL;
    if (shard->n_targets > 1 && !op->fiber)
        return OP_NEEDS_FIBER;
    sum.nodes = calloc(shard->server->table.n_nodes + 1, sizeof(*sum.nodes));
    if (!sum.nodes)
        return -ENOMEM;
    rc = status_gather(op, &sum);
    if (rc == 0)
        rc = status_text(op, &sum, &text);
    free(sum.nodes);
    if (rc)
        return rc;
    op->payload_memory = text;
    reply.state = (uint8_t)service_state_get(shard->service);
    rc = reply_payload(op, text, strlen(text));
    return rc ? rc : OP_REPLY(op, status_reply, &reply);
}

/* The connections with others that this target has made, or wants. */
static int peers_add(struct shard *shard, struct json *stats)
{
    static const char *const states[] = {
        [RPC_PEER_NONE] = "closed",
        [RPC_PEER_CONNECTING] = "connecting",
        [RPC_PEER_CONNECTED] = "connected",
        [RPC_PEER_LOST] = "lost",
    };
    const struct endpoint_table *table = &shard->server->table;
    struct json *peers = json_make_array();
    int rc = json_set(stats, "peers", peers);

    for (uint32_t t = 0; rc == 0 && t < shard->n_targets; t++) {
        uint64_t n_connects = 0;
        enum rpc_peer_state state =
            shard->peers[t] ? rpc_peer_state_get(shard->peers[t], &n_connects)
                            : RPC_PEER_NONE;
        struct json *peer;

        if (state == RPC_PEER_NONE && n_connects == 0)
            continue;
        peer = json_make_object();
        rc = json_append(peers, peer);
        put_u64(peer, "target", t, &rc);
        if (rc == 0)
            rc =
                json_set(peer, "host", json_make_string(table->endpoints[t].host_name));
        if (rc == 0)
            rc = json_set(peer, "state", json_make_string(states[state]));
        put_u64(peer, "connects", n_connects, &rc);
    }
    return rc;
}

static int stats_text(struct shard *shard, char **ret_text)
{
    struct json *stats = json_make_object();
    struct json *ops = json_make_object();
    struct rpc_stats rpc;
    int rc = json_set(stats, "ops", ops);

    rpc_stats_get(shard->rpc, &rpc);
    put_u64(stats, "target", shard->target, &rc);
    put_u64(stats, "requests_in", rpc.requests_in, &rc);
    put_u64(stats, "replies_out", rpc.replies_out, &rc);
    put_u64(stats, "calls_out", rpc.calls_out, &rc);
    put_u64(stats, "bytes_in", rpc.bytes_in, &rc);
    put_u64(stats, "bytes_out", rpc.bytes_out, &rc);
    put_u64(stats, "connects", rpc.connects, &rc);
    put_u64(stats, "reuses", rpc.reuses, &rc);
    put_u64(stats, "reconnects", shard->n_returns, &rc);
    put_u64(stats, "disconnects", rpc.disconnects, &rc);
    put_u64(stats, "evictions", rpc.evictions, &rc);
    put_u64(stats, "refused", rpc.refused, &rc);
    put_u64(stats, "connections_now", rpc.connections_now, &rc);
    put_u64(stats, "wakeups", rpc.wakeups, &rc);
    for (unsigned i = 0; i < OP_COUNT; i++) {
        const struct op_info *info = op_find(i);
        uint64_t n = atomic_load_explicit(&shard->op_counts[i], memory_order_relaxed);

        if (info && n > 0)
            put_u64(ops, info->name, n, &rc);
    }
    if (rc == 0)
        rc = peers_add(shard, stats);
    if (rc == 0)
        rc = json_write(stats, false, ret_text, NULL);
    json_destroy(stats);
    return rc;
}

int op_stats(struct op *op)
{
    char *text;
    int rc = stats_text(op->shard, &text);

    if (rc)
        return rc;
    op->payload_memory = text;
    return reply_payload(op, text, strlen(text));
}

/* ---- the end */

int op_task_exit(struct op *op)
{
    struct msg_task_exit_request m;
    struct msg_task_exit_reply reply;
    bool is_last;
    int rc;

    OP_DECODE(op, task_exit_request, &m);
    if (!op->shard->service)
        return -EINVAL;
    rc = service_task_exit(op->shard->service, m.step, m.task, m.n_tasks, &is_last);
    if (rc == 0)
        rc = service_task_store(op->shard->store, m.step, m.task, m.n_tasks);
    if (rc)
        return rc;
    reply.is_last = is_last;
    return OP_REPLY(op, task_exit_reply, &reply);
}

int op_set_state(struct op *op)
{
    struct msg_state_request m;

    OP_DECODE(op, state_request, &m);
    if (!op->shard->service || m.state > SERVICE_TEARDOWN)
        return -EINVAL;
    service_state_set(op->shard->service, m.state);
    return service_state_store(op->shard->store, m.state);
}

/* Target 0 tells one shard of each other node; these tell their supervisors. */
int op_shutdown(struct op *op)
{
    struct shard *shard = op->shard;
    const struct endpoint_table *table = &shard->server->table;
    struct peer_call *calls = NULL;
    uint32_t *targets = NULL;
    unsigned n = 0;
    int rc = 0;

    if (!shard->service)
        goto out;
    if (table->n_nodes > 1 && !op->fiber)
        return OP_NEEDS_FIBER;
    service_state_set(shard->service, SERVICE_TEARDOWN);
    targets = calloc(table->n_nodes, sizeof(*targets));
    calls = calloc(table->n_nodes, sizeof(*calls));
    rc = -ENOMEM;
    if (!targets || !calls)
        goto out;
    for (uint32_t t = 0; t < table->n_endpoints; t++) {
        if (table->endpoints[t].shard == 0 && t != shard->target)
            targets[n++] = t;
    }
    rc = peer_call_many(op, targets, n, OP_SHUTDOWN, NULL, 0, calls);

out:
    free(calls);
    free(targets);
    server_shutdown_request(shard->server,
                            shard->service
                                && stage_host_has_lost(service_stage(shard->service)));
    return rc;
}

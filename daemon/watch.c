/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/watch.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/proc.h"
#include "daemon/ops/ops.h"
#include "daemon/peer.h"
#include "daemon/server.h"
#include "daemon/session.h"

/* The first look comes soon: a client that has ended has left things open. One that
 * lives on is looked at less and less often. */
#define CHECK_MIN_MS 1000u
#define CHECK_MAX_MS 32000u
#define BATCH_MAX    64u

static uint64_t lease_ns(const struct shard *shard)
{
    return CLIENT_LEASE_TIMEOUTS * shard->server->table.request_timeout_ms
           * CLOCK_NS_PER_MS;
}

static void timer_arm(struct shard *shard)
{
    uint64_t first_ns = UINT64_MAX;

    list_for_each(node, &shard->watched)
    {
        const struct session *session = list_entry(node, struct session, watch_link);

        if (session->check_at_ns < first_ns)
            first_ns = session->check_at_ns;
    }
    if (first_ns == UINT64_MAX)
        shard_timer_cancel(&shard->watch_timer);
    else
        shard_timer_set(&shard->timers, &shard->watch_timer, first_ns);
}

static void check_later(struct session *session)
{
    session->check_at_ns =
        clock_now_ns() + session->check_interval_ms * CLOCK_NS_PER_MS;
    if (!session->is_connected && session->check_interval_ms < CHECK_MAX_MS)
        session->check_interval_ms *= 2;
}

static void
watch_begin(struct shard *shard, struct session *session, unsigned interval_ms)
{
    session->check_interval_ms = interval_ms;
    check_later(session);
    list_push_back(&shard->watched, &session->watch_link);
    timer_arm(shard);
}

void watch_add(struct shard *shard, struct session *session)
{
    if (list_node_is_linked(&session->watch_link))
        return;
    if (session->down_since_ns == 0)
        session->down_since_ns = clock_now_ns();
    watch_begin(shard, session, CHECK_MIN_MS);
}

void watch_add_connected(struct shard *shard, struct session *session)
{
    const struct server *server = shard->server;

    if (list_node_is_linked(&session->watch_link) || !session->is_connected
        || session->is_local || session->kind == HELLO_DAEMON || !shard->node_heard_ns
        || session->node >= server->table.n_nodes
        || session->node == server->config.node)
        return;
    watch_begin(shard, session, server->table.request_timeout_ms / 2);
}

void watch_forget(struct session *session)
{
    list_remove(&session->watch_link);
}

/* ---- who lives */

static bool is_process_alive(const struct session *session)
{
    uint64_t start;

    return session->pid > 0 && proc_start_time(session->pid, &start) == 0
           && start == session->pid_start;
}

bool watch_is_alive(struct shard *shard, uint64_t client)
{
    const struct session *session = table_get(&shard->sessions, client);

    return session
           && (session->is_connected
               || (session->node == shard->server->config.node
                   && is_process_alive(session)));
}

/* 0: it lives; -ESRCH: it does not; another: its node can't tell. */
static int node_ask(struct op *op, uint32_t node, uint64_t client)
{
    struct shard *shard = op->shard;
    const struct endpoint_table *table = &shard->server->table;
    uint32_t target = node * (table->n_endpoints / table->n_nodes);
    struct msg_client_request request = {.client = client};
    uint8_t body[MSG_client_request_MAX];
    size_t len = msg_client_request_encode(&request, body, sizeof(body));
    struct peer_call *call;
    int rc;

    if (node >= table->n_nodes || target == shard->target)
        return -ESRCH;
    call = malloc(sizeof(*call));
    if (!call)
        return -ENOMEM;
    rc = peer_call(op, target, OP_CLIENT_ALIVE, body, len, call);
    free(call);
    return rc;
}

/* In a fiber. The session may be gone, or connected again, when this returns. */
static bool is_gone(struct op *op, uint64_t client)
{
    struct shard *shard = op->shard;
    const struct session *session = table_get(&shard->sessions, client);
    bool is_over = clock_now_ns() - session->down_since_ns > lease_ns(shard);
    int rc = -EHOSTDOWN;

    if (session->kind == HELLO_DAEMON)
        return is_over;
    if (session->node == shard->server->config.node)
        return !is_process_alive(session);
    if (session->node != RPC_NODE_UNKNOWN)
        rc = node_ask(op, session->node, client);
    return rc && (rc == -ESRCH || is_over);
}

/* ---- connections that nobody may be behind */

static uint64_t heard_ns(const struct shard *shard, const struct session *session)
{
    uint64_t own_ns = rpc_client_heard_ns(shard->rpc, session->client);
    uint64_t node_ns = shard->node_heard_ns[session->node];

    return own_ns > node_ns ? own_ns : node_ns;
}

/* In a fiber. Of a client with a connection. */
static void silence_check(struct op *op, uint64_t client)
{
    struct shard *shard = op->shard;
    uint64_t timeout_ns = shard->server->table.request_timeout_ms * CLOCK_NS_PER_MS;
    struct session *session = table_get(&shard->sessions, client);
    uint64_t now_ns = clock_now_ns();
    uint32_t node = session->node;
    int rc;

    if (table_count(&session->opens) == 0) {
        watch_forget(session);
        return;
    }
    if (now_ns - heard_ns(shard, session) < timeout_ns / 2)
        return;
    rc = node_ask(op, node, client);
    /* a process that has ended there hangs up */
    if (rc == 0 || rc == -ESRCH)
        shard->node_heard_ns[node] = now_ns;
    session = table_get(&shard->sessions, client);
    if (!session || !session->is_connected || session->node != node
        || clock_now_ns() - heard_ns(shard, session) < timeout_ns)
        return;
    log_debug(
        "client %016llx on node %u is not heard", (unsigned long long)client, node);
    session->down_since_ns = heard_ns(shard, session);
    rpc_client_close(shard->rpc, client);
}

/* ---- looking */

static unsigned due_take(struct shard *shard, uint64_t *ret_clients)
{
    uint64_t now_ns = clock_now_ns();
    unsigned n = 0;

    list_for_each(node, &shard->watched)
    {
        struct session *session = list_entry(node, struct session, watch_link);

        if (session->check_at_ns > now_ns || n == BATCH_MAX)
            continue;
        check_later(session);
        ret_clients[n++] = session->client;
    }
    return n;
}

/* Unless it is back. */
static void end(struct shard *shard, uint64_t client)
{
    const struct session *session = table_get(&shard->sessions, client);

    if (!session || session->is_connected)
        return;
    log_debug("client %016llx has gone", (unsigned long long)client);
    session_client_gone(shard, client);
}

static int watch_run(struct op *op)
{
    struct shard *shard = op->shard;
    uint64_t clients[BATCH_MAX];
    unsigned n;

    while ((n = due_take(shard, clients)) > 0) {
        for (unsigned i = 0; i < n; i++) {
            const struct session *session = table_get(&shard->sessions, clients[i]);

            if (session && session->is_connected)
                silence_check(op, clients[i]);
            else if (session && is_gone(op, clients[i]))
                end(shard, clients[i]);
        }
    }
    shard->is_watching = false;
    timer_arm(shard);
    return 0;
}

static void watch_fire(struct shard_timer *timer)
{
    struct shard *shard = list_entry(timer, struct shard, watch_timer);

    if (shard->is_watching)
        return;
    shard->is_watching = op_spawn(shard, watch_run, NULL) == 0;
    if (!shard->is_watching)
        shard_timer_set(
            &shard->timers, timer, clock_now_ns() + CHECK_MIN_MS * CLOCK_NS_PER_MS);
}

void watch_init(struct shard *shard)
{
    list_init(&shard->watched);
    shard_timer_init(&shard->watch_timer, watch_fire);
}

int op_client_alive(struct op *op)
{
    struct msg_client_request m;

    OP_DECODE(op, client_request, &m);
    return watch_is_alive(op->shard, m.client) ? 0 : -ESRCH;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/shard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "base/random.h"
#include "daemon/claim.h"
#include "daemon/intent.h"
#include "daemon/lock_table.h"
#include "daemon/op.h"
#include "daemon/ops/ops.h"
#include "daemon/peer.h"
#include "daemon/server.h"
#include "daemon/service.h"
#include "daemon/session.h"
#include "daemon/session_store.h"
#include "daemon/stage_host.h"
#include "daemon/sync.h"
#include "daemon/trim.h"
#include "daemon/watch.h"
#include "proto/placement.h"
#include "transport/auth_munge.h"

/* How long operations in progress may take to end at the stop. */
#define DRAIN_MS 2000

int64_t shard_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * (int64_t)CLOCK_NS_PER_SEC + now.tv_nsec;
}

void shard_task_add(struct shard *shard, struct task *task)
{
    list_push_back(&shard->ready, &task->link);
}

static void on_request(void *arg, struct rpc_request *request)
{
    struct shard *shard = arg;

    list_push_back(&shard->incoming, &request->link);
}

static void on_client_up(void *arg, const struct rpc_client_info *client)
{
    session_connected(arg, client);
}

static bool client_has_open(void *arg, uint64_t client)
{
    return session_has_open(arg, client);
}

static void on_client_down(void *arg, uint64_t client, bool is_evicted)
{
    session_disconnected(arg, client, is_evicted);
}

/* ---- the thread */

static bool has_work(const struct shard *shard)
{
    return !list_is_empty(&shard->incoming) || !list_is_empty(&shard->ready)
           || !list_is_empty(&shard->outgoing) || !list_is_empty(&shard->calls);
}

static void run_one(struct shard *shard)
{
    struct list_node *node = list_pop_front(&shard->ready);

    if (node) {
        struct task *task = list_entry(node, struct task, link);

        task->run(task);
        return;
    }
    node = list_pop_front(&shard->incoming);
    if (node)
        op_start(shard, list_entry(node, struct rpc_request, link));
}

/* Fibers that asked for it hear how the commit went. */
static void committed_wake(struct shard *shard, int status)
{
    struct list_node *node;

    while ((node = list_pop_front(&shard->committing))) {
        struct op *op =
            list_entry(list_entry(node, struct task, link), struct op, task);

        op->commit_status = status;
        shard_task_add(shard, &op->task);
    }
}

/* What is ready now, as far as one transaction takes it; answers leave after its
 * commit. */
static void run_batch(struct shard *shard)
{
    int rc = store_txn_begin(shard->store);

    if (rc) {
        /* nothing can be read or changed: what waits is tried again, or times out */
        log_error(
            "target %u: can't begin a transaction: %s", shard->target, strerror(-rc));
        usleep(1000);
        return;
    }
    while ((!list_is_empty(&shard->ready) || !list_is_empty(&shard->incoming))
           && !store_txn_is_large(shard->store))
        run_one(shard);
    FAULT_POINT("batch-done");
    rc = store_txn_commit(shard->store);
    FAULT_POINT("batch-committed");
    if (rc)
        log_error("target %u: can't commit: %s", shard->target, strerror(-rc));
    committed_wake(shard, rc);
    peer_calls_flush(shard);
    op_flush(shard, rc);
}

static bool is_drained(const struct shard *shard)
{
    return !has_work(shard) && fiber_pool_active(shard->fibers) == 0
           && sync_is_idle(shard);
}

static void *shard_main(void *arg)
{
    struct shard *shard = arg;
    struct deadline drain = {.at_ns = UINT64_MAX};

    for (;;) {
        unsigned n = rpc_progress(shard->rpc);

        shard_timers_run(&shard->timers);
        sync_progress(shard);
        if (has_work(shard)) {
            run_batch(shard);
            trim_progress(shard);
        } else if (n == 0) {
            rpc_wait(shard->rpc,
                     drain.at_ns == UINT64_MAX ? shard_timers_wait_ms(&shard->timers)
                                               : 10);
        }
        if (!atomic_load(&shard->stop))
            continue;
        if (drain.at_ns == UINT64_MAX) {
            drain = deadline_after_ms(DRAIN_MS);
            rpc_give_up_waiting(shard->rpc);
            if (shard->service)
                stage_host_stop(service_stage(shard->service));
        }
        if (is_drained(shard) || deadline_expired(drain))
            return NULL;
    }
}

/* ---- set-up */

static int root_inode_ensure(struct shard *shard)
{
    int64_t now = shard_now_ns();
    struct store_inode root = {
        .ino = PLACEMENT_ROOT_INO,
        .parent = PLACEMENT_ROOT_INO,
        .mode = S_IFDIR | 0755,
        .uid = geteuid(),
        .gid = getegid(),
        .nlink = 2,
        .atime_ns = now,
        .mtime_ns = now,
        .ctime_ns = now,
        .btime_ns = now,
        .chunk_size = shard->chunk_size,
    };
    struct store_inode existing;
    int rc = store_txn_begin(shard->store);

    if (rc)
        return rc;
    rc = store_inode_get(shard->store, PLACEMENT_ROOT_INO, &existing);
    if (rc == -ENOENT)
        rc = store_inode_put(shard->store, &root);
    if (rc) {
        store_txn_abort(shard->store);
        return rc;
    }
    return store_txn_commit(shard->store);
}

/* What the store knows of clients, from before a restart. */
static int clients_load(struct shard *shard, struct benchfs_error *err)
{
    int rc = store_txn_begin(shard->store);

    if (rc == 0) {
        rc = session_store_load(shard);
        if (rc == 0)
            rc = lock_table_load(shard);
        if (rc == 0)
            rc = claim_load(shard);
        if (rc == 0)
            rc = intent_load(shard);
        store_txn_abort(shard->store);
    }
    return rc ? benchfs_error_set(
               err, -rc, "target %u: its clients: %s", shard->target, strerror(-rc))
              : 0;
}

static int service_restore(struct shard *shard)
{
    int rc = store_txn_begin(shard->store);

    if (rc == 0) {
        rc = service_load(shard->service, shard->store);
        store_txn_abort(shard->store);
    }
    return rc;
}

static int target_zero_init(struct shard *shard, struct benchfs_error *err)
{
    struct stage_host *stage;
    int rc;

    if (shard->target != 0)
        return 0;
    rc = root_inode_ensure(shard);
    if (rc == 0)
        rc = service_create(&shard->service);
    if (rc == 0)
        rc = service_restore(shard);
    if (rc)
        return benchfs_error_set(err, -rc, "root directory: %s", strerror(-rc));
    rc = stage_host_create(shard, &stage, err);
    if (rc == 0)
        service_stage_set(shard->service, stage);
    return rc;
}

void shard_tables_init(struct shard *shard)
{
    list_init(&shard->incoming);
    list_init(&shard->ready);
    list_init(&shard->outgoing);
    list_init(&shard->calls);
    list_init(&shard->fiber_waiters);
    list_init(&shard->timers);
    table_init(&shard->sessions);
    table_init(&shard->open_inodes);
    table_init(&shard->running);
    table_init(&shard->lock_files);
    watch_init(shard);
    trim_init(shard);
    claim_init(shard);
    intent_init(shard);
    keylock_init(&shard->locks, &shard->ready);
}

static int rpc_open(struct shard *shard,
                    const struct shard_config *config,
                    struct benchfs_error *err)
{
    struct rpc_config rpc = config->rpc;
    int rc;

    rpc.client = shard->client;
    shard->rpc_server = (struct rpc_server){
        .on_request = on_request,
        .on_client_up = on_client_up,
        .on_client_down = on_client_down,
        .has_open = client_has_open,
        .arg = shard,
    };
    rpc.server = &shard->rpc_server;
    if (rpc.remote) {
        rc = auth_munge_create(NULL, &shard->munge, err);
        if (rc)
            return rc;
        rpc.auth = auth_munge_rpc(shard->munge);
    }
    /* The arena is not registered with the network as a whole: only what is in use is
     * backed by memory. UCX registers what it sends and receives, and keeps that. */
    return rpc_create(&rpc, &shard->rpc, err);
}

int shard_create(const struct shard_config *config,
                 struct shard **ret,
                 struct benchfs_error *err)
{
    struct shard *shard = calloc(1, sizeof(*shard));
    int rc;

    if (!shard)
        return benchfs_error_set(err, ENOMEM, "no memory for a shard");
    shard_tables_init(shard);
    sem_init(&shard->peers_checked, 0, 0);
    shard->server = config->server;
    shard->target = config->target;
    shard->index = config->index;
    shard->chunk_size = config->chunk_size;
    epoch_init(&shard->epoch, config->rpc.instance, config->is_restarted);
    rc = random_u64(&shard->client);
    shard->client |= 1; /* 0 is nobody */
    if (rc == 0)
        rc = fiber_pool_create(SHARD_FIBERS, &shard->fibers);
    if (rc == 0)
        rc = store_open(&config->store, &shard->store, err);
    if (rc == 0)
        rc = clients_load(shard, err);
    if (rc == 0)
        rc = target_zero_init(shard, err);
    if (rc == 0)
        rc = rpc_open(shard, config, err);
    if (rc == 0 && sync_create(shard) < 0)
        rc = benchfs_error_set(err, ENOMEM, "can't start a thread for syncs");
    if (rc) {
        shard_destroy(shard);
        return rc;
    }
    *ret = shard;
    return 0;
}

static int peer_create(struct shard *shard,
                       const struct endpoint_table *table,
                       uint32_t target,
                       struct benchfs_error *err)
{
    const struct endpoint *self = &table->endpoints[shard->target];
    const struct endpoint *e = &table->endpoints[target];
    bool is_same_host = e->host == self->host && e->local_path[0] != '\0';
    char name[320];
    struct rpc_peer_config config = {
        .target = target,
        .name = name,
        .local_path = is_same_host ? e->local_path : NULL,
        .socket_address = e->socket_address,
        .socket_address_len = e->socket_address_len,
        .worker_address = e->worker_address,
        .worker_address_len = e->worker_address_len,
        .use_worker_address = table->connection_mode == CONNECTION_ADDRESS,
        .patience_ms = table->request_timeout_ms,
        .is_logged = shard->index == 0 && e->shard == 0,
    };

    snprintf(name, sizeof(name), "%s shard %u", e->host_name, e->shard);
    return rpc_peer_create(shard->rpc, &config, &shard->peers[target], err);
}

int shard_table_set(struct shard *shard,
                    const struct endpoint_table *table,
                    struct benchfs_error *err)
{
    shard->peers = calloc(table->n_endpoints, sizeof(*shard->peers));
    shard->slots = calloc(table->n_endpoints, sizeof(*shard->slots));
    shard->node_heard_ns = calloc(table->n_nodes, sizeof(*shard->node_heard_ns));
    if (!shard->peers || !shard->slots || !shard->node_heard_ns)
        return benchfs_error_set(
            err, ENOMEM, "no memory for %u peers", table->n_endpoints);
    shard->n_targets = table->n_endpoints;
    for (uint32_t t = 0; t < table->n_endpoints; t++) {
        int rc = t == shard->target ? 0 : peer_create(shard, table, t, err);

        if (rc)
            return rc;
    }
    rpc_set_n_targets(shard->rpc, table->n_endpoints);
    return 0;
}

/* In a fiber, first thing of the shard's life. */
static int peers_ping(struct op *op)
{
    struct shard *shard = op->shard;
    const struct endpoint_table *table = &shard->server->table;
    struct peer_call *calls;
    int rc = peer_call_others(op, OP_PING, NULL, 0, &calls);

    for (uint32_t i = 0; rc && calls && i < shard->n_targets - 1; i++) {
        const struct rpc_call *call = &calls[i].rpc;

        if (call->status)
            rc = benchfs_error_set(&shard->peers_error,
                                   -call->status,
                                   "no connection to target %u on node %s: %s",
                                   call->target,
                                   table->endpoints[call->target].host_name,
                                   strerror(-call->status));
    }
    if (rc && !shard->peers_error.code)
        benchfs_error_set(&shard->peers_error, -rc, "%s", strerror(-rc));
    free(calls);
    sem_post(&shard->peers_checked);
    return 0;
}

int shard_peers_check(struct shard *shard,
                      unsigned timeout_ms,
                      struct benchfs_error *err)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += timeout_ms / 1000 + 1;
    while (sem_timedwait(&shard->peers_checked, &until)) {
        if (errno != EINTR)
            return benchfs_error_set(
                err, ETIMEDOUT, "the other targets did not answer in time");
    }
    if (shard->peers_error.code)
        return benchfs_error_set(
            err, shard->peers_error.code, "%s", shard->peers_error.text);
    return 0;
}

int shard_start(struct shard *shard, struct benchfs_error *err)
{
    int rc = op_spawn(shard, peers_ping, NULL);

    /* of those that were open when the server died, or whose end it did not finish */
    if (rc == 0)
        rc = op_spawn(shard, inode_orphans_delete, NULL);
    if (rc)
        return benchfs_error_set(err, -rc, "no memory to start a shard");
    intent_resume(shard);
    rc = pthread_create(&shard->thread, NULL, shard_main, shard);

    if (rc)
        return benchfs_error_set(
            err, rc, "can't start a shard's thread: %s", strerror(rc));
    shard->is_running = true;
    return 0;
}

void shard_stop(struct shard *shard)
{
    atomic_store(&shard->stop, true);
    if (shard->rpc)
        rpc_wake(shard->rpc);
}

void shard_join(struct shard *shard)
{
    if (!shard->is_running)
        return;
    pthread_join(shard->thread, NULL);
    shard->is_running = false;
}

void shard_destroy(struct shard *shard)
{
    if (!shard)
        return;
    if (shard->fibers && fiber_pool_active(shard->fibers) > 0)
        return; /* operations hang on a dead peer; the process is about to exit */
    sync_destroy(shard);
    rpc_destroy(shard->rpc);
    auth_munge_destroy(shard->munge);
    sem_destroy(&shard->peers_checked);
    for (uint32_t t = 0; shard->slots && t < shard->n_targets; t++)
        free(shard->slots[t]);
    free(shard->slots);
    free(shard->node_heard_ns);
    free(shard->peers);
    table_fini(&shard->running);
    lock_table_fini(shard);
    claim_fini(shard);
    intent_fini(shard);
    session_fini(shard);
    keylock_fini(&shard->locks);
    epoch_fini(&shard->epoch);
    service_destroy(shard->service);
    store_close(shard->store);
    fiber_pool_destroy(shard->fibers);
    free(shard);
}

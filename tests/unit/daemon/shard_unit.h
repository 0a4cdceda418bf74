/* SPDX-License-Identifier: Apache-2.0
 * As much of a shard as sessions need: a store in a directory of its own and one
 * target; no network, no thread. */
#ifndef BENCHFS_TEST_SHARD_UNIT_H
#define BENCHFS_TEST_SHARD_UNIT_H

#include "unit.h"

#include "daemon/claim.h"
#include "daemon/intent.h"
#include "daemon/lock_table.h"
#include "daemon/op.h"
#include "daemon/server.h"
#include "daemon/session.h"
#include "daemon/session_store.h"
#include "daemon/watch.h"

struct shard_unit {
    struct shard shard; /* first: tests get it as their state */
    struct server server;
    struct unit_dir dir;
    char path[64];
};

static inline void shard_unit_open(struct shard_unit *unit)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct store_config config = {
        .directory = unit->path, .job = "7", .capacity_bytes = 16u << 20};
    struct shard *shard = &unit->shard;

    memset(shard, 0, sizeof(*shard));
    shard->server = &unit->server;
    unit->server.table.request_timeout_ms = 1000;
    unit->server.table.n_nodes = unit->server.table.n_endpoints = 1;
    assert_int_equal(fiber_pool_create(8, &shard->fibers), 0);
    shard_tables_init(shard);
    shard->n_targets = 1;
    if (store_open(&config, &shard->store, &err) < 0)
        fail_msg("%s", err.text);
}

static inline void shard_unit_close(struct shard_unit *unit)
{
    struct shard *shard = &unit->shard;

    lock_table_fini(shard);
    claim_fini(shard);
    intent_fini(shard);
    session_fini(shard);
    keylock_fini(&shard->locks);
    fiber_pool_destroy(shard->fibers);
    store_close(shard->store);
}

static inline int shard_unit_setup(void **state)
{
    struct shard_unit *unit = calloc(1, sizeof(*unit));

    unit_dir_create(&unit->dir);
    snprintf(unit->path, sizeof(unit->path), "%s/s", unit->dir.path);
    shard_unit_open(unit);
    assert_int_equal(store_txn_begin(unit->shard.store), 0);
    *state = unit;
    return 0;
}

static inline int shard_unit_teardown(void **state)
{
    struct shard_unit *unit = *state;

    shard_unit_close(unit);
    unit_dir_remove(&unit->dir);
    free(unit);
    return 0;
}

/* As if the server had been killed after the last commit, and started again. */
static inline void shard_unit_restart(struct shard_unit *unit)
{
    assert_int_equal(store_txn_commit(unit->shard.store), 0);
    shard_unit_close(unit);
    shard_unit_open(unit);
    assert_int_equal(store_txn_begin(unit->shard.store), 0);
    assert_int_equal(session_store_load(&unit->shard), 0);
    assert_int_equal(lock_table_load(&unit->shard), 0);
    assert_int_equal(claim_load(&unit->shard), 0);
    assert_int_equal(intent_load(&unit->shard), 0);
}

/* A batch of the shard's thread. */
static inline void shard_unit_batch(struct shard *shard)
{
    struct list_node *node;

    while ((node = list_pop_front(&shard->ready))) {
        struct task *task = list_entry(node, struct task, link);

        task->run(task);
    }
    assert_int_equal(store_txn_commit(shard->store), 0);
    op_flush(shard, 0);
    assert_int_equal(store_txn_begin(shard->store), 0);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/sync.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/disk_wait.h"
#include "daemon/op.h"

/* After a change that nobody has asked to be safe. */
#define DELAY_NS (5 * CLOCK_NS_PER_SEC)

struct sync {
    struct shard *shard;
    struct disk_wait *disk;
    struct store_sync current;
    bool is_running;
    bool is_marked; /* its data is on the disk, now the journal is to be */
    bool is_wanted; /* for those who wait, or because it is time */
    uint64_t n_begun, n_ended;
    int status;          /* of the last one that ended */
    struct list waiters; /* struct task of ops, with their sync_number */
    struct shard_timer timer;
};

static void timer_fire(struct shard_timer *timer)
{
    list_entry(timer, struct sync, timer)->is_wanted = true;
}

int sync_create(struct shard *shard)
{
    struct sync *sync;
    int rc;

    if (!store_is_durable(shard->store))
        return 0;
    sync = calloc(1, sizeof(*sync));
    if (!sync)
        return -ENOMEM;
    sync->shard = shard;
    list_init(&sync->waiters);
    shard_timer_init(&sync->timer, timer_fire);
    rc = disk_wait_create(shard->rpc, &sync->disk);
    if (rc) {
        free(sync);
        return rc;
    }
    shard->sync = sync;
    return 0;
}

void sync_destroy(struct shard *shard)
{
    struct sync *sync = shard->sync;

    if (!sync)
        return;
    disk_wait_destroy(sync->disk);
    if (sync->is_running)
        (void)store_sync_end(shard->store, &sync->current);
    free(sync);
    shard->sync = NULL;
}

/* ---- waiting */

void sync_request(struct op *op)
{
    struct sync *sync = op->shard->sync;

    if (!sync || op->sync_number)
        return;
    op->sync_number = sync->n_begun + 1;
    sync->is_wanted = true;
}

int sync_wait(struct op *op)
{
    struct sync *sync = op->shard->sync;

    if (!sync)
        return 0;
    sync_request(op);
    while (sync->n_ended < op->sync_number) {
        list_push_back(&sync->waiters, &op->task.link);
        if (!op->fiber)
            return OP_PARKED;
        fiber_yield(op->shard->fibers);
    }
    op->sync_number = 0;
    return 0;
}

int sync_status(const struct shard *shard)
{
    return shard->sync ? shard->sync->status : 0;
}

int sync_space_wait(struct op *op)
{
    const struct sync *sync = op->shard->sync;

    if (!sync || sync->status || store_unsynced_free_bytes(op->shard->store) == 0)
        return -ENOSPC;
    return sync_wait(op);
}

/* ---- doing it */

static void waiters_wake(struct sync *sync)
{
    struct list waiters = LIST_INIT(waiters);
    struct list_node *node;

    list_splice_back(&waiters, &sync->waiters);
    while ((node = list_pop_front(&waiters))) {
        struct task *task = list_entry(node, struct task, link);
        const struct op *op = list_entry(task, struct op, task);

        if (op->sync_number <= sync->n_ended)
            shard_task_add(sync->shard, task);
        else
            list_push_back(&sync->waiters, node);
    }
}

static void sync_ended(struct sync *sync, int status)
{
    if (status && sync->status == 0)
        log_error("target %u: what clients want to be on the disk may not be: %s",
                  sync->shard->target,
                  strerror(-status));
    sync->status = status;
    sync->n_ended = sync->n_begun;
    waiters_wake(sync);
}

static void sync_begin(struct sync *sync)
{
    int rc = store_sync_begin(sync->shard->store, &sync->current);

    shard_timer_cancel(&sync->timer);
    sync->is_wanted = false;
    sync->n_begun++;
    if (rc) {
        sync_ended(sync, rc);
        return;
    }
    sync->is_running = true;
    sync->is_marked = false;
    disk_wait_start(sync->disk, sync->current.arena_fd);
}

/* The disk has done a half; the next one, or the end. */
static void half_ended(struct sync *sync, int status)
{
    struct store *store = sync->shard->store;

    sync->current.status = status;
    if (!sync->is_marked && store_sync_mark(store, &sync->current) == 0) {
        sync->is_marked = true;
        disk_wait_start(sync->disk, sync->current.journal_fd);
        return;
    }
    sync->is_running = false;
    sync_ended(sync, store_sync_end(store, &sync->current));
}

void sync_progress(struct shard *shard)
{
    struct sync *sync = shard->sync;
    int status;

    if (!sync)
        return;
    if (sync->is_running && disk_wait_is_done(sync->disk, &status))
        half_ended(sync, status);
    if (sync->is_running)
        return;
    if (sync->is_wanted)
        sync_begin(sync);
    else if (store_has_unsynced(shard->store)
             && !list_node_is_linked(&sync->timer.link))
        shard_timer_set(&shard->timers, &sync->timer, clock_now_ns() + DELAY_NS);
}

bool sync_is_idle(const struct shard *shard)
{
    return !shard->sync
           || (!shard->sync->is_running && list_is_empty(&shard->sync->waiters));
}

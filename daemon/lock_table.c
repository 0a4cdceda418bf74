/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/lock_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/session.h"

/* A wait is answered after so long, well within any deadline; the place in the queue is
 * kept for the time it takes to ask again. */
#define WAIT_MS  2000u
#define PLACE_MS 1000u
/* Of owners that wait for each other. Longer cycles are not looked for. */
#define CYCLE_MAX 32

struct waiter {
    struct list_node link;
    struct shard *shard;
    struct lock_file *file;
    struct lock wanted;
    struct op *op; /* NULL: its client has been told to ask again */
    struct shard_timer timer;
};

static struct lock_file *file_get(struct shard *shard, uint64_t ino)
{
    struct lock_file *file = table_get(&shard->lock_files, ino);

    if (file)
        return file;
    file = malloc(sizeof(*file));
    if (!file)
        return NULL;
    lock_file_init(file, ino);
    if (table_put(&shard->lock_files, ino, file)) {
        free(file);
        return NULL;
    }
    return file;
}

static void file_put(struct shard *shard, struct lock_file *file)
{
    if (!list_is_empty(&file->granted) || !list_is_empty(&file->waiters))
        return;
    table_remove(&shard->lock_files, file->ino);
    free(file);
}

/* ---- the store */

/* The owner's locks on the file, as they are now. */
static int
owner_store(struct shard *shard, const struct lock_file *file, const struct lock *whose)
{
    struct store_lock_key key = {
        .ino = file->ino,
        .space = whose->space,
        .client = whose->owner.client,
        .owner = whose->owner.number,
    };
    int rc = store_lock_remove(shard->store, &key);

    list_for_each(node, &file->granted)
    {
        const struct lock *lock = list_entry(node, struct lock, link);
        struct store_lock value = {.start = lock->start,
                                   .end = lock->end,
                                   .type = lock->type,
                                   .pid = lock->pid};

        if (rc == 0 && lock->space == whose->space
            && lock_owner_is_same(&lock->owner, &whose->owner))
            rc = store_lock_put(shard->store, &key, &value);
    }
    return rc;
}

static int
load_one(void *arg, const struct store_lock_key *key, const struct store_lock *value)
{
    struct shard *shard = arg;
    struct lock_file *file = file_get(shard, key->ino);
    struct lock *lock = malloc(sizeof(*lock));

    if (!file || !lock) {
        free(lock);
        return -ENOMEM;
    }
    *lock = (struct lock){
        .space = key->space,
        .type = value->type,
        .owner = {key->client, key->owner},
        .pid = value->pid,
        .start = value->start,
        .end = value->end,
    };
    list_node_init(&lock->link);
    list_push_back(&file->granted, &lock->link);
    return session_note_state(shard, key->client);
}

int lock_table_load(struct shard *shard)
{
    return store_lock_scan(shard->store, load_one, shard);
}

/* ---- waiting */

static void waiter_destroy(struct waiter *waiter)
{
    list_remove(&waiter->link);
    shard_timer_cancel(&waiter->timer);
    free(waiter);
}

static void waiter_end(struct waiter *waiter, int status)
{
    if (waiter->op)
        op_finish(waiter->op, status);
    waiter_destroy(waiter);
}

static void waiter_timer_set(struct waiter *waiter, unsigned ms)
{
    shard_timer_set(
        &waiter->shard->timers, &waiter->timer, clock_now_ns() + ms * CLOCK_NS_PER_MS);
}

static void waiter_timeout(struct shard_timer *timer)
{
    struct waiter *waiter = list_entry(timer, struct waiter, timer);
    struct shard *shard = waiter->shard;
    struct lock_file *file = waiter->file;

    if (waiter->op) {
        op_finish(waiter->op, -EINPROGRESS);
        waiter->op = NULL;
        waiter_timer_set(waiter, PLACE_MS);
        return;
    }
    waiter_destroy(waiter);
    file_put(shard, file);
}

static int grant(struct shard *shard, struct lock_file *file, const struct lock *wanted)
{
    int rc = lock_set(file, wanted);

    return rc ? rc : owner_store(shard, file, wanted);
}

/* Grants what has become free, in the order of asking. */
static void waiters_serve(struct shard *shard, struct lock_file *file)
{
    list_for_each(node, &file->waiters)
    {
        struct waiter *waiter = list_entry(node, struct waiter, link);

        if (waiter->op && !lock_find_conflict(file, &waiter->wanted))
            waiter_end(waiter, grant(shard, file, &waiter->wanted));
    }
}

static struct waiter *waiter_find(const struct lock_file *file,
                                  const struct lock *wanted)
{
    list_for_each(node, &file->waiters)
    {
        struct waiter *waiter = list_entry(node, struct waiter, link);

        if (waiter->wanted.space == wanted->space
            && lock_owner_is_same(&waiter->wanted.owner, &wanted->owner))
            return waiter;
    }
    return NULL;
}

static int waiter_add(struct op *op, struct lock_file *file, const struct lock *wanted)
{
    struct waiter *waiter = waiter_find(file, wanted);

    if (waiter && waiter->op) /* sent again: the first has nobody to answer to */
        op_finish(waiter->op, -EINPROGRESS);
    if (!waiter) {
        waiter = calloc(1, sizeof(*waiter));
        if (!waiter)
            return -ENOMEM;
        waiter->shard = op->shard;
        waiter->file = file;
        shard_timer_init(&waiter->timer, waiter_timeout);
        list_node_init(&waiter->link);
        list_push_back(&file->waiters, &waiter->link);
    }
    waiter->wanted = *wanted;
    waiter->op = op;
    waiter_timer_set(waiter, WAIT_MS);
    return OP_PENDING;
}

/* ---- deadlock, among the owners that wait at this shard */

static const struct waiter *waiter_of_owner(const struct shard *shard,
                                            const struct lock_owner *owner)
{
    const struct lock_file *file;
    size_t cursor = 0;

    while ((file = table_next(&shard->lock_files, &cursor, NULL))) {
        list_for_each(node, &file->waiters)
        {
            const struct waiter *waiter = list_entry(node, struct waiter, link);

            if (waiter->wanted.space == LOCK_SPACE_RANGE
                && lock_owner_is_same(&waiter->wanted.owner, owner))
                return waiter;
        }
    }
    return NULL;
}

/* Whether one of those in the way waits for `owner`, directly or through others. */
static bool is_cycle(const struct shard *shard,
                     const struct lock_file *file,
                     const struct lock *wanted,
                     const struct lock_owner *owner,
                     int depth)
{
    if (depth == CYCLE_MAX)
        return false;
    list_for_each(node, &file->granted)
    {
        const struct lock *have = list_entry(node, struct lock, link);
        const struct waiter *next;

        if (!lock_conflicts(have, wanted))
            continue;
        if (lock_owner_is_same(&have->owner, owner))
            return true;
        next = waiter_of_owner(shard, &have->owner);
        if (next && is_cycle(shard, next->file, &next->wanted, owner, depth + 1))
            return true;
    }
    return false;
}

/* ---- interface */

/* Asked once and for all, or a grant: a wait of the same owner is over. */
static void wait_forget(struct lock_file *file, const struct lock *wanted)
{
    struct waiter *waiter = waiter_find(file, wanted);

    if (waiter)
        waiter_end(waiter, -EINTR);
}

int lock_table_lock(struct op *op, const struct lock *wanted, uint64_t ino, bool waits)
{
    struct shard *shard = op->shard;
    struct lock_file *file = file_get(shard, ino);
    int rc = file ? session_note_state(shard, wanted->owner.client) : -ENOMEM;

    if (rc)
        goto out;
    if (wanted->type == LOCK_TYPE_NONE || !lock_find_conflict(file, wanted)) {
        wait_forget(file, wanted);
        rc = grant(shard, file, wanted);
        /* less than before may be locked now, by an unlock or a downgrade */
        waiters_serve(shard, file);
    } else if (!waits) {
        rc = -EAGAIN;
    } else if (wanted->space == LOCK_SPACE_RANGE
               && is_cycle(shard, file, wanted, &wanted->owner, 0)) {
        wait_forget(file, wanted);
        rc = -EDEADLK;
    } else {
        rc = waiter_add(op, file, wanted);
    }
out:
    if (file)
        file_put(shard, file);
    return rc;
}

const struct lock *
lock_table_test(struct shard *shard, const struct lock *wanted, uint64_t ino)
{
    const struct lock_file *file = table_get(&shard->lock_files, ino);

    return file ? lock_find_conflict(file, wanted) : NULL;
}

void lock_table_cancel(struct shard *shard, const struct lock *wanted, uint64_t ino)
{
    struct lock_file *file = table_get(&shard->lock_files, ino);

    if (!file)
        return;
    wait_forget(file, wanted);
    file_put(shard, file);
}

/* Removes the client's records of the file from the store. */
static void client_store_remove(struct shard *shard, uint64_t ino, uint64_t client)
{
    int rc = store_lock_remove_client(shard->store, ino, client);

    if (rc)
        log_error("client %016llx: can't remove its locks: %s",
                  (unsigned long long)client,
                  strerror(-rc));
}

void lock_table_client_gone(struct shard *shard, uint64_t client)
{
    struct lock_file *file;
    size_t cursor = 0;

    while ((file = table_next(&shard->lock_files, &cursor, NULL))) {
        list_for_each(node, &file->waiters)
        {
            struct waiter *waiter = list_entry(node, struct waiter, link);

            if (waiter->wanted.owner.client == client)
                waiter_end(waiter, -EINTR);
        }
        if (lock_drop_client(file, client)) {
            client_store_remove(shard, file->ino, client);
            waiters_serve(shard, file);
        }
        file_put(shard, file);
    }
}

void lock_table_fini(struct shard *shard)
{
    struct lock_file *file;
    struct list_node *node;
    size_t cursor = 0;

    while ((file = table_next(&shard->lock_files, &cursor, NULL))) {
        while ((node = list_front(&file->waiters)))
            waiter_destroy(list_entry(node, struct waiter, link));
        lock_file_fini(file);
        free(file);
    }
    table_fini(&shard->lock_files);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/lock.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

void lock_file_init(struct lock_file *file, uint64_t ino)
{
    file->ino = ino;
    list_init(&file->granted);
    list_init(&file->waiters);
}

void lock_file_fini(struct lock_file *file)
{
    struct list_node *node;

    while ((node = list_pop_front(&file->granted)))
        free(list_entry(node, struct lock, link));
}

bool lock_owner_is_same(const struct lock_owner *a, const struct lock_owner *b)
{
    return a->client == b->client && a->number == b->number;
}

static bool overlaps(const struct lock *a, const struct lock *b)
{
    return a->start <= b->end && b->start <= a->end;
}

bool lock_conflicts(const struct lock *have, const struct lock *wanted)
{
    return have->space == wanted->space && overlaps(have, wanted)
           && !lock_owner_is_same(&have->owner, &wanted->owner)
           && (have->type == LOCK_TYPE_WRITE || wanted->type == LOCK_TYPE_WRITE);
}

const struct lock *lock_find_conflict(const struct lock_file *file,
                                      const struct lock *wanted)
{
    list_for_each(node, &file->granted)
    {
        const struct lock *have = list_entry(node, struct lock, link);

        if (lock_conflicts(have, wanted))
            return have;
    }
    return NULL;
}

static bool is_adjacent(const struct lock *a, const struct lock *b)
{
    return (a->end != UINT64_MAX && a->end + 1 == b->start)
           || (b->end != UINT64_MAX && b->end + 1 == a->start);
}

static void lock_free(struct lock *lock)
{
    list_remove(&lock->link);
    free(lock);
}

/* Takes the range out of a lock of the same owner; *spare becomes its second part when
 * the range is in its middle. */
static void cut(struct lock_file *file,
                struct lock *have,
                const struct lock *range,
                struct lock **spare)
{
    bool has_left = have->start < range->start;
    bool has_right = have->end > range->end;

    if (has_left && has_right) {
        struct lock *right = *spare;

        assert(right); /* only one lock can have a range in its middle */
        *spare = NULL;
        *right = *have;
        right->start = range->end + 1;
        list_node_init(&right->link);
        list_push_back(&file->granted, &right->link);
        have->end = range->start - 1;
    } else if (has_left) {
        have->end = range->start - 1;
    } else if (has_right) {
        have->start = range->end + 1;
    } else {
        lock_free(have);
    }
}

int lock_set(struct lock_file *file, const struct lock *wanted)
{
    struct lock *fresh = malloc(sizeof(*fresh));
    struct lock *spare = malloc(sizeof(*spare));

    if (!fresh || !spare) {
        free(fresh);
        free(spare);
        return -ENOMEM;
    }
    *fresh = *wanted;
    list_node_init(&fresh->link);
    list_for_each(node, &file->granted)
    {
        struct lock *have = list_entry(node, struct lock, link);

        if (have->space != wanted->space
            || !lock_owner_is_same(&have->owner, &wanted->owner))
            continue;
        if (have->type == wanted->type
            && (overlaps(have, wanted) || is_adjacent(have, wanted))) {
            if (have->start < fresh->start)
                fresh->start = have->start;
            if (have->end > fresh->end)
                fresh->end = have->end;
            lock_free(have);
        } else if (overlaps(have, wanted)) {
            cut(file, have, wanted, &spare);
        }
    }
    free(spare);
    if (wanted->type == LOCK_TYPE_NONE)
        free(fresh);
    else
        list_push_back(&file->granted, &fresh->link);
    return 0;
}

bool lock_drop_client(struct lock_file *file, uint64_t client)
{
    bool had_any = false;

    list_for_each(node, &file->granted)
    {
        struct lock *have = list_entry(node, struct lock, link);

        if (have->owner.client != client)
            continue;
        lock_free(have);
        had_any = true;
    }
    return had_any;
}

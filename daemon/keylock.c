/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/keylock.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"

struct keylock_entry {
    uint64_t owner; /* exclusive holder, 0: none */
    unsigned n_exclusive;
    unsigned n_shared;
    struct list waiters;
};

void keylock_init(struct keylock *locks, struct list *ready)
{
    table_init(&locks->entries);
    locks->ready = ready;
}

void keylock_fini(struct keylock *locks)
{
    struct keylock_entry *entry;
    size_t cursor = 0;

    while ((entry = table_next(&locks->entries, &cursor, NULL)))
        free(entry);
    table_fini(&locks->entries);
}

uint64_t keylock_key_dentry(uint64_t parent, const char *name, size_t len)
{
    return hash_bytes(parent, name, len);
}

/* Hashed before the kind is mixed in: the key of one inode is not to be that of its
 * neighbour for something else. */
static uint64_t key_of(uint64_t ino, uint64_t kind)
{
    return hash_u64(hash_u64(ino) ^ kind);
}

uint64_t keylock_key_inode(uint64_t ino)
{
    return key_of(ino, 1);
}

uint64_t keylock_key_size(uint64_t ino)
{
    return key_of(ino, 2);
}

uint64_t keylock_key_dir(uint64_t ino)
{
    return key_of(ino, 3);
}

static struct keylock_entry *entry_get(struct keylock *locks, uint64_t key)
{
    struct keylock_entry *entry = table_get(&locks->entries, key);

    if (entry)
        return entry;
    entry = calloc(1, sizeof(*entry));
    if (!entry)
        return NULL;
    list_init(&entry->waiters);
    if (table_put(&locks->entries, key, entry)) {
        free(entry);
        return NULL;
    }
    return entry;
}

/* After a release: wakes everybody (they try again in order) and drops an unused entry.
 */
static void
entry_released(struct keylock *locks, uint64_t key, struct keylock_entry *entry)
{
    if (entry->n_exclusive > 0)
        return;
    list_splice_back(locks->ready, &entry->waiters);
    if (entry->n_shared == 0) {
        table_remove(&locks->entries, key);
        free(entry);
    }
}

int keylock_lock(struct keylock *locks, uint64_t key, uint64_t owner)
{
    struct keylock_entry *entry = entry_get(locks, key);

    if (!entry)
        return -ENOMEM;
    if (entry->n_shared > 0 || (entry->n_exclusive > 0 && entry->owner != owner))
        return -EBUSY;
    entry->owner = owner;
    entry->n_exclusive++;
    return 0;
}

void keylock_unlock(struct keylock *locks, uint64_t key, uint64_t owner)
{
    struct keylock_entry *entry = table_get(&locks->entries, key);

    if (!entry || entry->n_exclusive == 0 || entry->owner != owner)
        return; /* released already, with its owner */
    entry->n_exclusive--;
    entry_released(locks, key, entry);
}

int keylock_share(struct keylock *locks, uint64_t key)
{
    struct keylock_entry *entry = entry_get(locks, key);

    if (!entry)
        return -ENOMEM;
    if (entry->n_exclusive > 0 || !list_is_empty(&entry->waiters))
        return -EBUSY;
    entry->n_shared++;
    return 0;
}

void keylock_unshare(struct keylock *locks, uint64_t key)
{
    struct keylock_entry *entry = table_get(&locks->entries, key);

    assert(entry && entry->n_shared > 0);
    entry->n_shared--;
    if (entry->n_shared == 0)
        entry_released(locks, key, entry);
}

bool keylock_is_locked(const struct keylock *locks, uint64_t key, uint64_t owner)
{
    const struct keylock_entry *entry = table_get(&locks->entries, key);

    return entry && entry->n_exclusive > 0 && entry->owner != owner;
}

void keylock_wait(struct keylock *locks, uint64_t key, struct list_node *waiter)
{
    struct keylock_entry *entry = table_get(&locks->entries, key);

    assert(entry && (entry->n_exclusive > 0 || entry->n_shared > 0));
    list_push_back(&entry->waiters, waiter);
}

void keylock_owner_gone(struct keylock *locks, uint64_t owner)
{
    struct keylock_entry *entry;
    size_t cursor = 0;
    uint64_t key;

    while ((entry = table_next(&locks->entries, &cursor, &key))) {
        if (entry->n_exclusive > 0 && entry->owner == owner) {
            entry->n_exclusive = 0;
            entry_released(locks, key, entry);
        }
    }
}

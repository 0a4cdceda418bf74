/* SPDX-License-Identifier: Apache-2.0
 *
 * Locks on ranges of one file: who has what, what stands in whose way. Pure: no shard,
 * no store. Ranges include both ends. The two spaces, those of fcntl(2) and flock(2),
 * know nothing of each other.
 */
#ifndef BENCHFS_DAEMON_LOCK_H
#define BENCHFS_DAEMON_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "proto/messages.h"

struct lock_owner {
    uint64_t client;
    uint64_t number; /* of the client's choice */
};

struct lock {
    struct list_node link;
    uint8_t space; /* enum lock_space */
    uint8_t type;  /* enum lock_type */
    struct lock_owner owner;
    uint32_t pid; /* of who asked, for F_GETLK */
    uint64_t start, end;
};

struct lock_file {
    uint64_t ino;
    struct list granted; /* struct lock */
    struct list waiters; /* the shard's */
};

void lock_file_init(struct lock_file *file, uint64_t ino);
void lock_file_fini(struct lock_file *file);

bool lock_owner_is_same(const struct lock_owner *a, const struct lock_owner *b);
bool lock_conflicts(const struct lock *have, const struct lock *wanted);
/* One that stands in the way, or NULL. */
const struct lock *lock_find_conflict(const struct lock_file *file,
                                      const struct lock *wanted);
/* The owner's lock on the range becomes that of `wanted` (LOCK_TYPE_NONE: none); splits
 * and merges as fcntl(2) has it. Conflicts are not looked at. -ENOMEM: nothing was
 * changed. */
int lock_set(struct lock_file *file, const struct lock *wanted);
/* Drops all of a client's locks; whether there were any. */
bool lock_drop_client(struct lock_file *file, uint64_t client);

#endif

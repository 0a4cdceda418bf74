/* SPDX-License-Identifier: Apache-2.0
 * Which owners have locks of fcntl(2) on which inodes, so that the closes of all others
 * cost no message; and the requests that wait for a lock. */
#ifndef BENCHFS_FUSE_LOCK_OWNERS_H
#define BENCHFS_FUSE_LOCK_OWNERS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/table.h"

struct lock_owners {
    pthread_mutex_t lock;
    struct table owners; /* hash of inode and owner -> a mark */
};

void lock_owners_init(struct lock_owners *owners);
void lock_owners_fini(struct lock_owners *owners);
/* The owner may have a lock on the inode. 0 or -ENOMEM. */
int lock_owners_note(struct lock_owners *owners, uint64_t ino, uint64_t owner);
/* Whether it may have; forgets it. */
bool lock_owners_take(struct lock_owners *owners, uint64_t ino, uint64_t owner);

#endif

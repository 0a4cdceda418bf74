/* SPDX-License-Identifier: Apache-2.0
 *
 * Locks on keys (a dentry, an inode) inside one shard. They keep operations apart that
 * span several batches because they wait for the network or for other targets; anything
 * that finishes within a batch needs to look only. Waiters are woken in order of
 * arrival and try again.
 */
#ifndef BENCHFS_DAEMON_KEYLOCK_H
#define BENCHFS_DAEMON_KEYLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/table.h"

struct keylock {
    struct table entries; /* key -> struct keylock_entry */
    struct list *ready;   /* where woken waiters go */
};

void keylock_init(struct keylock *locks, struct list *ready);
/* All locks must be free. */
void keylock_fini(struct keylock *locks);

uint64_t keylock_key_dentry(uint64_t parent, const char *name, size_t len);
/* An inode's chunks: held shared while their data moves. A directory's mode and owner:
 * held while they change. */
uint64_t keylock_key_inode(uint64_t ino);
/* This target's part of a directory: shared while an entry is about to be made, held
 * while it is about to be closed for good. */
uint64_t keylock_key_dir(uint64_t ino);
/* An inode's size: held while it is found out or cut; taken before the former. */
uint64_t keylock_key_size(uint64_t ino);

/* Owner 0 is nobody. Exclusive locks count per owner: the same owner may take one
 * again. 0, -EBUSY (use keylock_wait), -ENOMEM. */
int keylock_lock(struct keylock *locks, uint64_t key, uint64_t owner);
void keylock_unlock(struct keylock *locks, uint64_t key, uint64_t owner);
int keylock_share(struct keylock *locks, uint64_t key);
void keylock_unshare(struct keylock *locks, uint64_t key);

/* Whether somebody other than `owner` holds it exclusively. */
bool keylock_is_locked(const struct keylock *locks, uint64_t key, uint64_t owner);
/* Queues for a key that is held; `waiter` goes to the ready list when it may be free.
 */
void keylock_wait(struct keylock *locks, uint64_t key, struct list_node *waiter);
/* Releases everything that `owner` has locked. */
void keylock_owner_gone(struct keylock *locks, uint64_t owner);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The locks on files homed at a shard, and the requests that wait for one. What is
 * granted is stored with the batch that grants it, so it survives a restart; who waits
 * asks again. Requests that wait are answered -EINPROGRESS after a while: the client
 * asks again, and has kept its place.
 */
#ifndef BENCHFS_DAEMON_LOCK_TABLE_H
#define BENCHFS_DAEMON_LOCK_TABLE_H

#include "daemon/lock.h"
#include "daemon/op.h"

/* In a transaction, from the handler of LOCK: 0, OP_PENDING, -EAGAIN, -EDEADLK, … */
int lock_table_lock(struct op *op, const struct lock *wanted, uint64_t ino, bool waits);
/* What F_GETLK would tell; NULL: nothing is in the way. */
const struct lock *
lock_table_test(struct shard *shard, const struct lock *wanted, uint64_t ino);
/* Ends the owner's wait with -EINTR, if there is one. */
void lock_table_cancel(struct shard *shard, const struct lock *wanted, uint64_t ino);
/* In a transaction: the client's locks and waits are gone. */
void lock_table_client_gone(struct shard *shard, uint64_t client);

/* In a transaction, before the shard runs. 0 or -errno. */
int lock_table_load(struct shard *shard);
void lock_table_fini(struct shard *shard);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * A shard's syncs with the disk, of a durable store. disk_wait.h waits for the disk in
 * place of the shard's thread. Syncs are begun for those who wait for one, one for all
 * that have come meanwhile; and some seconds after a change, so that freed space comes
 * back and not much is lost with the power. Nothing of this for a store that is not
 * durable.
 */
#ifndef BENCHFS_DAEMON_SYNC_H
#define BENCHFS_DAEMON_SYNC_H

#include "daemon/shard.h"

struct op;

/* If the store is durable. 0 or -errno. */
int sync_create(struct shard *shard);
/* After the shard's thread has ended. Waits for the disk. */
void sync_destroy(struct shard *shard);

/* What is committed with the current batch is to be synced; sync_wait() waits for it.
 */
void sync_request(struct op *op);
/* A handler: waits until all that is committed with the current batch is on the disk.
 * As op_wait_key(): OP_PARKED, the handler runs again, and sync_status() is the result;
 * or, in a fiber, 0 when it has waited. */
int sync_wait(struct op *op);
/* Of the sync that ended last: 0 or -errno. */
int sync_status(const struct shard *shard);
/* A handler that has failed with -ENOSPC, and changed nothing: space may come back with
 * a sync. OP_PARKED: the handler runs again; 0: it should try again; -ENOSPC: it won't.
 */
int sync_space_wait(struct op *op);

/* Between batches, after the timers: begins and ends syncs. */
void sync_progress(struct shard *shard);
/* Nobody waits for one, and none is under way. */
bool sync_is_idle(const struct shard *shard);

#endif

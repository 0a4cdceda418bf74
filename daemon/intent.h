/* SPDX-License-Identifier: Apache-2.0
 *
 * Operations that change several targets, from the side of the one that runs them (the
 * coordinator). All that can fail comes first: it takes locks, and makes claims at
 * other targets (daemon/claim.h). Then it stores, in one transaction, its own changes,
 * the request's answer and an intent: what is left for others to do. From then on the
 * operation has happened; the steps of its intent are done again and again, over
 * restarts, until they succeed, and its locks are kept as long. Steps must be such that
 * doing them twice is as good as once.
 */
#ifndef BENCHFS_DAEMON_INTENT_H
#define BENCHFS_DAEMON_INTENT_H

#include "daemon/op.h"

struct intent;

/* In a fiber, before the first claim elsewhere, which is made in the name of
 * op->lock_owner: from now on it is "under way" for those who ask. 0 or -ENOMEM. */
int coordinate_begin(struct op *op);
/* No claim is needed any more, or their targets may find that out themselves. Not after
 * intent_commit() has succeeded. */
void coordinate_end(struct op *op);
bool is_coordinated(const struct shard *shard, uint64_t owner);

/* Waits for the commit of the batch and returns its status: on failure nothing that
 * the batch has changed is there. In a fiber. */
int op_commit(struct op *op);

/* Of op->lock_owner. NULL: no memory. Afterwards failures are remembered. */
struct intent *intent_create(struct op *op);
void intent_destroy(struct intent *intent);
/* A key of this shard that the op has locked: it goes over to the intent. */
void intent_key(struct intent *intent, uint64_t key);
/* A request to each of n other targets, all at once; steps run in this order. */
void intent_step(struct intent *intent,
                 const uint32_t *targets,
                 unsigned n,
                 uint16_t opcode,
                 const void *body,
                 size_t body_len);
/* To all other targets. */
void intent_step_others(struct intent *intent,
                        uint16_t opcode,
                        const void *body,
                        size_t body_len);
/* When all steps are done, the file gets this size, and `now` as its time. */
void intent_size(struct intent *intent, uint64_t ino, uint64_t size, int64_t now);

/* Stores it, and the request's answer if that is settled, with what the transaction has
 * changed so far. 0: it is decided. Else nothing has happened, and the intent is gone.
 */
int intent_commit(struct op *op, struct intent *intent, bool is_answered);
/* Does the steps, then frees the keys and the intent. A failure is not the end: it goes
 * on in the background. In a fiber, after the commit. */
int intent_run(struct op *op, struct intent *intent);

/* After a restart, in a transaction: takes the keys. 0 or -errno. */
int intent_load(struct shard *shard);
/* Starts, or starts again, what could not be finished. Not in a transaction. */
void intent_resume(struct shard *shard);
/* What an intent's body is about: inodes that its steps change, and entries. Stops with
 * what the callbacks return if that is not 0. -EUCLEAN: malformed. */
int intent_survey(const void *body,
                  size_t len,
                  int (*inode)(void *arg, uint64_t ino),
                  int (*entry)(void *arg, uint64_t dir, struct wire_text name),
                  void *arg);
/* Inodes at their end could not be deleted: tries again, with the intents. */
void orphans_later(struct shard *shard);
void intent_init(struct shard *shard);
void intent_fini(struct shard *shard);

#endif

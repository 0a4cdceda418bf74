/* SPDX-License-Identifier: Apache-2.0
 *
 * Claims: what an operation that another target runs (its coordinator) holds here until
 * it is over. Locks among them are kept in memory too; all are stored, so that neither
 * the death of this daemon nor of the coordinator's loses them.
 *
 * This is two-phase commit with presumed abort (Mohan, Lindsay, Obermarck 1986): a
 * coordinator decides by storing an intent (daemon/intent.h). Claims of operations that
 * it does not know any more are ended here, as of one that did not happen; it is asked
 * when claims get old.
 */
#ifndef BENCHFS_DAEMON_CLAIM_H
#define BENCHFS_DAEMON_CLAIM_H

#include "daemon/op.h"

/* Values are stored. */
enum claim_kind {
    CLAIM_LOCK = 1, /* id: a key that is locked; dir: it may get a new entry, 0: no */
    CLAIM_DIR = 2,  /* id: a directory, to be sealed: it is empty and stays so */
    CLAIM_LINK = 3, /* id: an inode that was given a link */
    CLAIM_DONE = 4, /* id: what was changed, and must not be again */
};

/* Whether the operation has such a claim, in the store. 0, -ENOENT or -errno. */
int claim_get(struct shard *shard, const struct store_claim *claim);
/* Stores a claim (LINK, DONE) in the transaction of its change. 0 or -errno. */
int claim_put(struct shard *shard, const struct store_claim *claim);
/* Takes the key's lock, and if `claim` has a directory, keeps that from being sealed.
 * 0, also if the owner has it already; -EBUSY: *ret_key is the one to wait for; -errno.
 */
int claim_lock(struct shard *shard, const struct store_claim *claim, uint64_t *ret_key);
/* Closes a directory here until the end. -ENOTEMPTY; -EAGAIN: an entry is under way. */
int claim_dir(struct shard *shard, const struct store_claim *claim);

enum claim_outcome {
    CLAIM_COMMITTED, /* seals last, links stay */
    CLAIM_ABORTED,   /* seals are lifted, links are taken back */
    CLAIM_FORGOTTEN, /* the same, and the coordinator does not know it any more */
};

/* The operation is over. Claims of what is done stay until it is forgotten. */
int claim_end(struct op *op,
              uint32_t target,
              uint64_t owner,
              enum claim_outcome outcome);

/* After a restart, in a transaction: takes the locks. 0 or -errno. */
int claim_load(struct shard *shard);
/* The daemon of a target has come back: its claims may be void. Not in a transaction.
 */
void claim_check_soon(struct shard *shard, uint32_t target);
void claim_init(struct shard *shard);
void claim_fini(struct shard *shard);

#endif

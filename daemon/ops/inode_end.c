/* SPDX-License-Identifier: Apache-2.0
 *
 * Links of inodes, and their end: when the last name is gone and nobody has it open any
 * more, an inode goes with its data, on all targets.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fault_point.h"
#include "daemon/intent.h"
#include "daemon/ops/ops.h"
#include "daemon/peer.h"
#include "daemon/session.h"

/* ---- links */

int inode_link_add(struct op *op, uint64_t ino, struct store_inode *ret)
{
    int rc = store_inode_get(op->shard->store, ino, ret);

    if (rc)
        return rc;
    if (S_ISDIR(ret->mode))
        return -EPERM;
    if (ret->nlink == 0)
        return -ENOENT;
    ret->nlink++;
    ret->ctime_ns = shard_now_ns();
    return store_inode_put(op->shard->store, ret);
}

/* ---- the end */

/* Drops the chunks of an inode that is at its end, on all targets. In a fiber if there
 * are any elsewhere. */
static int chunks_drop(struct op *op, const struct store_inode *inode)
{
    uint8_t body[MSG_chunk_truncate_request_MAX];
    size_t len = chunk_truncate_encode(op, inode, 0, 0, body);
    struct shard *shard = op->shard;
    struct peer_call *calls = NULL;
    uint32_t *targets = NULL;
    unsigned n = 0;
    int rc = store_chunk_truncate(shard->store, inode->ino, 0, inode->chunk_size);

    if (rc == 0)
        rc = inode_chunk_targets(shard, inode, false, &targets, &n);
    if (rc || n == 0)
        goto out;
    rc = -ENOMEM;
    calls = calloc(n, sizeof(*calls));
    if (calls)
        rc = peer_call_many(op, targets, n, OP_CHUNK_TRUNCATE, body, len, calls);

out:
    free(calls);
    free(targets);
    return rc;
}

/* Its chunks, as far as the inode is known to go by now. */
static int inode_data_delete(struct op *op, uint64_t ino)
{
    uint64_t key = keylock_key_inode(ino);
    struct store_inode inode;
    int rc = op_lock_key(op, key);

    if (rc)
        return rc;
    rc = store_inode_get(op->shard->store, ino, &inode);
    if (rc == 0)
        rc = chunks_drop(op, &inode);
    op_unlock_key(op, key);
    return rc;
}

/* The inode is marked as an orphan already, so that a restart would finish this. */
static int inode_delete(struct op *op, const struct store_inode *inode)
{
    struct shard *shard = op->shard;
    int rc;

    if (S_ISREG(inode->mode)) {
        rc = inode_data_delete(op, inode->ino);
        if (rc == -ENOENT)
            return 0; /* another one was faster */
        if (rc > 0)
            return rc;
        if (rc) {
            orphans_later(shard);
            return rc;
        }
    }
    FAULT_POINT("inode-cut");
    rc = store_inode_remove(shard->store, inode->ino);
    return rc ? rc : store_orphan_remove(shard->store, inode->ino);
}

static int inode_delete_later(struct op *op)
{
    struct store_inode inode;
    uint64_t ino = *(uint64_t *)op->arg;

    free(op->arg);
    if (store_inode_get(op->shard->store, ino, &inode) || session_inode(op->shard, ino))
        return 0;
    return inode_delete(op, &inode);
}

/* Deletes in the background when it can't be done here and now. */
static int inode_delete_spawn(struct op *op, uint64_t ino)
{
    uint64_t *arg = malloc(sizeof(*arg));
    int rc;

    if (!arg)
        return -ENOMEM;
    *arg = ino;
    rc = op_spawn(op->shard, inode_delete_later, arg);
    if (rc)
        free(arg);
    return rc;
}

int inode_orphans_delete(struct op *op)
{
    uint64_t ino = 0;

    while (store_orphan_next(op->shard->store, ino, &ino) == 0) {
        if (!session_inode(op->shard, ino))
            (void)inode_delete_spawn(op, ino);
    }
    return 0;
}

int inode_dropped(struct op *op, const struct store_inode *inode)
{
    struct shard *shard = op->shard;
    uint64_t key = keylock_key_inode(inode->ino);

    if (inode->nlink > 0 || session_inode(shard, inode->ino))
        return 0;
    if (!op->fiber && S_ISREG(inode->mode)) {
        /* one that is being read or written, or has chunks elsewhere, takes longer */
        if (inode_is_striped(shard, inode)
            || keylock_lock(&shard->locks, key, op->lock_owner))
            return inode_delete_spawn(op, inode->ino);
        keylock_unlock(&shard->locks, key, op->lock_owner);
    }
    return inode_delete(op, inode);
}

int inode_link_drop_note(struct shard *shard, uint64_t ino, struct store_inode *ret)
{
    int rc = store_inode_get(shard->store, ino, ret);

    if (rc)
        return rc;
    ret->nlink = S_ISDIR(ret->mode) || ret->nlink == 0 ? 0 : ret->nlink - 1;
    ret->ctime_ns = shard_now_ns();
    rc = store_inode_put(shard->store, ret);
    if (rc == 0 && ret->nlink == 0)
        rc = store_orphan_add(shard->store, ino);
    return rc;
}

bool inode_end_is_striped(struct shard *shard, uint64_t ino)
{
    struct store_inode inode;

    return store_inode_get(shard->store, ino, &inode) == 0 && inode.nlink <= 1
           && inode_is_striped(shard, &inode);
}

int inode_link_undo(struct op *op, uint64_t ino)
{
    struct shard *shard = op->shard;
    struct store_inode inode;
    int rc = inode_link_drop_note(shard, ino, &inode);

    if (rc)
        return rc == -ENOENT ? 0 : rc;
    if (inode.nlink == 0 && !session_inode(shard, ino))
        rc = inode_delete_spawn(op, ino);
    return rc;
}

int inode_closed(struct op *op, uint64_t ino)
{
    struct store_inode inode;
    int rc;

    if (session_inode(op->shard, ino))
        return 0;
    rc = store_inode_get(op->shard->store, ino, &inode);
    if (rc)
        return rc == -ENOENT ? 0 : rc;
    return inode_dropped(op, &inode);
}

static void drop_opens(struct shard *shard, uint64_t ino, unsigned n, uint32_t flags)
{
    for (unsigned i = 0; i < n; i++)
        session_inode_drop(shard, ino, flags);
}

void inode_close_all(struct op *op,
                     uint64_t ino,
                     unsigned n_readers,
                     unsigned n_appenders,
                     unsigned n_free_writers)
{
    struct shard *shard = op->shard;
    struct store_inode inode;

    /* its last writes were not reported by anybody */
    if (n_free_writers > 0 && store_inode_get(shard->store, ino, &inode) == 0)
        (void)inode_fold(op, &inode);
    drop_opens(shard, ino, n_readers, OPEN_READ);
    drop_opens(shard, ino, n_appenders, OPEN_WRITE | OPEN_APPEND);
    drop_opens(shard, ino, n_free_writers, OPEN_WRITE);
    (void)inode_closed(op, ino);
}

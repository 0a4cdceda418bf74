/* SPDX-License-Identifier: Apache-2.0
 *
 * fsync: what a client knows of a file's end, and for a durable store the disks of all
 * targets that have a part of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "daemon/ops/ops.h"
#include "daemon/peer.h"
#include "daemon/session.h"
#include "daemon/sync.h"

/* Those but this one that have chunks of a file, or entries of a directory; malloc'ed.
 */
static int parts_find(struct op *op,
                      const struct store_inode *inode,
                      uint32_t **ret_targets,
                      unsigned *ret_n)
{
    const struct open_inode *open = session_inode(op->shard, inode->ino);
    bool may_be_longer = open && open->n_free_writers > 0;
    struct dir_members members;
    int rc;

    *ret_targets = NULL;
    *ret_n = 0;
    if (S_ISREG(inode->mode))
        return inode_chunk_targets(op->shard, inode, may_be_longer, ret_targets, ret_n);
    if (!S_ISDIR(inode->mode))
        return 0;
    rc = directory_members_get(op->shard, inode->ino, &members);
    *ret_targets = members.targets;
    *ret_n = members.n;
    return rc;
}

/* All disks at once: this one's sync begins when the batch is committed. */
static int parts_sync(struct op *op, const uint32_t *targets, unsigned n)
{
    struct peer_call *calls = calloc(n + 1, sizeof(*calls));
    int rc = 0, own;

    if (!calls)
        return -ENOMEM;
    sync_request(op);
    if (n > 0)
        rc = peer_call_many(op, targets, n, OP_STORE_SYNC, NULL, 0, calls);
    free(calls);
    own = sync_wait(op);
    if (own == 0)
        own = sync_status(op->shard);
    return rc ? rc : own;
}

static int inode_sync(struct op *op, uint64_t ino)
{
    struct store_inode inode;
    uint32_t *targets;
    unsigned n;
    int rc = store_inode_get(op->shard->store, ino, &inode);

    if (rc)
        return rc;
    rc = parts_find(op, &inode, &targets, &n);
    if (rc == 0 && !op->fiber)
        rc = OP_NEEDS_FIBER;
    else if (rc == 0)
        rc = parts_sync(op, targets, n);
    free(targets);
    return rc;
}

int op_sync(struct op *op)
{
    struct msg_sync_request m;
    struct write_report report;
    int rc;

    OP_DECODE(op, sync_request, &m);
    report = (struct write_report){m.end, m.cuts, m.mtime_ns};
    rc = inode_fold_report(op, m.ino, &report);
    if (rc == 0 && (m.flags & SYNC_DURABLE) && op->shard->sync)
        rc = inode_sync(op, m.ino);
    return rc;
}

int op_store_sync(struct op *op)
{
    int rc = sync_wait(op);

    return rc ? rc : sync_status(op->shard);
}

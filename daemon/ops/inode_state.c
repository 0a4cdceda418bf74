/* SPDX-License-Identifier: Apache-2.0
 *
 * What an inode's home knows and has to ask for: size and times of files that are being
 * written, the parts of directories, links, and the end of an inode with its data.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "daemon/ops/ops.h"
#include "daemon/peer.h"
#include "daemon/session.h"
#include "proto/placement.h"

#define DIRECTORY_SIZE 4096 /* st_size of directories, as disk file systems have it */

static bool is_striped_away(const struct shard *shard, const struct store_inode *inode)
{
    return shard->n_targets > 1 && S_ISREG(inode->mode)
           && (inode->size > inode->chunk_size || inode->base != shard->target);
}

/* Whether clients may have written beyond what the home was told. */
static bool has_free_writers(const struct shard *shard, uint64_t ino)
{
    const struct open_inode *open = session_inode(shard, ino);

    return open && open->n_free_writers > 0;
}

static void fold_write(struct store_inode *inode, uint64_t end, int64_t mtime_ns)
{
    if (end > inode->size)
        inode->size = end;
    /* a write before the last change of the inode is in its times already, or was
     * overruled by utimensat() */
    if (mtime_ns > inode->ctime_ns) {
        inode->mtime_ns = mtime_ns;
        inode->ctime_ns = mtime_ns;
    }
}

static int fold_local(struct shard *shard, struct store_inode *inode)
{
    struct store_file_usage usage;
    int rc = store_file_usage_get(shard->store, inode->ino, &usage);

    if (rc == 0 && usage.has_data)
        fold_write(inode,
                   usage.last_chunk * inode->chunk_size + usage.last_end,
                   usage.mtime_ns);
    return rc;
}

static int fold_others(struct op *op, struct store_inode *inode)
{
    struct msg_inode_request request = {.ino = inode->ino};
    uint8_t body[MSG_inode_request_MAX];
    struct peer_call *calls;
    size_t len = msg_inode_request_encode(&request, body, sizeof(body));
    int rc = peer_call_others(op, OP_CHUNK_END, body, len, &calls);

    for (uint32_t i = 0; rc == 0 && i < op->shard->n_targets - 1; i++) {
        struct msg_chunk_end_reply end;

        rc = msg_chunk_end_reply_decode(
            &end, calls[i].rpc.reply, calls[i].rpc.reply_len);
        if (rc == 0 && end.has_data)
            fold_write(inode, end.chunk * inode->chunk_size + end.end, end.mtime_ns);
    }
    free(calls);
    return rc;
}

/* Asks all targets that may have chunks. Under the key of the size, so that no answer
 * from before a truncation is taken for one from after it. */
static int fold_chunks(struct op *op, struct store_inode *inode)
{
    struct shard *shard = op->shard;
    uint64_t key = keylock_key_size(inode->ino);
    struct store_inode asked = {.ino = inode->ino, .chunk_size = inode->chunk_size};
    int rc;

    if (shard->n_targets > 1 && !op->fiber)
        return OP_NEEDS_FIBER;
    rc = op_lock_key(op, key);
    if (rc)
        return rc;
    if (shard->n_targets > 1)
        rc = fold_others(op, &asked);
    /* the inode may have changed while the answers were under way */
    if (rc == 0)
        rc = store_inode_get(shard->store, inode->ino, inode);
    if (rc == 0) {
        fold_write(inode, asked.size, asked.mtime_ns);
        rc = fold_local(shard, inode);
    }
    if (rc == 0)
        rc = store_inode_put(shard->store, inode);
    op_unlock_key(op, key);
    return rc;
}

int inode_fold(struct op *op, struct store_inode *inode)
{
    if (!S_ISREG(inode->mode) || !has_free_writers(op->shard, inode->ino))
        return 0;
    return fold_chunks(op, inode);
}

int inode_fold_report(struct op *op, uint64_t ino, const struct write_report *report)
{
    struct store_inode inode;
    int rc;

    if (report->end == 0 && report->mtime_ns == 0)
        return 0;
    rc = store_inode_get(op->shard->store, ino, &inode);
    if (rc)
        return rc == -ENOENT ? -EBADF : rc;
    /* the file may have been cut since that write: its chunks know */
    if (report->end > inode.size && report->end_ns <= inode.ctime_ns)
        return fold_chunks(op, &inode);
    fold_write(&inode, report->end, report->mtime_ns);
    return store_inode_put(op->shard->store, &inode);
}

/* ---- attributes */

static void attr_from_inode(const struct store_inode *inode, struct wire_attr *ret)
{
    *ret = (struct wire_attr){
        .ino = inode->ino,
        .parent = inode->parent,
        .mode = inode->mode,
        .uid = inode->uid,
        .gid = inode->gid,
        .nlink = inode->nlink,
        .size = inode->size,
        .bytes =
            (inode->size + STORE_BLOCK_SIZE - 1) / STORE_BLOCK_SIZE * STORE_BLOCK_SIZE,
        .atime_ns = inode->atime_ns,
        .mtime_ns = inode->mtime_ns,
        .ctime_ns = inode->ctime_ns,
        .btime_ns = inode->btime_ns,
        .rdev = inode->rdev,
        .chunk_size = inode->chunk_size,
        .base = inode->base,
        .layout = inode->layout,
    };
}

static void attr_add_part(struct wire_attr *attr, uint64_t n_subdirs, int64_t mtime_ns)
{
    attr->nlink += (uint32_t)n_subdirs;
    if (mtime_ns > attr->mtime_ns)
        attr->mtime_ns = mtime_ns;
    if (mtime_ns > attr->ctime_ns)
        attr->ctime_ns = mtime_ns;
}

static int attr_add_parts(struct op *op, struct wire_attr *attr)
{
    struct msg_dir_stat_request request = {.ino = attr->ino};
    uint8_t body[MSG_dir_stat_request_MAX];
    size_t len = msg_dir_stat_request_encode(&request, body, sizeof(body));
    struct peer_call *calls;
    int rc = peer_call_others(op, OP_DIR_STAT, body, len, &calls);

    for (uint32_t i = 0; rc == 0 && i < op->shard->n_targets - 1; i++) {
        struct msg_dir_stat_reply part;

        rc = msg_dir_stat_reply_decode(
            &part, calls[i].rpc.reply, calls[i].rpc.reply_len);
        if (rc == 0)
            attr_add_part(attr, part.n_subdirs, part.mtime_ns);
    }
    free(calls);
    return rc;
}

int directory_time_forget(struct op *op, uint64_t ino)
{
    struct msg_dir_stat_request request = {.ino = ino, .forget_time = 1};
    uint8_t body[MSG_dir_stat_request_MAX];
    size_t len = msg_dir_stat_request_encode(&request, body, sizeof(body));
    struct peer_call *calls;
    int rc = peer_call_others(op, OP_DIR_STAT, body, len, &calls);

    free(calls);
    return rc ? rc : store_dirpart_forget_time(op->shard->store, ino);
}

static int directory_attr_get(struct op *op,
                              const struct store_inode *inode,
                              struct wire_attr *ret_attr)
{
    struct shard *shard = op->shard;
    struct store_dirpart part;
    int rc;

    if (shard->n_targets > 1 && !op->fiber)
        return OP_NEEDS_FIBER;
    rc = store_dirpart_get(shard->store, inode->ino, &part);
    if (rc)
        return rc;
    attr_from_inode(inode, ret_attr);
    ret_attr->size = DIRECTORY_SIZE;
    ret_attr->bytes = DIRECTORY_SIZE;
    attr_add_part(ret_attr, part.n_subdirs, part.mtime_ns);
    return shard->n_targets > 1 ? attr_add_parts(op, ret_attr) : 0;
}

void inode_attr_new(const struct store_inode *inode, struct wire_attr *ret_attr)
{
    attr_from_inode(inode, ret_attr);
    if (S_ISDIR(inode->mode))
        ret_attr->size = ret_attr->bytes = DIRECTORY_SIZE;
}

int inode_attr_get(struct op *op, struct store_inode *inode, struct wire_attr *ret_attr)
{
    struct store_file_usage usage;
    int rc;

    if (S_ISDIR(inode->mode))
        return directory_attr_get(op, inode, ret_attr);
    rc = inode_fold(op, inode);
    if (rc)
        return rc;
    attr_from_inode(inode, ret_attr);
    if (!S_ISREG(inode->mode) || is_striped_away(op->shard, inode))
        return 0;
    rc = store_file_usage_get(op->shard->store, inode->ino, &usage);
    if (rc == 0)
        ret_attr->bytes = usage.bytes;
    return rc;
}

/* ---- size */

int inode_chunk_targets(struct shard *shard,
                        const struct store_inode *inode,
                        bool may_be_longer,
                        uint32_t **ret,
                        unsigned *ret_n)
{
    uint64_t n_chunks = (inode->size + inode->chunk_size - 1) / inode->chunk_size;
    uint32_t limit = shard->n_targets;
    uint32_t *targets;
    unsigned n = 0;

    if (inode->layout == LAYOUT_LOCAL)
        limit = 1;
    else if (!may_be_longer && n_chunks < limit)
        limit = (uint32_t)n_chunks;
    targets = calloc(limit > 0 ? limit : 1, sizeof(*targets));
    if (!targets)
        return -ENOMEM;
    for (uint32_t i = 0; i < limit; i++) {
        uint32_t target =
            placement_chunk_target(inode->layout, inode->base, i, shard->n_targets);

        if (target != shard->target)
            targets[n++] = target;
    }
    *ret = targets;
    *ret_n = n;
    return 0;
}

/* Cuts the chunks on all targets to `size`. In a fiber if there are any elsewhere. */
static int chunks_cut(struct op *op,
                      const struct store_inode *inode,
                      bool may_be_longer,
                      uint64_t size)
{
    struct msg_chunk_truncate_request request = {
        .ino = inode->ino, .size = size, .chunk_size = inode->chunk_size};
    uint8_t body[MSG_chunk_truncate_request_MAX];
    size_t len = msg_chunk_truncate_request_encode(&request, body, sizeof(body));
    struct shard *shard = op->shard;
    struct peer_call *calls = NULL;
    uint32_t *targets = NULL;
    unsigned n = 0;
    int rc = store_chunk_truncate(shard->store, inode->ino, size, inode->chunk_size);

    if (rc == 0)
        rc = inode_chunk_targets(shard, inode, may_be_longer, &targets, &n);
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

int inode_truncate(struct op *op, struct store_inode *inode, uint64_t size)
{
    struct shard *shard = op->shard;
    uint64_t size_key = keylock_key_size(inode->ino);
    uint64_t key = keylock_key_inode(inode->ino);
    bool may_be_longer = has_free_writers(shard, inode->ino);
    int64_t now;
    int rc;

    if (!op->fiber
        && (is_striped_away(shard, inode) || (may_be_longer && shard->n_targets > 1)))
        return OP_NEEDS_FIBER;
    rc = op_lock_key(op, size_key);
    if (rc)
        return rc;
    rc = op_lock_key(op, key);
    if (rc) {
        op_unlock_key(op, size_key);
        return rc;
    }
    if (size < inode->size || may_be_longer) {
        rc = chunks_cut(op, inode, may_be_longer, size);
        if (rc == 0)
            rc = store_inode_get(shard->store, inode->ino, inode);
        if (rc)
            goto out;
    }
    now = shard_now_ns();
    inode->size = size;
    inode->mtime_ns = now;
    inode->ctime_ns = now;
    rc = store_inode_put(shard->store, inode);

out:
    op_unlock_key(op, key);
    op_unlock_key(op, size_key);
    return rc;
}

/* ---- links and the end */

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

/* The inode is marked as an orphan already, so that a restart would finish this. */
static int inode_delete(struct op *op, const struct store_inode *inode)
{
    struct shard *shard = op->shard;
    uint64_t key = keylock_key_inode(inode->ino);
    int rc;

    if (S_ISREG(inode->mode)) {
        rc = op_lock_key(op, key);
        if (rc)
            return rc;
        rc = chunks_cut(op, inode, false, 0);
        op_unlock_key(op, key);
        if (rc)
            return rc;
    }
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

static int inode_end(struct op *op, const struct store_inode *inode)
{
    struct shard *shard = op->shard;
    uint64_t key = keylock_key_inode(inode->ino);
    int rc = store_orphan_add(shard->store, inode->ino);

    if (rc || session_inode(shard, inode->ino))
        return rc;
    if (!op->fiber && S_ISREG(inode->mode)) {
        /* one that is being read or written, or has chunks elsewhere, takes longer */
        if (is_striped_away(shard, inode)
            || keylock_lock(&shard->locks, key, op->lock_owner))
            return inode_delete_spawn(op, inode->ino);
        keylock_unlock(&shard->locks, key, op->lock_owner);
    }
    return inode_delete(op, inode);
}

int inode_link_drop(struct op *op, uint64_t ino, struct store_inode *ret)
{
    struct shard *shard = op->shard;
    int rc = store_inode_get(shard->store, ino, ret);

    if (rc)
        return rc;
    if (!op->fiber && ret->nlink <= 1 && is_striped_away(shard, ret))
        return OP_NEEDS_FIBER; /* before anything is changed */
    ret->nlink = S_ISDIR(ret->mode) || ret->nlink == 0 ? 0 : ret->nlink - 1;
    ret->ctime_ns = shard_now_ns();
    rc = store_inode_put(shard->store, ret);
    if (rc || ret->nlink > 0)
        return rc;
    return inode_end(op, ret);
}

int inode_link_drop_any(struct op *op, uint64_t ino)
{
    struct msg_inode_link_request request = {.ino = ino, .add = 0};
    uint8_t body[MSG_inode_link_request_MAX];
    size_t len = msg_inode_link_request_encode(&request, body, sizeof(body));
    uint32_t home = placement_home(ino);
    struct store_inode inode;
    struct peer_call *call;
    int rc;

    if (home == op->shard->target)
        return inode_link_drop(op, ino, &inode);
    call = malloc(sizeof(*call));
    if (!call)
        return -ENOMEM;
    rc = peer_call(op, home, OP_INODE_LINK, body, len, call);
    free(call);
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
    return inode.nlink == 0 ? inode_end(op, &inode) : 0;
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

/* SPDX-License-Identifier: Apache-2.0
 *
 * What an inode's home knows and has to ask for: size and times of files that are being
 * written, and the parts of directories.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "daemon/intent.h"
#include "daemon/ops/ops.h"
#include "daemon/peer.h"
#include "daemon/session.h"
#include "proto/placement.h"

#define DIRECTORY_SIZE 4096 /* st_size of directories, as disk file systems have it */

bool inode_is_striped(const struct shard *shard, const struct store_inode *inode)
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
    uint32_t n = op->shard->n_targets - 1;
    int rc = peer_call_others(op, OP_CHUNK_END, body, len, &calls);

    if (calls)
        rc = peer_calls_reachable(op, calls, n);
    for (uint32_t i = 0; rc == 0 && calls && i < n; i++) {
        struct msg_chunk_end_reply end;

        if (calls[i].rpc.status)
            continue;
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
    /* its chunks may have been cut, and its size is about to be */
    rc = op_check_key(op, keylock_key_size(ino));
    if (rc)
        return rc;
    rc = store_inode_get(op->shard->store, ino, &inode);
    if (rc)
        return rc == -ENOENT ? -EBADF : rc;
    /* the file may have been cut since that write: its chunks know */
    if (report->end > inode.size && report->cuts != inode.cuts)
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
        .cuts = inode->cuts,
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

/* Asks the other members of a directory that can be reached; *ret_calls (as many as
 * members, some may have failed) are the caller's. */
static int members_ask(struct op *op,
                       const struct dir_members *members,
                       const struct msg_dir_stat_request *request,
                       struct peer_call **ret_calls)
{
    uint8_t body[MSG_dir_stat_request_MAX];
    size_t len = msg_dir_stat_request_encode(request, body, sizeof(body));

    *ret_calls = calloc(members->n + 1, sizeof(**ret_calls));
    if (!*ret_calls)
        return -ENOMEM;
    if (members->n == 0)
        return 0;
    (void)peer_call_many(
        op, members->targets, members->n, OP_DIR_STAT, body, len, *ret_calls);
    return peer_calls_reachable(op, *ret_calls, members->n);
}

static int
attr_add_parts(struct op *op, const struct dir_members *members, struct wire_attr *attr)
{
    struct msg_dir_stat_request request = {.ino = attr->ino};
    struct peer_call *calls;
    int rc = members_ask(op, members, &request, &calls);

    for (unsigned i = 0; rc == 0 && i < members->n; i++) {
        struct msg_dir_stat_reply part;

        if (calls[i].rpc.status)
            continue;
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
    struct dir_members members;
    struct peer_call *calls;
    int rc = directory_members_get(op->shard, ino, &members);

    if (rc == 0) {
        rc = members_ask(op, &members, &request, &calls);
        free(calls);
    }
    directory_members_fini(&members);
    return rc ? rc : store_dirpart_forget_time(op->shard->store, ino);
}

static int directory_attr_get(struct op *op,
                              const struct store_inode *inode,
                              struct wire_attr *ret_attr)
{
    struct shard *shard = op->shard;
    struct dir_members members;
    struct store_dirpart part;
    int rc = directory_members_get(shard, inode->ino, &members);

    if (rc)
        return rc;
    if (members.n > 0 && !op->fiber)
        rc = OP_NEEDS_FIBER;
    else
        rc = store_dirpart_get(shard->store, inode->ino, &part);
    if (rc == 0) {
        attr_from_inode(inode, ret_attr);
        ret_attr->size = DIRECTORY_SIZE;
        ret_attr->bytes = DIRECTORY_SIZE;
        attr_add_part(ret_attr, part.n_subdirs, part.mtime_ns);
        rc = attr_add_parts(op, &members, ret_attr);
    }
    directory_members_fini(&members);
    return rc;
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
    if (!S_ISREG(inode->mode) || inode_is_striped(op->shard, inode))
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
    uint32_t n_targets = shard->n_targets;
    uint32_t limit = n_targets;
    uint32_t *targets;
    unsigned n = 0;

    if (inode->layout == LAYOUT_LOCAL)
        limit = 1;
    else if (!may_be_longer && n_chunks < limit)
        limit = (uint32_t)n_chunks;
    targets = calloc(limit > 0 ? limit : 1, sizeof(*targets));
    if (!targets)
        return -ENOMEM;
    for (uint32_t i = 0; i < limit && i < n_targets; i++) {
        uint32_t target =
            placement_chunk_target(inode->layout, inode->base, i, n_targets);

        if (target != shard->target)
            targets[n++] = target;
    }
    *ret = targets;
    *ret_n = n;
    return 0;
}

size_t chunk_truncate_encode(struct op *op,
                             const struct store_inode *inode,
                             uint64_t owner,
                             uint64_t size,
                             uint8_t body[MSG_chunk_truncate_request_MAX])
{
    struct msg_chunk_truncate_request request = {
        .coordinator = op->shard->target,
        .owner = owner,
        .ino = inode->ino,
        .size = size,
        .chunk_size = inode->chunk_size,
    };

    return msg_chunk_truncate_request_encode(
        &request, body, MSG_chunk_truncate_request_MAX);
}

int inode_size_set(struct shard *shard, uint64_t ino, uint64_t size, int64_t now)
{
    struct store_inode inode;
    int rc = store_inode_get(shard->store, ino, &inode);

    if (rc)
        return rc;
    inode.size = size;
    inode.cuts++;
    inode.mtime_ns = now;
    inode.ctime_ns = now;
    return store_inode_put(shard->store, &inode);
}

/* Over several targets; holds both keys, which it gives back. Cut now and then made
 * longer by others, chunks must not be cut again: they note that it is done. */
static int truncate_striped(struct op *op,
                            const struct store_inode *inode,
                            const uint32_t *targets,
                            unsigned n,
                            uint64_t size)
{
    uint8_t body[MSG_chunk_truncate_request_MAX];
    size_t len = chunk_truncate_encode(op, inode, op->lock_owner, size, body);
    struct intent *intent = intent_create(op);
    int rc = intent ? coordinate_begin(op) : -ENOMEM;

    if (rc == 0) {
        intent_key(intent, keylock_key_size(inode->ino));
        intent_key(intent, keylock_key_inode(inode->ino));
        intent_step(intent, targets, n, OP_CHUNK_TRUNCATE, body, len);
        intent_size(intent, inode->ino, size, shard_now_ns());
        rc =
            store_chunk_truncate(op->shard->store, inode->ino, size, inode->chunk_size);
    }
    if (rc) {
        intent_destroy(intent);
        coordinate_end(op);
        goto unlock;
    }
    rc = intent_commit(op, intent, false);
    if (rc == 0)
        return intent_run(op, intent);
    coordinate_end(op);

unlock:
    op_unlock_key(op, keylock_key_inode(inode->ino));
    op_unlock_key(op, keylock_key_size(inode->ino));
    return rc;
}

int inode_truncate(struct op *op, struct store_inode *inode, uint64_t size)
{
    struct shard *shard = op->shard;
    uint64_t size_key = keylock_key_size(inode->ino);
    uint64_t key = keylock_key_inode(inode->ino);
    bool may_be_longer = has_free_writers(shard, inode->ino);
    bool cuts = false;
    uint32_t *targets = NULL;
    unsigned n = 0;
    int rc;

    if (!op->fiber
        && (inode_is_striped(shard, inode) || (may_be_longer && shard->n_targets > 1)))
        return OP_NEEDS_FIBER;
    rc = op_lock_key(op, size_key);
    if (rc)
        return rc;
    rc = op_lock_key(op, key);
    if (rc) {
        op_unlock_key(op, size_key);
        return rc;
    }
    /* a fiber has waited for the keys: the file may have grown meanwhile */
    rc = store_inode_get(shard->store, inode->ino, inode);
    if (rc == 0) {
        may_be_longer = has_free_writers(shard, inode->ino);
        cuts = size < inode->size || may_be_longer;
    }
    if (rc == 0 && cuts)
        rc = inode_chunk_targets(shard, inode, may_be_longer, &targets, &n);
    if (rc == 0 && n > 0) {
        rc = truncate_striped(op, inode, targets, n, size);
        free(targets);
        return rc ? rc : store_inode_get(shard->store, inode->ino, inode);
    }
    free(targets);
    if (rc == 0 && cuts)
        rc = store_chunk_truncate(shard->store, inode->ino, size, inode->chunk_size);
    if (rc == 0)
        rc = inode_size_set(shard, inode->ino, size, shard_now_ns());
    if (rc == 0)
        rc = store_inode_get(shard->store, inode->ino, inode);
    op_unlock_key(op, key);
    op_unlock_key(op, size_key);
    return rc;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Operations on an inode, at its home.
 */
#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "daemon/claim.h"
#include "daemon/intent.h"
#include "daemon/ops/ops.h"
#include "daemon/peer.h"
#include "daemon/session.h"
#include "proto/placement.h"

#define OPEN_FLAGS_ALL (OPEN_READ | OPEN_WRITE | OPEN_TRUNCATE | OPEN_APPEND)
#define OPEN_KIND      (OPEN_READ | OPEN_WRITE | OPEN_APPEND)
#define FILE_SIZE_MAX  (UINT64_C(1) << 62)

static int reply_attr(struct op *op, struct store_inode *inode)
{
    struct msg_attr_reply reply;
    int rc = inode_attr_get(op, inode, &reply.attr);

    return rc ? rc : OP_REPLY(op, attr_reply, &reply);
}

int op_getattr(struct op *op)
{
    struct msg_inode_request m;
    struct store_inode inode;
    int rc;

    OP_DECODE(op, inode_request, &m);
    rc = store_inode_get(op->shard->store, m.ino, &inode);
    return rc ? rc : reply_attr(op, &inode);
}

/* ---- setattr */

static void setattr_apply(const struct msg_setattr_request *m,
                          struct store_inode *inode)
{
    int64_t now = shard_now_ns();

    if (m->mask & SETATTR_MODE)
        inode->mode = (inode->mode & S_IFMT) | (m->mode & 07777);
    if (m->mask & SETATTR_UID)
        inode->uid = m->uid;
    if (m->mask & SETATTR_GID)
        inode->gid = m->gid;
    if (m->mask & (SETATTR_ATIME | SETATTR_ATIME_NOW))
        inode->atime_ns = m->mask & SETATTR_ATIME_NOW ? now : m->atime_ns;
    if (m->mask & (SETATTR_MTIME | SETATTR_MTIME_NOW))
        inode->mtime_ns = m->mask & SETATTR_MTIME_NOW ? now : m->mtime_ns;
    inode->ctime_ns = now;
}

/* In a fiber, if there are other targets. */
static int directory_setattr(struct op *op, const struct msg_setattr_request *m)
{
    const uint32_t permission = SETATTR_MODE | SETATTR_UID | SETATTR_GID;
    uint64_t key = keylock_key_inode(m->ino);
    struct shard *shard = op->shard;
    struct store_inode inode;
    int rc = op_lock_key(op, key); /* nobody keeps it until it is as it is to be */

    if (rc)
        return rc;
    if (m->mask & SETATTR_SIZE)
        rc = -EISDIR;
    if (rc == 0 && (m->mask & (SETATTR_MTIME | SETATTR_MTIME_NOW)))
        rc = directory_time_forget(op, m->ino);
    if (rc == 0 && (m->mask & permission) && epoch_is_kept(&shard->epoch, key))
        rc = namespace_raise(op);
    if (rc == 0)
        rc = store_inode_get(shard->store, m->ino, &inode);
    if (rc == 0) {
        setattr_apply(m, &inode);
        rc = store_inode_put(shard->store, &inode);
    }
    op_unlock_key(op, key);
    return rc ? rc : reply_attr(op, &inode);
}

int op_setattr(struct op *op)
{
    struct shard *shard = op->shard;
    struct msg_setattr_request m;
    struct store_inode inode;
    int rc;

    OP_DECODE(op, setattr_request, &m);
    rc = store_inode_get(shard->store, m.ino, &inode);
    if (rc)
        return rc;
    if (S_ISDIR(inode.mode))
        return shard->n_targets > 1 && !op->fiber ? (int)OP_NEEDS_FIBER
                                                  : directory_setattr(op, &m);
    if (m.mask & SETATTR_SIZE) {
        if (!S_ISREG(inode.mode))
            return -EINVAL;
        if (m.size > FILE_SIZE_MAX)
            return -EFBIG;
        rc = inode_truncate(op, &inode, m.size);
    } else {
        rc = inode_fold(op, &inode);
    }
    if (rc)
        return rc;
    if (m.mask & ~(uint32_t)SETATTR_SIZE) {
        setattr_apply(&m, &inode);
        rc = store_inode_put(shard->store, &inode);
    }
    return rc ? rc : reply_attr(op, &inode);
}

int op_readlink(struct op *op)
{
    struct msg_inode_request m;
    struct msg_text_reply reply;
    const char *text;
    size_t len;
    int rc;

    OP_DECODE(op, inode_request, &m);
    rc = store_symlink_get(op->shard->store, m.ino, &text, &len);
    if (rc)
        return rc == -ENOENT ? -EINVAL : rc;
    reply.text = (struct wire_text){.data = text, .len = (uint16_t)len};
    return OP_REPLY(op, text_reply, &reply);
}

/* ---- open and close */

int inode_open(struct op *op, uint64_t ino, uint32_t flags)
{
    struct shard *shard = op->shard;
    struct store_inode inode;
    int rc = store_inode_get(shard->store, ino, &inode);

    if (rc)
        return rc;
    if (inode.nlink == 0 && !session_inode(shard, ino))
        return -ENOENT; /* on its way out */
    return session_open(shard, op->request->header.client, ino, flags & OPEN_KIND);
}

int op_open(struct op *op)
{
    struct shard *shard = op->shard;
    struct msg_open_request m;
    struct store_inode inode;
    int rc;

    OP_DECODE(op, open_request, &m);
    if (!(m.flags & (OPEN_READ | OPEN_WRITE)) || (m.flags & ~OPEN_FLAGS_ALL))
        return -EINVAL;
    rc = store_inode_get(shard->store, m.ino, &inode);
    if (rc)
        return rc;
    if (inode.nlink == 0 && !session_inode(shard, m.ino))
        return -ENOENT; /* on its way out */
    if (!S_ISREG(inode.mode))
        return S_ISDIR(inode.mode) ? -EISDIR : -ENXIO;
    if (m.flags & OPEN_TRUNCATE) {
        rc = inode_truncate(op, &inode, 0);
        if (rc)
            return rc;
    }
    rc = reply_attr(op, &inode);
    return rc ? rc : inode_open(op, m.ino, m.flags);
}

int op_open_check(struct op *op)
{
    struct msg_open_request m;

    OP_DECODE(op, open_request, &m);
    return session_is_open(op->shard, op->request->header.client, m.ino, m.flags)
               ? 0
               : -EBADF;
}

/* Whether this close is the end of an inode whose data lies on other targets too. */
static bool close_needs_fiber(struct shard *shard, uint64_t ino)
{
    const struct open_inode *open = session_inode(shard, ino);
    struct store_inode inode;

    return shard->n_targets > 1 && open && open->n_opens == 1
           && store_inode_get(shard->store, ino, &inode) == 0 && inode.nlink == 0;
}

int op_close(struct op *op)
{
    struct shard *shard = op->shard;
    struct msg_close_request m;
    struct write_report report;
    int rc, status;

    OP_DECODE(op, close_request, &m);
    if (!op->fiber && close_needs_fiber(shard, m.ino))
        return OP_NEEDS_FIBER;
    report = (struct write_report){m.end, m.cuts, m.mtime_ns};
    rc = inode_fold_report(op, m.ino, &report); /* may want a fiber */
    if (rc > 0)
        return rc;
    /* closed in any case: there is no second close */
    status =
        session_close(shard, op->request->header.client, m.ino, m.flags & OPEN_KIND);
    if (status == 0)
        status = inode_closed(op, m.ino);
    return rc ? rc : status;
}

/* ---- append and fallocate */

int op_append(struct op *op)
{
    struct msg_append_request m;
    struct msg_append_reply reply;
    struct store_inode inode;
    uint64_t key;
    int rc;

    OP_DECODE(op, append_request, &m);
    if (m.length > WIRE_PAYLOAD_MAX)
        return -EINVAL;
    key = keylock_key_inode(m.ino);
    rc = op_check_key(op, key);
    if (rc == 0)
        rc = store_inode_get(op->shard->store, m.ino, &inode);
    if (rc == 0)
        rc = inode_fold(op, &inode);
    if (rc)
        return rc;
    if (inode.size > FILE_SIZE_MAX - m.length)
        return -EFBIG;
    reply.offset = inode.size;
    inode.size += m.length;
    inode.mtime_ns = shard_now_ns();
    inode.ctime_ns = inode.mtime_ns;
    rc = store_inode_put(op->shard->store, &inode);
    return rc ? rc : OP_REPLY(op, append_reply, &reply);
}

/* One chunk's part, here or on the chunk's target. */
static int fallocate_chunk(struct op *op,
                           const struct store_inode *inode,
                           const struct msg_chunk_fallocate_request *part)
{
    uint8_t body[MSG_chunk_fallocate_request_MAX];
    size_t len = msg_chunk_fallocate_request_encode(part, body, sizeof(body));
    uint32_t target = placement_chunk_target(
        inode->layout, inode->base, part->chunk, op->shard->n_targets);
    struct peer_call *call;
    int rc;

    if (target == op->shard->target)
        return chunk_fallocate(op, part);
    call = malloc(sizeof(*call));
    if (!call)
        return -ENOMEM;
    rc = peer_call(op, target, OP_CHUNK_FALLOCATE, body, len, call);
    free(call);
    return rc;
}

static int fallocate_chunks(struct op *op,
                            const struct store_inode *inode,
                            const struct msg_fallocate_request *m)
{
    uint64_t at = m->offset;
    uint64_t end = m->offset + m->length;
    int rc = 0;

    while (at < end && rc == 0) {
        uint32_t offset = (uint32_t)(at % inode->chunk_size);
        uint64_t length = inode->chunk_size - offset;
        struct msg_chunk_fallocate_request part = {
            .ino = m->ino,
            .chunk = at / inode->chunk_size,
            .mode = m->mode,
            .offset = offset,
        };

        if (length > end - at)
            length = end - at;
        part.length = (uint32_t)length;
        rc = fallocate_chunk(op, inode, &part);
        at += length;
    }
    return rc;
}

int op_fallocate(struct op *op)
{
    struct shard *shard = op->shard;
    struct msg_fallocate_request m;
    struct store_inode inode;
    uint64_t end;
    int rc;

    OP_DECODE(op, fallocate_request, &m);
    if (m.mode != 0 && m.mode != FALLOC_FL_KEEP_SIZE
        && m.mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
        return -EOPNOTSUPP;
    if (m.length == 0)
        return -EINVAL;
    if (m.offset > FILE_SIZE_MAX || m.length > FILE_SIZE_MAX - m.offset)
        return -EFBIG;
    if (!op->fiber)
        return OP_NEEDS_FIBER;
    rc = store_inode_get(shard->store, m.ino, &inode);
    if (rc == 0)
        rc = S_ISREG(inode.mode) ? inode_fold(op, &inode) : -ENODEV;
    if (rc)
        return rc;
    end = m.offset + m.length;
    if ((m.mode & FALLOC_FL_PUNCH_HOLE) && end > inode.size)
        m.length = m.offset < inode.size ? inode.size - m.offset : 0;
    rc = fallocate_chunks(op, &inode, &m);
    if (rc == 0)
        rc = store_inode_get(shard->store, m.ino, &inode);
    if (rc)
        return rc;
    if (m.mode == 0 && end > inode.size)
        inode.size = end;
    inode.ctime_ns = shard_now_ns();
    inode.mtime_ns = inode.ctime_ns;
    return store_inode_put(shard->store, &inode);
}

/* ---- for other targets */

/* With a claim, so that it is done once. */
static int link_drop_claimed(struct op *op, const struct store_claim *claim)
{
    struct shard *shard = op->shard;
    struct store_inode inode;
    int rc = claim_get(shard, claim);

    if (rc != -ENOENT)
        return rc;
    if (!op->fiber)
        return OP_NEEDS_FIBER; /* it may be the inode's end */
    store_reserve_use(shard->store, true);
    rc = inode_link_drop_note(shard, claim->id, &inode);
    if (rc == 0)
        rc = claim_put(shard, claim);
    store_reserve_use(shard->store, false);
    if (rc && rc != -ENOENT)
        store_txn_fail(shard->store, rc);
    if (rc == 0)
        rc = op_commit(op); /* before its data goes */
    if (rc)
        return rc;
    op->is_decided = true;
    /* it goes on later if it can't now */
    (void)inode_dropped(op, &inode);
    return 0;
}

static int link_add_claimed(struct op *op, const struct store_claim *claim)
{
    struct shard *shard = op->shard;
    struct store_inode inode;
    int rc = store_inode_get(shard->store, claim->id, &inode);

    if (rc == 0)
        rc = inode_fold(op,
                        &inode); /* may ask for a fiber, before anything is changed */
    if (rc)
        return rc;
    rc = claim_get(shard, claim);
    if (rc == -ENOENT) {
        rc = inode_link_add(op, claim->id, &inode);
        if (rc)
            return rc;
        rc = claim_put(shard, claim);
        if (rc)
            store_txn_fail(shard->store, rc);
    }
    return rc ? rc : reply_attr(op, &inode);
}

int op_inode_link(struct op *op)
{
    struct msg_inode_link_request m;
    struct store_claim claim;

    OP_DECODE(op, inode_link_request, &m);
    claim = (struct store_claim){
        .target = m.coordinator,
        .owner = m.owner,
        .kind = m.add ? CLAIM_LINK : CLAIM_DONE,
        .id = m.ino,
    };
    return m.add ? link_add_claimed(op, &claim) : link_drop_claimed(op, &claim);
}

int inode_moved_local(struct shard *shard, uint64_t ino, uint64_t new_parent)
{
    struct store_inode inode;
    int rc = store_inode_get(shard->store, ino, &inode);

    if (rc)
        return rc;
    inode.parent = new_parent;
    inode.ctime_ns = shard_now_ns();
    return store_inode_put(shard->store, &inode);
}

int op_inode_moved(struct op *op)
{
    struct msg_inode_moved_request m;

    OP_DECODE(op, inode_moved_request, &m);
    return inode_moved_local(op->shard, m.ino, m.new_parent);
}

int op_dir_stat(struct op *op)
{
    struct msg_dir_stat_request m;
    struct msg_dir_stat_reply reply;
    struct store_dirpart part;
    int rc;

    OP_DECODE(op, dir_stat_request, &m);
    if (m.forget_time) {
        rc = store_dirpart_forget_time(op->shard->store, m.ino);
        if (rc)
            return rc;
    }
    rc = store_dirpart_get(op->shard->store, m.ino, &part);
    if (rc)
        return rc;
    reply = (struct msg_dir_stat_reply){
        .n_entries = part.n_entries,
        .n_subdirs = part.n_subdirs,
        .mtime_ns = part.mtime_ns,
    };
    return OP_REPLY(op, dir_stat_reply, &reply);
}

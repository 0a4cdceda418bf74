/* SPDX-License-Identifier: Apache-2.0
 *
 * Chunks: reading and writing them straight between the network and the arena, and what
 * an inode's home asks of the targets that hold its file's chunks.
 *
 * While payload moves, the file's key is held shared, so that no truncation frees the
 * memory under it.
 */
#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "daemon/claim.h"
#include "daemon/ops/ops.h"
#include "daemon/session.h"
#include "daemon/sync.h"
#include "proto/placement.h"

bool chunk_range_is_valid(uint32_t offset, uint32_t length)
{
    return length > 0 && offset < STORE_CHUNK_MAX && length <= STORE_CHUNK_MAX - offset;
}

static int share_key(struct op *op, uint64_t key)
{
    int rc = keylock_share(&op->shard->locks, key);

    return rc == -EBUSY ? op_wait_key(op, key) : rc;
}

/* ---- read */

/* The file's size, when this is its home and nobody else knows better. */
static void read_size_note(struct op *op, uint64_t ino, struct msg_read_reply *reply)
{
    struct shard *shard = op->shard;
    const struct open_inode *open;
    struct store_inode inode;

    if (placement_home(ino) != shard->target)
        return;
    open = session_inode(shard, ino);
    if (open && open->n_free_writers > 0 && shard->n_targets > 1)
        return;
    if (store_inode_get(shard->store, ino, &inode) == 0) {
        reply->has_size = 1;
        reply->size = inode.size;
    }
}

int op_read(struct op *op)
{
    struct msg_read_reply reply = {.has_size = 0};
    struct msg_read_request m;
    uint32_t length;
    uint64_t key;
    int rc;

    OP_DECODE(op, read_request, &m);
    if (!chunk_range_is_valid(m.offset, m.length)
        || m.length > op->request->header.reply_space)
        return -EINVAL;
    key = keylock_key_inode(m.ino);
    rc = share_key(op, key);
    if (rc)
        return rc;
    op->pin = key;
    rc = store_read(op->shard->store,
                    m.ino,
                    m.chunk,
                    m.offset,
                    m.length,
                    &op->payload,
                    &op->n_payload,
                    &length);
    if (rc)
        return rc;
    read_size_note(op, m.ino, &reply);
    return OP_REPLY(op, read_reply, &reply);
}

/* ---- write */

struct write_transfer {
    struct store_write write;
    uint32_t chunk_size;
    int status;
    bool is_reserved; /* by APPEND, which has noted size and time */
    bool is_pulling;
};

int data_size_note(
    struct op *op, uint64_t ino, uint64_t end, int64_t now, uint8_t *ret_noted)
{
    struct shard *shard = op->shard;
    struct store_inode inode;
    int rc;

    if (placement_home(ino) != shard->target)
        return 0;
    rc = store_inode_get(shard->store, ino, &inode);
    if (rc)
        return rc;
    if (end > inode.size)
        inode.size = end;
    inode.mtime_ns = now;
    inode.ctime_ns = now;
    *ret_noted = 1;
    return store_inode_put(shard->store, &inode);
}

/* Where that is known: data of an inode that is gone would never be freed. */
static int inode_check(struct shard *shard, uint64_t ino)
{
    struct store_inode inode;

    return placement_home(ino) == shard->target
               ? store_inode_get(shard->store, ino, &inode)
               : 0;
}

static int write_finish(struct op *op)
{
    struct write_transfer *transfer = op->transfer;
    uint64_t ino = transfer->write.ino; /* the commit clears the write */
    uint64_t end = transfer->write.chunk * transfer->chunk_size + transfer->write.offset
                   + transfer->write.length;
    int64_t now = shard_now_ns();
    bool is_reserved = transfer->is_reserved;
    struct msg_write_reply reply = {.size_noted = is_reserved, .mtime_ns = now};
    int rc = transfer->status;

    if (rc == 0)
        rc = inode_check(op->shard, ino);
    if (rc)
        store_write_abort(op->shard->store, &transfer->write);
    else
        /* the time of an append is that of its reservation, on all targets */
        rc = store_write_commit(
            op->shard->store, &transfer->write, is_reserved ? 0 : now);
    if (rc == 0 && !is_reserved)
        rc = data_size_note(op, ino, end, now, &reply.size_noted);
    free(transfer);
    op->transfer = NULL;
    return rc ? rc : OP_REPLY(op, write_reply, &reply);
}

static void write_finish_run(struct task *task)
{
    struct op *op = list_entry(task, struct op, task);

    op_finish(op, write_finish(op));
}

static void write_pulled(void *arg, int status)
{
    struct op *op = arg;
    struct write_transfer *transfer = op->transfer;

    transfer->status = status;
    if (transfer->is_pulling) {
        transfer->is_pulling = false; /* still within op_write() */
        return;
    }
    op->task.run = write_finish_run;
    shard_task_add(op->shard, &op->task);
}

static int write_start(struct op *op)
{
    struct write_transfer *transfer;
    struct msg_write_request m;
    uint64_t key;
    int rc;

    OP_DECODE(op, write_request, &m);
    if (!chunk_range_is_valid(m.offset, m.length) || m.chunk_size == 0
        || m.length != op->request->header.payload_len
        || m.chunk > (UINT64_C(1) << 62) / m.chunk_size)
        return -EINVAL;
    key = keylock_key_inode(m.ino);
    rc = share_key(op, key);
    if (rc)
        return rc;
    op->pin = key;
    transfer = calloc(1, sizeof(*transfer));
    if (!transfer)
        return -ENOMEM;
    transfer->chunk_size = m.chunk_size;
    transfer->is_reserved = m.is_reserved;
    rc = store_write_prepare(
        op->shard->store, m.ino, m.chunk, m.offset, m.length, &transfer->write);
    if (rc) {
        free(transfer);
        op->pin = 0;
        keylock_unshare(&op->shard->locks, key);
        return rc;
    }
    op->transfer = transfer;
    transfer->is_pulling = true;
    rpc_request_pull(
        op->request, transfer->write.iov, transfer->write.n_iov, write_pulled, op);
    if (!transfer->is_pulling)
        return write_finish(op); /* it was here already */
    transfer->is_pulling = false;
    return OP_PENDING;
}

int op_write(struct op *op)
{
    int rc;

    do {
        rc = write_start(op);
        if (rc != -ENOSPC)
            return rc;
        rc = sync_space_wait(op);
    } while (rc == 0);
    return rc;
}

/* ---- the rest */

int op_seek(struct op *op)
{
    struct msg_seek_reply reply = {.found = 0};
    struct msg_seek_request m;
    int rc;

    OP_DECODE(op, seek_request, &m);
    if (m.offset >= STORE_CHUNK_MAX)
        return -EINVAL;
    rc = store_chunk_seek(
        op->shard->store, m.ino, m.chunk, m.offset, m.data != 0, &reply.offset);
    if (rc == 0)
        reply.found = 1;
    else if (rc != -ENXIO)
        return rc;
    return OP_REPLY(op, seek_reply, &reply);
}

/* Requests of one client come in order: those before this one are done when nobody
 * moves data of the file any more. */
int op_settle(struct op *op)
{
    struct msg_inode_request m;
    uint64_t key;
    int rc;

    OP_DECODE(op, inode_request, &m);
    key = keylock_key_inode(m.ino);
    rc = op_lock_key(op, key);
    if (rc == 0)
        op_unlock_key(op, key);
    return rc;
}

/* With an owner: once, since the file may have grown again since. */
static int chunk_truncate(struct shard *shard,
                          const struct msg_chunk_truncate_request *m)
{
    struct store_claim claim = {
        .target = m->coordinator,
        .owner = m->owner,
        .kind = CLAIM_DONE,
        .id = m->ino,
    };
    int rc = m->owner ? claim_get(shard, &claim) : -ENOENT;

    if (rc != -ENOENT)
        return rc;
    rc = store_chunk_truncate(shard->store, m->ino, m->size, m->chunk_size);
    if (rc || !m->owner)
        return rc;
    rc = claim_put(shard, &claim);
    if (rc)
        store_txn_fail(shard->store, rc);
    return rc;
}

int op_chunk_truncate(struct op *op)
{
    struct msg_chunk_truncate_request m;
    uint64_t key;
    int rc;

    OP_DECODE(op, chunk_truncate_request, &m);
    if (m.chunk_size == 0 || m.chunk_size > STORE_CHUNK_MAX)
        return -EINVAL;
    key = keylock_key_inode(m.ino);
    rc = op_lock_key(op, key); /* waits for transfers to and from the chunks */
    if (rc)
        return rc;
    rc = chunk_truncate(op->shard, &m);
    op_unlock_key(op, key);
    return rc;
}

int op_chunk_end(struct op *op)
{
    struct msg_inode_request m;
    struct msg_chunk_end_reply reply;
    struct store_file_usage usage;
    int rc;

    OP_DECODE(op, inode_request, &m);
    rc = store_file_usage_get(op->shard->store, m.ino, &usage);
    if (rc)
        return rc;
    reply = (struct msg_chunk_end_reply){
        .has_data = usage.has_data,
        .chunk = usage.last_chunk,
        .end = usage.last_end,
        .bytes = usage.bytes,
        .mtime_ns = usage.mtime_ns,
    };
    return OP_REPLY(op, chunk_end_reply, &reply);
}

static int fallocate_once(struct op *op, const struct msg_chunk_fallocate_request *m)
{
    uint64_t key = keylock_key_inode(m->ino);
    int rc = op_lock_key(op, key);

    if (rc)
        return rc;
    if (m->mode & FALLOC_FL_PUNCH_HOLE)
        rc =
            store_chunk_punch(op->shard->store, m->ino, m->chunk, m->offset, m->length);
    else
        rc = store_chunk_allocate(
            op->shard->store, m->ino, m->chunk, m->offset, m->length);
    op_unlock_key(op, key);
    return rc;
}

int chunk_fallocate(struct op *op, const struct msg_chunk_fallocate_request *m)
{
    int rc;

    do {
        rc = fallocate_once(op, m);
        if (rc != -ENOSPC)
            return rc;
        rc = sync_space_wait(op);
    } while (rc == 0);
    return rc;
}

int op_chunk_fallocate(struct op *op)
{
    struct msg_chunk_fallocate_request m;

    OP_DECODE(op, chunk_fallocate_request, &m);
    return chunk_range_is_valid(m.offset, m.length) ? chunk_fallocate(op, &m) : -EINVAL;
}

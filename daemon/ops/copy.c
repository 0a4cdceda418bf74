/* SPDX-License-Identifier: Apache-2.0
 *
 * Copying from a chunk of one file into a chunk of another that is here. The bytes come
 * from this arena, or from the target that has the source; no client sees them.
 *
 * No key of the destination is held while another target is asked: a truncation of the
 * same file may hold its keys there and wait for ours.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/iovec.h"
#include "daemon/ops/ops.h"
#include "daemon/peer.h"
#include "daemon/sync.h"

/* The source's bytes up to the end of what its chunk holds; what is missing is a hole.
 */
struct source {
    struct iovec *iov;
    int n_iov;
    uint32_t length;
};

static bool request_is_valid(const struct shard *shard,
                             const struct msg_copy_request *m)
{
    return chunk_range_is_valid(m->offset, m->length)
           && chunk_range_is_valid(m->from_offset, m->length)
           && m->length <= COPY_PIECE_MAX && m->chunk_size > 0
           && m->chunk <= (UINT64_C(1) << 62) / m->chunk_size
           && m->from_target < shard->n_targets;
}

static int bytes_write(struct op *op,
                       const struct msg_copy_request *m,
                       const struct source *source,
                       int64_t now)
{
    struct store *store = op->shard->store;
    struct store_write write;
    size_t at = 0;
    int rc;

    rc =
        store_write_prepare(store, m->ino, m->chunk, m->offset, source->length, &write);
    if (rc)
        return rc;
    for (int i = 0; i < write.n_iov; i++) {
        at += iovec_gather(source->iov,
                           (size_t)source->n_iov,
                           at,
                           write.iov[i].iov_base,
                           write.iov[i].iov_len);
    }
    return store_write_commit(store, &write, now);
}

static int zeros_write(struct op *op,
                       const struct msg_copy_request *m,
                       uint32_t offset,
                       uint32_t length,
                       int64_t now)
{
    struct store *store = op->shard->store;
    struct store_write write;
    int rc = store_write_prepare(store, m->ino, m->chunk, offset, length, &write);

    if (rc)
        return rc;
    iovec_zero(write.iov, (size_t)write.n_iov, 0, length);
    return store_write_commit(store, &write, now);
}

/* The piece is a hole from `from` on. Where nothing is, nothing has to be done, but for
 * the end of the file. */
static int
hole_write(struct op *op, const struct msg_copy_request *m, uint32_t from, int64_t now)
{
    uint32_t offset = m->offset + from;
    uint32_t length = m->length - from;
    struct iovec *there;
    uint32_t n_there;
    int n_iov;
    int rc = store_read(
        op->shard->store, m->ino, m->chunk, offset, length, &there, &n_iov, &n_there);

    if (rc)
        return rc;
    free(there);
    if (n_there > 0)
        rc = zeros_write(op, m, offset, n_there, now);
    if (rc == 0 && n_there < length && m->is_end)
        rc = zeros_write(op, m, offset + length - 1, 1, now);
    return rc;
}

/* With the destination's key. */
static int piece_write(struct op *op,
                       const struct msg_copy_request *m,
                       const struct source *source)
{
    int64_t now = shard_now_ns();
    struct msg_write_reply reply = {.size_noted = 0, .mtime_ns = now};
    uint64_t end = m->chunk * m->chunk_size + m->offset + m->length;
    int rc = 0;

    if (source->length > 0)
        rc = bytes_write(op, m, source, now);
    if (rc == 0 && source->length < m->length)
        rc = hole_write(op, m, source->length, now);
    if (rc == 0)
        rc = data_size_note(op, m->ino, end, now, &reply.size_noted);
    return rc ? rc : OP_REPLY(op, write_reply, &reply);
}

/* Both chunks are here: all in one go, so that the keys are only looked at. */
static int copy_here(struct op *op, const struct msg_copy_request *m)
{
    struct source source = {.iov = NULL};
    int rc = op_check_key(op, keylock_key_inode(m->from_ino));

    if (rc == 0)
        rc = op_check_key(op, keylock_key_inode(m->ino));
    if (rc == 0)
        rc = store_read(op->shard->store,
                        m->from_ino,
                        m->from_chunk,
                        m->from_offset,
                        m->length,
                        &source.iov,
                        &source.n_iov,
                        &source.length);
    if (rc == 0)
        rc = piece_write(op, m, &source);
    free(source.iov);
    return rc;
}

static int
source_fetch(struct op *op, const struct msg_copy_request *m, struct iovec *bytes)
{
    struct msg_read_request request = {
        .ino = m->from_ino,
        .chunk = m->from_chunk,
        .offset = m->from_offset,
        .length = m->length,
    };
    uint8_t body[MSG_read_request_MAX];
    size_t len = msg_read_request_encode(&request, body, sizeof(body));
    struct peer_call *call = calloc(1, sizeof(*call));
    int rc = -ENOMEM;

    if (call)
        rc = peer_call_receive(op, m->from_target, OP_READ, body, len, bytes, call);
    free(call);
    return rc;
}

static int copy_from_peer(struct op *op, const struct msg_copy_request *m)
{
    struct iovec bytes = {.iov_base = malloc(m->length), .iov_len = m->length};
    struct source source = {.iov = &bytes, .n_iov = 1};
    int rc = -ENOMEM;

    if (bytes.iov_base)
        rc = source_fetch(op, m, &bytes);
    source.length = (uint32_t)bytes.iov_len;
    if (rc == 0)
        rc = op_check_key(op, keylock_key_inode(m->ino));
    if (rc == 0)
        rc = piece_write(op, m, &source);
    free(bytes.iov_base);
    return rc;
}

int op_copy(struct op *op)
{
    struct msg_copy_request m;
    int rc;

    OP_DECODE(op, copy_request, &m);
    if (!request_is_valid(op->shard, &m))
        return -EINVAL;
    if (m.from_target != op->shard->target && !op->fiber)
        return OP_NEEDS_FIBER;
    do {
        rc = m.from_target == op->shard->target ? copy_here(op, &m)
                                                : copy_from_peer(op, &m);
        if (rc != -ENOSPC)
            return rc;
        rc = sync_space_wait(op);
    } while (rc == 0);
    return rc;
}

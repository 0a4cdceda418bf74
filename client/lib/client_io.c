/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads and writes: one request per chunk, all at once up to CLIENT_PARALLEL_MAX in
 * flight; bytes move straight between the chunk's target and the user's memory.
 */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/iovec.h"
#include "client/client_internal.h"
#include "client/split.h"

/* One request in flight; takes piece after piece. */
struct slot {
    struct engine_call call;
    uint64_t piece;
    uint8_t body[MSG_write_request_MAX];
    struct iovec *iov; /* max(1, io->n_iov) entries */
};

struct client_io {
    struct engine_set set;
    struct client_file *file;
    bool is_write;
    bool is_reserved;
    struct split split;
    uint64_t n_pieces;
    uint64_t next; /* piece to be asked for */
    struct iovec *iov;
    int n_iov;
    int status;
    bool has_size;
    uint64_t size;               /* of the file, when the home told */
    struct client_report report; /* writes: what the home was not told */
    uint32_t *received;          /* reads: per piece */
    struct slot *slots;
    unsigned n_slots;
};

/* ---- what came ------------------------------------------------------- */

static int read_ended(struct client_io *io, const struct slot *slot)
{
    const struct rpc_call *rpc = &slot->call.rpc;
    struct msg_read_reply reply;
    int status = msg_read_reply_decode(&reply, rpc->reply, rpc->reply_len);

    if (status < 0)
        return status;
    io->received[slot->piece] = (uint32_t)rpc->received;
    if (reply.has_size) {
        io->has_size = true;
        if (reply.size > io->size)
            io->size = reply.size;
    }
    return 0;
}

static uint64_t piece_end(const struct client_io *io, const struct slot *slot)
{
    struct split_piece piece = split_piece(&io->split, slot->piece);

    return io->split.offset + piece.start + piece.length;
}

static int write_ended(struct client_io *io, const struct slot *slot)
{
    const struct rpc_call *rpc = &slot->call.rpc;
    uint64_t end = piece_end(io, slot);
    struct msg_write_reply reply;
    int status = msg_write_reply_decode(&reply, rpc->reply, rpc->reply_len);

    if (status < 0)
        return status;
    if (reply.size_noted)
        return 0;
    if (reply.mtime_ns > io->report.mtime_ns)
        io->report.mtime_ns = reply.mtime_ns;
    if (!io->is_reserved && end > io->report.end)
        io->report.end = end;
    return 0;
}

/* ---- what is asked --------------------------------------------------- */

static void read_fill(struct client_io *io, struct slot *slot, struct split_piece piece)
{
    const struct client_inode *inode = io->file->inode;
    struct msg_read_request msg = {
        .ino = inode->ino,
        .chunk = piece.chunk,
        .offset = piece.offset,
        .length = piece.length,
    };
    size_t len = msg_read_request_encode(&msg, slot->body, sizeof(slot->body));

    slot->call.rpc.opcode = OP_READ;
    slot->call.rpc.body_len = len;
}

static void
write_fill(struct client_io *io, struct slot *slot, struct split_piece piece)
{
    const struct client_inode *inode = io->file->inode;
    struct msg_write_request msg = {
        .ino = inode->ino,
        .chunk = piece.chunk,
        .offset = piece.offset,
        .length = piece.length,
        .chunk_size = inode->chunk_size,
        .is_reserved = io->is_reserved,
    };
    size_t len = msg_write_request_encode(&msg, slot->body, sizeof(slot->body));

    slot->call.rpc.opcode = OP_WRITE;
    slot->call.rpc.body_len = len;
}

/* Puts the next piece into the slot. */
static void slot_fill(struct client_io *io, struct slot *slot)
{
    const struct client_inode *inode = io->file->inode;
    struct split_piece piece = split_piece(&io->split, io->next);
    uint32_t target = placement_chunk_target(
        inode->layout, inode->base, piece.chunk, client_n_targets(inode->client));
    int n = iovec_slice(io->iov,
                        (size_t)io->n_iov,
                        piece.start,
                        piece.length,
                        slot->iov,
                        (size_t)io->n_iov);

    assert(n >= 0); /* the range is the array's length, and count entries suffice */
    slot->piece = io->next++;
    client_call_set(inode->client, &slot->call, 0, target, slot->body, 0);
    if (io->is_write) {
        write_fill(io, slot, piece);
        slot->call.rpc.send = slot->iov;
        slot->call.rpc.n_send = n;
    } else {
        read_fill(io, slot, piece);
        slot->call.rpc.recv = slot->iov;
        slot->call.rpc.n_recv = n;
    }
}

static bool io_next(struct engine_set *set, struct engine_call *call)
{
    struct client_io *io = list_entry(set, struct client_io, set);
    struct slot *slot = list_entry(call, struct slot, call);
    int status = call->rpc.status;

    if (status == 0)
        status = io->is_write ? write_ended(io, slot) : read_ended(io, slot);
    if (io->is_write && client_status_is_doubtful(status))
        client_inode_doubt(io->file->inode,
                           call->rpc.target,
                           io->is_reserved ? 0 : piece_end(io, slot));
    if (status < 0 && io->status == 0)
        io->status = status;
    if (io->status < 0 || io->next >= io->n_pieces)
        return false;
    slot_fill(io, slot);
    return true;
}

/* ---- memory ---------------------------------------------------------- */

static void io_free(struct client_io *io)
{
    if (!io)
        return;
    free(io->received);
    free(io->slots);
    free(io->iov);
    free(io);
}

static int io_new(int n_iov, uint64_t n_pieces, bool is_write, struct client_io **ret)
{
    struct client_io *io = calloc(1, sizeof(*io));
    size_t n_lists;

    if (!io)
        return -ENOMEM;
    io->n_iov = n_iov;
    io->n_pieces = n_pieces;
    io->n_slots =
        n_pieces > CLIENT_PARALLEL_MAX ? CLIENT_PARALLEL_MAX : (unsigned)n_pieces;
    n_lists = (size_t)io->n_slots + 1; /* the user's and one per slot */
    io->iov = calloc(n_lists * (size_t)(n_iov ? n_iov : 1), sizeof(struct iovec));
    io->slots = malloc(((size_t)io->n_slots + !io->n_slots) * sizeof(struct slot));
    if (!is_write)
        io->received = calloc(n_pieces ? n_pieces : 1, sizeof(uint32_t));
    if (!io->iov || !io->slots || (!is_write && !io->received)) {
        io_free(io);
        return -ENOMEM;
    }
    *ret = io;
    return 0;
}

/* ---- start and finish ------------------------------------------------ */

int client_io_start(struct client_file *file,
                    bool is_write,
                    bool is_reserved,
                    const struct iovec *iov,
                    int n_iov,
                    uint64_t offset,
                    struct client_io **ret)
{
    struct client_inode *inode = file->inode;
    struct split split = {.offset = offset, .chunk_size = inode->chunk_size};
    struct client_io *io;
    size_t length;
    int status;

    if (n_iov < 0 || n_iov > IOV_MAX || offset > INT64_MAX)
        return -EINVAL;
    status = iovec_length(iov, (size_t)n_iov, &length);
    if (status < 0)
        return -EINVAL;
    if (length > INT64_MAX - offset)
        return is_write ? -EFBIG : -EINVAL;
    status = client_file_check(file);
    if (status < 0)
        return status;
    split.length = length;
    status = io_new(n_iov, split_count(&split), is_write, &io);
    if (status < 0)
        return status;
    io->file = file;
    io->is_write = is_write;
    io->is_reserved = is_reserved;
    io->split = split;
    if (n_iov > 0)
        memcpy(io->iov, iov, (size_t)n_iov * sizeof(*iov));
    engine_set_init(&io->set, io_next);
    io->report.cuts = atomic_load(&inode->cuts);
    for (unsigned i = 0; i < io->n_slots; i++) {
        io->slots[i].iov = io->iov + (size_t)(i + 1) * (size_t)n_iov;
        slot_fill(io, &io->slots[i]);
        engine_set_add(&io->set, &io->slots[i].call);
    }
    engine_start(inode->client->engine, &io->set);
    *ret = io;
    return 0;
}

bool client_io_test(struct client_io *io)
{
    return engine_test(io->file->inode->client->engine, &io->set);
}

/*
 * How much of the range is the file's. Targets send what their chunk holds, so a short
 * piece is a hole if the file goes on after it, and its end if it does not: bytes of a
 * later piece prove the former, else the home knows.
 */
static ssize_t read_result(struct client_io *io)
{
    const struct client_inode *inode = io->file->inode;
    uint64_t length = io->split.length;
    uint64_t end = split_data_end(&io->split, io->received);
    struct wire_attr attr;
    int status;

    if (end < length) {
        if (!io->has_size) {
            status = client_getattr(inode->client, inode->ino, &attr);
            if (status < 0)
                return status;
            io->size = attr.size;
        }
        if (io->size > io->split.offset && io->size - io->split.offset > end)
            end = io->size - io->split.offset;
        if (end > length)
            end = length;
    }
    for (uint64_t i = 0; i < io->n_pieces; i++) {
        struct split_piece piece = split_piece(&io->split, i);
        uint64_t begin = piece.start + io->received[i];
        uint64_t stop = piece.start + piece.length;

        if (stop > end)
            stop = end;
        if (begin < stop)
            iovec_zero(io->iov, (size_t)io->n_iov, begin, stop - begin);
    }
    return (ssize_t)end;
}

ssize_t client_io_finish(struct client_io *io)
{
    struct client_inode *inode = io->file->inode;
    ssize_t result;

    engine_wait(inode->client->engine, &io->set);
    client_inode_report_add(inode, io->report);
    if (io->status < 0)
        result = io->status;
    else if (io->is_write)
        result = (ssize_t)io->split.length;
    else
        result = read_result(io);
    io_free(io);
    return result;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Copying from file to file: pieces that lie in one chunk on both sides, each asked of
 * the target that has the destination's chunk, up to CLIENT_PARALLEL_MAX at once.
 */
#include <errno.h>
#include <stdlib.h>

#include "client/client_internal.h"

struct copy_slot {
    struct engine_call call;
    uint64_t end; /* of the piece, in the destination */
    uint8_t body[MSG_copy_request_MAX];
};

struct copy {
    struct engine_set set;
    struct client_inode *from, *to;
    uint64_t from_offset, to_offset, length;
    uint64_t next; /* bytes that have been asked for */
    int status;
    struct client_report report; /* what the destination's home was not told */
    struct copy_slot slots[CLIENT_PARALLEL_MAX];
};

static uint32_t chunk_target(const struct client_inode *inode, uint64_t chunk)
{
    return placement_chunk_target(
        inode->layout, inode->base, chunk, client_n_targets(inode->client));
}

static uint64_t room_in_chunk(const struct client_inode *inode, uint64_t offset)
{
    return inode->chunk_size - offset % inode->chunk_size;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Puts the next piece into the slot. */
static void slot_fill(struct copy *copy, struct copy_slot *slot)
{
    uint64_t from_at = copy->from_offset + copy->next;
    uint64_t to_at = copy->to_offset + copy->next;
    uint64_t room =
        min_u64(room_in_chunk(copy->from, from_at), room_in_chunk(copy->to, to_at));
    uint64_t length = min_u64(min_u64(room, COPY_PIECE_MAX), copy->length - copy->next);
    struct msg_copy_request msg = {
        .ino = copy->to->ino,
        .chunk = to_at / copy->to->chunk_size,
        .offset = (uint32_t)(to_at % copy->to->chunk_size),
        .length = (uint32_t)length,
        .chunk_size = copy->to->chunk_size,
        .is_end = copy->next + length == copy->length,
        .from_ino = copy->from->ino,
        .from_chunk = from_at / copy->from->chunk_size,
        .from_offset = (uint32_t)(from_at % copy->from->chunk_size),
    };

    msg.from_target = chunk_target(copy->from, msg.from_chunk);
    copy->next += length;
    slot->end = to_at + length;
    client_call_set(copy->to->client,
                    &slot->call,
                    OP_COPY,
                    chunk_target(copy->to, msg.chunk),
                    slot->body,
                    msg_copy_request_encode(&msg, slot->body, sizeof(slot->body)));
}

static int piece_ended(struct copy *copy, const struct copy_slot *slot)
{
    const struct rpc_call *rpc = &slot->call.rpc;
    struct msg_write_reply reply;
    int status = rpc->status;

    if (status == 0)
        status = msg_write_reply_decode(&reply, rpc->reply, rpc->reply_len);
    if (status)
        return status;
    if (reply.size_noted)
        return 0;
    if (reply.mtime_ns > copy->report.mtime_ns)
        copy->report.mtime_ns = reply.mtime_ns;
    if (slot->end > copy->report.end)
        copy->report.end = slot->end;
    return 0;
}

static bool copy_next(struct engine_set *set, struct engine_call *call)
{
    struct copy *copy = list_entry(set, struct copy, set);
    struct copy_slot *slot = list_entry(call, struct copy_slot, call);
    int status = piece_ended(copy, slot);

    if (client_status_is_doubtful(status))
        client_inode_doubt(copy->to, call->rpc.target, slot->end);
    if (status < 0 && copy->status == 0)
        copy->status = status;
    if (copy->status < 0 || copy->next == copy->length)
        return false;
    slot_fill(copy, slot);
    return true;
}

static int copy_run(struct client_inode *from,
                    uint64_t from_offset,
                    struct client_inode *to,
                    uint64_t to_offset,
                    uint64_t length)
{
    struct copy *copy = malloc(sizeof(*copy));
    int status;

    if (!copy)
        return -ENOMEM;
    copy->from = from;
    copy->to = to;
    copy->from_offset = from_offset;
    copy->to_offset = to_offset;
    copy->length = length;
    copy->next = 0;
    copy->status = 0;
    copy->report = (struct client_report){.cuts = atomic_load(&to->cuts)};
    engine_set_init(&copy->set, copy_next);
    for (unsigned i = 0; i < CLIENT_PARALLEL_MAX && copy->next < length; i++) {
        slot_fill(copy, &copy->slots[i]);
        engine_set_add(&copy->set, &copy->slots[i].call);
    }
    engine_run(to->client->engine, &copy->set);
    client_inode_report_add(to, copy->report);
    status = copy->status;
    free(copy);
    return status;
}

int client_file_copy_range(struct client_file *from,
                           uint64_t from_offset,
                           struct client_file *to,
                           uint64_t to_offset,
                           uint64_t length,
                           uint64_t *ret_copied)
{
    struct wire_attr attr;
    int status;

    if (!(from->flags & OPEN_READ) || !(to->flags & OPEN_WRITE)
        || (to->flags & OPEN_APPEND))
        return -EBADF;
    if (from_offset > INT64_MAX || to_offset > INT64_MAX)
        return -EINVAL;
    if (length > INT64_MAX - to_offset)
        return -EFBIG;
    status = client_file_check(from);
    if (status == 0)
        status = client_file_check(to);
    if (status == 0)
        status = client_getattr(from->inode->client, from->inode->ino, &attr);
    if (status)
        return status;
    length = from_offset < attr.size ? min_u64(length, attr.size - from_offset) : 0;
    if (from->inode == to->inode && from_offset < to_offset + length
        && to_offset < from_offset + length)
        return -EINVAL;
    if (length > 0)
        status = copy_run(from->inode, from_offset, to->inode, to_offset, length);
    if (status == 0)
        *ret_copied = length;
    return status;
}

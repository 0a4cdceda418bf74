/* SPDX-License-Identifier: Apache-2.0
 * Writing in two steps: reserve memory in the arena, then make it part of the chunk. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_impl.h"

/* Blocks of the chunk, and where their new content is being put. */
struct part {
    uint32_t block, n;
    uint64_t arena_block;
    bool is_fresh; /* reserved by this write; else the chunk's own, written in place */
};

struct store_write_parts {
    struct arena_pin pin; /* of what is written in place */
    struct part *part;
    uint32_t count, capacity;
};

static int check_range(uint32_t offset, uint32_t length)
{
    if (length == 0 || length > STORE_CHUNK_MAX || offset > STORE_CHUNK_MAX - length)
        return -EINVAL;
    return 0;
}

static int add_part(struct store_write_parts *parts,
                    uint32_t block,
                    uint32_t n,
                    uint64_t arena_block,
                    bool is_fresh)
{
    if (parts->count == parts->capacity) {
        uint32_t capacity = parts->capacity ? 2 * parts->capacity : 4;
        void *memory = realloc(parts->part, capacity * sizeof(*parts->part));

        if (!memory)
            return -ENOMEM;
        parts->part = memory;
        parts->capacity = capacity;
    }
    parts->part[parts->count++] = (struct part){block, n, arena_block, is_fresh};
    return 0;
}

static void release_fresh(struct store *store, const struct store_write_parts *parts)
{
    for (uint32_t i = 0; i < parts->count; i++) {
        const struct part *part = &parts->part[i];

        if (part->is_fresh)
            arena_release(store->arena, part->arena_block, part->n);
    }
}

static void free_parts(struct store *store, struct store_write_parts *parts)
{
    arena_unpin(store->arena, &parts->pin);
    arena_runs_fini(&parts->pin.runs);
    free(parts->part);
    free(parts);
}

/* A hole of the chunk: blocks of its own, next to those before them if that is free. */
static int add_fresh(struct store *store,
                     struct store_write_parts *parts,
                     uint32_t block,
                     uint32_t n,
                     uint64_t goal)
{
    struct arena_runs runs = {0};
    int rc = arena_allocate(store->arena, goal, n, &runs);
    size_t i = 0;

    for (; i < runs.count && rc == 0; i++) {
        rc = add_part(parts, block, (uint32_t)runs.run[i].n, runs.run[i].start, true);
        if (rc < 0)
            break;
        block += (uint32_t)runs.run[i].n;
    }
    for (; rc < 0 && i < runs.count; i++)
        arena_release(store->arena, runs.run[i].start, runs.run[i].n);
    arena_runs_fini(&runs);
    return rc;
}

static uint64_t goal_before(const struct store *store, uint32_t block)
{
    uint64_t before = CHUNK_HOLE;

    if (block > 0)
        chunk_record_map(&store->record, block - 1, 1, &before);
    return before == CHUNK_HOLE ? CHUNK_HOLE : before + 1;
}

/* Divides the range by what the chunk has there. */
static int make_parts(struct store *store,
                      struct store_write_parts *parts,
                      uint32_t offset,
                      uint32_t length)
{
    uint32_t block = offset / STORE_BLOCK_SIZE;
    uint32_t end = (offset + length - 1) / STORE_BLOCK_SIZE + 1;
    uint64_t at;
    uint32_t n;
    int rc = 0;

    for (; block < end && rc == 0; block += n) {
        n = chunk_record_map(&store->record, block, end - block, &at);
        if (at == CHUNK_HOLE) {
            rc = index_room_check(store->index, 1, 0);
            if (rc == 0)
                rc = add_fresh(store, parts, block, n, goal_before(store, block));
        } else {
            rc = add_part(parts, block, n, at, false);
            if (rc == 0)
                rc = arena_runs_push(&parts->pin.runs, at, n);
        }
    }
    return rc;
}

/* The bytes of the range that lie in these blocks. */
static void clip(const struct store_write *write,
                 uint32_t block,
                 uint32_t n,
                 uint32_t *ret_begin,
                 uint32_t *ret_end)
{
    uint32_t begin = block * STORE_BLOCK_SIZE;
    uint32_t end = begin + n * STORE_BLOCK_SIZE;

    *ret_begin = begin > write->offset ? begin : write->offset;
    *ret_end =
        end < write->offset + write->length ? end : write->offset + write->length;
}

/* Zeroes what the write leaves of n blocks, which are at arena_block. */
static void zero_edges(struct store *store,
                       const struct store_write *write,
                       uint32_t block,
                       uint32_t n,
                       uint64_t arena_block)
{
    uint8_t *memory = arena_memory(store->arena, arena_block);
    uint32_t base = block * STORE_BLOCK_SIZE;
    uint32_t begin, end;

    clip(write, block, n, &begin, &end);
    memset(memory, 0, begin - base);
    memset(memory + (end - base), 0, base + n * STORE_BLOCK_SIZE - end);
}

static int make_iov(struct store *store, struct store_write *write)
{
    struct store_write_parts *parts = write->parts;
    int n = 0;

    write->iov = malloc(parts->count * sizeof(*write->iov));
    if (!write->iov)
        return -ENOMEM;
    for (uint32_t i = 0; i < parts->count; i++) {
        const struct part *part = &parts->part[i];
        uint8_t *memory = arena_memory(store->arena, part->arena_block);
        uint32_t begin, end;

        clip(write, part->block, part->n, &begin, &end);
        memory += begin - part->block * STORE_BLOCK_SIZE;
        if (part->is_fresh)
            zero_edges(store, write, part->block, part->n, part->arena_block);
        if (n > 0
            && (uint8_t *)write->iov[n - 1].iov_base + write->iov[n - 1].iov_len
                   == memory) {
            write->iov[n - 1].iov_len += end - begin;
            continue;
        }
        write->iov[n++] = (struct iovec){.iov_base = memory, .iov_len = end - begin};
    }
    write->n_iov = n;
    return 0;
}

int store_write_prepare(struct store *store,
                        uint64_t ino,
                        uint64_t chunk,
                        uint32_t offset,
                        uint32_t length,
                        struct store_write *ret)
{
    struct store_write write = {
        .ino = ino, .chunk = chunk, .offset = offset, .length = length};
    int rc = check_range(offset, length);

    if (rc < 0)
        return rc;
    rc = store_chunk_load(store, ino, chunk);
    if (rc < 0)
        return rc;
    write.parts = calloc(1, sizeof(*write.parts));
    if (!write.parts)
        return -ENOMEM;
    write.parts->pin.is_write = true;
    arena_pin(store->arena, &write.parts->pin);
    rc = make_parts(store, write.parts, offset, length);
    if (rc == 0)
        rc = make_iov(store, &write);
    if (rc < 0) {
        release_fresh(store, write.parts);
        free_parts(store, write.parts);
        return rc;
    }
    *ret = write;
    return 0;
}

/* Copies the write's bytes of n blocks from one place in the arena to another. */
static void copy_bytes(struct store *store,
                       const struct store_write *write,
                       uint32_t block,
                       uint32_t n,
                       uint64_t from,
                       uint64_t to)
{
    uint32_t base = block * STORE_BLOCK_SIZE;
    uint32_t begin, end;

    clip(write, block, n, &begin, &end);
    memcpy(arena_memory(store->arena, to) + (begin - base),
           arena_memory(store->arena, from) + (begin - base),
           end - begin);
}

/* The chunk's blocks were freed while they were written: the bytes need others. */
static int install_copy(struct store *store,
                        struct store_change *change,
                        const struct store_write *write,
                        uint32_t block,
                        uint32_t n,
                        uint64_t ours)
{
    struct arena_runs runs = {0};
    int rc = store_change_allocate(store, change, goal_before(store, block), n, &runs);

    for (size_t i = 0; i < runs.count && rc == 0; i++) {
        uint64_t start = runs.run[i].start;
        uint32_t count = (uint32_t)runs.run[i].n;

        zero_edges(store, write, block, count, start);
        copy_bytes(store, write, block, count, ours, start);
        rc = store_change_map(store, change, block, count, start);
        block += count;
        ours += count;
    }
    arena_runs_fini(&runs);
    return rc;
}

/* What became of the fresh blocks of a write. */
struct fate {
    struct arena_runs installed, surplus;
};

static int install_part(struct store *store,
                        struct store_change *change,
                        const struct store_write *write,
                        const struct part *part,
                        struct fate *fate)
{
    uint32_t n;
    int rc = 0;

    for (uint32_t done = 0; done < part->n && rc == 0; done += n) {
        uint32_t block = part->block + done;
        uint64_t ours = part->arena_block + done;
        uint64_t theirs;

        n = chunk_record_map(&store->record, block, part->n - done, &theirs);
        if (theirs == ours)
            continue;
        if (theirs != CHUNK_HOLE) {
            copy_bytes(store, write, block, n, ours, theirs);
            if (part->is_fresh)
                rc = arena_runs_push(&fate->surplus, ours, n);
        } else if (part->is_fresh) {
            rc = arena_runs_push(&fate->installed, ours, n);
            if (rc == 0)
                rc = store_change_map(store, change, block, n, ours);
        } else {
            rc = install_copy(store, change, write, block, n, ours);
        }
    }
    return rc;
}

static int install(struct store *store,
                   struct store_change *change,
                   const struct store_write *write,
                   int64_t now_ns,
                   struct fate *fate)
{
    struct chunk_record *record = &store->record;
    const struct store_write_parts *parts = write->parts;
    int rc = store_chunk_load(store, write->ino, write->chunk);

    for (uint32_t i = 0; i < parts->count && rc == 0; i++)
        rc = install_part(store, change, write, &parts->part[i], fate);
    /* What lies behind the end is undefined: now it becomes part of the chunk. If this
     * transaction moved the end there, it is still needed should it be aborted. */
    if (rc == 0 && write->offset > record->end)
        rc = store_change_zero(store,
                               change,
                               &parts->pin,
                               record->end,
                               write->offset,
                               store->txn_has_cut ? STORE_ZERO_COPY
                                                  : STORE_ZERO_IN_PLACE);
    if (rc < 0)
        return rc;
    if (record->end < write->offset + write->length)
        record->end = write->offset + write->length;
    if (record->mtime_ns < now_ns)
        record->mtime_ns = now_ns;
    /* Kept until the change ends: from then on an abort gives them back. */
    rc = arena_runs_reserve(&change->allocated, fate->installed.count);
    if (rc < 0)
        return rc;
    return store_chunk_save(store, write->ino, write->chunk, INDEX_GROW);
}

int store_write_commit(struct store *store, struct store_write *write, int64_t now_ns)
{
    struct store_change change = {0};
    struct fate fate = {0};
    int rc;

    if (!write->parts)
        return -EINVAL;
    rc = install(store, &change, write, now_ns, &fate);
    if (rc < 0) {
        release_fresh(store, write->parts);
    } else {
        const struct arena_runs *installed = &fate.installed;
        const struct arena_runs *surplus = &fate.surplus;

        for (size_t i = 0; i < installed->count; i++)
            (void)arena_runs_push(
                &change.allocated, installed->run[i].start, installed->run[i].n);
        for (size_t i = 0; i < surplus->count; i++)
            arena_release(store->arena, surplus->run[i].start, surplus->run[i].n);
    }
    rc = store_change_end(store, &change, rc);
    arena_runs_fini(&fate.installed);
    arena_runs_fini(&fate.surplus);
    free_parts(store, write->parts);
    free(write->iov);
    *write = (struct store_write){0};
    return rc;
}

void store_write_abort(struct store *store, struct store_write *write)
{
    if (!write->parts)
        return;
    release_fresh(store, write->parts);
    free_parts(store, write->parts);
    free(write->iov);
    *write = (struct store_write){0};
}

/* SPDX-License-Identifier: Apache-2.0
 * Chunks: reading, pins, truncation, holes, usage. Writing is in write.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_impl.h"

struct store_pin {
    struct arena_pin pin;
};

static int check_range(uint32_t offset, uint32_t length)
{
    if (length > STORE_CHUNK_MAX || offset > STORE_CHUNK_MAX - length)
        return -EINVAL;
    return 0;
}

static uint32_t round_up(uint32_t offset)
{
    return (offset + STORE_BLOCK_SIZE - 1) / STORE_BLOCK_SIZE;
}

/* Describes [offset, end) of the loaded chunk; with iov NULL only counts. */
static int
map_range(const struct store *store, uint32_t offset, uint32_t end, struct iovec *iov)
{
    int count = 0;

    while (offset < end) {
        uint32_t block = offset / STORE_BLOCK_SIZE;
        uint64_t at;
        uint32_t n =
            chunk_record_map(&store->record, block, round_up(end) - block, &at);
        uint32_t next = (block + n) * STORE_BLOCK_SIZE;

        if (next > end)
            next = end;
        if (iov) {
            iov[count].iov_base = at == CHUNK_HOLE ? store->zeros
                                                   : arena_memory(store->arena, at)
                                                         + offset % STORE_BLOCK_SIZE;
            iov[count].iov_len = next - offset;
        }
        count++;
        offset = next;
    }
    return count;
}

int store_read(struct store *store,
               uint64_t ino,
               uint64_t chunk,
               uint32_t offset,
               uint32_t length,
               struct iovec **ret_iov,
               int *ret_n_iov,
               uint32_t *ret_length)
{
    struct iovec *iov = NULL;
    uint32_t end;
    int n = 0;
    int rc = check_range(offset, length);

    if (rc == 0)
        rc = store_chunk_load(store, ino, chunk);
    if (rc < 0)
        return rc;
    end = offset + length;
    if (end > store->record.end)
        end = store->record.end;
    if (end > offset) {
        n = map_range(store, offset, end, NULL);
        iov = malloc((size_t)n * sizeof(*iov));
        if (!iov)
            return -ENOMEM;
        map_range(store, offset, end, iov);
    }
    *ret_iov = iov;
    *ret_n_iov = n;
    *ret_length = end > offset ? end - offset : 0;
    return 0;
}

int store_pin(struct store *store,
              const struct iovec *iov,
              int n_iov,
              struct store_pin **ret)
{
    struct store_pin *pin = calloc(1, sizeof(*pin));
    int rc = 0;

    if (!pin)
        return -ENOMEM;
    for (int i = 0; i < n_iov && rc == 0; i++) {
        uint64_t first, last;
        const uint8_t *base = iov[i].iov_base;

        if (iov[i].iov_len == 0 || !arena_block_of(store->arena, base, &first)
            || !arena_block_of(store->arena, base + iov[i].iov_len - 1, &last))
            continue;
        rc = arena_runs_push(&pin->pin.runs, first, last - first + 1);
    }
    if (rc < 0) {
        arena_runs_fini(&pin->pin.runs);
        free(pin);
        return rc;
    }
    arena_pin(store->arena, &pin->pin);
    *ret = pin;
    return 0;
}

void store_unpin(struct store *store, struct store_pin *pin)
{
    if (!pin)
        return;
    arena_unpin(store->arena, &pin->pin);
    arena_runs_fini(&pin->pin.runs);
    free(pin);
}

/* Keeps the first `size` bytes of one chunk. */
static int cut_chunk(struct store *store, uint64_t ino, uint64_t chunk, uint32_t size)
{
    struct store_change change = {0};
    uint32_t keep = round_up(size);
    int rc = store_chunk_load(store, ino, chunk);

    if (rc < 0)
        return rc;
    if (keep < CHUNK_BLOCKS_MAX)
        rc =
            store_change_map(store, &change, keep, CHUNK_BLOCKS_MAX - keep, CHUNK_HOLE);
    if (rc == 0 && (change.freed.count > 0 || store->record.end > size)) {
        if (store->record.end > size) {
            store->record.end = size;
            store->txn_has_cut = true;
        }
        rc = store_chunk_save(store, ino, chunk, INDEX_FREE);
    }
    return store_change_end(store, &change, rc);
}

static int free_extents(struct store *store)
{
    int rc = 0;

    for (uint32_t i = 0; i < store->record.n_extents && rc == 0; i++)
        rc = arena_runs_push(&store->txn_freed,
                             store->record.extents[i].arena_block,
                             store->record.extents[i].n);
    return rc;
}

/* Removes the file's chunks from the given one on. */
static int
drop_chunks(struct store *store, uint64_t ino, uint64_t chunk, bool is_changed)
{
    MDB_val key, value;
    uint64_t found;
    int rc = store_chunk_seek_record(store, ino, chunk, &key, &value);

    while (rc == 0) {
        rc = store_chunk_decode(store, ino, &key, &value, &found);
        if (rc < 0)
            break;
        is_changed = true;
        rc = free_extents(store);
        if (rc == 0)
            rc = index_delete_current(store->index, INDEX_CHUNK);
        if (rc == 0)
            rc = index_next(store->index, INDEX_CHUNK, &key, &value);
    }
    if (rc == -ENOENT)
        return 0;
    /* Half of a removal must not be committed. */
    if (is_changed)
        index_txn_fail(store->index, rc);
    return rc;
}

int store_chunk_truncate(struct store *store,
                         uint64_t ino,
                         uint64_t size,
                         uint32_t chunk_size)
{
    uint64_t chunk = 0;
    uint32_t tail = 0;
    int rc;

    if (size > 0) {
        if (chunk_size == 0 || chunk_size > STORE_CHUNK_MAX)
            return -EINVAL;
        chunk = size / chunk_size;
        tail = (uint32_t)(size % chunk_size);
    }
    if (tail > 0) {
        rc = cut_chunk(store, ino, chunk, tail);
        if (rc < 0)
            return rc;
        chunk++;
    }
    return drop_chunks(store, ino, chunk, tail > 0);
}

int store_chunk_punch(
    struct store *store, uint64_t ino, uint64_t chunk, uint32_t offset, uint32_t length)
{
    struct store_change change = {0};
    uint32_t first = round_up(offset);
    uint32_t end, last;
    int rc = check_range(offset, length);

    if (rc == 0)
        rc = store_chunk_load(store, ino, chunk);
    if (rc < 0 || length == 0)
        return rc;
    /* Nothing of interest lies behind the chunk's end. */
    end = offset + length;
    last = end >= store->record.end ? round_up(end) : end / STORE_BLOCK_SIZE;
    if (first < last)
        rc = store_change_map(store, &change, first, last - first, CHUNK_HOLE);
    if (end > store->record.end)
        end = store->record.end;
    if (rc == 0 && offset < end)
        rc = store_change_zero(
            store, &change, NULL, offset, end, STORE_ZERO_COPY_OR_NOT);
    if (rc == 0 && change.freed.count > 0)
        rc = store_chunk_save(store, ino, chunk, INDEX_FREE);
    return store_change_end(store, &change, rc);
}

/* Blocks for a hole of the loaded chunk. */
static int
fill_hole(struct store *store, struct store_change *change, uint32_t block, uint32_t n)
{
    struct arena_runs runs = {0};
    int rc = store_change_allocate(store, change, CHUNK_HOLE, n, &runs);

    for (size_t i = 0; i < runs.count && rc == 0; i++) {
        uint32_t count = (uint32_t)runs.run[i].n;

        if (block * STORE_BLOCK_SIZE < store->record.end)
            memset(arena_memory(store->arena, runs.run[i].start),
                   0,
                   (size_t)count * STORE_BLOCK_SIZE);
        rc = store_change_map(store, change, block, count, runs.run[i].start);
        block += count;
    }
    arena_runs_fini(&runs);
    return rc;
}

int store_chunk_allocate(
    struct store *store, uint64_t ino, uint64_t chunk, uint32_t offset, uint32_t length)
{
    struct store_change change = {0};
    uint32_t block = offset / STORE_BLOCK_SIZE;
    uint32_t n;
    uint64_t at;
    int rc = check_range(offset, length);

    if (rc == 0)
        rc = store_chunk_load(store, ino, chunk);
    if (rc < 0 || length == 0)
        return rc;
    for (; block < round_up(offset + length) && rc == 0; block += n) {
        n = chunk_record_map(
            &store->record, block, round_up(offset + length) - block, &at);
        if (at == CHUNK_HOLE)
            rc = fill_hole(store, &change, block, n);
    }
    if (rc == 0 && change.allocated.count > 0)
        rc = store_chunk_save(store, ino, chunk, INDEX_GROW);
    return store_change_end(store, &change, rc);
}

int store_chunk_seek(struct store *store,
                     uint64_t ino,
                     uint64_t chunk,
                     uint32_t offset,
                     bool data,
                     uint32_t *ret_offset)
{
    uint32_t end;
    int rc = store_chunk_load(store, ino, chunk);

    if (rc < 0)
        return rc;
    end = store->record.end;
    while (offset < end) {
        uint32_t block = offset / STORE_BLOCK_SIZE;
        uint64_t at;
        uint32_t n =
            chunk_record_map(&store->record, block, round_up(end) - block, &at);

        if ((at != CHUNK_HOLE) == data) {
            *ret_offset = offset;
            return 0;
        }
        offset = (block + n) * STORE_BLOCK_SIZE;
    }
    if (data || offset >= STORE_CHUNK_MAX)
        return -ENXIO;
    *ret_offset = offset;
    return 0;
}

int store_file_usage_get(struct store *store,
                         uint64_t ino,
                         struct store_file_usage *ret)
{
    struct store_file_usage usage = {0};
    const struct chunk_record *record = &store->record;
    MDB_val key, value;
    uint64_t chunk;
    int rc = store_chunk_seek_record(store, ino, 0, &key, &value);

    while (rc == 0) {
        rc = store_chunk_decode(store, ino, &key, &value, &chunk);
        if (rc < 0)
            break;
        for (uint32_t i = 0; i < record->n_extents; i++)
            usage.bytes += (uint64_t)record->extents[i].n * STORE_BLOCK_SIZE;
        if (record->end > 0) {
            usage.has_data = true;
            usage.last_chunk = chunk;
            usage.last_end = record->end;
        }
        if (usage.mtime_ns < record->mtime_ns)
            usage.mtime_ns = record->mtime_ns;
        rc = index_next(store->index, INDEX_CHUNK, &key, &value);
    }
    if (rc < 0 && rc != -ENOENT)
        return rc;
    *ret = usage;
    return 0;
}

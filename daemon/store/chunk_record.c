/* SPDX-License-Identifier: Apache-2.0
 * Chunk records: encoding and extent arithmetic. */
#include "store/chunk_record.h"

#include <errno.h>
#include <stdlib.h>

#include "store/codec.h"
#include "store/store.h"

#define CHUNK_VERSION 1u
/* No arena has more blocks; keeps sums of block numbers from overflowing. */
#define ARENA_BLOCK_MAX (UINT64_C(1) << 51)

_Static_assert(CHUNK_BLOCKS_MAX == STORE_CHUNK_MAX / STORE_BLOCK_SIZE, "chunk size");

void chunk_record_fini(struct chunk_record *record)
{
    free(record->extents);
    free(record->spare);
    *record = (struct chunk_record){0};
}

void chunk_record_clear(struct chunk_record *record)
{
    record->end = 0;
    record->mtime_ns = 0;
    record->n_extents = 0;
}

static int reserve(struct chunk_record *record, uint32_t n)
{
    uint32_t capacity = record->capacity ? record->capacity : 16;
    struct chunk_extent *memory;

    if (n <= record->capacity)
        return 0;
    while (capacity < n)
        capacity *= 2;
    memory = realloc(record->extents, capacity * sizeof(*memory));
    if (!memory)
        return -ENOMEM;
    record->extents = memory;
    memory = realloc(record->spare, capacity * sizeof(*memory));
    if (!memory)
        return -ENOMEM;
    record->spare = memory;
    record->capacity = capacity;
    return 0;
}

void chunk_key_encode(uint8_t key[CHUNK_KEY_SIZE], uint64_t ino, uint64_t chunk)
{
    codec_put_be(codec_put_be(key, ino, 8), chunk, 8);
}

int chunk_key_decode(const void *key,
                     size_t size,
                     uint64_t *ret_ino,
                     uint64_t *ret_chunk)
{
    const uint8_t *p = key;

    if (size != CHUNK_KEY_SIZE)
        return -EUCLEAN;
    *ret_ino = codec_get_be(&p, 8);
    *ret_chunk = codec_get_be(&p, 8);
    return 0;
}

size_t chunk_record_size(const struct chunk_record *record)
{
    return CHUNK_HEADER_SIZE + (size_t)record->n_extents * CHUNK_EXTENT_SIZE;
}

void chunk_record_encode(const struct chunk_record *record, uint8_t *buffer)
{
    uint8_t *p = buffer;

    p = codec_put(p, CHUNK_VERSION, 1);
    p = codec_put(p, record->end, 4);
    p = codec_put(p, (uint64_t)record->mtime_ns, 8);
    for (uint32_t i = 0; i < record->n_extents; i++) {
        p = codec_put(p, record->extents[i].block, 4);
        p = codec_put(p, record->extents[i].n, 4);
        p = codec_put(p, record->extents[i].arena_block, 8);
    }
}

static bool extent_is_valid(const struct chunk_extent *extent, uint32_t min_block)
{
    return extent->block >= min_block && extent->block < CHUNK_BLOCKS_MAX
           && extent->n > 0 && extent->n <= CHUNK_BLOCKS_MAX - extent->block
           && extent->arena_block < ARENA_BLOCK_MAX;
}

int chunk_record_decode(struct chunk_record *record, const void *data, size_t size)
{
    const uint8_t *p = data;
    uint32_t min_block = 0;
    size_t n;
    int rc;

    if (size < CHUNK_HEADER_SIZE || codec_get(&p, 1) != CHUNK_VERSION)
        return -EUCLEAN;
    n = (size - CHUNK_HEADER_SIZE) / CHUNK_EXTENT_SIZE;
    if (size != CHUNK_HEADER_SIZE + n * CHUNK_EXTENT_SIZE || n > CHUNK_BLOCKS_MAX)
        return -EUCLEAN;
    rc = reserve(record, (uint32_t)n);
    if (rc < 0)
        return rc;
    record->end = (uint32_t)codec_get(&p, 4);
    record->mtime_ns = (int64_t)codec_get(&p, 8);
    record->n_extents = (uint32_t)n;
    if (record->end > STORE_CHUNK_MAX)
        return -EUCLEAN;
    for (size_t i = 0; i < n; i++) {
        struct chunk_extent *extent = &record->extents[i];

        extent->block = (uint32_t)codec_get(&p, 4);
        extent->n = (uint32_t)codec_get(&p, 4);
        extent->arena_block = codec_get(&p, 8);
        if (!extent_is_valid(extent, min_block))
            return -EUCLEAN;
        min_block = extent->block + extent->n;
    }
    return 0;
}

/* The first extent that ends behind `block`. */
static uint32_t find_extent(const struct chunk_record *record, uint32_t block)
{
    uint32_t low = 0, high = record->n_extents;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (record->extents[mid].block + record->extents[mid].n <= block)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

uint32_t chunk_record_map(const struct chunk_record *record,
                          uint32_t block,
                          uint32_t max_n,
                          uint64_t *ret_arena_block)
{
    uint32_t i = find_extent(record, block);
    uint32_t n = max_n;
    const struct chunk_extent *extent;

    *ret_arena_block = CHUNK_HOLE;
    if (i == record->n_extents)
        return n;
    extent = &record->extents[i];
    if (extent->block > block)
        return n < extent->block - block ? n : extent->block - block;
    *ret_arena_block = extent->arena_block + (block - extent->block);
    if (n > extent->block + extent->n - block)
        n = extent->block + extent->n - block;
    return n;
}

/* Appends to spare, merging with the last one; n may be 0. */
static uint32_t append(struct chunk_extent *spare,
                       uint32_t count,
                       uint32_t block,
                       uint32_t n,
                       uint64_t arena_block)
{
    struct chunk_extent *last = count > 0 ? &spare[count - 1] : NULL;

    if (n == 0)
        return count;
    if (last && last->block + last->n == block
        && last->arena_block + last->n == arena_block) {
        last->n += n;
        return count;
    }
    spare[count] = (struct chunk_extent){block, n, arena_block};
    return count + 1;
}

int chunk_record_set(struct chunk_record *record,
                     uint32_t block,
                     uint32_t n,
                     uint64_t arena_block)
{
    uint32_t end = block + n;
    uint32_t count = 0;
    uint32_t i;
    struct chunk_extent *old;
    int rc = reserve(record, record->n_extents + 2);

    if (rc < 0)
        return rc;
    for (i = 0; i < record->n_extents && record->extents[i].block < block; i++) {
        const struct chunk_extent *e = &record->extents[i];
        uint32_t keep = e->block + e->n < block ? e->n : block - e->block;

        count = append(record->spare, count, e->block, keep, e->arena_block);
    }
    if (arena_block != CHUNK_HOLE)
        count = append(record->spare, count, block, n, arena_block);
    for (i = i > 0 ? i - 1 : 0; i < record->n_extents; i++) {
        const struct chunk_extent *e = &record->extents[i];
        uint32_t cut = e->block < end ? end - e->block : 0;

        if (cut < e->n)
            count = append(
                record->spare, count, e->block + cut, e->n - cut, e->arena_block + cut);
    }
    old = record->extents;
    record->extents = record->spare;
    record->spare = old;
    record->n_extents = count;
    return 0;
}

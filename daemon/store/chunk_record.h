/* SPDX-License-Identifier: Apache-2.0
 * A chunk's record: its end, the time of the last write, and extents that map its
 * blocks to blocks of the arena; sorted, apart from each other, merged where they can
 * be. Memory and encoding only. */
#ifndef BENCHFS_STORE_CHUNK_RECORD_H
#define BENCHFS_STORE_CHUNK_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHUNK_HOLE        UINT64_MAX
#define CHUNK_BLOCKS_MAX  16384u /* STORE_CHUNK_MAX / STORE_BLOCK_SIZE */
#define CHUNK_KEY_SIZE    16u
#define CHUNK_HEADER_SIZE 13u
#define CHUNK_EXTENT_SIZE 16u

struct chunk_extent {
    uint32_t block; /* within the chunk */
    uint32_t n;
    uint64_t arena_block;
};

struct chunk_record {
    uint32_t end; /* bytes; what lies behind it in a block is undefined */
    int64_t mtime_ns;
    struct chunk_extent *extents;
    uint32_t n_extents;
    uint32_t capacity;          /* of extents and of spare */
    struct chunk_extent *spare; /* for building the next state */
};

void chunk_record_fini(struct chunk_record *record);
/* Empties it and keeps the memory. */
void chunk_record_clear(struct chunk_record *record);

void chunk_key_encode(uint8_t key[CHUNK_KEY_SIZE], uint64_t ino, uint64_t chunk);
int chunk_key_decode(const void *key,
                     size_t size,
                     uint64_t *ret_ino,
                     uint64_t *ret_chunk);

size_t chunk_record_size(const struct chunk_record *record);
void chunk_record_encode(const struct chunk_record *record, uint8_t *buffer);
/* -EUCLEAN: malformed, or extents that overlap, are out of order or out of the chunk.
 */
int chunk_record_decode(struct chunk_record *record, const void *data, size_t size);

/* How block and those behind it, up to max_n, are mapped alike: *ret_arena_block is
 * that of `block`, or CHUNK_HOLE. Returns their number, at least 1. */
uint32_t chunk_record_map(const struct chunk_record *record,
                          uint32_t block,
                          uint32_t max_n,
                          uint64_t *ret_arena_block);
/* Maps n blocks to arena_block.., or CHUNK_HOLE. -ENOMEM */
int chunk_record_set(struct chunk_record *record,
                     uint32_t block,
                     uint32_t n,
                     uint64_t arena_block);

#endif

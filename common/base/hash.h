/* SPDX-License-Identifier: Apache-2.0
 * 64-bit hashes: XXH3 for bytes, a mixer for integers. The values are the same on every
 * machine and in every version: placement and checksums rest on them. Not
 * cryptographic. */
#ifndef BENCHFS_BASE_HASH_H
#define BENCHFS_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* data may be NULL when size is 0. */
uint64_t hash_bytes(uint64_t seed, const void *data, size_t size);

/* A bijection that spreads every input bit over the output. */
static inline uint64_t hash_u64(uint64_t value)
{
    value ^= value >> 30;
    value *= UINT64_C(0xbf58476d1ce4e5b9);
    value ^= value >> 27;
    value *= UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

/* A hash over a stream in pieces: equals hash_bytes of the whole with the same seed. */
struct hash_stream {
    _Alignas(64) unsigned char state[640];
};

void hash_stream_init(struct hash_stream *stream, uint64_t seed);
void hash_stream_update(struct hash_stream *stream, const void *data, size_t size);
/* May be called at any time; updates may follow. */
uint64_t hash_stream_value(const struct hash_stream *stream);

#endif

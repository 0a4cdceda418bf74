/* SPDX-License-Identifier: Apache-2.0
 * Bytes of the index's records: keys big-endian, so that they sort as numbers do;
 * values little-endian, each beginning with a version byte. No bounds are checked here:
 * sizes are constants of the record, compared once by its decoder. */
#ifndef BENCHFS_STORE_CODEC_H
#define BENCHFS_STORE_CODEC_H

#include <stdint.h>

/* Put at p, return the byte behind. */
static inline uint8_t *codec_put(uint8_t *p, uint64_t value, int n_bytes)
{
    for (int i = 0; i < n_bytes; i++)
        p[i] = (uint8_t)(value >> (8 * i));
    return p + n_bytes;
}

static inline uint8_t *codec_put_be(uint8_t *p, uint64_t value, int n_bytes)
{
    for (int i = 0; i < n_bytes; i++)
        p[i] = (uint8_t)(value >> (8 * (n_bytes - 1 - i)));
    return p + n_bytes;
}

/* Take from *p and step over it. */
static inline uint64_t codec_get(const uint8_t **p, int n_bytes)
{
    uint64_t value = 0;

    for (int i = 0; i < n_bytes; i++)
        value |= (uint64_t)(*p)[i] << (8 * i);
    *p += n_bytes;
    return value;
}

static inline uint64_t codec_get_be(const uint8_t **p, int n_bytes)
{
    uint64_t value = 0;

    for (int i = 0; i < n_bytes; i++)
        value = value << 8 | (*p)[i];
    *p += n_bytes;
    return value;
}

#endif

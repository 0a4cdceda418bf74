/* SPDX-License-Identifier: Apache-2.0
 * Random numbers that depend on a printed seed only (splitmix64), so that a run can be
 * repeated on any machine.
 */
#ifndef BENCHFS_TEST_RNG_H
#define BENCHFS_TEST_RNG_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct rng {
    uint64_t state;
};

static inline uint64_t rng_next(struct rng *rng)
{
    uint64_t z = (rng->state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Uniform in 0..limit-1; limit is not 0. */
static inline uint32_t rng_below(struct rng *rng, uint32_t limit)
{
    return (uint32_t)((rng_next(rng) >> 16) % limit);
}

/* Bytes that differ at every position and never are a run of zeros. */
static inline void rng_fill(uint64_t seed, uint8_t *buf, size_t len)
{
    struct rng rng = {.state = seed};

    for (size_t i = 0; i < len; i += 8) {
        uint64_t word = rng_next(&rng) | 0x0101010101010101u;

        memcpy(buf + i, &word, len - i < 8 ? len - i : 8);
    }
}

#endif

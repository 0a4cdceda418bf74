/* SPDX-License-Identifier: Apache-2.0
 *
 * A byte range of a file cut at its chunks' borders, and what a read of such pieces
 * amounts to.
 */
#ifndef BENCHFS_CLIENT_SPLIT_H
#define BENCHFS_CLIENT_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct split {
    uint64_t offset; /* in the file */
    uint64_t length;
    uint32_t chunk_size;
};

struct split_piece {
    uint64_t chunk;
    uint32_t offset; /* in the chunk */
    uint32_t length;
    uint64_t start; /* of the piece, from the beginning of the range */
};

/* The number of pieces; 0 when the range is empty. */
uint64_t split_count(const struct split *split);
/* number < split_count(). */
struct split_piece split_piece(const struct split *split, uint64_t number);

/* received[i]: bytes that came for piece i. The end of the last byte that came, from
 * the beginning of the range. */
uint64_t split_data_end(const struct split *split, const uint32_t *received);
/* Whether everything came. */
bool split_is_full(const struct split *split, const uint32_t *received);

#endif

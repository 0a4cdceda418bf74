/* SPDX-License-Identifier: Apache-2.0
 *
 * Arithmetic of chunk borders.
 */
#include "client/split.h"

uint64_t split_count(const struct split *split)
{
    if (split->length == 0)
        return 0;
    return (split->offset + split->length - 1) / split->chunk_size
           - split->offset / split->chunk_size + 1;
}

struct split_piece split_piece(const struct split *split, uint64_t number)
{
    uint64_t chunk = split->offset / split->chunk_size + number;
    uint64_t first = chunk * split->chunk_size;
    uint64_t begin = first > split->offset ? first : split->offset;
    uint64_t left = split->offset + split->length - begin;
    uint64_t room = split->chunk_size - (begin - first);

    return (struct split_piece){
        .chunk = chunk,
        .offset = (uint32_t)(begin - first),
        .length = (uint32_t)(left < room ? left : room),
        .start = begin - split->offset,
    };
}

uint64_t split_data_end(const struct split *split, const uint32_t *received)
{
    for (uint64_t i = split_count(split); i > 0; i--) {
        if (received[i - 1] > 0)
            return split_piece(split, i - 1).start + received[i - 1];
    }
    return 0;
}

bool split_is_full(const struct split *split, const uint32_t *received)
{
    uint64_t n = split_count(split);

    for (uint64_t i = 0; i < n; i++) {
        if (received[i] < split_piece(split, i).length)
            return false;
    }
    return true;
}

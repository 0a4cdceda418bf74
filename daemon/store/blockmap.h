/* SPDX-License-Identifier: Apache-2.0
 * Which blocks of an arena are in use: a bitmap in groups of 4096 blocks, searched word
 * by word from the group where the last search ended (next fit). Memory only. */
#ifndef BENCHFS_STORE_BLOCKMAP_H
#define BENCHFS_STORE_BLOCKMAP_H

#include <stdbool.h>
#include <stdint.h>

#define BLOCKMAP_GROUP 4096u /* blocks; also the longest run one search can give */

struct blockmap;

/* A map of n_blocks, none of which may be given out before blockmap_extend(). */
int blockmap_create(uint64_t n_blocks, struct blockmap **ret);
void blockmap_destroy(struct blockmap *map);

/* Lets blocks below `limit` be given out; the new ones are free. Never shrinks. */
void blockmap_extend(struct blockmap *map, uint64_t limit);
uint64_t blockmap_limit(const struct blockmap *map);
uint64_t blockmap_free_count(const struct blockmap *map); /* below the limit */

/* Takes one run of exactly n blocks (1..BLOCKMAP_GROUP), at `goal` if it is free there.
 * Returns 0 or -ENOSPC: there is no such run within one group. */
int blockmap_take(struct blockmap *map, uint64_t goal, uint32_t n, uint64_t *ret_start);
/* Takes precisely these blocks. -EEXIST: one is used already; -ERANGE: beyond the
 * limit. */
int blockmap_mark(struct blockmap *map, uint64_t start, uint64_t n);
/* Gives back blocks which all must be used. */
void blockmap_release(struct blockmap *map, uint64_t start, uint64_t n);
bool blockmap_is_used(const struct blockmap *map, uint64_t block);

#endif

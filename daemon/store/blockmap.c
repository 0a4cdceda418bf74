/* SPDX-License-Identifier: Apache-2.0
 * Bitmap allocator. A set bit is a used block, or one beyond the limit, so that
 * searches need not know the limit. Per group: the number of free blocks, and an upper
 * bound of the longest free run, lowered by searches that failed and reset by releases,
 * so that a nearly full map is not searched again and again. */
#include "store/blockmap.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORD_BITS   64u
#define GROUP_WORDS (BLOCKMAP_GROUP / WORD_BITS)

struct group {
    uint16_t n_free;
    uint16_t longest; /* no free run of the group is longer */
};

struct blockmap {
    uint64_t n_blocks;
    uint64_t limit;
    uint64_t n_free;
    uint64_t n_groups; /* those that begin below the limit */
    uint64_t next;     /* group where searches begin */
    uint64_t *words;
    struct group *groups;
};

int blockmap_create(uint64_t n_blocks, struct blockmap **ret)
{
    uint64_t n_groups = (n_blocks + BLOCKMAP_GROUP - 1) / BLOCKMAP_GROUP;
    struct blockmap *map = calloc(1, sizeof(*map));

    if (!map)
        return -ENOMEM;
    map->n_blocks = n_blocks;
    map->words = malloc((n_groups ? n_groups : 1) * GROUP_WORDS * sizeof(uint64_t));
    map->groups = calloc(n_groups ? n_groups : 1, sizeof(*map->groups));
    if (!map->words || !map->groups) {
        blockmap_destroy(map);
        return -ENOMEM;
    }
    memset(map->words, 0xff, n_groups * GROUP_WORDS * sizeof(uint64_t));
    *ret = map;
    return 0;
}

void blockmap_destroy(struct blockmap *map)
{
    if (!map)
        return;
    free(map->words);
    free(map->groups);
    free(map);
}

/* The bits [from, from + n) of a word; n is at least 1 and they lie in the word. */
static uint64_t word_mask(unsigned from, unsigned n)
{
    return (n == WORD_BITS ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1) << from;
}

static unsigned min_unsigned(uint64_t a, uint64_t b)
{
    return (unsigned)(a < b ? a : b);
}

/* The number of bits from `block` on that may be handled as one word's, at most n. */
static unsigned word_part(uint64_t block, uint64_t n)
{
    return min_unsigned(WORD_BITS - block % WORD_BITS, n);
}

static bool range_has_used(const struct blockmap *map, uint64_t start, uint64_t n)
{
    while (n > 0) {
        unsigned part = word_part(start, n);

        if (map->words[start / WORD_BITS] & word_mask(start % WORD_BITS, part))
            return true;
        start += part;
        n -= part;
    }
    return false;
}

static void range_set(struct blockmap *map, uint64_t start, uint64_t n)
{
    map->n_free -= n;
    while (n > 0) {
        unsigned part = word_part(start, n);
        uint64_t mask = word_mask(start % WORD_BITS, part);

        assert(!(map->words[start / WORD_BITS] & mask));
        map->words[start / WORD_BITS] |= mask;
        map->groups[start / BLOCKMAP_GROUP].n_free -= (uint16_t)part;
        start += part;
        n -= part;
    }
}

static void range_clear(struct blockmap *map, uint64_t start, uint64_t n)
{
    map->n_free += n;
    while (n > 0) {
        unsigned part = word_part(start, n);
        uint64_t mask = word_mask(start % WORD_BITS, part);
        struct group *group = &map->groups[start / BLOCKMAP_GROUP];

        assert((map->words[start / WORD_BITS] & mask) == mask);
        map->words[start / WORD_BITS] &= ~mask;
        group->n_free += (uint16_t)part;
        group->longest = BLOCKMAP_GROUP;
        start += part;
        n -= part;
    }
}

void blockmap_extend(struct blockmap *map, uint64_t limit)
{
    assert(limit >= map->limit && limit <= map->n_blocks);
    range_clear(map, map->limit, limit - map->limit);
    map->limit = limit;
    map->n_groups = (limit + BLOCKMAP_GROUP - 1) / BLOCKMAP_GROUP;
}

uint64_t blockmap_limit(const struct blockmap *map)
{
    return map->limit;
}

uint64_t blockmap_free_count(const struct blockmap *map)
{
    return map->n_free;
}

/* The next bit at or after `bit` of the group that equals `is_used`; else its end. */
static unsigned group_next(const uint64_t *words, unsigned bit, bool is_used)
{
    while (bit < BLOCKMAP_GROUP) {
        uint64_t word = words[bit / WORD_BITS];

        if (!is_used)
            word = ~word;
        word &= ~UINT64_C(0) << (bit % WORD_BITS);
        if (word)
            return bit / WORD_BITS * WORD_BITS + (unsigned)__builtin_ctzll(word);
        bit = (bit / WORD_BITS + 1) * WORD_BITS;
    }
    return BLOCKMAP_GROUP;
}

/* First fit within a group. On failure notes the longest run there is. */
static bool group_find(struct blockmap *map, uint64_t index, uint32_t n, uint64_t *ret)
{
    const uint64_t *words = map->words + index * GROUP_WORDS;
    struct group *group = &map->groups[index];
    unsigned longest = 0;
    unsigned begin, end;

    if (group->n_free < n || group->longest < n)
        return false;
    for (begin = group_next(words, 0, false); begin < BLOCKMAP_GROUP;
         begin = group_next(words, end, false)) {
        end = group_next(words, begin, true);
        if (end - begin >= n) {
            *ret = index * BLOCKMAP_GROUP + begin;
            return true;
        }
        if (end - begin > longest)
            longest = end - begin;
    }
    group->longest = (uint16_t)longest;
    return false;
}

int blockmap_take(struct blockmap *map, uint64_t goal, uint32_t n, uint64_t *ret_start)
{
    uint64_t start;

    assert(n > 0 && n <= BLOCKMAP_GROUP);
    if (goal < map->limit && n <= map->limit - goal && !range_has_used(map, goal, n)) {
        range_set(map, goal, n);
        *ret_start = goal;
        return 0;
    }
    for (uint64_t i = 0; i < map->n_groups; i++) {
        uint64_t index = (map->next + i) % map->n_groups;

        if (group_find(map, index, n, &start)) {
            map->next = index;
            range_set(map, start, n);
            *ret_start = start;
            return 0;
        }
    }
    return -ENOSPC;
}

int blockmap_mark(struct blockmap *map, uint64_t start, uint64_t n)
{
    if (start > map->limit || n > map->limit - start)
        return -ERANGE;
    if (range_has_used(map, start, n))
        return -EEXIST;
    range_set(map, start, n);
    return 0;
}

void blockmap_release(struct blockmap *map, uint64_t start, uint64_t n)
{
    assert(start <= map->limit && n <= map->limit - start);
    range_clear(map, start, n);
}

bool blockmap_is_used(const struct blockmap *map, uint64_t block)
{
    return block < map->limit && range_has_used(map, block, 1);
}

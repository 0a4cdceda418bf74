/* SPDX-License-Identifier: Apache-2.0
 * One file, and what has to be in it: the operations of fsturns, what they do to the
 * file and to the model, and what is checked.
 */
#ifndef BENCHFS_TEST_TURNS_H
#define BENCHFS_TEST_TURNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rng.h"

enum { FILE_MAX = 768 * 1024, TRAIL = 40, BLOCK = 4096 };

enum turn_kind {
    TURN_WRITE,
    TURN_READ,
    TURN_TRUNCATE,
    TURN_PUNCH,
    TURN_ALLOCATE,
    TURN_COPY,
    TURN_DIRECT_WRITE,
    TURN_DIRECT_READ,
    TURN_MAP_WRITE,
    TURN_MAP_READ,
    TURN_REOPEN,
    TURN_FSYNC,
    TURN_KINDS
};

struct turn_op {
    enum turn_kind kind;
    size_t at, len;
    size_t from; /* of a copy */
    uint64_t seed;
    /* for the trail */
    unsigned turn, rank;
    size_t size; /* before it */
};

struct turns {
    const char *dir;
    unsigned rank, n_ranks, n_turns, ops_per_turn, border;
    uint64_t seed;
    bool has_mmap, is_verbose;
    int fd, direct_fd;
    unsigned turn;
    size_t size; /* of the model */
    uint8_t model[FILE_MAX];
    uint8_t data[FILE_MAX];
    uint8_t *direct; /* FILE_MAX bytes at a block's border */
    struct turn_op
        trail[TRAIL]; /* the last operations of all, to be shown at a failure */
    unsigned n_trail;
};

/* Says what is wrong, and the last operations; -1. */
int fail(const struct turns *turns, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void path_of(const struct turns *turns, char path[4096], const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Where an operation may work: [from, to). */
struct range {
    size_t from, to;
};

/* Of these kinds, in that range; a range that is not the whole file keeps its size. */
struct turn_op
turn_op_random(struct rng *rng, const struct turns *turns, struct range range);
void turn_op_print(const struct turn_op *op);
/* Notes it for the trail. */
void turn_op_note(struct turns *turns, struct turn_op *op, unsigned rank);
void model_resize(struct turns *turns, size_t size);
void model_apply(struct turns *turns, const struct turn_op *op);
int file_open(struct turns *turns, int flags);
int file_apply(struct turns *turns, const struct turn_op *op);
int range_check(
    struct turns *turns, const uint8_t *got, size_t at, size_t len, const char *how);
/* Size and content are the model's. */
int whole_check(struct turns *turns);

#endif

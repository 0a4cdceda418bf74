/* SPDX-License-Identifier: Apache-2.0
 * The arena: a file of blocks, mapped as a whole, that holds file data. The file is as
 * long as what has been allocated to it by the file system ("backed"), and blocks are
 * given out below that only: so a write into the mapping finds its page, and a full
 * disk or tmpfs is -ENOSPC here instead of SIGBUS there. One thread. */
#ifndef BENCHFS_STORE_ARENA_H
#define BENCHFS_STORE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/error.h"
#include "base/list.h"
#include "store/blockmap.h"

struct arena;

struct arena_run {
    uint64_t start; /* block number */
    uint64_t n;
};

/* A growable list of runs; all zeros is an empty one. */
struct arena_runs {
    struct arena_run *run;
    size_t count, capacity;
};

/* Adds a run, or makes the last one longer when it ends where this one begins. A push
 * within what was reserved cannot fail. Both return 0 or -ENOMEM. */
int arena_runs_reserve(struct arena_runs *runs, size_t extra);
int arena_runs_push(struct arena_runs *runs, uint64_t start, uint64_t n);
/* All of `from`, or nothing (-ENOMEM). */
int arena_runs_append(struct arena_runs *runs, const struct arena_runs *from);
void arena_runs_fini(struct arena_runs *runs);

/* Blocks someone outside (the network) reads or writes just now. While pinned, blocks
 * that are released stay out of use. */
struct arena_pin {
    struct list_node node;
    struct arena_runs runs;
    bool is_write; /* the runs are written in place */
};

/* Opens or makes the file `name` in dirfd, which the caller has locked. All blocks
 * below the file's length are free until marked. */
int arena_open(int dirfd,
               const char *name,
               uint64_t capacity_bytes,
               struct arena **ret,
               struct benchfs_error *err);
/* No pins may be left. NULL is fine. */
void arena_close(struct arena *arena);

/* The mapping: its address never changes. Only backed blocks may be touched. */
uint8_t *arena_memory(const struct arena *arena, uint64_t block);
size_t arena_size(const struct arena *arena);
uint64_t arena_used_bytes(const struct arena *arena);
/* The block that holds this address; false: not in the arena. */
bool arena_block_of(const struct arena *arena, const void *address, uint64_t *ret);

/* Waits until all of it is on the disk. */
int arena_sync(const struct arena *arena);
/* The file's descriptor, as long as the arena is open. */
int arena_fd(const struct arena *arena);

bool arena_is_used(const struct arena *arena,
                   uint64_t start,
                   uint64_t n); /* all of it */
/* Recovery: notes blocks as used. -ERANGE, -EEXIST as blockmap_mark(). */
int arena_mark(struct arena *arena, uint64_t start, uint64_t n);

/* Appends n blocks to `runs`, beginning at `goal` if that is free, in as few runs as
 * can be. Content is undefined. On failure (-ENOSPC, -ENOMEM) nothing changed. */
int arena_allocate(struct arena *arena,
                   uint64_t goal,
                   uint64_t n,
                   struct arena_runs *runs);
/* The blocks can be given out again, once no pin holds them. */
void arena_release(struct arena *arena, uint64_t start, uint64_t n);

/* What is free and still takes space of the file system; and the least of it since the
 * last call. */
uint64_t arena_idle_bytes(const struct arena *arena);
uint64_t arena_idle_low(struct arena *arena);

/* Blocks that are given back at once: a group of the map. */
#define ARENA_TRIM_BLOCKS BLOCKMAP_GROUP
/* Gives so many free blocks back to the file system, until they are needed again.
 * Returns their bytes, 0: there are none together, or the file system can't have them.
 */
uint64_t arena_trim(struct arena *arena);
/* After arena_mark(), once: finds what was given back before the file was opened. 0 or
 * -ENOMEM. */
int arena_holes_find(struct arena *arena);

/* The pin is the caller's, with its runs filled in, until arena_unpin(). */
void arena_pin(struct arena *arena, struct arena_pin *pin);
void arena_unpin(struct arena *arena, struct arena_pin *pin);
/* Whether a pin other than `except` writes into one of these blocks. */
bool arena_is_being_written(const struct arena *arena,
                            uint64_t start,
                            uint64_t n,
                            const struct arena_pin *except);

#endif

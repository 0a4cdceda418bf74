/* SPDX-License-Identifier: Apache-2.0
 * The arena file: mapping, backing ahead of use and giving it back, allocation, pins.
 */
#include "store/arena.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/store.h"

/* Backing is added in steps of this many blocks (8 MiB). A step is allocated and its
 * pages are made at once, which costs a fifth less than a fault per page, and keeps
 * the faults out of the transfers; at 2.6 ms it does not hold up the shard for long. */
#define BACKING_STEP 2048u

struct arena {
    int fd;
    uint8_t *memory;
    size_t size;
    struct blockmap *map;
    struct list pins;
    struct arena_runs held; /* released while pinned */
    /* Given back to the file system: holes of the file, and no block of theirs is free
     * in the map. */
    struct arena_runs hollow;
    uint64_t n_hollow;
    uint64_t idle_low; /* the least that was free since arena_idle_low() */
};

int arena_runs_reserve(struct arena_runs *runs, size_t extra)
{
    size_t capacity = runs->capacity ? runs->capacity : 4;
    void *memory;

    while (capacity < runs->count + extra)
        capacity *= 2;
    if (capacity == runs->capacity)
        return 0;
    memory = realloc(runs->run, capacity * sizeof(*runs->run));
    if (!memory)
        return -ENOMEM;
    runs->run = memory;
    runs->capacity = capacity;
    return 0;
}

int arena_runs_push(struct arena_runs *runs, uint64_t start, uint64_t n)
{
    int rc;

    if (runs->count > 0) {
        struct arena_run *last = &runs->run[runs->count - 1];

        if (last->start + last->n == start) {
            last->n += n;
            return 0;
        }
    }
    rc = arena_runs_reserve(runs, 1);
    if (rc < 0)
        return rc;
    runs->run[runs->count++] = (struct arena_run){.start = start, .n = n};
    return 0;
}

int arena_runs_append(struct arena_runs *runs, const struct arena_runs *from)
{
    int rc = arena_runs_reserve(runs, from->count);

    for (size_t i = 0; i < from->count && rc == 0; i++)
        rc = arena_runs_push(runs, from->run[i].start, from->run[i].n);
    return rc;
}

void arena_runs_fini(struct arena_runs *runs)
{
    free(runs->run);
    *runs = (struct arena_runs){0};
}

static int open_file(int dirfd, const char *name, struct benchfs_error *err)
{
    int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
    int fd = openat(dirfd, name, flags, 0600);

    if (fd < 0)
        return benchfs_error_set(err, errno, "%s: %m", name);
    return fd;
}

static int
check_length(struct arena *arena, const char *name, struct benchfs_error *err)
{
    struct stat st;

    if (fstat(arena->fd, &st) < 0)
        return benchfs_error_set(err, errno, "%s: %m", name);
    if (!S_ISREG(st.st_mode))
        return benchfs_error_set(err, EINVAL, "%s: not a regular file", name);
    if (st.st_size % STORE_BLOCK_SIZE != 0)
        return benchfs_error_set(err,
                                 EUCLEAN,
                                 "%s: its length, %lld, is not a multiple of %u",
                                 name,
                                 (long long)st.st_size,
                                 STORE_BLOCK_SIZE);
    if ((uint64_t)st.st_size > arena->size)
        return benchfs_error_set(err,
                                 EINVAL,
                                 "%s: its length, %lld, is beyond the capacity, %zu",
                                 name,
                                 (long long)st.st_size,
                                 arena->size);
    blockmap_extend(arena->map, (uint64_t)st.st_size / STORE_BLOCK_SIZE);
    return 0;
}

int arena_open(int dirfd,
               const char *name,
               uint64_t capacity_bytes,
               struct arena **ret,
               struct benchfs_error *err)
{
    uint64_t n_blocks = capacity_bytes / STORE_BLOCK_SIZE;
    struct arena *arena = calloc(1, sizeof(*arena));
    int rc;

    if (!arena)
        return benchfs_error_set(err, ENOMEM, "%s: out of memory", name);
    list_init(&arena->pins);
    arena->memory = MAP_FAILED;
    arena->size = n_blocks * STORE_BLOCK_SIZE;
    rc = arena->fd = open_file(dirfd, name, err);
    if (rc < 0)
        goto fail;
    rc = blockmap_create(n_blocks, &arena->map);
    if (rc < 0) {
        benchfs_error_set(err, rc, "%s: out of memory", name);
        goto fail;
    }
    rc = check_length(arena, name, err);
    if (rc < 0)
        goto fail;
    arena->memory =
        mmap(NULL, arena->size, PROT_READ | PROT_WRITE, MAP_SHARED, arena->fd, 0);
    if (arena->memory == MAP_FAILED) {
        rc = benchfs_error_set(err, errno, "%s: map %zu bytes: %m", name, arena->size);
        goto fail;
    }
    /* Has an effect where the tmpfs is mounted with huge=advise; else none. */
    (void)madvise(arena->memory, arena->size, MADV_HUGEPAGE);
    *ret = arena;
    return 0;
fail:
    arena_close(arena);
    return rc;
}

void arena_close(struct arena *arena)
{
    if (!arena)
        return;
    assert(list_is_empty(&arena->pins));
    if (arena->memory != MAP_FAILED)
        munmap(arena->memory, arena->size);
    if (arena->fd >= 0)
        close(arena->fd);
    blockmap_destroy(arena->map);
    arena_runs_fini(&arena->held);
    arena_runs_fini(&arena->hollow);
    free(arena);
}

uint8_t *arena_memory(const struct arena *arena, uint64_t block)
{
    return arena->memory + block * STORE_BLOCK_SIZE;
}

size_t arena_size(const struct arena *arena)
{
    return arena->size;
}

int arena_sync(const struct arena *arena)
{
    return fdatasync(arena->fd) < 0 ? -errno : 0;
}

int arena_fd(const struct arena *arena)
{
    return arena->fd;
}

uint64_t arena_used_bytes(const struct arena *arena)
{
    uint64_t free_blocks = blockmap_free_count(arena->map) + arena->n_hollow;

    return (blockmap_limit(arena->map) - free_blocks) * STORE_BLOCK_SIZE;
}

bool arena_block_of(const struct arena *arena, const void *address, uint64_t *ret)
{
    uintptr_t base = (uintptr_t)arena->memory;
    uintptr_t at = (uintptr_t)address;

    if (at < base || at - base >= arena->size)
        return false;
    *ret = (at - base) / STORE_BLOCK_SIZE;
    return true;
}

bool arena_is_used(const struct arena *arena, uint64_t start, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        if (!blockmap_is_used(arena->map, start + i))
            return false;
    }
    return true;
}

int arena_mark(struct arena *arena, uint64_t start, uint64_t n)
{
    return blockmap_mark(arena->map, start, n);
}

/* How many blocks the file system may have left: asked first, because on a full tmpfs
 * fallocate() fills what there is and then undoes it. */
static uint64_t available_blocks(const struct arena *arena)
{
    struct statvfs fs;

    if (fstatvfs(arena->fd, &fs) < 0 || fs.f_blocks == 0)
        return UINT64_MAX; /* a tmpfs without a size has no counts */
    return fs.f_bavail * (uint64_t)fs.f_frsize / STORE_BLOCK_SIZE;
}

static int back_range(struct arena *arena, uint64_t start, uint64_t n)
{
    off_t offset = (off_t)(start * STORE_BLOCK_SIZE);
    size_t length = n * STORE_BLOCK_SIZE;
    int code;

    do {
        code = posix_fallocate(arena->fd, offset, (off_t)length);
    } while (code == EINTR);
    if (code != 0)
        return -ENOSPC;
    (void)madvise(arena_memory(arena, start), length, MADV_POPULATE_WRITE);
    return 0;
}

static int back_blocks(struct arena *arena, uint64_t n)
{
    uint64_t limit = blockmap_limit(arena->map);
    int rc = back_range(arena, limit, n);

    if (rc == 0)
        blockmap_extend(arena->map, limit + n);
    return rc;
}

/* Fills a hole, or the beginning of one, with n blocks at least, or -ENOSPC. */
static int hollow_fill(struct arena *arena, uint64_t n)
{
    struct arena_runs *hollow = &arena->hollow;
    struct arena_run *run = hollow->run;
    uint64_t step = n > BACKING_STEP ? n : BACKING_STEP;
    uint64_t available, start;
    size_t i = hollow->count;

    while (i > 0 && run[i - 1].n < n)
        i--;
    if (i == 0)
        return -ENOSPC;
    run += i - 1;
    available = available_blocks(arena);
    if (step > run->n)
        step = run->n;
    if (step > available)
        step = available;
    if (step < n || back_range(arena, run->start, step) < 0)
        return -ENOSPC;
    start = run->start;
    run->start += step;
    run->n -= step;
    if (run->n == 0)
        *run = hollow->run[--hollow->count];
    arena->n_hollow -= step;
    blockmap_release(arena->map, start, step);
    return 0;
}

/* Adds backing for at least n more blocks, or -ENOSPC. */
static int arena_grow(struct arena *arena, uint64_t n)
{
    uint64_t left = arena->size / STORE_BLOCK_SIZE - blockmap_limit(arena->map);
    uint64_t available = available_blocks(arena);
    uint64_t step = n > BACKING_STEP ? n : BACKING_STEP;

    if (hollow_fill(arena, n) == 0)
        return 0;
    if (left > available)
        left = available;
    if (step > left)
        step = left;
    if (step < n)
        return -ENOSPC;
    if (back_blocks(arena, step) == 0)
        return 0;
    return step > n ? back_blocks(arena, n) : -ENOSPC;
}

static void release_from(struct arena *arena, struct arena_runs *runs, size_t first)
{
    for (size_t i = first; i < runs->count; i++)
        arena_release(arena, runs->run[i].start, runs->run[i].n);
    runs->count = first;
}

/* One run of `want` blocks; where there is none, of half as many, and so on. */
static int
take_run(struct arena *arena, uint64_t goal, uint32_t *want, uint64_t *ret_start)
{
    for (;;) {
        if (blockmap_take(arena->map, goal, *want, ret_start) == 0)
            return 0;
        if (arena_grow(arena, *want) == 0)
            continue;
        if (*want == 1)
            return -ENOSPC;
        *want /= 2;
    }
}

/* ---- giving back ----------------------------------------------------- */

uint64_t arena_idle_bytes(const struct arena *arena)
{
    return blockmap_free_count(arena->map) * STORE_BLOCK_SIZE;
}

static void idle_note(struct arena *arena)
{
    uint64_t idle = arena_idle_bytes(arena);

    if (idle < arena->idle_low)
        arena->idle_low = idle;
}

uint64_t arena_idle_low(struct arena *arena)
{
    uint64_t low;

    idle_note(arena);
    low = arena->idle_low;
    arena->idle_low = arena_idle_bytes(arena);
    return low;
}

/* Takes the blocks, which are free in the map, out of use. */
static int hollow_add(struct arena *arena, uint64_t start, uint64_t n)
{
    int rc = arena_runs_push(&arena->hollow, start, n);

    if (rc == 0)
        arena->n_hollow += n;
    return rc;
}

/* By the mapping, so that UCX lets go of what it may have registered there with a
 * network card: it watches madvise(), and not fallocate(). */
uint64_t arena_trim(struct arena *arena)
{
    const size_t length = (size_t)ARENA_TRIM_BLOCKS * STORE_BLOCK_SIZE;
    uint64_t start;

    if (blockmap_take(arena->map, UINT64_MAX, ARENA_TRIM_BLOCKS, &start) < 0)
        return 0;
    if (arena_runs_reserve(&arena->hollow, 1) < 0
        || madvise(arena_memory(arena, start), length, MADV_REMOVE) < 0) {
        blockmap_release(arena->map, start, ARENA_TRIM_BLOCKS);
        return 0;
    }
    (void)hollow_add(arena, start, ARENA_TRIM_BLOCKS); /* there is room for it */
    idle_note(arena);
    return length;
}

/* Those of a hole that are not in use; allocated and never written, some may be. */
static int hole_take(struct arena *arena, uint64_t begin, uint64_t end)
{
    int rc = 0;

    for (uint64_t at = begin; at < end && rc == 0; at++) {
        if (blockmap_mark(arena->map, at, 1) == 0)
            rc = hollow_add(arena, at, 1);
    }
    return rc;
}

int arena_holes_find(struct arena *arena)
{
    off_t size = (off_t)(blockmap_limit(arena->map) * STORE_BLOCK_SIZE);
    off_t data = 0;
    int rc = 0;

    while (data < size && rc == 0) {
        off_t hole = lseek(arena->fd, data, SEEK_HOLE);

        if (hole < 0 || hole >= size)
            break;
        data = lseek(arena->fd, hole, SEEK_DATA);
        if (data < 0 || data > size) /* ENXIO: the rest is a hole */
            data = size;
        rc = hole_take(arena,
                       (uint64_t)hole / STORE_BLOCK_SIZE,
                       (uint64_t)data / STORE_BLOCK_SIZE);
    }
    arena->idle_low = arena_idle_bytes(arena);
    return rc;
}

/* ---- allocation ------------------------------------------------------ */

int arena_allocate(struct arena *arena,
                   uint64_t goal,
                   uint64_t n,
                   struct arena_runs *runs)
{
    struct arena_runs taken = {0};
    uint32_t want = BLOCKMAP_GROUP;
    uint64_t start;
    int rc;

    while (n > 0) {
        if (want > n)
            want = (uint32_t)n;
        rc = take_run(arena, goal, &want, &start);
        if (rc < 0)
            goto fail;
        rc = arena_runs_push(&taken, start, want);
        if (rc < 0) {
            blockmap_release(arena->map, start, want);
            goto fail;
        }
        n -= want;
        goal = start + want;
    }
    rc = arena_runs_append(runs, &taken);
    if (rc < 0)
        goto fail;
    arena_runs_fini(&taken);
    idle_note(arena);
    return 0;
fail:
    release_from(arena, &taken, 0);
    arena_runs_fini(&taken);
    return rc;
}

static bool overlaps(const struct arena_pin *pin, uint64_t start, uint64_t n)
{
    for (size_t i = 0; i < pin->runs.count; i++) {
        const struct arena_run *run = &pin->runs.run[i];

        if (start < run->start + run->n && run->start < start + n)
            return true;
    }
    return false;
}

/* How many blocks from `start` on, at most n, are alike: all pinned, or none. */
static uint64_t
pinned_part(const struct arena *arena, uint64_t start, uint64_t n, bool *ret_is_pinned)
{
    list_for_each(node, &arena->pins)
    {
        const struct arena_pin *pin = list_entry(node, struct arena_pin, node);

        for (size_t i = 0; i < pin->runs.count; i++) {
            const struct arena_run *run = &pin->runs.run[i];
            uint64_t end = run->start + run->n;

            if (run->start <= start && start < end) {
                *ret_is_pinned = true;
                return n < end - start ? n : end - start;
            }
            if (run->start > start && run->start - start < n)
                n = run->start - start;
        }
    }
    *ret_is_pinned = false;
    return n;
}

void arena_release(struct arena *arena, uint64_t start, uint64_t n)
{
    while (n > 0) {
        bool is_pinned;
        uint64_t part = pinned_part(arena, start, n, &is_pinned);

        if (!is_pinned)
            blockmap_release(arena->map, start, part);
        else /* out of memory: they stay used until the store is opened again */
            (void)arena_runs_push(&arena->held, start, part);
        start += part;
        n -= part;
    }
}

void arena_pin(struct arena *arena, struct arena_pin *pin)
{
    list_push_back(&arena->pins, &pin->node);
}

void arena_unpin(struct arena *arena, struct arena_pin *pin)
{
    struct arena_runs held = arena->held;

    list_remove(&pin->node);
    if (held.count == 0)
        return;
    arena->held = (struct arena_runs){0};
    for (size_t i = 0; i < held.count; i++)
        arena_release(arena, held.run[i].start, held.run[i].n);
    arena_runs_fini(&held);
}

bool arena_is_being_written(const struct arena *arena,
                            uint64_t start,
                            uint64_t n,
                            const struct arena_pin *except)
{
    list_for_each(node, &arena->pins)
    {
        const struct arena_pin *pin = list_entry(node, struct arena_pin, node);

        if (pin != except && pin->is_write && overlaps(pin, start, n))
            return true;
    }
    return false;
}

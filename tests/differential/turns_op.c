/* SPDX-License-Identifier: Apache-2.0
 * The operations of fsturns on the file and on the model.
 */
#include "turns.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int fail(const struct turns *turns, const char *format, ...)
{
    unsigned first = turns->n_trail > TRAIL ? turns->n_trail - TRAIL : 0;
    va_list args;

    printf("DIFFERENCE seed %llu rank %u turn %u: ",
           (unsigned long long)turns->seed,
           turns->rank,
           turns->turn);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\nthe last operations, as far as this rank knows:\n");
    for (unsigned i = first; i < turns->n_trail; i++)
        turn_op_print(&turns->trail[i % TRAIL]);
    fflush(stdout);
    return -1;
}

void path_of(const struct turns *turns, char path[4096], const char *format, ...)
{
    va_list args;
    int n = snprintf(path, 4096, "%s/", turns->dir);

    va_start(args, format);
    vsnprintf(path + n, (size_t)(4096 - n), format, args);
    va_end(args);
}

/* ---- checks ----------------------------------------------------------------- */

int range_check(
    struct turns *turns, const uint8_t *got, size_t at, size_t len, const char *how)
{
    for (size_t i = 0; i < len; i++) {
        if (got[i] != turns->model[at + i])
            return fail(turns,
                        "%s at %zu len %zu: byte %zu is %02x, not %02x (size %zu)",
                        how,
                        at,
                        len,
                        at + i,
                        got[i],
                        turns->model[at + i],
                        turns->size);
    }
    return 0;
}

static int read_check(struct turns *turns, size_t at, size_t len)
{
    ssize_t n = pread(turns->fd, turns->data, len, (off_t)at);
    size_t want = at >= turns->size        ? 0
                  : turns->size - at < len ? turns->size - at
                                           : len;

    if (n < 0 || (size_t)n != want)
        return fail(turns,
                    "pread at %zu len %zu: %zd, not %zu (size %zu): %s",
                    at,
                    len,
                    n,
                    want,
                    turns->size,
                    n < 0 ? strerror(errno) : "");
    return range_check(turns, turns->data, at, want, "pread");
}

int whole_check(struct turns *turns)
{
    struct stat st;

    if (fstat(turns->fd, &st) != 0 || (size_t)st.st_size != turns->size)
        return fail(turns, "size %lld, not %zu", (long long)st.st_size, turns->size);
    return read_check(turns, 0, FILE_MAX);
}

/* ---- one operation, which every process knows and one carries out ------------ */

static const enum turn_kind kinds[] = {
    TURN_WRITE,
    TURN_WRITE,
    TURN_WRITE,
    TURN_WRITE,
    TURN_READ,
    TURN_READ,
    TURN_PUNCH,
    TURN_COPY,
    TURN_COPY,
    TURN_DIRECT_WRITE,
    TURN_DIRECT_WRITE,
    TURN_DIRECT_READ,
    TURN_MAP_WRITE,
    TURN_MAP_WRITE,
    TURN_MAP_READ,
    TURN_MAP_READ,
    TURN_REOPEN,
    TURN_FSYNC,
    /* not in a part of the file */
    TURN_TRUNCATE,
    TURN_ALLOCATE,
};
enum { KINDS = sizeof kinds / sizeof *kinds, KINDS_OF_PART = KINDS - 2 };

struct turn_op
turn_op_random(struct rng *rng, const struct turns *turns, struct range range)
{
    bool is_whole = range.to - range.from == FILE_MAX;
    struct turn_op op = {.kind =
                             kinds[rng_below(rng, is_whole ? KINDS : KINDS_OF_PART)]};
    uint32_t room = (uint32_t)(range.to - range.from);

    op.at = rng_below(rng, 3) == 0
                ? (size_t)turns->border * rng_below(rng, 8) + rng_below(rng, 9)
                : rng_below(rng, room * 3 / 4);
    op.len = rng_below(rng, 2) == 0 ? rng_below(rng, 5000) + 1
                                    : rng_below(rng, turns->border * 3) + 1;
    op.at = range.from + op.at % room;
    if (op.kind == TURN_DIRECT_WRITE || op.kind == TURN_DIRECT_READ) {
        op.at &= ~(size_t)(BLOCK - 1);
        op.len = (op.len + BLOCK - 1) & ~(size_t)(BLOCK - 1);
    }
    if (op.len > range.to - op.at)
        op.len = range.to - op.at;
    op.from = range.from + rng_below(rng, room);
    if (op.kind == TURN_COPY && op.len > range.to - op.from)
        op.len = range.to - op.from;
    op.seed = rng_next(rng);
    return op;
}

void turn_op_note(struct turns *turns, struct turn_op *op, unsigned rank)
{
    op->turn = turns->turn;
    op->rank = rank;
    op->size = turns->size;
    turns->trail[turns->n_trail++ % TRAIL] = *op;
}

void model_resize(struct turns *turns, size_t size)
{
    if (size > turns->size)
        memset(turns->model + turns->size, 0, size - turns->size);
    turns->size = size;
}

/* The part of [at, at + len) that is in the file. */
static size_t within(const struct turns *turns, const struct turn_op *op)
{
    if (op->at >= turns->size)
        return 0;
    return turns->size - op->at < op->len ? turns->size - op->at : op->len;
}

/* What copy_file_range() takes: within the file, and not over itself. */
static size_t copy_len(const struct turns *turns, const struct turn_op *op)
{
    size_t len = op->len;

    if (op->from >= turns->size)
        return 0;
    if (len > turns->size - op->from)
        len = turns->size - op->from;
    return op->at < op->from + len && op->from < op->at + len ? 0 : len;
}

static void model_copy(struct turns *turns, const struct turn_op *op)
{
    size_t len = copy_len(turns, op);

    if (len == 0)
        return;
    if (op->at + len > turns->size)
        model_resize(turns, op->at + len);
    memcpy(turns->model + op->at, turns->model + op->from, len);
}

void model_apply(struct turns *turns, const struct turn_op *op)
{
    switch (op->kind) {
    case TURN_WRITE:
    case TURN_DIRECT_WRITE:
        if (op->at + op->len > turns->size)
            model_resize(turns, op->at + op->len);
        rng_fill(op->seed, turns->model + op->at, op->len);
        break;
    case TURN_MAP_WRITE:
        if (turns->has_mmap)
            rng_fill(op->seed, turns->model + op->at, within(turns, op));
        break;
    case TURN_TRUNCATE:
        model_resize(turns, op->at);
        break;
    case TURN_ALLOCATE:
        if (op->at + op->len > turns->size)
            model_resize(turns, op->at + op->len);
        break;
    case TURN_COPY:
        model_copy(turns, op);
        break;
    case TURN_PUNCH:
        memset(turns->model + op->at, 0, within(turns, op));
        break;
    default:
        break;
    }
}

static int map_apply(struct turns *turns, const struct turn_op *op)
{
    size_t len = within(turns, op), start = op->at & ~(size_t)4095;
    size_t map_len = op->at - start + len;
    bool is_write = op->kind == TURN_MAP_WRITE;
    int status = 0;
    uint8_t *map;

    if (len == 0 || !turns->has_mmap)
        return 0;
    map = mmap(NULL,
               map_len,
               is_write ? PROT_READ | PROT_WRITE : PROT_READ,
               MAP_SHARED,
               turns->fd,
               (off_t)start);
    if (map == MAP_FAILED)
        return fail(turns, "mmap: %s", strerror(errno));
    if (is_write) {
        rng_fill(op->seed, map + (op->at - start), len);
        if (msync(map, map_len, MS_SYNC) != 0)
            status = fail(turns, "msync: %s", strerror(errno));
    } else {
        status = range_check(turns, map + (op->at - start), op->at, len, "mapping");
    }
    munmap(map, map_len);
    return status;
}

int file_open(struct turns *turns, int flags)
{
    char path[4096];

    path_of(turns, path, "file");
    if (turns->fd >= 0 && close(turns->fd) != 0)
        return fail(turns, "close: %s", strerror(errno));
    turns->fd = open(path, O_RDWR | flags, 0600);
    if (turns->direct_fd >= 0)
        close(turns->direct_fd);
    turns->direct_fd = open(path, O_RDWR | O_DIRECT);
    return turns->fd < 0 || turns->direct_fd < 0
               ? fail(turns, "open: %s", strerror(errno))
               : 0;
}

static int write_apply(struct turns *turns, const struct turn_op *op)
{
    bool is_direct = op->kind == TURN_DIRECT_WRITE;
    uint8_t *data = is_direct ? turns->direct : turns->data;
    ssize_t n;

    rng_fill(op->seed, data, op->len);
    n = pwrite(is_direct ? turns->direct_fd : turns->fd, data, op->len, (off_t)op->at);
    return n == (ssize_t)op->len ? 0 : fail(turns, "pwrite: %zd of %zu", n, op->len);
}

static int direct_read_apply(struct turns *turns, const struct turn_op *op)
{
    size_t want = within(turns, op);
    ssize_t n = pread(turns->direct_fd, turns->direct, op->len, (off_t)op->at);

    if (n != (ssize_t)want)
        return fail(turns, "direct pread: %zd, not %zu", n, want);
    return range_check(turns, turns->direct, op->at, want, "direct pread");
}

static int copy_apply(struct turns *turns, const struct turn_op *op)
{
    off_t from = (off_t)op->from, to = (off_t)op->at;
    size_t left = copy_len(turns, op);

    while (left > 0) {
        ssize_t n = copy_file_range(turns->fd, &from, turns->fd, &to, left, 0);

        if (n <= 0)
            return fail(turns, "copy_file_range: %s", n ? strerror(errno) : "nothing");
        left -= (size_t)n;
    }
    return 0;
}

static int allocate_apply(struct turns *turns, const struct turn_op *op)
{
    int mode = op->kind == TURN_PUNCH ? FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE : 0;

    return fallocate(turns->fd, mode, (off_t)op->at, (off_t)op->len)
               ? fail(turns, "fallocate: %s", strerror(errno))
               : 0;
}

int file_apply(struct turns *turns, const struct turn_op *op)
{
    switch (op->kind) {
    case TURN_WRITE:
    case TURN_DIRECT_WRITE:
        return write_apply(turns, op);
    case TURN_READ:
        return read_check(turns, op->at, op->len);
    case TURN_DIRECT_READ:
        return direct_read_apply(turns, op);
    case TURN_TRUNCATE:
        return ftruncate(turns->fd, (off_t)op->at)
                   ? fail(turns, "ftruncate: %s", strerror(errno))
                   : 0;
    case TURN_PUNCH:
    case TURN_ALLOCATE:
        return allocate_apply(turns, op);
    case TURN_COPY:
        return copy_apply(turns, op);
    case TURN_REOPEN:
        return file_open(turns, 0);
    case TURN_FSYNC:
        return fsync(turns->fd) ? fail(turns, "fsync: %s", strerror(errno)) : 0;
    default:
        return map_apply(turns, op);
    }
}

void turn_op_print(const struct turn_op *op)
{
    static const char *const names[TURN_KINDS] = {
        [TURN_WRITE] = "write",
        [TURN_READ] = "read",
        [TURN_TRUNCATE] = "truncate",
        [TURN_PUNCH] = "punch",
        [TURN_ALLOCATE] = "allocate",
        [TURN_COPY] = "copy",
        [TURN_DIRECT_WRITE] = "direct write",
        [TURN_DIRECT_READ] = "direct read",
        [TURN_MAP_WRITE] = "map write",
        [TURN_MAP_READ] = "map read",
        [TURN_REOPEN] = "reopen",
        [TURN_FSYNC] = "fsync",
    };

    printf("turn %u rank %u: %s %zu len %zu",
           op->turn,
           op->rank,
           names[op->kind],
           op->at,
           op->len);
    if (op->kind == TURN_COPY)
        printf(" from %zu", op->from);
    printf(" (size before: %zu)\n", op->size);
}

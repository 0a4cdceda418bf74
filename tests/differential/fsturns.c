/* SPDX-License-Identifier: Apache-2.0
 * fsturns: one file worked on by several processes, on one or many nodes. In turns:
 * writes, truncations, mappings, holes and reopening at random, checked against a model
 * that every process keeps. At the same time: small records side by side, and appends.
 * The processes find each other through files of the directory alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rng.h"

enum { FILE_MAX = 768 * 1024, RECORD = 1009, RECORDS = 400, WAIT_S = 60 };

struct turns {
    const char *dir;
    unsigned rank, n_ranks, n_turns, ops_per_turn, border;
    uint64_t seed;
    bool has_mmap, is_verbose;
    int fd;
    unsigned turn;
    size_t size; /* of the model */
    uint8_t model[FILE_MAX];
    uint8_t data[FILE_MAX];
};

static int fail(const struct turns *turns, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Says what is wrong; -1. */
static int fail(const struct turns *turns, const char *format, ...)
{
    va_list args;

    printf("DIFFERENCE seed %llu rank %u turn %u: ",
           (unsigned long long)turns->seed,
           turns->rank,
           turns->turn);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    fflush(stdout);
    return -1;
}

/* ---- who may go on ---------------------------------------------------------- */

static void path_of(const struct turns *turns, char path[4096], const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void path_of(const struct turns *turns, char path[4096], const char *format, ...)
{
    va_list args;
    int n = snprintf(path, 4096, "%s/", turns->dir);

    va_start(args, format);
    vsnprintf(path + n, (size_t)(4096 - n), format, args);
    va_end(args);
}

/* A mark that others wait for: a name, which is there for all once the call has
 * returned. */
static int
mark_set(const struct turns *turns, const char *kind, unsigned turn, unsigned rank)
{
    char path[4096];
    int fd;

    path_of(turns, path, "mark.%s.%u.%u", kind, turn, rank);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        return fail(turns, "%s: %s", path, strerror(errno));
    close(fd);
    return 0;
}

static int
mark_wait(const struct turns *turns, const char *kind, unsigned turn, unsigned rank)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    time_t end = time(NULL) + WAIT_S;
    struct stat st;
    char path[4096];

    path_of(turns, path, "mark.%s.%u.%u", kind, turn, rank);
    while (stat(path, &st) != 0) {
        if (errno != ENOENT)
            return fail(turns, "%s: %s", path, strerror(errno));
        if (time(NULL) > end)
            return fail(turns, "%s: not there in time", path);
        nanosleep(&pause, NULL);
    }
    return 0;
}

static int barrier(const struct turns *turns, const char *kind)
{
    int status = mark_set(turns, kind, turns->turn, turns->rank);

    for (unsigned rank = 0; status == 0 && rank < turns->n_ranks; rank++)
        status = mark_wait(turns, kind, turns->turn, rank);
    return status;
}

/* ---- checks ----------------------------------------------------------------- */

static int range_check(
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

static int whole_check(struct turns *turns)
{
    struct stat st;

    if (fstat(turns->fd, &st) != 0 || (size_t)st.st_size != turns->size)
        return fail(turns, "size %lld, not %zu", (long long)st.st_size, turns->size);
    return read_check(turns, 0, FILE_MAX);
}

/* ---- one operation, which every process knows and one carries out ------------ */

enum turn_kind {
    TURN_WRITE,
    TURN_READ,
    TURN_TRUNCATE,
    TURN_PUNCH,
    TURN_MAP_WRITE,
    TURN_MAP_READ,
    TURN_REOPEN,
    TURN_FSYNC,
    TURN_KINDS
};

struct turn_op {
    enum turn_kind kind;
    size_t at, len;
    uint64_t seed;
};

static struct turn_op turn_op_random(struct rng *rng, const struct turns *turns)
{
    static const enum turn_kind kinds[] = {TURN_WRITE,
                                           TURN_WRITE,
                                           TURN_WRITE,
                                           TURN_WRITE,
                                           TURN_READ,
                                           TURN_READ,
                                           TURN_TRUNCATE,
                                           TURN_PUNCH,
                                           TURN_MAP_WRITE,
                                           TURN_MAP_WRITE,
                                           TURN_MAP_READ,
                                           TURN_MAP_READ,
                                           TURN_REOPEN,
                                           TURN_FSYNC};
    struct turn_op op = {.kind = kinds[rng_below(rng, sizeof kinds / sizeof *kinds)]};

    op.at = rng_below(rng, 3) == 0
                ? (size_t)turns->border * rng_below(rng, 8) + rng_below(rng, 9)
                : rng_below(rng, FILE_MAX * 3 / 4);
    op.len = rng_below(rng, 2) == 0 ? rng_below(rng, 5000) + 1
                                    : rng_below(rng, turns->border * 3) + 1;
    if (op.at + op.len > FILE_MAX)
        op.len = FILE_MAX - op.at;
    op.seed = rng_next(rng);
    return op;
}

static void model_resize(struct turns *turns, size_t size)
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

static void model_apply(struct turns *turns, const struct turn_op *op)
{
    switch (op->kind) {
    case TURN_WRITE:
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

static int file_open(struct turns *turns, int flags)
{
    char path[4096];

    path_of(turns, path, "file");
    if (turns->fd >= 0 && close(turns->fd) != 0)
        return fail(turns, "close: %s", strerror(errno));
    turns->fd = open(path, O_RDWR | flags, 0600);
    return turns->fd < 0 ? fail(turns, "open: %s", strerror(errno)) : 0;
}

static int file_apply(struct turns *turns, const struct turn_op *op)
{
    ssize_t n;

    switch (op->kind) {
    case TURN_WRITE:
        rng_fill(op->seed, turns->data, op->len);
        n = pwrite(turns->fd, turns->data, op->len, (off_t)op->at);
        return n == (ssize_t)op->len ? 0
                                     : fail(turns, "pwrite: %zd of %zu", n, op->len);
    case TURN_READ:
        return read_check(turns, op->at, op->len);
    case TURN_TRUNCATE:
        return ftruncate(turns->fd, (off_t)op->at)
                   ? fail(turns, "ftruncate: %s", strerror(errno))
                   : 0;
    case TURN_PUNCH:
        return fallocate(turns->fd,
                         FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE,
                         (off_t)op->at,
                         (off_t)op->len)
                   ? fail(turns, "fallocate: %s", strerror(errno))
                   : 0;
    case TURN_REOPEN:
        return file_open(turns, 0);
    case TURN_FSYNC:
        return fsync(turns->fd) ? fail(turns, "fsync: %s", strerror(errno)) : 0;
    default:
        return map_apply(turns, op);
    }
}

static void turn_op_print(const struct turns *turns, const struct turn_op *op)
{
    static const char *const names[TURN_KINDS] = {"write",
                                                  "read",
                                                  "truncate",
                                                  "punch",
                                                  "map write",
                                                  "map read",
                                                  "reopen",
                                                  "fsync"};

    printf("turn %u rank %u: %s %zu len %zu (size before: %zu)\n",
           turns->turn,
           turns->rank,
           names[op->kind],
           op->at,
           op->len,
           turns->size);
}

static int turn_run(struct turns *turns)
{
    struct rng rng = {.state = turns->seed * 1000003 + turns->turn};
    bool is_ours = turns->turn % turns->n_ranks == turns->rank;
    int status = 0;

    if (is_ours && turns->turn > 0)
        status = mark_wait(
            turns, "done", turns->turn - 1, (turns->turn - 1) % turns->n_ranks);
    if (is_ours && status == 0 && turns->turn > 0)
        status = whole_check(turns);
    for (unsigned i = 0; status == 0 && i < turns->ops_per_turn; i++) {
        struct turn_op op = turn_op_random(&rng, turns);

        if (is_ours && turns->is_verbose)
            turn_op_print(turns, &op);
        if (is_ours)
            status = file_apply(turns, &op);
        model_apply(turns, &op);
    }
    if (is_ours && status == 0)
        status = mark_set(turns, "done", turns->turn, turns->rank);
    return status;
}

/* ---- all at once ------------------------------------------------------------ */

/* Record i of length RECORD belongs to rank i % n_ranks: blocks and chunks are shared.
 */
static int records_run(struct turns *turns)
{
    int status;

    for (size_t i = turns->rank; i < RECORDS; i += turns->n_ranks) {
        rng_fill(turns->seed + turns->turn + i, turns->data, RECORD);
        if (pwrite(turns->fd, turns->data, RECORD, (off_t)(i * RECORD)) != RECORD)
            return fail(turns, "pwrite of a record: %s", strerror(errno));
    }
    status = barrier(turns, "records");
    if (turns->size < RECORDS * RECORD)
        model_resize(turns, RECORDS * RECORD);
    for (size_t i = 0; i < RECORDS; i++)
        rng_fill(turns->seed + turns->turn + i, turns->model + i * RECORD, RECORD);
    return status ? status : whole_check(turns);
}

/* Each appends its records; all have to be there once and in each one's order. */
static int appends_run(struct turns *turns)
{
    enum { PER_RANK = 50, WORDS = 25 };
    uint64_t record[WORDS];
    unsigned next[64] = {0};
    char path[4096];
    struct stat st;
    int fd, status = 0;

    path_of(turns, path, "appended.%u", turns->turn);
    fd = open(path, O_RDWR | O_CREAT | O_APPEND, 0600);
    for (uint64_t i = 0; fd >= 0 && i < PER_RANK; i++) {
        for (int k = 0; k < WORDS; k++)
            record[k] = (uint64_t)turns->rank << 32 | i;
        if (write(fd, record, sizeof record) != (ssize_t)sizeof record)
            status = fail(turns, "append: %s", strerror(errno));
    }
    if (fd < 0)
        return fail(turns, "%s: %s", path, strerror(errno));
    if (status == 0)
        status = barrier(turns, "appends");
    if (status == 0
        && (fstat(fd, &st) != 0
            || (size_t)st.st_size != turns->n_ranks * PER_RANK * sizeof record))
        status = fail(turns, "appended file: size %lld", (long long)st.st_size);
    for (unsigned i = 0; status == 0 && i < turns->n_ranks * PER_RANK; i++) {
        if (pread(fd, record, sizeof record, (off_t)(i * sizeof record))
            != (ssize_t)sizeof record)
            status = fail(turns, "appended file: can't be read");
        else if (record[0] >> 32 >= turns->n_ranks || record[0] != record[WORDS - 1]
                 || (uint32_t)record[0] != next[record[0] >> 32]++)
            status = fail(turns,
                          "appended file: record %u is %llx",
                          i,
                          (unsigned long long)record[0]);
    }
    close(fd);
    return status;
}

/* ---- all -------------------------------------------------------------------- */

static void clear(const struct turns *turns)
{
    static const char *const kinds[] = {"done", "records", "appends", "start", "end"};
    char path[4096];

    for (unsigned turn = 0; turn <= turns->n_turns; turn++) {
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
            for (unsigned rank = 0; rank < turns->n_ranks; rank++) {
                path_of(turns, path, "mark.%s.%u.%u", kinds[k], turn, rank);
                unlink(path);
            }
        }
        path_of(turns, path, "appended.%u", turn);
        unlink(path);
    }
    path_of(turns, path, "file");
    unlink(path);
}

static int rank_run(struct turns *turns)
{
    int status;

    turns->fd = -1;
    status = file_open(turns, O_CREAT);
    if (status == 0)
        status = barrier(turns, "start");
    for (turns->turn = 0; status == 0 && turns->turn < turns->n_turns; turns->turn++) {
        status = turn_run(turns);
        if (status != 0 || turns->turn % 10 != 9)
            continue;
        status = mark_wait(turns, "done", turns->turn, turns->turn % turns->n_ranks);
        if (status == 0)
            status = records_run(turns);
        if (status == 0)
            status = appends_run(turns);
        if (status == 0)
            status = barrier(turns, "end");
    }
    printf("rank %u: %u turns of %u operations, %s\n",
           turns->rank,
           turns->turn,
           turns->ops_per_turn,
           status == 0 ? "no difference" : "DIFFERENT");
    fflush(stdout);
    if (turns->fd >= 0)
        close(turns->fd);
    return status == 0 ? 0 : 1;
}

static void usage(void)
{
    fputs(
        "usage: fsturns [options] DIR       DIR is empty\n"
        "  -s, --seed N        (1)\n"
        "  -t, --turns N       (100); each tenth is followed by all writing at once\n"
        "  -l, --length N      operations of a turn (10)\n"
        "  -c, --chunk BYTES   chunk size (65536)\n"
        "  -p, --processes N   starts that many (2), or with\n"
        "  -r, --rank K        is only number K of N, K and N also from SLURM_PROCID\n"
        "                      and SLURM_NTASKS if K is 'slurm'; no cleaning up then\n"
        "  -m, --no-mmap       without mappings\n",
        stderr);
}

static long number_of(const char *text)
{
    return text ? strtol(text, NULL, 10) : -1;
}

static int options_parse(struct turns *turns, int argc, char **argv, long *ret_rank)
{
    static const struct option longs[] = {{"seed", 1, NULL, 's'},
                                          {"turns", 1, NULL, 't'},
                                          {"length", 1, NULL, 'l'},
                                          {"chunk", 1, NULL, 'c'},
                                          {"processes", 1, NULL, 'p'},
                                          {"rank", 1, NULL, 'r'},
                                          {"no-mmap", 0, NULL, 'm'},
                                          {"verbose", 0, NULL, 'v'},
                                          {NULL, 0, NULL, 0}};
    int id;

    *ret_rank = -1;
    turns->seed = 1;
    turns->n_turns = 100;
    turns->ops_per_turn = 10;
    turns->border = 65536;
    turns->n_ranks = 2;
    turns->has_mmap = true;
    while ((id = getopt_long(argc, argv, "s:t:l:c:p:r:mv", longs, NULL)) != -1) {
        switch (id) {
        case 's':
            turns->seed = strtoull(optarg, NULL, 10);
            break;
        case 't':
            turns->n_turns = (unsigned)number_of(optarg);
            break;
        case 'l':
            turns->ops_per_turn = (unsigned)number_of(optarg);
            break;
        case 'c':
            turns->border = (unsigned)number_of(optarg);
            break;
        case 'p':
            turns->n_ranks = (unsigned)number_of(optarg);
            break;
        case 'm':
            turns->has_mmap = false;
            break;
        case 'v':
            turns->is_verbose = true;
            break;
        case 'r':
            *ret_rank = number_of(optarg);
            if (strcmp(optarg, "slurm") == 0) {
                *ret_rank = number_of(getenv("SLURM_PROCID"));
                turns->n_ranks = (unsigned)number_of(getenv("SLURM_NTASKS"));
            }
            break;
        default:
            return -1;
        }
    }
    if (argc - optind != 1 || turns->n_ranks == 0 || turns->n_ranks > 64
        || turns->border < 4096 || turns->border > FILE_MAX / 8
        || *ret_rank >= (long)turns->n_ranks)
        return -1;
    turns->dir = argv[optind];
    return 0;
}

int main(int argc, char **argv)
{
    struct turns *turns = calloc(1, sizeof *turns);
    int failed = 0;
    long rank;

    if (!turns || options_parse(turns, argc, argv, &rank) != 0) {
        usage();
        free(turns);
        return 2;
    }
    if (rank >= 0) {
        turns->rank = (unsigned)rank;
        failed = rank_run(turns);
        free(turns);
        return failed;
    }
    for (turns->rank = 0; turns->rank < turns->n_ranks; turns->rank++) {
        pid_t pid = fork();

        if (pid == 0) {
            failed = rank_run(turns);
            free(turns);
            return failed;
        }
        failed += pid < 0;
    }
    for (int status; wait(&status) > 0;)
        failed += status != 0;
    clear(turns);
    free(turns);
    return failed ? 1 : 0;
}

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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "turns.h"

enum { RECORD = 1009, RECORDS = 400, WAIT_S = 60, OPS_OF_PART = 40 };

/* ---- who may go on ---------------------------------------------------------- */

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
        struct turn_op op = turn_op_random(&rng, turns, (struct range){0, FILE_MAX});

        turn_op_note(turns, &op, turns->turn % turns->n_ranks);
        if (is_ours && turns->is_verbose)
            turn_op_print(&op);
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

/* Each works in a part of its own, of whole blocks: in which order the parts change
 * does not matter, so all know what is in them in the end. */
static int parts_run(struct turns *turns)
{
    size_t part = FILE_MAX / turns->n_ranks / BLOCK * BLOCK;
    int status = 0;

    if (ftruncate(turns->fd, FILE_MAX) != 0)
        return fail(turns, "ftruncate: %s", strerror(errno));
    model_resize(turns, FILE_MAX);
    for (unsigned rank = 0; status == 0 && rank < turns->n_ranks; rank++) {
        struct rng rng = {.state = turns->seed * 7919 + turns->turn * 64 + rank};
        struct range range = {rank * part, (rank + 1) * part};

        for (unsigned i = 0; status == 0 && i < OPS_OF_PART; i++) {
            struct turn_op op = turn_op_random(&rng, turns, range);

            turn_op_note(turns, &op, rank);
            if (rank == turns->rank)
                status = file_apply(turns, &op);
            model_apply(turns, &op);
        }
    }
    if (status == 0)
        status = barrier(turns, "parts");
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
    static const char *const kinds[] = {
        "done", "records", "parts", "appends", "start", "cut", "end"};
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

    turns->fd = turns->direct_fd = -1;
    turns->direct = aligned_alloc(BLOCK, FILE_MAX);
    if (!turns->direct)
        return 1;
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
            status = barrier(turns, "cut"); /* all have looked */
        if (status == 0)
            status = parts_run(turns);
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
    if (turns->direct_fd >= 0)
        close(turns->direct_fd);
    free(turns->direct);
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

/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes and reads one file shared by all tasks of the step, and makes, looks at and
 * removes small ones; each phase's times are printed as a line of JSON. Tasks start
 * each phase together. Times are CLOCK_MONOTONIC, so that tasks on one machine can be
 * put on one time line. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bench_fs.h"

#define PATH_SIZE       4200
#define TRANSFERS_MAX   8
#define SMALL_SIZE      4096
#define BARRIER_POLL_NS 500000
#define BARRIER_S       120
#define NS_PER_S        UINT64_C(1000000000)

struct bench {
    const char *label;
    const char *dir;
    const char *barrier; /* a POSIX directory that all tasks share; NULL: one task */
    bool is_library;
    bool is_private; /* `dir` is each task's own: nothing is read that others wrote */
    uint32_t rank;
    uint32_t n_ranks;
    uint64_t size; /* of the file, all tasks together */
    size_t transfers[TRANSFERS_MAX];
    size_t n_transfers;
    uint32_t n_files; /* small ones, of each task */
    uint32_t n_barriers;
    struct bench_fs fs;
    uint8_t *buffer; /* of the largest transfer */
};

/* One phase's work; returns 0 or -errno. */
typedef int (*phase_fn)(struct bench *bench, size_t transfer);

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static int fail(const struct bench *bench, const char *what, int status)
{
    fprintf(stderr,
            "bench_io: %s: task %u: %s: %s\n",
            bench->label,
            bench->rank,
            what,
            strerror(-status));
    return status;
}

/* ---- all tasks together ----------------------------------------------------- */

static int
barrier_path(const struct bench *bench, uint32_t rank, char *path, size_t size)
{
    int length = snprintf(path,
                          size,
                          "%s/%s.%u.%u",
                          bench->barrier,
                          bench->label,
                          bench->n_barriers,
                          rank);

    return length > 0 && (size_t)length < size ? 0 : -ENAMETOOLONG;
}

/* A file of each task says that it is there. */
static int barrier(struct bench *bench)
{
    const struct timespec pause = {.tv_nsec = BARRIER_POLL_NS};
    uint64_t end = now_ns() + BARRIER_S * NS_PER_S;
    char path[PATH_SIZE];
    int fd;

    if (!bench->barrier || bench->n_ranks == 1)
        return 0;
    if (barrier_path(bench, bench->rank, path, sizeof(path)) < 0)
        return -ENAMETOOLONG;
    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    close(fd);
    for (uint32_t rank = 0; rank < bench->n_ranks; rank++) {
        if (barrier_path(bench, rank, path, sizeof(path)) < 0)
            return -ENAMETOOLONG;
        while (access(path, F_OK) < 0) {
            if (errno != ENOENT)
                return -errno;
            if (now_ns() > end)
                return -ETIMEDOUT;
            nanosleep(&pause, NULL);
        }
    }
    bench->n_barriers++;
    return 0;
}

static int phase_run(struct bench *bench,
                     const char *name,
                     phase_fn work,
                     size_t transfer,
                     uint64_t bytes,
                     uint64_t operations)
{
    uint64_t start, end;
    int status = barrier(bench);

    if (status < 0)
        return fail(bench, "barrier", status);
    start = now_ns();
    status = work(bench, transfer);
    end = now_ns();
    if (status < 0)
        return fail(bench, name, status);
    printf("{\"label\": \"%s\", \"rank\": %u, \"n_ranks\": %u, \"phase\": \"%s\", "
           "\"transfer_bytes\": %zu, \"bytes\": %" PRIu64 ", \"operations\": %" PRIu64
           ", \"start_ns\": %" PRIu64 ", \"end_ns\": %" PRIu64 "}\n",
           bench->label,
           bench->rank,
           bench->n_ranks,
           name,
           transfer,
           bytes,
           operations,
           start,
           end);
    fflush(stdout);
    return 0;
}

/* ---- one large file --------------------------------------------------------- */

static int large_path(const struct bench *bench, char *path)
{
    return snprintf(path, PATH_SIZE, "%s/large", bench->dir);
}

static uint64_t part_size(const struct bench *bench)
{
    return bench->size / bench->n_ranks;
}

static int large_write(struct bench *bench, size_t transfer)
{
    uint64_t at = bench->is_private ? 0 : bench->rank * part_size(bench);
    uint64_t end = at + part_size(bench);
    char path[PATH_SIZE];
    int fd, status = 0;

    large_path(bench, path);
    fd = fs_open(&bench->fs, path, O_CREAT | O_WRONLY);
    if (fd < 0)
        return fd;
    for (; status == 0 && at + transfer <= end; at += transfer) {
        ssize_t done;

        memcpy(bench->buffer, &at, sizeof(at)); /* is looked for by the reader */
        done = fs_pwrite(&bench->fs, fd, bench->buffer, transfer, (off_t)at);
        status = done < 0 ? (int)done : done == (ssize_t)transfer ? 0 : -EIO;
    }
    if (status < 0)
        (void)fs_close(&bench->fs, fd);
    else
        status = fs_close(&bench->fs, fd);
    return status;
}

/* Of what the next task has written, so that no cache of this node's knows it. */
static int large_read(struct bench *bench, size_t transfer)
{
    uint32_t whose = bench->is_private ? 0 : (bench->rank + 1) % bench->n_ranks;
    uint64_t at = whose * part_size(bench);
    uint64_t end = at + part_size(bench);
    char path[PATH_SIZE];
    int fd, status = 0;

    large_path(bench, path);
    fd = fs_open(&bench->fs, path, O_RDONLY);
    if (fd < 0)
        return fd;
    fs_forget(&bench->fs, fd);
    for (; status == 0 && at + transfer <= end; at += transfer) {
        ssize_t done = fs_pread(&bench->fs, fd, bench->buffer, transfer, (off_t)at);

        if (done < 0)
            status = (int)done;
        else if (done != (ssize_t)transfer
                 || memcmp(bench->buffer, &at, sizeof(at)) != 0)
            status = -EIO;
    }
    (void)fs_close(&bench->fs, fd);
    return status;
}

static int large_remove(const struct bench *bench, struct bench_fs *fs)
{
    char path[PATH_SIZE];

    large_path(bench, path);
    return bench->rank == 0 || bench->is_private ? fs_unlink(fs, path) : 0;
}

static int large_run(struct bench *bench)
{
    int status = 0;

    for (size_t i = 0; status == 0 && i < bench->n_transfers; i++) {
        size_t transfer = bench->transfers[i];
        uint64_t count = part_size(bench) / transfer;

        status =
            phase_run(bench, "write", large_write, transfer, count * transfer, count);
        if (status == 0)
            status =
                phase_run(bench, "read", large_read, transfer, count * transfer, count);
        if (status == 0)
            status = barrier(bench);
        if (status == 0)
            status = large_remove(bench, &bench->fs);
    }
    return status;
}

/* ---- small files ------------------------------------------------------------ */

static void small_path(const struct bench *bench, uint32_t i, char *path)
{
    snprintf(path, PATH_SIZE, "%s/r%u/f%06u", bench->dir, bench->rank, i);
}

static int small_create(struct bench *bench, size_t size)
{
    char path[PATH_SIZE];
    int status = 0;

    for (uint32_t i = 0; status == 0 && i < bench->n_files; i++) {
        ssize_t done = 0;
        int fd;

        small_path(bench, i, path);
        fd = fs_open(&bench->fs, path, O_CREAT | O_EXCL | O_WRONLY);
        if (fd < 0)
            return fd;
        if (size > 0)
            done = fs_pwrite(&bench->fs, fd, bench->buffer, size, 0);
        status = fs_close(&bench->fs, fd);
        if (done != (ssize_t)size)
            status = done < 0 ? (int)done : -EIO;
    }
    return status;
}

static int small_stat(struct bench *bench, size_t size)
{
    char path[PATH_SIZE];
    int status = 0;

    for (uint32_t i = 0; status == 0 && i < bench->n_files; i++) {
        off_t found = 0;

        small_path(bench, i, path);
        status = fs_stat(&bench->fs, path, &found);
        if (status == 0 && found != (off_t)size)
            status = -EIO;
    }
    return status;
}

static int small_read(struct bench *bench, size_t size)
{
    char path[PATH_SIZE];
    int status = 0;

    for (uint32_t i = 0; status == 0 && i < bench->n_files; i++) {
        ssize_t done;
        int fd;

        small_path(bench, i, path);
        fd = fs_open(&bench->fs, path, O_RDONLY);
        if (fd < 0)
            return fd;
        done = fs_pread(&bench->fs, fd, bench->buffer, size, 0);
        status = fs_close(&bench->fs, fd);
        if (done != (ssize_t)size)
            status = done < 0 ? (int)done : -EIO;
    }
    return status;
}

static int small_unlink(struct bench *bench, size_t size)
{
    char path[PATH_SIZE];
    int status = 0;

    (void)size;
    for (uint32_t i = 0; status == 0 && i < bench->n_files; i++) {
        small_path(bench, i, path);
        status = fs_unlink(&bench->fs, path);
    }
    return status;
}

static int small_run(struct bench *bench)
{
    static const struct {
        const char *name;
        phase_fn work;
        size_t size; /* of each file */
    } phases[] = {
        {"create", small_create, 0},
        {"stat", small_stat, 0},
        {"unlink", small_unlink, 0},
        {"write-close", small_create, SMALL_SIZE},
        {"open-read-close", small_read, SMALL_SIZE},
        {"unlink-small", small_unlink, SMALL_SIZE},
    };
    char path[PATH_SIZE];
    int status;

    snprintf(path, sizeof(path), "%s/r%u", bench->dir, bench->rank);
    status = fs_mkdir(&bench->fs, path);
    if (status < 0)
        return fail(bench, path, status);
    for (size_t i = 0; status == 0 && i < sizeof(phases) / sizeof(phases[0]); i++)
        status = phase_run(bench,
                           phases[i].name,
                           phases[i].work,
                           phases[i].size,
                           bench->n_files * phases[i].size,
                           bench->n_files);
    return status < 0 ? status : fs_rmdir(&bench->fs, path);
}

/* ---- the program ------------------------------------------------------------ */

static const char usage_text[] =
    "usage: bench_io [options]\n"
    "  --label NAME       what the lines of output are marked with\n"
    "  --library          through libbenchfs; otherwise by POSIX calls\n"
    "  --dir DIR          where (default /)\n"
    "  --private          DIR is each task's own, as a node's tmpfs is\n"
    "  --barrier DIR      shared by all tasks; made if missing\n"
    "  --size BYTES       of the large file (default 1 GiB; 0: none)\n"
    "  --transfer BYTES   of its reads and writes; repeatable\n"
    "  --files N          small files of each task (default 0)\n"
    "  --clock            print \"clock NANOSECONDS\" and nothing else\n"
    "Task and number of tasks are taken from SLURM_PROCID and SLURM_NTASKS.\n";

static const struct option options[] = {
    {"label", required_argument, NULL, 'l'},
    {"library", no_argument, NULL, 'L'},
    {"dir", required_argument, NULL, 'd'},
    {"private", no_argument, NULL, 'p'},
    {"barrier", required_argument, NULL, 'b'},
    {"size", required_argument, NULL, 's'},
    {"transfer", required_argument, NULL, 't'},
    {"files", required_argument, NULL, 'f'},
    {"clock", no_argument, NULL, 'c'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int option_take(struct bench *bench, int id)
{
    switch (id) {
    case 'l':
        bench->label = optarg;
        return 0;
    case 'L':
        bench->is_library = true;
        return 0;
    case 'd':
        bench->dir = optarg;
        return 0;
    case 'p':
        bench->is_private = true;
        return 0;
    case 'b':
        bench->barrier = optarg;
        return 0;
    case 's':
        bench->size = strtoull(optarg, NULL, 10);
        return 0;
    case 't':
        if (bench->n_transfers == TRANSFERS_MAX)
            return -E2BIG;
        bench->transfers[bench->n_transfers++] = strtoull(optarg, NULL, 10);
        return 0;
    case 'f':
        bench->n_files = (uint32_t)strtoul(optarg, NULL, 10);
        return 0;
    default:
        return -EINVAL;
    }
}

static uint32_t env_number(const char *name, uint32_t otherwise)
{
    const char *text = getenv(name);

    return text ? (uint32_t)strtoul(text, NULL, 10) : otherwise;
}

static int buffer_make(struct bench *bench)
{
    size_t size = SMALL_SIZE;

    for (size_t i = 0; i < bench->n_transfers; i++) {
        if (bench->transfers[i] < sizeof(uint64_t))
            return -EINVAL;
        if (bench->transfers[i] > size)
            size = bench->transfers[i];
    }
    if (posix_memalign((void **)&bench->buffer, SMALL_SIZE, size))
        return -ENOMEM;
    for (size_t i = 0; i < size; i++)
        bench->buffer[i] = (uint8_t)(i * 31);
    return 0;
}

static int bench_run(struct bench *bench)
{
    int status = buffer_make(bench);

    if (status < 0)
        return fail(bench, "buffer", status);
    if (bench->barrier && mkdir(bench->barrier, 0755) < 0 && errno != EEXIST)
        return fail(bench, bench->barrier, -errno);
    status = bench_fs_open(&bench->fs, bench->is_library);
    if (status == 0 && bench->size > 0)
        status = large_run(bench);
    if (status == 0 && bench->n_files > 0)
        status = small_run(bench);
    bench_fs_close(&bench->fs);
    return status;
}

int main(int argc, char **argv)
{
    struct bench bench = {
        .label = "io",
        .dir = "",
        .size = UINT64_C(1) << 30,
        .rank = env_number("SLURM_PROCID", 0),
        .n_ranks = env_number("SLURM_NTASKS", 1),
    };
    int id, status;

    while ((id = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (id == 'c')
            return printf("clock %" PRIu64 "\n", now_ns()) < 0;
        if (id == 'h')
            return fputs(usage_text, stdout) < 0;
        if (option_take(&bench, id) < 0)
            return fputs(usage_text, stderr), 2;
    }
    if (bench.n_ranks == 0)
        bench.n_ranks = 1;
    status = bench_run(&bench);
    free(bench.buffer);
    return status < 0;
}

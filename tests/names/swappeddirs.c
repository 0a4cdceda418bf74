/* SPDX-License-Identifier: Apache-2.0
 *
 * Directories change their names while other clients walk through them. One process
 * numbers what lies in a directory, puts it in the place of another one, and only then
 * publishes the number; the others must never find a lower one behind the name than
 * what was published when they began to look. Each process is a client of its own.
 * usage: swappeddirs SECONDS READERS
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <benchfs/benchfs.h>

#define DEEP "/deep/er/still"
/* Of files in the same directory, so that their names are on several targets. */
#define FILES 4u

struct shared {
    _Atomic unsigned long published;
    _Atomic int is_over;
};

static void __attribute__((noreturn)) fail(const char *what, long status)
{
    fprintf(stderr, "swappeddirs: %s: %s\n", what, strerror((int)-status));
    _exit(1);
}

static long check(const char *what, long status)
{
    if (status < 0)
        fail(what, status);
    return status;
}

static struct benchfs *join(void)
{
    struct benchfs_options options;
    char error[256] = "";
    struct benchfs *fs;

    benchfs_options_init(&options);
    options.pmix = BENCHFS_PMIX_NEVER;
    options.error = error;
    options.error_size = sizeof(error);
    if (benchfs_init(&fs, &options) < 0) {
        fprintf(stderr, "swappeddirs: %s\n", error);
        _exit(1);
    }
    return fs;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void number_put(struct benchfs *fs, const char *path, unsigned long number)
{
    int fd = (int)check(path, benchfs_open(fs, path, O_CREAT | O_WRONLY, 0644));

    check("write", benchfs_pwrite(fs, fd, &number, sizeof(number), 0));
    check("close", benchfs_close(fs, fd));
}

/* -ENOENT is for the caller to judge. */
static int number_get(struct benchfs *fs, const char *path, unsigned long *ret)
{
    int fd = benchfs_open(fs, path, O_RDONLY, 0);
    ssize_t n;

    if (fd == -ENOENT)
        return fd;
    check(path, fd);
    n = check("read", benchfs_pread(fs, fd, ret, sizeof(*ret), 0));
    check("close", benchfs_close(fs, fd));
    if (n != sizeof(*ret))
        fail("a number is cut off", -EIO);
    return 0;
}

static const char *deep_path(const char *top, unsigned i)
{
    static char path[64];

    snprintf(path, sizeof(path), "%s%s/n%u", top, DEEP, i % FILES);
    return path;
}

static void numbers_put(struct benchfs *fs, const char *top, unsigned long number)
{
    for (unsigned i = 0; i < FILES; i++)
        number_put(fs, deep_path(top, i), number);
}

static void tree_make(struct benchfs *fs, const char *top)
{
    static const char *const parts[] = {"", "/deep", "/deep/er", DEEP};
    char path[64];

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        snprintf(path, sizeof(path), "%s%s", top, parts[i]);
        check(path, benchfs_mkdir(fs, path, 0755));
    }
    numbers_put(fs, top, 0);
}

/* With a moment in which there is no such name, or without. */
static void swap(struct benchfs *fs, unsigned long k)
{
    if (k % 3) {
        check("exchange", benchfs_renameat2(fs, "/spare", "/now", RENAME_EXCHANGE));
        return;
    }
    check("rename away", benchfs_rename(fs, "/now", "/old"));
    check("rename", benchfs_rename(fs, "/spare", "/now"));
    check("rename back", benchfs_rename(fs, "/old", "/spare"));
}

/* What is removed and made anew is another directory, too. */
static void replace(struct benchfs *fs, unsigned long k)
{
    check("unlink", benchfs_unlink(fs, "/again/and/n"));
    check("rmdir", benchfs_rmdir(fs, "/again/and"));
    check("rmdir", benchfs_rmdir(fs, "/again"));
    check("mkdir", benchfs_mkdir(fs, "/again", 0755));
    check("mkdir", benchfs_mkdir(fs, "/again/and", 0755));
    number_put(fs, "/again/and/m", k);
    check("rename", benchfs_rename(fs, "/again/and/m", "/again/and/n"));
}

static void writer_run(struct shared *shared, double seconds)
{
    struct benchfs *fs = join();
    double end = now() + seconds;
    unsigned long k = 0;

    while (now() < end) {
        k++;
        numbers_put(fs, "/spare", k);
        swap(fs, k);
        replace(fs, k);
        shared->published = k;
    }
    shared->is_over = 1;
    printf("%lu swaps\n", k);
    benchfs_fini(fs);
}

/* 1: it was there. */
static int
look(struct benchfs *fs, const struct shared *shared, const char *path, int may_miss)
{
    unsigned long least = shared->published, number;
    int status = number_get(fs, path, &number);

    if (status == -ENOENT && may_miss)
        return 0;
    check(path, status);
    if (number >= least)
        return 1;
    fprintf(stderr,
            "swappeddirs: %s: %lu, when %lu was published before\n",
            path,
            number,
            least);
    _exit(1);
}

static void reader_run(const struct shared *shared, bool replaced)
{
    struct benchfs *fs = join();
    unsigned looks = 0, found = 0;

    for (; !shared->is_over; looks++)
        found += (unsigned)look(
            fs, shared, replaced ? "/again/and/n" : deep_path("/now", looks), 1);
    /* nothing moves any more */
    look(fs, shared, replaced ? "/again/and/n" : deep_path("/now", 0), 0);
    if (found < looks / 100)
        fail("hardly ever there", -ENOENT);
    printf("%u looks, found %u\n", looks, found);
    benchfs_fini(fs);
}

int main(int argc, char **argv)
{
    struct shared *shared = mmap(NULL,
                                 sizeof(*shared),
                                 PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS,
                                 -1,
                                 0);
    int n_readers = argc == 3 ? atoi(argv[2]) : 0;
    int result = 0, status;
    struct benchfs *fs;

    if (n_readers < 1 || shared == MAP_FAILED)
        return 2;
    fs = join();
    tree_make(fs, "/now");
    tree_make(fs, "/spare");
    check("mkdir", benchfs_mkdir(fs, "/again", 0755));
    check("mkdir", benchfs_mkdir(fs, "/again/and", 0755));
    number_put(fs, "/again/and/n", 0);
    benchfs_fini(fs);
    fflush(stdout);
    for (int i = 0; i <= n_readers; i++) {
        if (fork() > 0)
            continue;
        if (i == 0)
            writer_run(shared, atof(argv[1]));
        else
            reader_run(shared, i % 2);
        fflush(stdout);
        _exit(0);
    }
    while (wait(&status) > 0) {
        if (status) {
            result = 1;
            shared->is_over = 1;
        }
    }
    return result;
}

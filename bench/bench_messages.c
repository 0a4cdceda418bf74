/* SPDX-License-Identifier: Apache-2.0
 *
 * Does operations on order, through the library, so that another program can count the
 * daemons' requests before and after. Each line "NAME COUNT" on stdin is answered by
 * "NAME STATUS ENTRIES" on stdout, the latter of the last long listing; the end of
 * stdin ends it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_fs.h"

#define CHUNK     ((size_t)1 << 20) /* the service's default */
#define SMALL     4096
#define PATH_SIZE 64
/* Chunks of one call; more would need more memory than it shows. */
#define CHUNKS_MAX 64

struct messages {
    struct bench_fs fs;
    char *buffer;
    int n_listed; /* entries of the last listing */
};

static const char *name_of(const char *prefix, unsigned i)
{
    static char path[PATH_SIZE];

    snprintf(path, sizeof(path), "/messages/%s%u", prefix, i);
    return path;
}

static int
file_write(struct messages *messages, const char *path, int flags, size_t size)
{
    int fd = fs_open(&messages->fs, path, O_CREAT | O_WRONLY | flags);
    ssize_t done = 0;
    int status;

    if (fd < 0)
        return fd;
    if (size > 0)
        done = fs_pwrite(&messages->fs, fd, messages->buffer, size, 0);
    status = fs_close(&messages->fs, fd);
    return done < 0 ? (int)done : status;
}

static int file_read(struct messages *messages, const char *path, size_t size)
{
    int fd = fs_open(&messages->fs, path, O_RDONLY);
    ssize_t done;
    int status;

    if (fd < 0)
        return fd;
    done = fs_pread(&messages->fs, fd, messages->buffer, size, 0);
    status = fs_close(&messages->fs, fd);
    if (done != (ssize_t)size)
        return done < 0 ? (int)done : -EIO;
    return status;
}

/* ---- the operations; i counts from 0 ---------------------------------------- */

#define DEEP_FILE "/messages/a/deep/path/to/file"

static int do_setup(struct messages *messages, unsigned i)
{
    char path[PATH_SIZE] = DEEP_FILE;
    int status = 0;

    (void)i;
    for (char *slash = path + 1; status == 0 && (slash = strchr(slash, '/'));) {
        *slash = '\0';
        status = fs_mkdir(&messages->fs, path);
        *slash++ = '/';
    }
    return status ? status : file_write(messages, DEEP_FILE, 0, 0);
}

static int do_create(struct messages *messages, unsigned i)
{
    return file_write(messages, name_of("f", i), O_EXCL, 0);
}

static int do_stat(struct messages *messages, unsigned i)
{
    off_t size;

    return fs_stat(&messages->fs, name_of("f", i), &size);
}

static int do_stat_deep(struct messages *messages, unsigned i)
{
    off_t size;

    (void)i;
    return fs_stat(&messages->fs, DEEP_FILE, &size);
}

static int do_write_close(struct messages *messages, unsigned i)
{
    return file_write(messages, name_of("w", i), O_EXCL, SMALL);
}

static int do_open_read_close(struct messages *messages, unsigned i)
{
    return file_read(messages, name_of("w", i), SMALL);
}

static int do_rename(struct messages *messages, unsigned i)
{
    char from[PATH_SIZE];

    snprintf(from, sizeof(from), "%s", name_of("f", i));
    return fs_rename(&messages->fs, from, name_of("g", i));
}

static int do_unlink(struct messages *messages, unsigned i)
{
    return fs_unlink(&messages->fs, name_of("g", i));
}

static int do_unlink_data(struct messages *messages, unsigned i)
{
    return fs_unlink(&messages->fs, name_of("w", i));
}

static int do_mkdir(struct messages *messages, unsigned i)
{
    return fs_mkdir(&messages->fs, name_of("d", i));
}

static int do_rename_dir(struct messages *messages, unsigned i)
{
    char from[PATH_SIZE];

    snprintf(from, sizeof(from), "%s", name_of("d", i));
    return fs_rename(&messages->fs, from, name_of("e", i));
}

static int do_rmdir(struct messages *messages, unsigned i)
{
    return fs_rmdir(&messages->fs, name_of("e", i));
}

static int do_readdir(struct messages *messages, unsigned i)
{
    int count = fs_list(&messages->fs, name_of("e", i));

    return count < 0 ? count : 0;
}

static int do_chunks_write(struct messages *messages, unsigned i)
{
    (void)i;
    return file_write(messages, "/messages/chunks", 0, CHUNKS_MAX * CHUNK);
}

static int do_chunks_read(struct messages *messages, unsigned i)
{
    (void)i;
    return file_read(messages, "/messages/chunks", CHUNKS_MAX * CHUNK);
}

static int do_chunks_copy(struct messages *messages, unsigned i)
{
    int from = fs_open(&messages->fs, "/messages/chunks", O_RDONLY);
    int to = fs_open(&messages->fs, "/messages/copy", O_CREAT | O_WRONLY);
    int status = from < 0 ? from : to;

    (void)i;
    if (status >= 0)
        status = fs_copy(&messages->fs, from, to, CHUNKS_MAX * CHUNK);
    if (from >= 0)
        fs_close(&messages->fs, from);
    if (to >= 0)
        fs_close(&messages->fs, to);
    return status;
}

static int do_chunks_unlink(struct messages *messages, unsigned i)
{
    (void)i;
    return fs_unlink(&messages->fs, "/messages/chunks");
}

/* ---- a directory with many entries -------------------------------------------- */

static const char *many_name(unsigned i)
{
    static char path[PATH_SIZE];

    snprintf(path, sizeof(path), "/many/%u", i);
    return path;
}

static int do_many_setup(struct messages *messages, unsigned i)
{
    (void)i;
    return fs_mkdir(&messages->fs, "/many");
}

static int do_many(struct messages *messages, unsigned i)
{
    return file_write(messages, many_name(i), O_EXCL, 0);
}

static int do_many_list(struct messages *messages, unsigned i)
{
    int count = fs_list(&messages->fs, "/many");

    (void)i;
    messages->n_listed = count;
    return count < 0 ? count : 0;
}

static int do_many_unlink(struct messages *messages, unsigned i)
{
    return fs_unlink(&messages->fs, many_name(i));
}

static int do_many_rmdir(struct messages *messages, unsigned i)
{
    (void)i;
    return fs_rmdir(&messages->fs, "/many");
}

/* ---- orders ----------------------------------------------------------------- */

static const struct {
    const char *name;
    int (*run)(struct messages *messages, unsigned i);
} operations[] = {
    {"setup", do_setup},
    {"create", do_create},
    {"stat", do_stat},
    {"stat-deep", do_stat_deep},
    {"write-close", do_write_close},
    {"open-read-close", do_open_read_close},
    {"rename", do_rename},
    {"unlink", do_unlink},
    {"unlink-data", do_unlink_data},
    {"mkdir", do_mkdir},
    {"rename-dir", do_rename_dir},
    {"readdir", do_readdir},
    {"rmdir", do_rmdir},
    {"write-64-chunks", do_chunks_write},
    {"read-64-chunks", do_chunks_read},
    {"copy-64-chunks", do_chunks_copy},
    {"unlink-64-chunks", do_chunks_unlink},
    {"many-setup", do_many_setup},
    {"many", do_many},
    {"many-list", do_many_list},
    {"many-unlink", do_many_unlink},
    {"many-rmdir", do_many_rmdir},
};

static int order_run(struct messages *messages, const char *name, unsigned count)
{
    for (size_t o = 0; o < sizeof(operations) / sizeof(operations[0]); o++) {
        if (strcmp(operations[o].name, name) != 0)
            continue;
        for (unsigned i = 0; i < count; i++) {
            int status = operations[o].run(messages, i);

            if (status < 0)
                return status;
        }
        return 0;
    }
    return -ENOSYS;
}

int main(void)
{
    struct messages messages = {.buffer = calloc(CHUNKS_MAX, CHUNK)};
    int status = messages.buffer ? bench_fs_open(&messages.fs, true) : -ENOMEM;
    unsigned count;
    char name[32];

    while (status == 0 && scanf("%31s %u", name, &count) == 2) {
        status = order_run(&messages, name, count);
        printf("%s %d %d\n", name, status, messages.n_listed);
        status = 0;
        fflush(stdout);
    }
    bench_fs_close(&messages.fs);
    free(messages.buffer);
    return status < 0;
}

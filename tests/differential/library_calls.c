/* SPDX-License-Identifier: Apache-2.0
 * The connection, descriptors of ours, and what is done with open files.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "library_impl.h"

enum { FDS_MAX = 256 };

struct descriptor {
    bool is_used;
    int inner;
    char *path;
};

/* One thread; a process that forks uses it in its children only. */
static struct descriptor descriptors[FDS_MAX];
static struct benchfs *handle;

static void library_end(void)
{
    benchfs_fini(handle);
    handle = NULL;
}

struct benchfs *library(void)
{
    char text[256];
    struct benchfs_options options;

    if (handle)
        return handle;
    benchfs_options_init(&options);
    options.error = text;
    options.error_size = sizeof text;
    if (benchfs_init(&handle, &options) < 0) {
        fprintf(stderr, "fsdiff-library: %s\n", text);
        exit(2);
    }
    atexit(library_end);
    return handle;
}

int64_t library_result(int64_t value)
{
    if (value >= 0)
        return value;
    errno = (int)-value;
    return -1;
}

/* ---- descriptors ------------------------------------------------------------ */

bool fd_is_library(int fd)
{
    return fd >= LIBRARY_FD && fd < LIBRARY_FD + FDS_MAX
           && descriptors[fd - LIBRARY_FD].is_used;
}

int fd_inner(int fd)
{
    return descriptors[fd - LIBRARY_FD].inner;
}

const char *fd_path(int fd)
{
    return descriptors[fd - LIBRARY_FD].path;
}

int fd_add(int inner, const char *path)
{
    for (int i = 0; i < FDS_MAX; i++) {
        if (descriptors[i].is_used)
            continue;
        descriptors[i] = (struct descriptor){true, inner, strdup(path)};
        return LIBRARY_FD + i;
    }
    errno = EMFILE;
    return -1;
}

int library_close(int fd)
{
    struct descriptor *descriptor;
    int status = 0;

    if (!fd_is_library(fd))
        return close(fd);
    descriptor = &descriptors[fd - LIBRARY_FD];
    if (descriptor->inner >= 0)
        status = benchfs_close(library(), descriptor->inner);
    free(descriptor->path);
    *descriptor = (struct descriptor){.is_used = false};
    return (int)library_result(status);
}

void place_find(int dir, const char *path, struct place_path *ret)
{
    static const char scheme[] = "benchfs:", by_fd[] = "/proc/self/fd/";

    *ret = (struct place_path){.is_library = false};
    if (strncmp(path, by_fd, sizeof by_fd - 1) == 0) {
        char *end;
        long fd = strtol(path + sizeof by_fd - 1, &end, 10);

        if (fd > INT_MAX || !fd_is_library((int)fd))
            return;
        ret->is_library = true;
        snprintf(ret->text, sizeof ret->text, "%s%s", fd_path((int)fd), end);
    } else if (strncmp(path, scheme, sizeof scheme - 1) == 0) {
        ret->is_library = true;
        snprintf(ret->text, sizeof ret->text, "%s", path + sizeof scheme - 1);
    } else if (fd_is_library(dir)) {
        ret->is_library = true;
        snprintf(ret->text,
                 sizeof ret->text,
                 "%s%s%s",
                 fd_path(dir),
                 *path ? "/" : "",
                 path);
    }
}

/* ---- open files ------------------------------------------------------------- */

int library_fstat(int fd, struct stat *ret)
{
    if (!fd_is_library(fd))
        return fstat(fd, ret);
    if (fd_inner(fd) < 0)
        return (int)library_result(benchfs_stat(library(), fd_path(fd), ret));
    return (int)library_result(benchfs_fstat(library(), fd_inner(fd), ret));
}

int library_fchmod(int fd, mode_t mode)
{
    if (!fd_is_library(fd))
        return fchmod(fd, mode);
    return (int)library_result(benchfs_fchmod(library(), fd_inner(fd), mode));
}

int library_futimens(int fd, const struct timespec times[2])
{
    if (!fd_is_library(fd))
        return futimens(fd, times);
    return (int)library_result(benchfs_futimens(library(), fd_inner(fd), times));
}

int library_ftruncate(int fd, off_t size)
{
    if (!fd_is_library(fd))
        return ftruncate(fd, size);
    return (int)library_result(benchfs_ftruncate(library(), fd_inner(fd), size));
}

ssize_t library_pread(int fd, void *data, size_t size, off_t offset)
{
    if (!fd_is_library(fd))
        return pread(fd, data, size, offset);
    return library_result(benchfs_pread(library(), fd_inner(fd), data, size, offset));
}

ssize_t library_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    if (!fd_is_library(fd))
        return pwrite(fd, data, size, offset);
    return library_result(benchfs_pwrite(library(), fd_inner(fd), data, size, offset));
}

ssize_t library_read(int fd, void *data, size_t size)
{
    if (!fd_is_library(fd))
        return read(fd, data, size);
    return library_result(benchfs_read(library(), fd_inner(fd), data, size));
}

ssize_t library_write(int fd, const void *data, size_t size)
{
    if (!fd_is_library(fd))
        return write(fd, data, size);
    return library_result(benchfs_write(library(), fd_inner(fd), data, size));
}

off_t library_lseek(int fd, off_t offset, int whence)
{
    if (!fd_is_library(fd))
        return lseek(fd, offset, whence);
    return library_result(benchfs_lseek(library(), fd_inner(fd), offset, whence));
}

int library_fsync(int fd)
{
    if (!fd_is_library(fd))
        return fsync(fd);
    return (int)library_result(benchfs_fsync(library(), fd_inner(fd)));
}

int library_fdatasync(int fd)
{
    if (!fd_is_library(fd))
        return fdatasync(fd);
    return (int)library_result(benchfs_fdatasync(library(), fd_inner(fd)));
}

int library_fallocate(int fd, int mode, off_t offset, off_t size)
{
    if (!fd_is_library(fd))
        return fallocate(fd, mode, offset, size);
    return (int)library_result(
        benchfs_fallocate(library(), fd_inner(fd), mode, offset, size));
}

ssize_t library_copy_file_range(
    int from, off_t *from_at, int to, off_t *to_at, size_t size, unsigned flags)
{
    if (!fd_is_library(from))
        return copy_file_range(from, from_at, to, to_at, size, flags);
    return library_result(benchfs_copy_file_range(
        library(), fd_inner(from), from_at, fd_inner(to), to_at, size, flags));
}

/* ---- directories ------------------------------------------------------------ */

struct library_dir {
    int fd; /* owned */
    DIR *kernel;
    struct benchfs_dir *inner;
    struct dirent entry;
};

struct library_dir *library_fdopendir(int fd)
{
    struct library_dir *dir = calloc(1, sizeof *dir);
    int status = 0;

    if (!dir)
        return NULL;
    dir->fd = fd;
    if (fd_is_library(fd))
        status =
            (int)library_result(benchfs_opendir(library(), fd_path(fd), &dir->inner));
    else
        dir->kernel = fdopendir(fd);
    if (status == 0 && (dir->kernel || dir->inner))
        return dir;
    free(dir);
    return NULL;
}

struct dirent *library_readdir(struct library_dir *dir)
{
    struct dirent *entry;

    if (dir->inner)
        return library_result(benchfs_readdir(dir->inner, &dir->entry)) > 0
                   ? &dir->entry
                   : NULL;
    do
        entry = readdir(dir->kernel);
    while (entry
           && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
    return entry;
}

long library_telldir(struct library_dir *dir)
{
    return dir->inner ? benchfs_telldir(dir->inner) : telldir(dir->kernel);
}

void library_seekdir(struct library_dir *dir, long position)
{
    if (dir->inner)
        benchfs_seekdir(dir->inner, position);
    else
        seekdir(dir->kernel, position);
}

void library_rewinddir(struct library_dir *dir)
{
    if (dir->inner)
        benchfs_rewinddir(dir->inner);
    else
        rewinddir(dir->kernel);
}

int library_closedir(struct library_dir *dir)
{
    int status;

    if (dir->inner) {
        status = (int)library_result(benchfs_closedir(dir->inner));
        library_close(dir->fd);
    } else {
        status = closedir(dir->kernel);
    }
    free(dir);
    return status;
}

int library_dirfd(struct library_dir *dir)
{
    return dir->fd;
}

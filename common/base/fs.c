/* SPDX-License-Identifier: Apache-2.0
 * Small jobs on the local file system: directories, whole transfers, whole files. */
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/proc.h"
#include "base/random.h"

#define READ_STEP 4096

static int make_dir(const char *path, mode_t mode)
{
    struct stat st;

    if (mkdir(path, mode) == 0)
        return 0;
    /* Some file systems answer otherwise than EEXIST for what is there. */
    int code = errno;
    if (stat(path, &st) < 0)
        return -code;
    return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int fs_mkdir_p(const char *path, mode_t mode)
{
    char partial[PATH_MAX];
    size_t length = strlen(path);

    if (length == 0)
        return -ENOENT;
    if (length >= sizeof(partial))
        return -ENAMETOOLONG;
    memcpy(partial, path, length + 1);
    for (char *slash = partial + 1; (slash = strchr(slash, '/')); slash++) {
        int status;

        *slash = '\0';
        status = make_dir(partial, mode);
        if (status < 0)
            return status;
        *slash = '/';
    }
    return make_dir(partial, mode);
}

static int open_child_dir(int dirfd, const char *name, bool may_create, mode_t mode)
{
    int fd;

    if (may_create && mkdirat(dirfd, name, mode) < 0 && errno != EEXIST)
        return -errno;
    fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int fs_dir_open_beneath(int dirfd, const char *path, bool may_create, mode_t mode)
{
    char copy[PATH_MAX];
    char *rest = copy;
    char *name;
    int fd;

    if (path[0] == '/')
        return -EINVAL;
    if (strlen(path) >= sizeof(copy))
        return -ENAMETOOLONG;
    memcpy(copy, path, strlen(path) + 1);
    fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    while ((name = strsep(&rest, "/"))) {
        int child;

        if (name[0] == '\0' || strcmp(name, ".") == 0)
            continue;
        child = strcmp(name, "..") == 0 ? -EINVAL
                                        : open_child_dir(fd, name, may_create, mode);
        close(fd);
        if (child < 0)
            return child;
        fd = child;
    }
    return fd;
}

int fs_write_all(int fd, const void *data, size_t size)
{
    const char *next = data;

    while (size > 0) {
        ssize_t done = write(fd, next, size);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -errno;
        next += done;
        size -= (size_t)done;
    }
    return 0;
}

int fs_pwrite_all(int fd, const void *data, size_t size, off_t offset)
{
    const char *next = data;

    while (size > 0) {
        ssize_t done = pwrite(fd, next, size, offset);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -errno;
        next += done;
        size -= (size_t)done;
        offset += done;
    }
    return 0;
}

ssize_t fs_read_all(int fd, void *data, size_t size)
{
    size_t total = 0;

    while (total < size) {
        ssize_t done = read(fd, (char *)data + total, size - total);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -errno;
        if (done == 0)
            break;
        total += (size_t)done;
    }
    return (ssize_t)total;
}

ssize_t fs_pread_all(int fd, void *data, size_t size, off_t offset)
{
    size_t total = 0;

    while (total < size) {
        ssize_t done =
            pread(fd, (char *)data + total, size - total, offset + (off_t)total);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -errno;
        if (done == 0)
            break;
        total += (size_t)done;
    }
    return (ssize_t)total;
}

/* Fills `bytes` to the end of the file; its limit has room for the NUL and for one byte
 * too many, by which a file that is too big is recognised. */
static int read_to_end(int fd, struct bytes *bytes)
{
    for (;;) {
        size_t room = bytes->limit - bytes->size;
        size_t step = room < READ_STEP ? room : READ_STEP;
        ssize_t done;
        int status;

        if (step == 0)
            return -EFBIG;
        status = bytes_reserve(bytes, step);
        if (status < 0)
            return status;
        done = fs_read_all(fd, bytes->data + bytes->size, step);
        if (done < 0)
            return (int)done;
        bytes->size += (size_t)done;
        if ((size_t)done < step)
            return 0;
    }
}

int fs_fd_read(int fd, size_t limit, char **ret_text, size_t *ret_size)
{
    struct bytes bytes;
    size_t size;
    int status;

    if (limit > SSIZE_MAX - 2)
        limit = SSIZE_MAX - 2;
    bytes_init(&bytes, limit + 1);
    status = read_to_end(fd, &bytes);
    if (status == 0)
        status = bytes_append_zero(&bytes, 1);
    if (status < 0) {
        bytes_fini(&bytes);
        return status == -EMSGSIZE ? -EFBIG : status;
    }
    *ret_text = (char *)bytes_take(&bytes, &size);
    if (ret_size)
        *ret_size = size - 1;
    return 0;
}

int fs_file_read(const char *path, size_t limit, char **ret_text, size_t *ret_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int status;

    if (fd < 0)
        return -errno;
    status = fs_fd_read(fd, limit, ret_text, ret_size);
    close(fd);
    return status;
}

/* Makes the name of a file beside `name`: hidden, and not guessable. */
static int make_aside_name(const char *name, char *aside, size_t size)
{
    const char *slash = strrchr(name, '/');
    int dir_length = slash ? (int)(slash - name) + 1 : 0;
    uint64_t random;
    int status = random_u64(&random);

    if (status < 0)
        return status;
    if (snprintf(aside, size, "%.*s.benchfs-%016" PRIx64, dir_length, name, random)
        >= (int)size)
        return -ENAMETOOLONG;
    return 0;
}

static int sync_parent(int dirfd, const char *name)
{
    char parent[PATH_MAX] = ".";
    const char *slash = strrchr(name, '/');
    int fd;
    int status;

    if (slash)
        snprintf(parent, sizeof(parent), "%.*s", (int)(slash - name) + 1, name);
    fd = openat(dirfd, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    /* Some file systems can't sync a directory, and don't need to. */
    status = fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
    close(fd);
    return status;
}

static int fill_file(int fd, const void *data, size_t size, mode_t mode)
{
    int status = fs_write_all(fd, data, size);

    if (status == 0 && fchmod(fd, mode) < 0)
        status = -errno;
    if (status == 0 && fsync(fd) < 0)
        status = -errno;
    return status;
}

int fs_file_write_atomic(
    int dirfd, const char *name, const void *data, size_t size, mode_t mode)
{
    char aside[PATH_MAX];
    int status = make_aside_name(name, aside, sizeof(aside));
    int fd;

    if (status < 0)
        return status;
    fd = openat(
        dirfd, aside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    status = fill_file(fd, data, size, mode);
    if (close(fd) < 0 && status == 0)
        status = -errno;
    if (status == 0 && renameat(dirfd, aside, dirfd, name) < 0)
        status = -errno;
    if (status < 0) {
        unlinkat(dirfd, aside, 0);
        return status;
    }
    return sync_parent(dirfd, name);
}

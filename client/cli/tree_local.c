/* SPDX-License-Identifier: Apache-2.0
 * The node's own files. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/tree.h"

struct tree_file {
    int fd;
};

static int64_t time_ns(struct timespec time)
{
    return (int64_t)time.tv_sec * (int64_t)CLOCK_NS_PER_SEC + time.tv_nsec;
}

static struct timespec time_spec(int64_t ns)
{
    int64_t second = (int64_t)CLOCK_NS_PER_SEC;
    int64_t rest = ((ns % second) + second) % second;

    return (struct timespec){.tv_sec = (ns - rest) / second, .tv_nsec = rest};
}

static int
local_stat(struct tree *tree, const char *path, bool follow, struct tree_stat *ret)
{
    struct stat st;

    (void)tree;
    if (fstatat(AT_FDCWD, path, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    *ret = (struct tree_stat){
        .ino = st.st_ino,
        .mode = st.st_mode,
        .uid = st.st_uid,
        .gid = st.st_gid,
        .nlink = (uint32_t)st.st_nlink,
        .size = (uint64_t)st.st_size,
        .atime_ns = time_ns(st.st_atim),
        .mtime_ns = time_ns(st.st_mtim),
    };
    return 0;
}

static int local_readlink(struct tree *tree, const char *path, char *buf, size_t size)
{
    ssize_t n = readlink(path, buf, size - 1);

    (void)tree;
    if (n < 0)
        return -errno;
    buf[n] = '\0';
    return (size_t)n == size - 1 ? -ENAMETOOLONG : 0;
}

static int local_list(struct tree *tree, const char *path, struct tree_names *ret)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    int rc = 0;

    (void)tree;
    if (!dir)
        return -errno;
    while (rc == 0 && (errno = 0, entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            rc = tree_names_add(ret, entry->d_name);
    }
    if (rc == 0)
        rc = -errno;
    closedir(dir);
    tree_names_sort(ret);
    return rc;
}

static int local_mkdir(struct tree *tree, const char *path, uint32_t mode)
{
    struct stat st;

    (void)tree;
    if (mkdir(path, mode & 07777) == 0)
        return 0;
    if (errno == EEXIST && stat(path, &st) == 0)
        return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
    return -errno;
}

static int local_symlink(struct tree *tree, const char *path, const char *text)
{
    (void)tree;
    return symlink(text, path) < 0 ? -errno : 0;
}

static int file_open(const char *path, int flags, uint32_t mode, struct tree_file **ret)
{
    struct tree_file *file = malloc(sizeof(*file));

    if (!file)
        return -ENOMEM;
    file->fd = open(path, flags | O_CLOEXEC, mode & 0777);
    if (file->fd < 0) {
        int rc = -errno;

        free(file);
        return rc;
    }
    *ret = file;
    return 0;
}

static int local_open(struct tree *tree, const char *path, struct tree_file **ret)
{
    (void)tree;
    return file_open(path, O_RDONLY, 0, ret);
}

static int
local_create(struct tree *tree, const char *path, uint32_t mode, struct tree_file **ret)
{
    (void)tree;
    return file_open(path, O_WRONLY | O_CREAT | O_TRUNC, mode, ret);
}

static ssize_t
local_read(struct tree_file *file, void *data, size_t size, uint64_t offset)
{
    ssize_t n = pread(file->fd, data, size, (off_t)offset);

    return n < 0 ? -errno : n;
}

static ssize_t
local_write(struct tree_file *file, const void *data, size_t size, uint64_t offset)
{
    ssize_t n = pwrite(file->fd, data, size, (off_t)offset);

    return n < 0 ? -errno : n;
}

static int local_truncate(struct tree *tree, const char *path, uint64_t size)
{
    (void)tree;
    return truncate(path, (off_t)size) < 0 ? -errno : 0;
}

static int local_close(struct tree_file *file)
{
    int rc = close(file->fd) < 0 ? -errno : 0;

    free(file);
    return rc;
}

static int
local_attributes_set(struct tree *tree, const char *path, const struct tree_stat *from)
{
    const struct timespec times[2] = {time_spec(from->atime_ns),
                                      time_spec(from->mtime_ns)};

    (void)tree;
    if (chmod(path, from->mode & 07777) < 0 || utimensat(AT_FDCWD, path, times, 0) < 0)
        return -errno;
    return 0;
}

const struct tree_ops tree_local_ops = {
    .stat = local_stat,
    .readlink = local_readlink,
    .list = local_list,
    .mkdir = local_mkdir,
    .symlink = local_symlink,
    .open = local_open,
    .create = local_create,
    .read = local_read,
    .write = local_write,
    .truncate = local_truncate,
    .close = local_close,
    .attributes_set = local_attributes_set,
};

/* SPDX-License-Identifier: Apache-2.0
 *
 * The path-based API: opening files, and moving data through descriptors.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/api.h"
#include "client/api_file.h"
#include "proto/wire.h"

#define OPEN_FLAGS_KNOWN                                                               \
    (O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | O_APPEND | O_DIRECTORY | O_NOFOLLOW      \
     | O_SYNC | O_DSYNC | O_CLOEXEC | O_DIRECT | O_NOCTTY | O_NONBLOCK | O_LARGEFILE   \
     | O_NOATIME)

/* While others replace the file again and again. */
#define OPEN_TRIES 16

/* ---- open ------------------------------------------------------------ */

static int open_flags_get(int flags, uint32_t *ret)
{
    uint32_t open_flags;

    if (flags & ~OPEN_FLAGS_KNOWN)
        return -EINVAL;
    switch (flags & O_ACCMODE) {
    case O_RDONLY:
        open_flags = OPEN_READ;
        break;
    case O_WRONLY:
        open_flags = OPEN_WRITE;
        break;
    case O_RDWR:
        open_flags = OPEN_READ | OPEN_WRITE;
        break;
    default:
        return -EINVAL;
    }
    if ((flags & O_APPEND) && (open_flags & OPEN_WRITE))
        open_flags |= OPEN_APPEND;
    if ((flags & O_TRUNC) && (open_flags & OPEN_WRITE))
        open_flags |= OPEN_TRUNCATE;
    *ret = open_flags;
    return 0;
}

static int existing_check(const struct benchfs *fs,
                          const struct wire_attr *attr,
                          int flags,
                          uint32_t open_flags)
{
    bool is_changed = open_flags & OPEN_WRITE || flags & O_TRUNC;
    int mask = (open_flags & OPEN_READ ? R_OK : 0) | (is_changed ? W_OK : 0);

    if (S_ISLNK(attr->mode)) /* O_NOFOLLOW */
        return flags & O_DIRECTORY ? -ENOTDIR : -ELOOP;
    if (S_ISDIR(attr->mode) && (is_changed || flags & O_CREAT))
        return -EISDIR;
    if (!S_ISDIR(attr->mode) && flags & O_DIRECTORY)
        return -ENOTDIR;
    if (!S_ISDIR(attr->mode) && !S_ISREG(attr->mode))
        return -ENXIO;
    return api_permission_check(fs, attr, mask);
}

/* Linux cuts a file also when it is opened for reading only. */
static int reader_truncate(struct benchfs *fs, uint64_t ino)
{
    struct msg_setattr_request change = {.ino = ino, .mask = SETATTR_SIZE};
    struct wire_attr attr;

    return client_setattr(fs->client, &change, &attr);
}

static int file_open(struct benchfs *fs,
                     const struct wire_attr *attr,
                     int flags,
                     uint32_t open_flags,
                     struct client_file **ret)
{
    int status = existing_check(fs, attr, flags, open_flags);

    *ret = NULL;
    if (status < 0 || S_ISDIR(attr->mode))
        return status;
    if (flags & O_TRUNC && !(open_flags & OPEN_WRITE))
        status = reader_truncate(fs, attr->ino);
    if (status < 0)
        return status;
    return client_file_open(fs->client, attr->ino, open_flags, ret);
}

static int file_create(struct benchfs *fs,
                       const struct api_place *place,
                       int flags,
                       uint32_t open_flags,
                       mode_t mode,
                       struct wire_attr *ret_attr,
                       struct client_file **ret)
{
    struct msg_create_request what;
    int status = 0;

    if (place->has_slash)
        return -EISDIR;
    if (place->has_parent_attr)
        status = api_permission_check(fs, &place->parent_attr, W_OK | X_OK);
    if (status < 0)
        return status;
    api_create_fill(fs, place, S_IFREG | (mode & 07777 & ~fs->umask), &what);
    if (flags & O_EXCL)
        what.flags = CREATE_EXCL;
    return client_file_create(
        fs->client, place->parent, place->name, &what, open_flags, ret_attr, ret);
}

static int fd_make(struct benchfs *fs,
                   struct client_file *client_file,
                   uint64_t ino,
                   int flags,
                   uint32_t open_flags)
{
    struct api_file *file = api_file_new(ino, flags, open_flags);
    int fd = -ENOMEM;

    if (file) {
        file->file = client_file;
        fd = api_fd_add(fs, file);
    }
    if (fd < 0) {
        api_file_free(file);
        if (client_file)
            client_file_close(client_file);
    }
    return fd;
}

/* -ESTALE: what the path led to was removed or replaced before it could be opened. */
static int path_open(struct benchfs *fs,
                     const char *path,
                     int flags,
                     uint32_t open_flags,
                     mode_t mode,
                     uint64_t *ret_ino,
                     struct client_file **ret)
{
    bool is_exclusive = (flags & O_CREAT) && (flags & O_EXCL);
    bool is_followed = !is_exclusive && !(flags & O_NOFOLLOW);
    unsigned follow =
        (is_followed ? API_FOLLOW : API_NOFOLLOW) | (flags & O_CREAT ? API_MAKES : 0);
    struct api_place place;
    int status = api_walk(fs, path, follow, &place);

    if (status < 0)
        return status;
    if (place.is_found && is_exclusive)
        return -EEXIST;
    if (place.is_found) {
        status = file_open(fs, &place.attr, flags, open_flags, ret);
        if (status == -ENOENT)
            status = -ESTALE;
    } else if (flags & O_CREAT) {
        status = file_create(fs, &place, flags, open_flags, mode, &place.attr, ret);
        if (api_walk_again(fs, &place, status))
            status = -ESTALE;
    } else {
        status = -ENOENT;
    }
    *ret_ino = place.attr.ino;
    return status;
}

/* O_CREAT with a slash at the end is refused whatever the last name is, or is not; only
 * what leads to it may be wrong before that. */
static int slash_refuse(struct benchfs *fs, const char *path)
{
    const char *inside = api_path_strip(path, fs->options.mount, fs->mount_len);
    size_t len = inside ? strlen(inside) : 0;
    char text[PATH_MAX];
    struct api_place place;
    int status;

    if (!inside)
        return -EINVAL;
    if (strlen(path) >= PATH_MAX)
        return -ENAMETOOLONG;
    while (len > 0 && inside[len - 1] == '/')
        len--;
    while (len > 0 && inside[len - 1] != '/')
        len--;
    if (len == 0)
        return -EISDIR;
    memcpy(text, inside, len);
    memcpy(text + len, "x", 2);
    status = api_walk(fs, text, API_ENTRY, &place);
    return status < 0 ? status : -EISDIR;
}

int benchfs_open(struct benchfs *fs, const char *path, int flags, mode_t mode)
{
    struct client_file *file = NULL;
    uint32_t open_flags = 0;
    uint64_t ino = 0;
    int status = api_enter(fs);

    if (status == 0)
        status = open_flags_get(flags, &open_flags);
    if (status < 0)
        return status;
    if ((flags & O_CREAT) && (flags & O_DIRECTORY))
        return -EINVAL;
    if (flags & O_CREAT && path[0] && path[strlen(path) - 1] == '/')
        return slash_refuse(fs, path);
    status = -ESTALE;
    for (int i = 0; i < OPEN_TRIES && status == -ESTALE; i++)
        status = path_open(fs, path, flags, open_flags, mode, &ino, &file);
    if (status < 0)
        return status;
    return fd_make(fs, file, ino, flags, open_flags);
}

int benchfs_creat(struct benchfs *fs, const char *path, mode_t mode)
{
    return benchfs_open(fs, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

int benchfs_close(struct benchfs *fs, int fd)
{
    int status = api_enter(fs);

    return status < 0 ? status : api_fd_close(fs, fd);
}

/* ---- descriptors ----------------------------------------------------- */

int api_file_get(struct benchfs *fs, int fd, struct api_file **ret)
{
    struct api_file *file;
    int status = api_enter(fs);

    if (status < 0)
        return status;
    file = api_fd_get(fs, fd);
    if (!file)
        return -EBADF;
    status = file->status;
    if (status < 0) {
        api_fd_put(fs, file);
        return status;
    }
    *ret = file;
    return 0;
}

int api_data_get(struct benchfs *fs, int fd, struct api_file **ret)
{
    struct api_file *file;
    int status = api_file_get(fs, fd, &file);

    if (status < 0)
        return status;
    if (!file->file) {
        api_fd_put(fs, file);
        return -EISDIR;
    }
    *ret = file;
    return 0;
}

/* ---- transfers ------------------------------------------------------- */

static ssize_t
append_all(struct api_file *file, const struct iovec *iov, uint64_t *ret_end)
{
    size_t done = 0;

    while (done < iov->iov_len) {
        size_t left = iov->iov_len - done;
        struct iovec part = {
            .iov_base = (char *)iov->iov_base + done,
            .iov_len = left < WIRE_PAYLOAD_MAX ? left : WIRE_PAYLOAD_MAX,
        };
        uint64_t offset;
        ssize_t n = client_file_append(file->file, &part, 1, &offset);

        if (n < 0)
            return done > 0 ? (ssize_t)done : n;
        done += (size_t)n;
        *ret_end = offset + (uint64_t)n;
    }
    return (ssize_t)done;
}

static ssize_t written(struct api_file *file, ssize_t n)
{
    int status = 0;

    if (n > 0 && file->flags & (O_SYNC | O_DSYNC))
        status = client_file_sync(file->file, true);
    return status < 0 ? status : n;
}

ssize_t benchfs_preadv(
    struct benchfs *fs, int fd, const struct iovec *iov, int n_iov, off_t offset)
{
    struct api_file *file;
    ssize_t n;
    int status = api_data_get(fs, fd, &file);

    if (status < 0)
        return status;
    n = -EINVAL;
    if (offset >= 0)
        n = client_file_readv(file->file, iov, n_iov, (uint64_t)offset);
    api_fd_put(fs, file);
    return n;
}

ssize_t benchfs_pwritev(
    struct benchfs *fs, int fd, const struct iovec *iov, int n_iov, off_t offset)
{
    struct api_file *file;
    ssize_t n;
    int status = api_data_get(fs, fd, &file);

    if (status < 0)
        return status;
    n = -EINVAL;
    if (offset >= 0)
        n = written(file, client_file_writev(file->file, iov, n_iov, (uint64_t)offset));
    api_fd_put(fs, file);
    return n;
}

ssize_t benchfs_pread(struct benchfs *fs, int fd, void *buf, size_t size, off_t offset)
{
    struct iovec iov = {.iov_base = buf, .iov_len = size};

    return benchfs_preadv(fs, fd, &iov, 1, offset);
}

ssize_t
benchfs_pwrite(struct benchfs *fs, int fd, const void *buf, size_t size, off_t offset)
{
    struct iovec iov = {.iov_base = (void *)buf, .iov_len = size};

    return benchfs_pwritev(fs, fd, &iov, 1, offset);
}

ssize_t benchfs_read(struct benchfs *fs, int fd, void *buf, size_t size)
{
    struct iovec iov = {.iov_base = buf, .iov_len = size};
    struct api_file *file;
    ssize_t n;
    int status = api_data_get(fs, fd, &file);

    if (status < 0)
        return status;
    pthread_mutex_lock(&file->position_lock);
    n = client_file_readv(file->file, &iov, 1, file->position);
    if (n > 0)
        file->position += (uint64_t)n;
    pthread_mutex_unlock(&file->position_lock);
    api_fd_put(fs, file);
    return n;
}

ssize_t benchfs_write(struct benchfs *fs, int fd, const void *buf, size_t size)
{
    struct iovec iov = {.iov_base = (void *)buf, .iov_len = size};
    struct api_file *file;
    ssize_t n;
    int status = api_data_get(fs, fd, &file);

    if (status < 0)
        return status;
    if (!(file->open_flags & OPEN_WRITE)) {
        api_fd_put(fs, file);
        return -EBADF;
    }
    pthread_mutex_lock(&file->position_lock);
    if (file->open_flags & OPEN_APPEND) {
        n = append_all(file, &iov, &file->position);
    } else {
        n = client_file_writev(file->file, &iov, 1, file->position);
        if (n > 0)
            file->position += (uint64_t)n;
    }
    pthread_mutex_unlock(&file->position_lock);
    n = written(file, n);
    api_fd_put(fs, file);
    return n;
}

/* With position_lock. */
static off_t
seek_target(struct benchfs *fs, struct api_file *file, off_t offset, int whence)
{
    struct wire_attr attr;
    off_t base = 0;
    int status;

    switch (whence) {
    case SEEK_SET:
        break;
    case SEEK_CUR:
        base = (off_t)file->position;
        break;
    case SEEK_END:
        status = client_getattr(fs->client, file->ino, &attr);
        if (status < 0)
            return status;
        base = (off_t)attr.size;
        break;
    case SEEK_DATA:
    case SEEK_HOLE:
        return offset < 0 ? -ENXIO
                          : client_file_seek(file->file, (uint64_t)offset, whence);
    default:
        return -EINVAL;
    }
    if (offset > 0 && base > INT64_MAX - offset)
        return -EOVERFLOW;
    return base + offset < 0 ? -EINVAL : base + offset;
}

off_t benchfs_lseek(struct benchfs *fs, int fd, off_t offset, int whence)
{
    struct api_file *file;
    off_t target;
    int status = api_data_get(fs, fd, &file);

    if (status < 0)
        return status;
    pthread_mutex_lock(&file->position_lock);
    target = seek_target(fs, file, offset, whence);
    if (target >= 0)
        file->position = (uint64_t)target;
    pthread_mutex_unlock(&file->position_lock);
    api_fd_put(fs, file);
    return target;
}

/* ---- the whole file -------------------------------------------------- */

int benchfs_fsync(struct benchfs *fs, int fd)
{
    struct api_file *file;
    int status = api_file_get(fs, fd, &file);

    if (status < 0)
        return status;
    /* A directory is as durable as it gets when a change of it returns. */
    if (file->file)
        status = client_file_sync(file->file, true);
    api_fd_put(fs, file);
    return status;
}

int benchfs_fdatasync(struct benchfs *fs, int fd)
{
    return benchfs_fsync(fs, fd);
}

int benchfs_ftruncate(struct benchfs *fs, int fd, off_t size)
{
    struct msg_setattr_request change = {.mask = SETATTR_SIZE, .size = (uint64_t)size};
    struct wire_attr attr;
    struct api_file *file;
    int status = api_file_get(fs, fd, &file);

    if (status < 0)
        return status;
    change.ino = file->ino;
    if (size < 0 || !file->file || !(file->open_flags & OPEN_WRITE))
        status = -EINVAL;
    else
        status = client_file_check(file->file);
    if (status == 0)
        status = client_setattr(fs->client, &change, &attr);
    api_fd_put(fs, file);
    return status;
}

int benchfs_fallocate(struct benchfs *fs, int fd, int mode, off_t offset, off_t length)
{
    struct api_file *file;
    int status = api_data_get(fs, fd, &file);

    if (status < 0)
        return status;
    if (offset < 0 || length <= 0)
        status = -EINVAL;
    else
        status =
            client_file_fallocate(file->file, mode, (uint64_t)offset, (uint64_t)length);
    api_fd_put(fs, file);
    return status;
}

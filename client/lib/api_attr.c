/* SPDX-License-Identifier: Apache-2.0
 *
 * The path-based API: attributes of files, of the file system, and extended ones.
 */
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "client/api.h"
#include "client/api_file.h"

#define BLOCK_SIZE 4096u

/* ---- stat ------------------------------------------------------------ */

static struct timespec timespec_from_ns(int64_t ns)
{
    struct timespec time = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};

    if (time.tv_nsec < 0) {
        time.tv_sec--;
        time.tv_nsec += 1000000000;
    }
    return time;
}

static void
stat_fill(const struct benchfs *fs, const struct wire_attr *attr, struct stat *ret)
{
    /* One number per service, the same on all nodes, that no block device has. */
    uint64_t job = 0;

    for (const char *c = client_table(fs->client)->job; *c; c++)
        job = job * 31 + (unsigned char)*c;
    memset(ret, 0, sizeof(*ret));
    ret->st_dev = makedev(0xbf5, job & 0xfffff);
    ret->st_ino = attr->ino;
    ret->st_mode = attr->mode;
    ret->st_nlink = attr->nlink;
    ret->st_uid = attr->uid;
    ret->st_gid = attr->gid;
    ret->st_rdev = attr->rdev;
    ret->st_size = (off_t)attr->size;
    ret->st_blksize =
        attr->chunk_size ? (blksize_t)attr->chunk_size : (blksize_t)BLOCK_SIZE;
    ret->st_blocks = (blkcnt_t)((attr->bytes + 511) / 512);
    ret->st_atim = timespec_from_ns(attr->atime_ns);
    ret->st_mtim = timespec_from_ns(attr->mtime_ns);
    ret->st_ctim = timespec_from_ns(attr->ctime_ns);
}

static int stat_path(struct benchfs *fs,
                     const char *path,
                     enum api_follow follow,
                     struct stat *ret)
{
    struct wire_attr attr;
    int status = api_enter(fs);

    if (status == 0)
        status = api_walk_existing(fs, path, follow, &attr);
    if (status == 0)
        stat_fill(fs, &attr, ret);
    return status;
}

int benchfs_stat(struct benchfs *fs, const char *path, struct stat *ret)
{
    return stat_path(fs, path, API_FOLLOW, ret);
}

int benchfs_lstat(struct benchfs *fs, const char *path, struct stat *ret)
{
    return stat_path(fs, path, API_NOFOLLOW, ret);
}

int benchfs_fstat(struct benchfs *fs, int fd, struct stat *ret)
{
    struct wire_attr attr;
    struct api_file *file;
    int status = api_file_get(fs, fd, &file);

    if (status < 0)
        return status;
    status = client_getattr(fs->client, file->ino, &attr);
    if (status == 0)
        stat_fill(fs, &attr, ret);
    api_fd_put(fs, file);
    return status;
}

int benchfs_access(struct benchfs *fs, const char *path, int mode)
{
    struct wire_attr attr;
    int status = api_enter(fs);

    if (mode & ~(R_OK | W_OK | X_OK))
        return -EINVAL;
    if (status == 0)
        status = api_walk_existing(fs, path, API_FOLLOW, &attr);
    return status < 0 ? status : api_permission_check(fs, &attr, mode);
}

int benchfs_statvfs(struct benchfs *fs, const char *path, struct statvfs *ret)
{
    struct msg_statfs_reply reply;
    struct wire_attr attr;
    uint64_t free_bytes;
    int status = api_enter(fs);

    if (status == 0)
        status = api_walk_existing(fs, path, API_FOLLOW, &attr);
    if (status == 0)
        status = client_statfs(fs->client, &reply);
    if (status)
        return status;
    free_bytes = reply.capacity_bytes > reply.used_bytes
                     ? reply.capacity_bytes - reply.used_bytes
                     : 0;
    memset(ret, 0, sizeof(*ret));
    ret->f_bsize = client_table(fs->client)->chunk_size;
    ret->f_frsize = BLOCK_SIZE;
    ret->f_blocks = reply.capacity_bytes / BLOCK_SIZE;
    ret->f_bfree = free_bytes / BLOCK_SIZE;
    ret->f_bavail = ret->f_bfree;
    ret->f_files = reply.inodes_used + reply.inodes_free;
    ret->f_ffree = reply.inodes_free;
    ret->f_favail = reply.inodes_free;
    ret->f_namemax = NAME_MAX;
    return 0;
}

/* ---- changes --------------------------------------------------------- */

static int change_path(struct benchfs *fs,
                       const char *path,
                       enum api_follow follow,
                       struct msg_setattr_request *change)
{
    struct wire_attr attr;
    int status = api_enter(fs);

    if (status == 0)
        status = api_walk_existing(fs, path, follow, &attr);
    if (status)
        return status;
    if (change->mask & SETATTR_SIZE) {
        status = S_ISDIR(attr.mode) ? -EISDIR : api_permission_check(fs, &attr, W_OK);
        if (status < 0)
            return status;
    }
    change->ino = attr.ino;
    return change->mask ? client_setattr(fs->client, change, &attr) : 0;
}

static int change_fd(struct benchfs *fs, int fd, struct msg_setattr_request *change)
{
    struct wire_attr attr;
    struct api_file *file;
    int status = api_file_get(fs, fd, &file);

    if (status < 0)
        return status;
    change->ino = file->ino;
    if (change->mask)
        status = client_setattr(fs->client, change, &attr);
    api_fd_put(fs, file);
    return status;
}

int benchfs_truncate(struct benchfs *fs, const char *path, off_t size)
{
    struct msg_setattr_request change = {.mask = SETATTR_SIZE, .size = (uint64_t)size};

    return size < 0 ? -EINVAL : change_path(fs, path, API_FOLLOW, &change);
}

int benchfs_chmod(struct benchfs *fs, const char *path, mode_t mode)
{
    struct msg_setattr_request change = {.mask = SETATTR_MODE, .mode = mode & 07777};

    return change_path(fs, path, API_FOLLOW, &change);
}

int benchfs_fchmod(struct benchfs *fs, int fd, mode_t mode)
{
    struct msg_setattr_request change = {.mask = SETATTR_MODE, .mode = mode & 07777};

    return change_fd(fs, fd, &change);
}

static struct msg_setattr_request owner_change(uid_t uid, gid_t gid)
{
    return (struct msg_setattr_request){
        .mask =
            (uid == (uid_t)-1 ? 0 : SETATTR_UID) | (gid == (gid_t)-1 ? 0 : SETATTR_GID),
        .uid = uid,
        .gid = gid,
    };
}

int benchfs_chown(struct benchfs *fs, const char *path, uid_t uid, gid_t gid)
{
    struct msg_setattr_request change = owner_change(uid, gid);

    return change_path(fs, path, API_FOLLOW, &change);
}

int benchfs_lchown(struct benchfs *fs, const char *path, uid_t uid, gid_t gid)
{
    struct msg_setattr_request change = owner_change(uid, gid);

    return change_path(fs, path, API_NOFOLLOW, &change);
}

int benchfs_fchown(struct benchfs *fs, int fd, uid_t uid, gid_t gid)
{
    struct msg_setattr_request change = owner_change(uid, gid);

    return change_fd(fs, fd, &change);
}

static int time_change(const struct timespec *time,
                       uint32_t set,
                       uint32_t now,
                       uint32_t *mask,
                       int64_t *ret_ns)
{
    if (time && time->tv_nsec == UTIME_OMIT)
        return 0;
    *mask |= set;
    if (!time || time->tv_nsec == UTIME_NOW) {
        *mask |= now;
        return 0;
    }
    if (time->tv_nsec < 0 || time->tv_nsec >= 1000000000
        || time->tv_sec > INT64_MAX / 1000000000 - 1
        || time->tv_sec < INT64_MIN / 1000000000 + 1)
        return -EINVAL;
    *ret_ns = (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
    return 0;
}

static int times_change(const struct timespec times[2],
                        struct msg_setattr_request *change)
{
    int status;

    *change = (struct msg_setattr_request){.mask = 0};
    status = time_change(times ? &times[0] : NULL,
                         SETATTR_ATIME,
                         SETATTR_ATIME_NOW,
                         &change->mask,
                         &change->atime_ns);
    if (status < 0)
        return status;
    return time_change(times ? &times[1] : NULL,
                       SETATTR_MTIME,
                       SETATTR_MTIME_NOW,
                       &change->mask,
                       &change->mtime_ns);
}

int benchfs_utimensat(struct benchfs *fs,
                      const char *path,
                      const struct timespec times[2],
                      int flags)
{
    struct msg_setattr_request change;
    int status = times_change(times, &change);

    /* As on Linux, where the path is not even looked at then. */
    if (status == 0 && change.mask == 0)
        return 0;
    if (status < 0 || flags & ~AT_SYMLINK_NOFOLLOW)
        return -EINVAL;
    return change_path(
        fs, path, flags & AT_SYMLINK_NOFOLLOW ? API_NOFOLLOW : API_FOLLOW, &change);
}

int benchfs_futimens(struct benchfs *fs, int fd, const struct timespec times[2])
{
    struct msg_setattr_request change;
    int status = times_change(times, &change);

    return status < 0 ? status : change_fd(fs, fd, &change);
}

/* ---- extended attributes --------------------------------------------- */

static int xattr_walk(struct benchfs *fs, const char *path, uint64_t *ret_ino)
{
    struct wire_attr attr;
    int status = api_enter(fs);

    if (status == 0)
        status = api_walk_existing(fs, path, API_FOLLOW, &attr);
    if (status == 0)
        *ret_ino = attr.ino;
    return status;
}

ssize_t benchfs_getxattr(
    struct benchfs *fs, const char *path, const char *name, void *buf, size_t size)
{
    uint64_t ino = 0;
    int status = xattr_walk(fs, path, &ino);

    return status < 0 ? status : client_getxattr(fs->client, ino, name, buf, size);
}

int benchfs_setxattr(struct benchfs *fs,
                     const char *path,
                     const char *name,
                     const void *value,
                     size_t size,
                     int flags)
{
    uint64_t ino = 0;
    int status = xattr_walk(fs, path, &ino);

    return status < 0 ? status
                      : client_setxattr(fs->client, ino, name, value, size, flags);
}

ssize_t benchfs_listxattr(struct benchfs *fs, const char *path, char *buf, size_t size)
{
    uint64_t ino = 0;
    int status = xattr_walk(fs, path, &ino);

    return status < 0 ? status : client_listxattr(fs->client, ino, buf, size);
}

int benchfs_removexattr(struct benchfs *fs, const char *path, const char *name)
{
    uint64_t ino = 0;
    int status = xattr_walk(fs, path, &ino);

    return status < 0 ? status : client_removexattr(fs->client, ino, name);
}

/* SPDX-License-Identifier: Apache-2.0
 * The kernel's words turned into the service's, and back. Pure functions. */
#define FUSE_USE_VERSION 312

#include "fuse/convert.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <string.h>

#define NS_PER_SEC 1000000000

int64_t convert_timespec_to_ns(struct timespec time)
{
    int64_t ns;

    if (__builtin_mul_overflow((int64_t)time.tv_sec, NS_PER_SEC, &ns)
        || __builtin_add_overflow(ns, (int64_t)time.tv_nsec, &ns))
        return time.tv_sec < 0 ? INT64_MIN : INT64_MAX;
    return ns;
}

struct timespec convert_ns_to_timespec(int64_t ns)
{
    struct timespec time = {.tv_sec = ns / NS_PER_SEC, .tv_nsec = ns % NS_PER_SEC};

    if (time.tv_nsec < 0) {
        time.tv_sec--;
        time.tv_nsec += NS_PER_SEC;
    }
    return time;
}

static blksize_t block_size(const struct wire_attr *attr)
{
    if (!S_ISREG(attr->mode) || attr->chunk_size < CONVERT_BLOCK_MIN)
        return CONVERT_BLOCK_MIN;
    return attr->chunk_size < CONVERT_BLOCK_MAX ? attr->chunk_size : CONVERT_BLOCK_MAX;
}

void convert_attr_to_stat(const struct wire_attr *attr, struct stat *ret_st)
{
    *ret_st = (struct stat){
        .st_ino = attr->ino,
        .st_mode = attr->mode,
        .st_nlink = attr->nlink,
        .st_uid = attr->uid,
        .st_gid = attr->gid,
        .st_rdev = attr->rdev,
        .st_size = (off_t)attr->size,
        .st_blksize = block_size(attr),
        .st_blocks = (blkcnt_t)(attr->bytes / 512 + (attr->bytes % 512 != 0)),
        .st_atim = convert_ns_to_timespec(attr->atime_ns),
        .st_mtim = convert_ns_to_timespec(attr->mtime_ns),
        .st_ctim = convert_ns_to_timespec(attr->ctime_ns),
    };
}

void convert_setattr(uint64_t ino,
                     const struct stat *st,
                     int to_set,
                     struct msg_setattr_request *ret_change)
{
    uint32_t mask = 0;

    if (to_set & FUSE_SET_ATTR_MODE)
        mask |= SETATTR_MODE;
    if (to_set & FUSE_SET_ATTR_UID)
        mask |= SETATTR_UID;
    if (to_set & FUSE_SET_ATTR_GID)
        mask |= SETATTR_GID;
    if (to_set & FUSE_SET_ATTR_SIZE)
        mask |= SETATTR_SIZE;
    /* The kernel sends "now" together with "set"; the service's clock is the one that
     * counts, since the times of writes are made there. */
    if (to_set & FUSE_SET_ATTR_ATIME_NOW)
        mask |= SETATTR_ATIME_NOW;
    else if (to_set & FUSE_SET_ATTR_ATIME)
        mask |= SETATTR_ATIME;
    if (to_set & FUSE_SET_ATTR_MTIME_NOW)
        mask |= SETATTR_MTIME_NOW;
    else if (to_set & FUSE_SET_ATTR_MTIME)
        mask |= SETATTR_MTIME;

    *ret_change = (struct msg_setattr_request){
        .ino = ino,
        .mask = mask,
        .mode = st->st_mode & 07777,
        .uid = st->st_uid,
        .gid = st->st_gid,
        .size = (uint64_t)st->st_size,
        .atime_ns = convert_timespec_to_ns(st->st_atim),
        .mtime_ns = convert_timespec_to_ns(st->st_mtim),
    };
}

uint32_t convert_open_flags(int flags)
{
    uint32_t result = 0;

    switch (flags & O_ACCMODE) {
    case O_RDONLY:
        result = OPEN_READ;
        break;
    case O_WRONLY:
        result = OPEN_WRITE;
        break;
    default:
        result = OPEN_READ | OPEN_WRITE;
        break;
    }
    if (flags & O_TRUNC)
        result |= OPEN_TRUNCATE;
    return result;
}

uint64_t convert_dir_position_to_offset(uint64_t position)
{
    return position + CONVERT_DIR_FIRST;
}

uint64_t convert_dir_offset_to_position(uint64_t offset)
{
    assert(offset >= CONVERT_DIR_FIRST);
    return offset - CONVERT_DIR_FIRST;
}

bool convert_xattr_is_ours(const char *name)
{
    return strncmp(name, "user.", 5) == 0 && name[5] != '\0';
}

int convert_status_to_errno(int64_t status)
{
    assert(status < 0);
    if (status == -ENOSYS)
        return EOPNOTSUPP;
    return status <= -512 ? EIO : (int)-status;
}

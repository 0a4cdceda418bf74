/* SPDX-License-Identifier: Apache-2.0
 * The kernel's words turned into the service's, and back. Pure functions. */
#ifndef BENCHFS_FUSE_CONVERT_H
#define BENCHFS_FUSE_CONVERT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "proto/messages.h"

/* What a program should read and write at once (st_blksize): the file's chunk, at least
 * 4 KiB; not over 1 MiB, since programs allocate buffers of this size. */
#define CONVERT_BLOCK_MIN 4096u
#define CONVERT_BLOCK_MAX (1u << 20)

void convert_attr_to_stat(const struct wire_attr *attr, struct stat *ret_st);

/* Times outside what nanoseconds in 64 bits can say (1677 to 2262) become the nearest
 * one that can be said, as other file systems do. */
int64_t convert_timespec_to_ns(struct timespec time);
struct timespec convert_ns_to_timespec(int64_t ns);

/* `to_set`: FUSE_SET_ATTR_*. What the service does by itself (ctime) is dropped;
 * ret_change->mask may come out 0. */
void convert_setattr(uint64_t ino,
                     const struct stat *st,
                     int to_set,
                     struct msg_setattr_request *ret_change);

/* O_* of open(2) to enum open_flags. */
uint32_t convert_open_flags(int flags);

/*
 * Positions in a directory as the kernel sees them: 0 is the start, then "." and "..",
 * then the service's positions moved by CONVERT_DIR_FIRST. Those of high targets come
 * out negative as an off_t; the kernel passes them on unchanged.
 */
enum convert_dir {
    CONVERT_DIR_AFTER_DOT = 1,
    CONVERT_DIR_AFTER_DOTDOT = 2,
    CONVERT_DIR_FIRST = 2, /* + position: after an entry of the service */
};
/* The highest position (of target 65535, which there is not) wraps around. */
uint64_t convert_dir_position_to_offset(uint64_t position);
/* of an offset >= CONVERT_DIR_FIRST */
uint64_t convert_dir_offset_to_position(uint64_t offset);

/* Extended attributes live in the service for names "user.*" only. */
bool convert_xattr_is_ours(const char *name);

/* A status of the service as an errno the kernel can take: positive. ENOSYS would make
 * it give up the operation for good, so it becomes EOPNOTSUPP; what is no errno is EIO.
 */
int convert_status_to_errno(int64_t status);

#endif

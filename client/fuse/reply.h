/* SPDX-License-Identifier: Apache-2.0
 * Answers to the kernel, with the rules of what it may cache in one place. */
#ifndef BENCHFS_FUSE_REPLY_H
#define BENCHFS_FUSE_REPLY_H

#include <stdint.h>

#include "fuse/handle.h"
#include "fuse/mount_internal.h"

/* Each answers the request, also when that fails (then there is nobody to tell). */

/* 0 or -errno */
void reply_status(fuse_req_t req, int status);
/* The same, of a request for an inode. One that is gone was, a moment ago, what a name
 * led to; another file may have that name by now (a rename over it), and ESTALE makes
 * the kernel look again. Where nothing can be looked up, as for the current directory,
 * it stays ENOENT. */
void reply_inode_status(fuse_req_t req, uint64_t ino, int status);
/* A count or -errno: of WRITE and COPY_FILE_RANGE. */
void reply_count(fuse_req_t req, int64_t count);
void reply_attr(fuse_req_t req, const struct wire_attr *attr);
void reply_entry(fuse_req_t req, const struct wire_attr *attr);
/* An entry whose attributes may be believed for `left_s` more. */
void reply_entry_kept(fuse_req_t req, const struct wire_attr *attr, double left_s);
/* The kernel did not take it (the caller was killed meanwhile): the handle is closed.
 */
void reply_open(fuse_req_t req, struct handle *handle);
void reply_create(fuse_req_t req, const struct wire_attr *attr, struct handle *handle);

#endif

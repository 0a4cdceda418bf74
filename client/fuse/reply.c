/* SPDX-License-Identifier: Apache-2.0
 * What the kernel may believe and for how long (docs/semantics.md has the table): names
 * never, attributes of files never, those of directories for a second, since otherwise
 * each permission check on a path's way would be a request. */
#include "fuse/reply.h"

#include <assert.h>
#include <errno.h>
#include <linux/fuse.h>

#include "fuse/convert.h"

#ifndef FOPEN_PARALLEL_DIRECT_WRITES /* protocol 7.38, kernel 6.2 */
#define FOPEN_PARALLEL_DIRECT_WRITES (1 << 6)
#endif

/* Every read and write is a request to the service: no node has stale pages. Writers of
 * one node to different parts of a file needn't wait for each other; a kernel that does
 * not know the second flag ignores it. */
#define OPEN_FLAGS (FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES)

void reply_status(fuse_req_t req, int status)
{
    fuse_reply_err(req, status < 0 ? convert_status_to_errno(status) : 0);
}

void reply_inode_status(fuse_req_t req, uint64_t ino, int status)
{
    struct dir_fact fact;

    if (status == -ENOENT && !dir_facts_find(mount_of(req)->dir_facts, ino, &fact))
        status = -ESTALE;
    reply_status(req, status);
}

void reply_count(fuse_req_t req, int64_t count)
{
    if (count < 0)
        reply_status(req, (int)count);
    else
        fuse_reply_write(req, (size_t)count);
}

/* Every attribute that goes to the kernel passes here. */
static double attr_timeout(struct mount *mount, const struct wire_attr *attr)
{
    dir_facts_note(mount->dir_facts, attr);
    return S_ISDIR(attr->mode) ? mount->dir_attr_timeout_s : 0.0;
}

void reply_attr(fuse_req_t req, const struct wire_attr *attr)
{
    struct stat st;

    convert_attr_to_stat(attr, &st);
    fuse_reply_attr(req, &st, attr_timeout(mount_of(req), attr));
}

void reply_entry(fuse_req_t req, const struct wire_attr *attr)
{
    reply_entry_kept(req, attr, attr_timeout(mount_of(req), attr));
}

void reply_entry_kept(fuse_req_t req, const struct wire_attr *attr, double left_s)
{
    struct fuse_entry_param entry = {
        .ino = attr->ino,
        .generation = 1, /* inode numbers are never used again */
        .attr_timeout = left_s,
        .entry_timeout = 0.0,
    };

    convert_attr_to_stat(attr, &entry.attr);
    fuse_reply_entry(req, &entry);
}

/* By hand in this and the next function: libfuse 3.14 has no name for the second flag.
 */
void reply_open(fuse_req_t req, struct handle *handle)
{
    struct mount *mount = mount_of(req);
    struct fuse_open_out out = {
        .fh = handle_to_fh(handle),
        .open_flags = OPEN_FLAGS,
    };

    if (fuse_reply_buf(req, (const char *)&out, sizeof(out)) < 0)
        handle_close(&mount->handles, handle);
}

static struct fuse_attr attr_to_kernel(const struct wire_attr *attr)
{
    struct stat st;

    convert_attr_to_stat(attr, &st);
    return (struct fuse_attr){
        .ino = st.st_ino,
        .size = (uint64_t)st.st_size,
        .blocks = (uint64_t)st.st_blocks,
        .atime = (uint64_t)st.st_atim.tv_sec,
        .mtime = (uint64_t)st.st_mtim.tv_sec,
        .ctime = (uint64_t)st.st_ctim.tv_sec,
        .atimensec = (uint32_t)st.st_atim.tv_nsec,
        .mtimensec = (uint32_t)st.st_mtim.tv_nsec,
        .ctimensec = (uint32_t)st.st_ctim.tv_nsec,
        .mode = st.st_mode,
        .nlink = (uint32_t)st.st_nlink,
        .uid = st.st_uid,
        .gid = st.st_gid,
        .rdev = (uint32_t)st.st_rdev,
        .blksize = (uint32_t)st.st_blksize,
    };
}

void reply_create(fuse_req_t req, const struct wire_attr *attr, struct handle *handle)
{
    struct mount *mount = mount_of(req);
    struct {
        struct fuse_entry_out entry;
        struct fuse_open_out open;
    } out = {
        .entry = {.nodeid = attr->ino, .generation = 1, .attr = attr_to_kernel(attr)},
        .open = {.fh = handle_to_fh(handle), .open_flags = OPEN_FLAGS},
    };

    assert(S_ISREG(attr->mode)); /* so all timeouts are 0 */
    if (fuse_reply_buf(req, (const char *)&out, sizeof(out)) < 0)
        handle_close(&mount->handles, handle);
}

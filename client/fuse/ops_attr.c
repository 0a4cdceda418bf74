/* SPDX-License-Identifier: Apache-2.0
 * Operations on attributes, and statfs. */
#include <sys/statvfs.h>

#include "fuse/convert.h"
#include "fuse/mount_internal.h"
#include "fuse/reply.h"

#define STATFS_BLOCK 4096u

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct dir_attrs *dir_attrs = mount_of(req)->dir_attrs;
    uint64_t begin = dir_attrs_begin(dir_attrs, ino);
    struct wire_attr attr;
    int rc = client_getattr(client_of(req), ino, &attr);

    (void)fi;
    if (rc < 0) {
        reply_inode_status(req, ino, rc);
        return;
    }
    dir_attrs_note(dir_attrs, &attr, begin);
    reply_attr(req, &attr);
}

void op_setattr(fuse_req_t req,
                fuse_ino_t ino,
                struct stat *st,
                int to_set,
                struct fuse_file_info *fi)
{
    struct msg_setattr_request change;
    struct wire_attr attr;
    int rc = 0;

    convert_setattr(ino, st, to_set, &change);
    if (fi && (change.mask & SETATTR_SIZE)) /* ftruncate() */
        rc = client_file_check(handle_from_fh(fi->fh)->file);
    if (rc == 0 && change.mask == 0)
        rc = client_getattr(client_of(req), ino, &attr);
    else if (rc == 0)
        rc = client_setattr(client_of(req), &change, &attr);
    dir_attrs_forget(mount_of(req)->dir_attrs, ino);
    if (rc < 0)
        reply_inode_status(req, ino, rc);
    else
        reply_attr(req, &attr);
}

void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
    struct msg_statfs_reply now;
    struct statvfs st;
    uint64_t n_free;
    int rc = client_statfs(client_of(req), &now);

    (void)ino;
    if (rc < 0) {
        reply_status(req, rc);
        return;
    }
    n_free = now.capacity_bytes > now.used_bytes
                 ? (now.capacity_bytes - now.used_bytes) / STATFS_BLOCK
                 : 0;
    st = (struct statvfs){
        .f_bsize = STATFS_BLOCK,
        .f_frsize = STATFS_BLOCK,
        .f_blocks = now.capacity_bytes / STATFS_BLOCK,
        .f_bfree = n_free,
        .f_bavail = n_free,
        .f_files = now.inodes_used + now.inodes_free,
        .f_ffree = now.inodes_free,
        .f_favail = now.inodes_free,
        .f_namemax = WIRE_NAME_MAX,
    };
    fuse_reply_statfs(req, &st);
}

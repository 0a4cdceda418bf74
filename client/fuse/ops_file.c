/* SPDX-License-Identifier: Apache-2.0
 * Opening, closing and syncing files. */
#include <errno.h>
#include <fcntl.h>

#include "fuse/convert.h"
#include "fuse/create.h"
#include "fuse/mount_internal.h"
#include "fuse/reply.h"

void op_create(fuse_req_t req,
               fuse_ino_t parent,
               const char *name,
               mode_t mode,
               struct fuse_file_info *fi)
{
    struct msg_create_request what = {
        .mode = S_IFREG | (mode & 07777),
        .flags = fi->flags & O_EXCL ? CREATE_EXCL : 0,
        .base = BASE_HOME,
    };
    struct client_file *file;
    struct handle *handle;
    struct wire_attr attr;
    int rc = create_owner_set(req, parent, &what);

    if (rc == 0)
        rc = client_file_create(client_of(req),
                                parent,
                                name,
                                &what,
                                convert_open_flags(fi->flags),
                                &attr,
                                &file);
    dir_attrs_forget(mount_of(req)->dir_attrs, parent);
    if (rc != 0) {
        reply_status(req, rc);
        return;
    }
    /* Since the kernel looked, another node made something else of this name: it looks
     * again upon ESTALE, and then does what open(2) does with that. */
    if (!S_ISREG(attr.mode)) {
        client_file_close(file);
        reply_status(req, -ESTALE);
        return;
    }
    rc = handle_open(&mount_of(req)->handles, file, NULL, &handle);
    if (rc != 0)
        reply_status(req, rc);
    else
        reply_create(req, &attr, handle);
}

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct client_file *file;
    struct handle *handle;
    int rc =
        client_file_open(client_of(req), ino, convert_open_flags(fi->flags), &file);

    if (rc == 0)
        rc = handle_open(&mount_of(req)->handles, file, NULL, &handle);
    if (rc != 0)
        reply_inode_status(req, ino, rc);
    else
        reply_open(req, handle);
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    if (fi->flock_release)
        lock_release_flock(mount_of(req), ino, fi->lock_owner);
    handle_close(&mount_of(req)->handles, handle_from_fh(fi->fh));
    reply_status(req, 0);
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    (void)ino;
    (void)datasync; /* size and data are one thing to the service */
    reply_status(req, client_file_sync(handle_from_fh(fi->fh)->file, true));
}

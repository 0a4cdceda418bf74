/* SPDX-License-Identifier: Apache-2.0
 * Reading and writing, and what else is done to a range of a file. */
#include <errno.h>
#include <fcntl.h>

#include "fuse/mount_internal.h"
#include "fuse/reply.h"

/* One request of copy_file_range; callers go on after a short count. Bounds how long a
 * thread of the mount is taken. */
#define COPY_MAX (64u << 20)

static struct client_file *file_of(const struct fuse_file_info *fi)
{
    return handle_from_fh(fi->fh)->file;
}

void op_read(fuse_req_t req,
             fuse_ino_t ino,
             size_t size,
             off_t offset,
             struct fuse_file_info *fi)
{
    uint8_t *data = mount_reply_buffer(mount_of(req));
    struct iovec iov = {
        .iov_base = data,
        .iov_len = size < MOUNT_IO_MAX ? size : MOUNT_IO_MAX,
    };
    ssize_t n = client_file_readv(file_of(fi), &iov, 1, (uint64_t)offset);

    (void)ino;
    if (n < 0)
        reply_status(req, (int)n);
    else
        fuse_reply_buf(req, (const char *)data, (size_t)n);
}

void op_write(fuse_req_t req,
              fuse_ino_t ino,
              const char *data,
              size_t size,
              off_t offset,
              struct fuse_file_info *fi)
{
    struct iovec iov = {.iov_base = (char *)data, .iov_len = size};
    ssize_t n;

    (void)ino;
    /* The kernel's idea of where the end is may be old. Pages of a shared mapping
     * (writepage) go where they belong, whatever the descriptor's flags. */
    if ((fi->flags & O_APPEND) && !fi->writepage)
        n = client_file_append(file_of(fi), &iov, 1, NULL);
    else
        n = client_file_writev(file_of(fi), &iov, 1, (uint64_t)offset);
    if (n >= 0 && (fi->flags & O_DSYNC)) {
        int rc = client_file_sync(file_of(fi), true);

        n = rc < 0 ? rc : n;
    }
    reply_count(req, n);
}

void op_fallocate(fuse_req_t req,
                  fuse_ino_t ino,
                  int mode,
                  off_t offset,
                  off_t length,
                  struct fuse_file_info *fi)
{
    (void)ino;
    reply_status(
        req,
        client_file_fallocate(file_of(fi), mode, (uint64_t)offset, (uint64_t)length));
}

void op_lseek(
    fuse_req_t req, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *fi)
{
    int64_t found = -ENXIO;

    (void)ino;
    if (offset >= 0)
        found = client_file_seek(file_of(fi), (uint64_t)offset, whence);
    if (found < 0)
        reply_status(req, (int)found);
    else
        fuse_reply_lseek(req, found);
}

void op_copy_file_range(fuse_req_t req,
                        fuse_ino_t from_ino,
                        off_t from_offset,
                        struct fuse_file_info *from,
                        fuse_ino_t to_ino,
                        off_t to_offset,
                        struct fuse_file_info *to,
                        size_t length,
                        int flags)
{
    uint64_t copied = 0;
    int rc = -EINVAL;

    (void)from_ino;
    (void)to_ino;
    if (flags == 0)
        rc = client_file_copy_range(file_of(from),
                                    (uint64_t)from_offset,
                                    file_of(to),
                                    (uint64_t)to_offset,
                                    length < COPY_MAX ? length : COPY_MAX,
                                    &copied);
    reply_count(req, rc < 0 ? rc : (int64_t)copied);
}

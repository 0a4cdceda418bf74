/* SPDX-License-Identifier: Apache-2.0
 * How bytes come from and go to /dev/fuse: as libfuse would do it by itself, but for
 * counting requests and the INIT exchange. */
#include <errno.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fuse/mount_internal.h"

static ssize_t io_read(int fd, void *buf, size_t size, void *userdata)
{
    struct mount *mount = userdata;
    struct fuse_in_header header;
    ssize_t n = read(fd, buf, size);

    if (n < (ssize_t)sizeof(header))
        return n;
    memcpy(&header, buf, sizeof(header));
    if (header.opcode < MOUNT_OPCODES)
        atomic_fetch_add_explicit(
            &mount->n_requests[header.opcode], 1, memory_order_relaxed);
    if (!mount->init.is_seen)
        init_flags_note_request(&mount->init, buf, (size_t)n);
    return n;
}

static ssize_t io_writev(int fd, struct iovec *iov, int n_iov, void *userdata)
{
    struct mount *mount = userdata;
    uint8_t patched[INIT_REPLY_MAX];
    size_t len = 0;

    /* INIT is answered before there are workers. */
    if (mount->n_workers == 0)
        len = init_flags_patch_reply(&mount->init, iov, n_iov, patched);
    if (len > 0)
        return write(fd, patched, len);
    return writev(fd, iov, n_iov);
}

const struct fuse_custom_io mount_io = {.read = io_read, .writev = io_writev};

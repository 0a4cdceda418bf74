/* SPDX-License-Identifier: Apache-2.0
 *
 * The path-based API: transfers that go on while the program does something else.
 */
#include <errno.h>
#include <stdlib.h>

#include "client/api_file.h"
#include "client/client_internal.h"

struct benchfs_request {
    struct benchfs *fs;
    struct api_file *file; /* referenced: closing the descriptor meanwhile is fine */
    struct client_io *io;
    unsigned generation;
};

static int request_start(struct benchfs *fs,
                         int fd,
                         bool is_write,
                         struct iovec iov,
                         off_t offset,
                         struct benchfs_request **ret)
{
    struct benchfs_request *request = NULL;
    uint32_t needed = is_write ? OPEN_WRITE : OPEN_READ;
    struct api_file *file;
    int status = api_data_get(fs, fd, &file);

    if (status < 0)
        return status;
    if (!(file->open_flags & needed))
        status = -EBADF;
    else if (offset < 0 || (is_write && file->open_flags & OPEN_APPEND))
        status = -EINVAL;
    if (status < 0)
        goto fail;
    request = calloc(1, sizeof(*request));
    if (!request) {
        status = -ENOMEM;
        goto fail;
    }
    request->fs = fs;
    request->file = file;
    request->generation = fs->generation;
    status = client_io_start(
        file->file, is_write, false, &iov, 1, (uint64_t)offset, &request->io);
    if (status < 0)
        goto fail;
    *ret = request;
    return 0;
fail:
    free(request);
    api_fd_put(fs, file);
    return status;
}

int benchfs_pread_async(struct benchfs *fs,
                        int fd,
                        void *buf,
                        size_t size,
                        off_t offset,
                        struct benchfs_request **ret)
{
    struct iovec iov = {.iov_base = buf, .iov_len = size};

    return request_start(fs, fd, false, iov, offset, ret);
}

int benchfs_pwrite_async(struct benchfs *fs,
                         int fd,
                         const void *buf,
                         size_t size,
                         off_t offset,
                         struct benchfs_request **ret)
{
    struct iovec iov = {.iov_base = (void *)buf, .iov_len = size};

    return request_start(fs, fd, true, iov, offset, ret);
}

/* The parent's, in a child. */
static bool is_orphan(struct benchfs_request *request)
{
    return api_enter(request->fs) < 0 || request->generation != request->fs->generation;
}

int benchfs_test(struct benchfs_request *request)
{
    return is_orphan(request) || client_io_test(request->io);
}

ssize_t benchfs_wait(struct benchfs_request *request)
{
    ssize_t result;

    if (is_orphan(request)) {
        free(request);
        return -ECANCELED;
    }
    result = client_io_finish(request->io);
    if (result > 0 && request->file->flags & (O_SYNC | O_DSYNC)
        && request->file->open_flags & OPEN_WRITE) {
        int status = client_file_sync(request->file->file, true);

        if (status < 0)
            result = status;
    }
    api_fd_put(request->fs, request->file);
    free(request);
    return result;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The path-based API: copying between descriptors.
 */
#include <errno.h>
#include <fcntl.h>

#include "client/api.h"
#include "client/api_file.h"
#include "proto/wire.h"

/* The offset given, or the file's position. */
static off_t place_get(struct api_file *file, const off_t *offset)
{
    off_t place;

    if (offset)
        return *offset;
    pthread_mutex_lock(&file->position_lock);
    place = (off_t)file->position;
    pthread_mutex_unlock(&file->position_lock);
    return place;
}

static void place_set(struct api_file *file, off_t *offset, off_t place)
{
    if (offset) {
        *offset = place;
        return;
    }
    pthread_mutex_lock(&file->position_lock);
    file->position = (uint64_t)place;
    pthread_mutex_unlock(&file->position_lock);
}

static ssize_t files_copy(struct api_file *from,
                          off_t *from_offset,
                          struct api_file *to,
                          off_t *to_offset,
                          size_t size)
{
    off_t from_at = place_get(from, from_offset);
    off_t to_at = place_get(to, to_offset);
    uint64_t copied = 0;
    int status;

    if (!(from->open_flags & OPEN_READ) || !(to->open_flags & OPEN_WRITE)
        || to->open_flags & OPEN_APPEND)
        return -EBADF;
    if ((uint64_t)from_at + size < size || (uint64_t)to_at + size < size)
        return -EOVERFLOW;
    if (from_at < 0 || to_at < 0)
        return -EINVAL;
    if (size > SSIZE_MAX)
        size = SSIZE_MAX;
    status = client_file_copy_range(
        from->file, (uint64_t)from_at, to->file, (uint64_t)to_at, size, &copied);
    if (status == 0 && copied > 0 && to->flags & (O_SYNC | O_DSYNC))
        status = client_file_sync(to->file, true);
    if (status < 0)
        return status;
    place_set(from, from_offset, from_at + (off_t)copied);
    place_set(to, to_offset, to_at + (off_t)copied);
    return (ssize_t)copied;
}

ssize_t benchfs_copy_file_range(struct benchfs *fs,
                                int from,
                                off_t *from_offset,
                                int to,
                                off_t *to_offset,
                                size_t size,
                                unsigned flags)
{
    struct api_file *source, *destination;
    ssize_t n;
    int status = api_data_get(fs, from, &source);

    if (status < 0)
        return status;
    status = api_data_get(fs, to, &destination);
    if (status == 0) {
        n = flags ? -EINVAL
                  : files_copy(source, from_offset, destination, to_offset, size);
        api_fd_put(fs, destination);
    } else {
        n = status;
    }
    api_fd_put(fs, source);
    return n;
}

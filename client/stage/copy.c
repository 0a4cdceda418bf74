/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/copy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fs.h"

#define XATTR_LIST_SIZE  (64u << 10)
#define XATTR_VALUE_SIZE (64u << 10)
#define ZERO_BLOCK       (64u << 10)
#define XATTR_PREFIX     "user."

/* ---- data */

static ssize_t end_read(const struct copy_end *end, void *data, size_t len, uint64_t at)
{
    struct iovec iov = {data, len};

    if (end->file)
        return client_file_readv(end->file, &iov, 1, at);
    return fs_pread_all(end->fd, data, len, (off_t)at);
}

static bool is_zero(const uint8_t *data, size_t len)
{
    return data[0] == 0 && memcmp(data, data + 1, len - 1) == 0;
}

/* Leaves blocks of zeros out, in a file that is zero so far: what was a hole in the
 * scratch reads as that, and asking for each one is dearer than this. */
static int sparse_write(int fd, const uint8_t *data, size_t len, uint64_t at)
{
    size_t from = 0; /* not written yet, up to i */
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < len; i += ZERO_BLOCK) {
        size_t n = len - i < ZERO_BLOCK ? len - i : ZERO_BLOCK;

        if (!is_zero(data + i, n))
            continue;
        if (i > from)
            rc = fs_pwrite_all(fd, data + from, i - from, (off_t)(at + from));
        from = i + n;
    }
    if (rc == 0 && from < len)
        rc = fs_pwrite_all(fd, data + from, len - from, (off_t)(at + from));
    return rc;
}

static int end_write(const struct copy_end *end, void *data, size_t len, uint64_t at)
{
    struct iovec iov = {data, len};
    ssize_t n;

    if (!end->file)
        return sparse_write(end->fd, data, len, at);
    n = client_file_writev(end->file, &iov, 1, at);
    return n < 0 ? (int)n : 0;
}

/* The next data at or after *start, up to `end`: sets both ends of it. 1, 0: there is
 * none, -errno. */
static int data_find(int fd, uint64_t *start, uint64_t end, uint64_t *ret_end)
{
    off_t data = lseek(fd, (off_t)*start, SEEK_DATA);
    off_t hole;

    if (data < 0)
        return errno == ENXIO ? 0 : -errno;
    if ((uint64_t)data >= end)
        return 0;
    hole = lseek(fd, data, SEEK_HOLE);
    if (hole < 0)
        return -errno;
    *start = (uint64_t)data;
    *ret_end = (uint64_t)hole < end ? (uint64_t)hole : end;
    return 1;
}

static int data_copy(struct work *work,
                     const struct copy_end *from,
                     const struct copy_end *to,
                     uint64_t offset,
                     uint64_t end,
                     enum copy_side *ret_side)
{
    while (offset < end) {
        size_t len =
            end - offset < WORK_BUFFER_SIZE ? (size_t)(end - offset) : WORK_BUFFER_SIZE;
        ssize_t n;
        int rc;

        if (work_is_stopped(work))
            return -ECANCELED;
        *ret_side = COPY_READING;
        n = end_read(from, work->buffer, len, offset);
        if (n < 0)
            return (int)n;
        if (n < (ssize_t)len)
            return -WORK_CHANGED;
        *ret_side = COPY_WRITING;
        rc = end_write(to, work->buffer, len, offset);
        if (rc < 0)
            return rc;
        offset += len;
    }
    return 0;
}

int copy_range(struct work *work,
               const struct copy_end *from,
               const struct copy_end *to,
               uint64_t offset,
               uint64_t end,
               bool is_sparse,
               enum copy_side *ret_side)
{
    if (!is_sparse)
        return data_copy(work, from, to, offset, end, ret_side);
    while (offset < end) {
        uint64_t data_end = 0;
        int rc;

        *ret_side = COPY_READING;
        rc = data_find(from->fd, &offset, end, &data_end);
        if (rc <= 0)
            return rc;
        rc = data_copy(work, from, to, offset, data_end, ret_side);
        if (rc)
            return rc;
        offset = data_end;
    }
    return 0;
}

/* ---- extended attributes */

static bool is_without_xattrs(ssize_t rc)
{
    return rc == 0 || rc == -ENOTSUP || rc == -ENODATA || rc == -ENOSYS;
}

static ssize_t errno_of(ssize_t rc)
{
    return rc < 0 ? -errno : rc;
}

struct xattr_copy {
    struct client *client;
    int fd;
    uint64_t ino;
    bool is_in;
};

static ssize_t xattr_list(const struct xattr_copy *copy, char *list, size_t size)
{
    return copy->is_in ? errno_of(flistxattr(copy->fd, list, size))
                       : client_listxattr(copy->client, copy->ino, list, size);
}

static int xattr_one(const struct xattr_copy *copy, const char *name, char *value)
{
    ssize_t n;

    if (copy->is_in) {
        n = errno_of(fgetxattr(copy->fd, name, value, XATTR_VALUE_SIZE));
        if (n >= 0)
            n = client_setxattr(copy->client, copy->ino, name, value, (size_t)n, 0);
    } else {
        n = client_getxattr(copy->client, copy->ino, name, value, XATTR_VALUE_SIZE);
        if (n >= 0)
            n = errno_of(fsetxattr(copy->fd, name, value, (size_t)n, 0));
    }
    return n < 0 ? (int)n : 0;
}

static int xattrs_copy(const struct xattr_copy *copy)
{
    char small[256];
    ssize_t len = xattr_list(copy, small, sizeof(small));
    char *memory;
    int rc = 0;

    if (is_without_xattrs(len))
        return 0;
    memory = malloc(XATTR_LIST_SIZE + XATTR_VALUE_SIZE);
    if (!memory)
        return -ENOMEM;
    len = xattr_list(copy, memory, XATTR_LIST_SIZE);
    if (len < 0)
        rc = is_without_xattrs(len) ? 0 : (int)len;
    for (ssize_t at = 0; rc == 0 && at < len;) {
        const char *name = memory + at;

        if (strncmp(name, XATTR_PREFIX, sizeof(XATTR_PREFIX) - 1) == 0)
            rc = xattr_one(copy, name, memory + XATTR_LIST_SIZE);
        at += (ssize_t)strnlen(name, (size_t)(len - at)) + 1;
    }
    free(memory);
    return rc;
}

int copy_xattrs_in(struct client *client, int fd, uint64_t ino)
{
    return xattrs_copy(&(struct xattr_copy){client, fd, ino, true});
}

int copy_xattrs_out(struct client *client, uint64_t ino, int fd)
{
    return xattrs_copy(&(struct xattr_copy){client, fd, ino, false});
}

/* ---- items */

void copy_batch_init(struct copy_batch *batch,
                     struct item *item,
                     void (*run)(struct work *work, struct item *item))
{
    batch->item = item;
    batch->item->type = ITEM_FILES;
    batch->run = run;
    batch->n_files = 0;
    bytes_init(&batch->entries, STAGE_ITEM_MAX);
}

static void batch_flush(struct work *work, struct copy_batch *batch)
{
    if (batch->n_files == 0)
        return;
    batch->item->entries = batch->entries.data;
    batch->item->entries_len = batch->entries.size;
    if (work->is_full)
        batch->run(work, batch->item);
    else
        work_add(work, batch->item);
    bytes_clear(&batch->entries);
    batch->n_files = 0;
    work_report_if_much(work);
}

void copy_batch_add(struct work *work,
                    struct copy_batch *batch,
                    uint64_t ino,
                    const char *name)
{
    int rc = item_entry_put(&batch->entries, ino, name);

    work->done.n_known_files++;
    if (rc)
        work_error(work, name, NULL, rc);
    else if (++batch->n_files == ITEM_FILES_MAX)
        batch_flush(work, batch);
}

void copy_batch_fini(struct work *work, struct copy_batch *batch)
{
    batch_flush(work, batch);
    bytes_fini(&batch->entries);
}

bool copy_files_give_up(struct work *work, const struct item *item)
{
    if (work->n_copied < ITEM_FILES_BYTES || item->entries_len == 0 || work->is_full)
        return false;
    work_add(work, item);
    return true;
}

void copy_ranges_add(struct work *work,
                     struct item *range,
                     struct item *end,
                     uint64_t size)
{
    uint64_t step = item_range_length(size);

    range->type = ITEM_RANGE;
    for (uint64_t at = 0; at < size; at += step) {
        range->offset = at;
        range->length = size - at < step ? size - at : step;
        work_add(work, range);
    }
    end->type = ITEM_FILE_END;
    end->length = size;
    work_after(work, end);
}

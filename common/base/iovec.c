/* SPDX-License-Identifier: Apache-2.0
 * Arithmetic and copying on arrays of struct iovec. */
#include "base/iovec.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

int iovec_length(const struct iovec *iov, size_t count, size_t *ret_length)
{
    size_t length = 0;

    for (size_t i = 0; i < count; i++) {
        if (iov[i].iov_len > (size_t)SSIZE_MAX - length)
            return -EOVERFLOW;
        length += iov[i].iov_len;
    }
    *ret_length = length;
    return 0;
}

/* A walk over contiguous pieces of [offset, offset + size). */
struct walk {
    const struct iovec *iov;
    const struct iovec *end;
    size_t offset; /* into *iov */
    size_t left;
};

static struct walk
walk_start(const struct iovec *iov, size_t count, size_t offset, size_t size)
{
    struct walk walk = {.iov = iov, .end = iov, .offset = offset, .left = size};

    if (count > 0) /* iov may be NULL otherwise */
        walk.end = iov + count;
    return walk;
}

/* The next piece, or NULL when the range or the array has ended. */
static char *walk_next(struct walk *walk, size_t *ret_size)
{
    size_t size;
    char *piece;

    while (walk->iov < walk->end && walk->offset >= walk->iov->iov_len) {
        walk->offset -= walk->iov->iov_len;
        walk->iov++;
    }
    if (walk->left == 0 || walk->iov == walk->end)
        return NULL;
    size = walk->iov->iov_len - walk->offset;
    if (size > walk->left)
        size = walk->left;
    piece = (char *)walk->iov->iov_base + walk->offset;
    walk->offset += size;
    walk->left -= size;
    *ret_size = size;
    return piece;
}

size_t iovec_gather(
    const struct iovec *iov, size_t count, size_t offset, void *data, size_t size)
{
    struct walk walk = walk_start(iov, count, offset, size);
    size_t done = 0;
    size_t piece_size;
    const char *piece;

    while ((piece = walk_next(&walk, &piece_size))) {
        memcpy((char *)data + done, piece, piece_size);
        done += piece_size;
    }
    return done;
}

size_t iovec_scatter(
    const struct iovec *iov, size_t count, size_t offset, const void *data, size_t size)
{
    struct walk walk = walk_start(iov, count, offset, size);
    size_t done = 0;
    size_t piece_size;
    char *piece;

    while ((piece = walk_next(&walk, &piece_size))) {
        memcpy(piece, (const char *)data + done, piece_size);
        done += piece_size;
    }
    return done;
}

size_t iovec_zero(const struct iovec *iov, size_t count, size_t offset, size_t size)
{
    struct walk walk = walk_start(iov, count, offset, size);
    size_t done = 0;
    size_t piece_size;
    char *piece;

    while ((piece = walk_next(&walk, &piece_size))) {
        memset(piece, 0, piece_size);
        done += piece_size;
    }
    return done;
}

void iovec_advance(struct iovec **iov, size_t *count, size_t size)
{
    while (*count > 0 && size >= (*iov)->iov_len) {
        size -= (*iov)->iov_len;
        (*iov)++;
        (*count)--;
    }
    if (*count > 0) {
        (*iov)->iov_base = (char *)(*iov)->iov_base + size;
        (*iov)->iov_len -= size;
    }
}

int iovec_slice(const struct iovec *iov,
                size_t count,
                size_t offset,
                size_t size,
                struct iovec *ret_iov,
                size_t max)
{
    struct walk walk = walk_start(iov, count, offset, size);
    size_t used = 0;
    size_t piece_size;
    char *piece;

    while ((piece = walk_next(&walk, &piece_size))) {
        if (used == max || used == INT_MAX)
            return -ENOBUFS;
        ret_iov[used].iov_base = piece;
        ret_iov[used].iov_len = piece_size;
        used++;
    }
    return walk.left > 0 ? -EINVAL : (int)used;
}

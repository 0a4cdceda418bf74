/* SPDX-License-Identifier: Apache-2.0
 * Arithmetic and copying on arrays of struct iovec. No allocation; entries of length 0
 * are fine anywhere. */
#ifndef BENCHFS_BASE_IOVEC_H
#define BENCHFS_BASE_IOVEC_H

#include <stddef.h>
#include <sys/uio.h>

/* Total length in bytes. Returns 0 or -EOVERFLOW (beyond SSIZE_MAX). */
int iovec_length(const struct iovec *iov, size_t count, size_t *ret_length);

/* Copy out of (gather) or into (scatter) the array, starting `offset` bytes into it.
 * Return the bytes copied: less than size when the array ends first. */
size_t iovec_gather(
    const struct iovec *iov, size_t count, size_t offset, void *data, size_t size);
size_t iovec_scatter(const struct iovec *iov,
                     size_t count,
                     size_t offset,
                     const void *data,
                     size_t size);

/* Sets `size` bytes to zero, starting `offset` bytes in. Returns the bytes set. */
size_t iovec_zero(const struct iovec *iov, size_t count, size_t offset, size_t size);

/* Steps over `size` bytes, at most all, as after a short readv or writev: changes *iov,
 * *count and the first entry left. */
void iovec_advance(struct iovec **iov, size_t *count, size_t size);

/* Describes the bytes [offset, offset + size) of the array in ret_iov. Returns the
 * number of entries written, -EINVAL (the range is not within the array) or -ENOBUFS
 * (needs more than `max` entries; `count` always suffice). */
int iovec_slice(const struct iovec *iov,
                size_t count,
                size_t offset,
                size_t size,
                struct iovec *ret_iov,
                size_t max);

#endif

/* SPDX-License-Identifier: Apache-2.0
 * What side.c and side_data.c share.
 */
#ifndef BENCHFS_TEST_SIDE_IMPL_H
#define BENCHFS_TEST_SIDE_IMPL_H

#include "side.h"

/* Says that a property does not hold; the first one said stays. */
void result_break(struct result *result, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void fd_close_keep_errno(int fd);
/* The names user.* at path, sorted, each with its NUL, to data: their number, or -1. */
int64_t xattr_list(const char *path, uint8_t *data, size_t *ret_len);

int64_t side_apply_close(struct side *, const struct op *, struct result *);
int64_t side_apply_ftruncate(struct side *, const struct op *, struct result *);
int64_t side_apply_pread(struct side *, const struct op *, struct result *);
int64_t side_apply_pwrite(struct side *, const struct op *, struct result *);
int64_t side_apply_read(struct side *, const struct op *, struct result *);
int64_t side_apply_write(struct side *, const struct op *, struct result *);
int64_t side_apply_lseek(struct side *, const struct op *, struct result *);
int64_t side_apply_seek_hole_data(struct side *, const struct op *, struct result *);
int64_t side_apply_fsync(struct side *, const struct op *, struct result *);
int64_t side_apply_fallocate(struct side *, const struct op *, struct result *);
int64_t side_apply_copy_range(struct side *, const struct op *, struct result *);
int64_t side_apply_mmap(struct side *, const struct op *, struct result *);
int64_t side_apply_list(struct side *, const struct op *, struct result *);
int64_t side_apply_list_seek(struct side *, const struct op *, struct result *);

#endif

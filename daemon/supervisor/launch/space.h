/* SPDX-License-Identifier: Apache-2.0
 * How large the store of a node may be. */
#ifndef BENCHFS_LAUNCH_SPACE_H
#define BENCHFS_LAUNCH_SPACE_H

#include <stdint.h>

#include "base/error.h"

/* The capacity in bytes: `wanted`, or for 0 half of the free space of dir_fd's file
 * system. `path` is for the text. 0, -ENOSPC when there is not as much, or -errno. */
int space_capacity(int dir_fd,
                   const char *path,
                   uint64_t wanted,
                   uint64_t *ret_bytes,
                   struct benchfs_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0
 * Directories of one user's own, also where others may write beside them. */
#ifndef BENCHFS_LAUNCH_PRIVATE_DIR_H
#define BENCHFS_LAUNCH_PRIVATE_DIR_H

#include <stdbool.h>

#include "base/error.h"

/* Opens `path`, a directory of this user that nobody else may enter, and makes it
 * (0700) if it is missing. With may_create_parent also the directory above it. The one
 * above must belong to this user or to root. Returns a descriptor or -errno. */
int private_dir_open(const char *path,
                     bool may_create_parent,
                     struct benchfs_error *err);

#endif

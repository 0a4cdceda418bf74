/* SPDX-License-Identifier: Apache-2.0
 * Takes a mount away that its server has left behind. */
#ifndef BENCHFS_SUPERVISOR_UNMOUNT_H
#define BENCHFS_SUPERVISOR_UNMOUNT_H

#include <stdbool.h>

#include "base/error.h"

/* Whether something is mounted at `path`; works for mounts whose server is dead. */
bool unmount_is_needed(const char *path);

/* fusermount3 -u -z. 0 or -errno. */
int unmount_lazy(const char *path, struct benchfs_error *err);

#endif

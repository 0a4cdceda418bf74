/* SPDX-License-Identifier: Apache-2.0
 * Mounting and unmounting through the setuid helper fusermount3, so that an ordinary
 * user can, whatever the mode of /dev/fuse. What the helper says becomes the error. */
#ifndef BENCHFS_FUSE_FUSERMOUNT_H
#define BENCHFS_FUSE_FUSERMOUNT_H

#include <stdbool.h>

#include "base/error.h"

/* options: "a,b=c" as for -o. *ret_fd: the open /dev/fuse of this mount, close-on-exec,
 * the caller's. Returns 0 or -errno. */
int fusermount_mount(const char *mountpoint,
                     const char *options,
                     int *ret_fd,
                     struct benchfs_error *err);

/* is_lazy: also when busy; the mount is taken out of the tree at once. Returns 0 or
 * -errno. */
int fusermount_unmount(const char *mountpoint, bool is_lazy, struct benchfs_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0
 * Shows the scratch to the tasks of one step, and to nobody else. */
#ifndef BENCHFS_SPANK_MOUNT_H
#define BENCHFS_SPANK_MOUNT_H

#include "spank/job.h"

/*
 * Opens the directory that the scratch is to be mounted on. A user must not be able to
 * cover a directory that others' programs (sudo, say) trust, so it is either the
 * default of root's configuration, made if missing, or a directory that the job's user
 * owns and can reach; symlinks are refused everywhere on the way. Returns a descriptor
 * (O_PATH) or -errno with a text that names the path. Call with the effective ids of
 * root.
 */
int mount_point_open(const struct job *job,
                     const struct benchfs_config *admin,
                     const char *path,
                     struct benchfs_error *err);

/* Gives the calling thread, and what it forks, a mount namespace of its own in which
 * `path` shows the job's mount on this node. Call as root. */
int mount_private(const struct job *job,
                  const struct benchfs_config *admin,
                  const char *path,
                  struct benchfs_error *err);

#endif

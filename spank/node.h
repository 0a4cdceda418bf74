/* SPDX-License-Identifier: Apache-2.0
 * The root's part on a node: directories of a job are made for its user beneath
 * directories of root's, and taken away again with what holds them. */
#ifndef BENCHFS_SPANK_NODE_H
#define BENCHFS_SPANK_NODE_H

#include <stdbool.h>

#include "spank/job.h"

/* Makes <run_dir>/<jobid>, and <memory_dir|disk_dir>/<jobid> when `store` is "memory"
 * or "disk" (a directory of the user's is the daemon's business): 0700 and the user's.
 * What is above them must be root's and writable by nobody else, or it is an error.
 * Call as root. Fine when they are there already. */
int node_prepare(const struct job *job,
                 const struct benchfs_config *admin,
                 const char *store,
                 struct benchfs_error *err);

/* Whether the job has a directory here. Call as root. */
bool node_has_job(const struct job *job, const struct benchfs_config *admin);

/* Takes everything of the job away: ends what holds the lock file, detaches mounts,
 * removes the directories. Takes at most about three seconds, plus the removal. Call as
 * root. 0 or the first error; goes on after it. Absent is fine. */
int node_remove(const struct job *job,
                const struct benchfs_config *admin,
                struct benchfs_error *err);

/* As node_remove, but only if no daemon holds the lock file: -EBUSY then. */
int node_remove_unused(const struct job *job,
                       const struct benchfs_config *admin,
                       struct benchfs_error *err);

/* Opens the absolute directory `path`, one component at a time and through no symlink;
 * with may_create, makes missing ones 0755. It must belong to the caller's effective
 * user and be writable by no other. Returns a descriptor or -errno. */
int node_dir_open(const char *path, bool may_create, struct benchfs_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0
 * What still holds a job's directory: the process with the lock, and mounts. */
#ifndef BENCHFS_SPANK_HOLDER_H
#define BENCHFS_SPANK_HOLDER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

/* Takes the flock of an open file if nobody has it. */
bool holder_try(int lock_fd);

/* Kills whoever has the flock, as long as it is a process of `uid`, and waits until the
 * lock is free. Returns 0, -EPERM (held by somebody else) or -ETIMEDOUT. */
int holder_end(int lock_fd, uid_t uid, unsigned timeout_ms);

/* Detaches every mount at or beneath `dir` in this mount namespace, the last one first.
 * Returns 0 or the first error. */
int holder_unmount_beneath(const char *dir, struct benchfs_error *err);

#endif

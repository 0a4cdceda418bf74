/* SPDX-License-Identifier: Apache-2.0
 * The two directories of a job on a node, run and store: made if missing, checked to be
 * ours alone, locked while a supervisor lives, and cleared at the end. */
#ifndef BENCHFS_SUPERVISOR_PLACE_H
#define BENCHFS_SUPERVISOR_PLACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct place {
    char *run_dir;
    char *store_dir;
    int run_fd;
    int store_fd; /* -1: not opened */
    int lock_fd;  /* -1: not locked */
};

#define PLACE_INIT                                                                     \
    {                                                                                  \
        .run_fd = -1, .store_fd = -1, .lock_fd = -1                                    \
    }

/* Takes copies of the paths, and makes or opens the run directory: 0700, of this user.
 * 0 or -errno. */
int place_open(struct place *place,
               const char *run_dir,
               const char *store_dir,
               struct benchfs_error *err);
/* Lets go of the lock, if held; removes nothing. */
void place_close(struct place *place);

/* Takes the lock: 0, or -EBUSY when a running supervisor has it; *ret_pid is its
 * process then, 0 if unknown. */
int place_lock(struct place *place, pid_t *ret_pid, struct benchfs_error *err);

/* Makes or opens the store directory. With may_create_parent also the one above it. */
int place_store_open(struct place *place,
                     bool may_create_parent,
                     struct benchfs_error *err);

/* Removes what an earlier service left in both. With the lock held only. */
int place_clear(struct place *place, struct benchfs_error *err);

/* Writes a small file into the run directory, 0600. */
int place_file_write(struct place *place,
                     const char *name,
                     const char *text,
                     struct benchfs_error *err);

/* Removes the content of both directories, then these, as far as the directories above
 * allow. Of those above, when they are empty then, goes what `benchfs run` and `benchfs
 * start` make: benchfs-<uid>, and with_parent the one in between. The lock goes last.
 */
void place_remove(struct place *place, bool with_parent);

#endif

/* SPDX-License-Identifier: Apache-2.0
 * Flags of file descriptors, and what a process does around fork and exec. */
#ifndef BENCHFS_BASE_PROC_H
#define BENCHFS_BASE_PROC_H

#include <stdbool.h>

/* Return 0 or -errno. */
int proc_fd_cloexec_set(int fd, bool is_on);
int proc_fd_nonblock_set(int fd, bool is_on);

/* Closes the descriptor, unless it is negative, and sets it to -1. Keeps errno. */
void proc_fd_close(int *fd);

#endif

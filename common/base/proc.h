/* SPDX-License-Identifier: Apache-2.0
 * Flags of file descriptors, and what a process does around fork and exec. */
#ifndef BENCHFS_BASE_PROC_H
#define BENCHFS_BASE_PROC_H

#include <stdbool.h>
#include <stdint.h>

/* Return 0 or -errno. */
int proc_fd_cloexec_set(int fd, bool is_on);
int proc_fd_nonblock_set(int fd, bool is_on);

/* Closes the descriptor, unless it is negative, and sets it to -1. Keeps errno. */
void proc_fd_close(int *fd);

/* When a process was started, in the kernel's clock ticks since boot: with the pid it
 * tells a process from a later one with the same number. 0 or -errno; -ESRCH also for
 * one that has ended and is not waited for yet. */
int proc_start_time(int pid, uint64_t *ret_ticks);

#endif

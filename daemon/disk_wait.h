/* SPDX-License-Identifier: Apache-2.0
 *
 * Waiting for the disk without standing still: one fdatasync() at a time, done by the
 * kernel's io_uring, or by a thread where the kernel gives us none (io_uring is turned
 * off at many sites). Used by one shard's thread.
 */
#ifndef BENCHFS_DAEMON_DISK_WAIT_H
#define BENCHFS_DAEMON_DISK_WAIT_H

#include <stdbool.h>

struct disk_wait;
struct rpc;

/* `rpc` is woken when the disk has answered. 0 or -errno. */
int disk_wait_create(struct rpc *rpc, struct disk_wait **ret);
/* Waits for what has been started. NULL is fine. */
void disk_wait_destroy(struct disk_wait *wait);

/* fdatasync(fd); nothing else may be under way, and fd stays open until it is done. */
void disk_wait_start(struct disk_wait *wait, int fd);
/* Whether that has ended, once: *ret_status is 0 or -errno. */
bool disk_wait_is_done(struct disk_wait *wait, int *ret_status);

#endif

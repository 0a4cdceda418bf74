/* SPDX-License-Identifier: Apache-2.0
 *
 * The file systems a node has staged out to, so that all of it can be made durable at
 * once, at the end, rather than file by file. Any thread.
 */
#ifndef BENCHFS_STAGE_SYNC_H
#define BENCHFS_STAGE_SYNC_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#define SYNC_DEVICES_MAX 32u

struct sync_device {
    dev_t device;
    int fd; /* a directory on it */
};

struct sync_set {
    pthread_mutex_t lock;
    struct sync_device devices[SYNC_DEVICES_MAX];
    unsigned n_devices;
    bool is_everything; /* one of them could not be kept */
};

void sync_set_init(struct sync_set *set);
void sync_set_fini(struct sync_set *set);

/* Something will be written to the file system of this directory. */
void sync_set_note(struct sync_set *set, int dirfd);
/* Makes durable what was written to all of them. 0 or the first -errno, which may be of
 * a write that seemed to succeed. */
int sync_set_run(struct sync_set *set);

#endif

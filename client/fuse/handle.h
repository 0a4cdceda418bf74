/* SPDX-License-Identifier: Apache-2.0
 * What the kernel has open: files and directories. Kept in a list, since the kernel
 * drops RELEASE requests it has not sent yet when the mount goes. */
#ifndef BENCHFS_FUSE_HANDLE_H
#define BENCHFS_FUSE_HANDLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "client/client.h"

struct handles {
    pthread_mutex_t lock;
    struct list open;
};

/* A file, or a directory being read: one of the two is not NULL. */
struct handle {
    struct list_node node; /* handles->open */
    struct client_file *file;
    struct client_dir *dir;

    /* Directories: what the kernel gets next. */
    pthread_mutex_t dir_lock;
    uint64_t
        dir_offset; /* where the stream stands, before `dir_entry` if that is there */
    bool has_dir_entry; /* read from the stream, but did not fit the kernel's buffer */
    struct client_dirent dir_entry;
};

void handles_init(struct handles *handles);
/* Closes what is still open. */
void handles_fini(struct handles *handles);

/* Takes file or dir (the other one is NULL); on -ENOMEM it closes them. */
int handle_open(struct handles *handles,
                struct client_file *file,
                struct client_dir *dir,
                struct handle **ret);
void handle_close(struct handles *handles, struct handle *handle);

/* A handle as the kernel keeps it. */
static inline uint64_t handle_to_fh(const struct handle *handle)
{
    return (uint64_t)(uintptr_t)handle;
}

static inline struct handle *handle_from_fh(uint64_t fh)
{
    return (struct handle *)(uintptr_t)fh; /* NOLINT(performance-no-int-to-ptr) */
}

#endif

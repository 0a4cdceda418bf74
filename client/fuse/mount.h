/* SPDX-License-Identifier: Apache-2.0
 * The mount: serves a client's file system to the kernel at a directory, by FUSE, as an
 * ordinary user. One process may hold several. */
#ifndef BENCHFS_FUSE_MOUNT_H
#define BENCHFS_FUSE_MOUNT_H

#include <stdint.h>

#include "base/error.h"
#include "client/client.h"

struct mount;

#define MOUNT_THREADS_DEFAULT             16u
#define MOUNT_THREADS_MAX                 256u
#define MOUNT_DIR_ATTR_TIMEOUT_MS_DEFAULT 1000u

struct mount_options {
    unsigned n_threads; /* requests served at the same time; 0: the default */
    /* How long the kernel may believe attributes of directories; 0: not at all. Those
     * of files are never believed. See docs/semantics.md. */
    unsigned dir_attr_timeout_ms;
};

#define MOUNT_OPTIONS_DEFAULT                                                          \
    (struct mount_options)                                                             \
    {                                                                                  \
        .n_threads = MOUNT_THREADS_DEFAULT,                                            \
        .dir_attr_timeout_ms = MOUNT_DIR_ATTR_TIMEOUT_MS_DEFAULT                       \
    }

/*
 * Mounts at the directory `mountpoint` (absolute; it must exist) and serves it in
 * threads of its own; options may be NULL. When it returns 0 the kernel has agreed on
 * the protocol and programs can use the mount. The client must live longer than the
 * mount. Nobody in this process may touch a path beneath the mountpoint. Returns 0 or
 * -errno with the cause in err; on failure nothing is left mounted.
 */
int mount_start(struct client *client,
                const char *mountpoint,
                const struct mount_options *options,
                struct mount **ret,
                struct benchfs_error *err);

/* Readable as soon as the kernel side is gone without mount_stop(): somebody unmounted,
 * or aborted the connection. For poll only; owned by the mount. */
int mount_gone_fd(const struct mount *mount);

/* Requests of a kind received since the start, by number in linux/fuse.h; any thread.
 */
uint64_t mount_request_count(const struct mount *mount, unsigned opcode);

/*
 * Unmounts, waits for requests under way and frees. While programs have files open
 * there or stand in it, tries until timeout_ms have passed, then takes the mount away
 * from under them: their calls fail with ENOTCONN from then on. Returns 0, also in that
 * case; -errno if it could not be unmounted (it is then dead, and freed all the same).
 * NULL is fine.
 */
int mount_stop(struct mount *mount, unsigned timeout_ms, struct benchfs_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0
 * Private to bootstrap*.c: what an implementation provides. */
#ifndef BENCHFS_SUPERVISOR_BOOTSTRAP_IMPL_H
#define BENCHFS_SUPERVISOR_BOOTSTRAP_IMPL_H

#include "supervisor/bootstrap.h"

struct bootstrap_impl {
    bool is_embedded;
    int (*exchange)(struct bootstrap *bootstrap,
                    const void *mine,
                    size_t len,
                    struct bytes *ret,
                    struct deadline deadline,
                    struct benchfs_error *err);
    int (*barrier)(struct bootstrap *bootstrap,
                   struct deadline deadline,
                   struct benchfs_error *err);
    void (*close)(struct bootstrap *bootstrap);
};

struct bootstrap {
    const struct bootstrap_impl *impl;
    bootstrap_wait_fn wait;
    void *wait_arg;
    uint32_t rank;
    uint32_t size;
    int launcher_fd;
    void *state; /* the implementation's */
};

/* Fill impl, rank, size and what they need; the rest is set. */
int bootstrap_hub_open(struct bootstrap *bootstrap,
                       int fd,
                       struct deadline deadline,
                       struct benchfs_error *err);
int bootstrap_pmix_open(struct bootstrap *bootstrap,
                        struct deadline deadline,
                        struct benchfs_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * What the direct route to other nodes needs, so that the client itself links without
 * UCX and MUNGE.
 */
#ifndef BENCHFS_CLIENT_REMOTE_H
#define BENCHFS_CLIENT_REMOTE_H

#include "base/error.h"
#include "transport/rpc.h"

struct client_remote {
    const struct rpc_backend *backend;
    /* How this process proves who it is, for one struct rpc. */
    int (*auth_open)(void **ret_state,
                     const struct rpc_auth **ret_auth,
                     struct benchfs_error *err);
    void (*auth_close)(void *state); /* NULL is fine */
};

/* For client_config.remote; in the component client_ucx. */
extern const struct client_remote client_remote_ucx;

#endif

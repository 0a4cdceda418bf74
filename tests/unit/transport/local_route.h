/* SPDX-License-Identifier: Apache-2.0
 * The node-local route, for the cases. */
#ifndef BENCHFS_TEST_LOCAL_ROUTE_H
#define BENCHFS_TEST_LOCAL_ROUTE_H

#include "rpc_cases.h"

static inline void local_server_config(const struct case_server *server,
                                       struct rpc_config *config)
{
    config->local_path = server->path;
}

static inline void local_client_config(struct rpc_config *config)
{
    (void)config;
}

static inline void local_peer_config(const struct case_server *server,
                                     struct rpc_peer_config *config)
{
    config->local_path = server->path;
}

static const struct rpc_route local_route = {
    .name = "local",
    .server_config = local_server_config,
    .client_config = local_client_config,
    .peer_config = local_peer_config,
};

#endif

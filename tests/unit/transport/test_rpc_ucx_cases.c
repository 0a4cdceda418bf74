/* SPDX-License-Identifier: Apache-2.0
 * The common cases over UCX, TCP on loopback. */
#include "rpc_cases.h"
#include "rpc_ucx_child.h"

#include <netinet/in.h>

#include "transport/rpc_ucx.h"

static void server_config(const struct case_server *server, struct rpc_config *config)
{
    struct sockaddr_in before;

    memcpy(&before, server->shared->socket_address, sizeof(before));
    if (server->shared->socket_address_len > 0) /* it is started again */
        config->listen_port = ntohs(before.sin_port);
    config->remote = &rpc_backend_ucx;
    config->listen_address = "127.0.0.1";
    config->auth = child_auth(false);
}

static void client_config(struct rpc_config *config)
{
    config->remote = &rpc_backend_ucx;
    config->auth = child_auth(false);
}

static void peer_config(const struct case_server *server,
                        struct rpc_peer_config *config)
{
    config->socket_address = server->shared->socket_address;
    config->socket_address_len = server->shared->socket_address_len;
}

int main(void)
{
    static const struct rpc_route route = {
        .name = "ucx",
        .server_config = server_config,
        .client_config = client_config,
        .peer_config = peer_config,
    };

    return rpc_cases_run(&route);
}

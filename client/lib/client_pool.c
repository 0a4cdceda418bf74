/* SPDX-License-Identifier: Apache-2.0
 *
 * What a program may want to know of, and do with, the engine's connections.
 */
#include <errno.h>
#include <stdlib.h>

#include "client/client_internal.h"

int client_connections(struct client *client,
                       struct client_connection *list,
                       uint32_t max)
{
    struct engine_connection *there = calloc(max + 1u, sizeof(*there));
    uint32_t n;

    if (!there)
        return -ENOMEM;
    n = engine_connections(client->engine, there, max);
    for (uint32_t i = 0; i < n && i < max; i++) {
        const struct endpoint *endpoint = there[i].peer < client->table.n_endpoints
                                              ? &client->table.endpoints[there[i].peer]
                                              : NULL;

        list[i] = (struct client_connection){
            .target = there[i].peer,
            .host = endpoint && endpoint->host_name ? endpoint->host_name : "",
            .is_local = there[i].is_local,
            .is_connected = there[i].state == RPC_PEER_CONNECTED,
            .n_connects = there[i].n_connects,
        };
    }
    free(there);
    return (int)n;
}

/* To targets first..first+n-1 at once. */
static int connect_some(struct client *client,
                        struct engine_call *calls,
                        uint32_t first,
                        uint32_t n)
{
    struct engine_set set;
    int status = 0;

    engine_set_init(&set, NULL);
    for (uint32_t i = 0; i < n; i++) {
        client_call_set(client, &calls[i], OP_PING, first + i, NULL, 0);
        engine_set_add(&set, &calls[i]);
    }
    engine_run(client->engine, &set);
    for (uint32_t i = 0; i < n && status == 0; i++)
        status = calls[i].rpc.status;
    return status;
}

int client_connect_all(struct client *client)
{
    struct engine_call *calls = calloc(CLIENT_PARALLEL_MAX, sizeof(*calls));
    uint32_t n_targets = client_n_targets(client);
    int first_failure = 0;

    if (!calls)
        return -ENOMEM;
    for (uint32_t target = 0; target < n_targets; target += CLIENT_PARALLEL_MAX) {
        uint32_t n = n_targets - target;
        int status = connect_some(
            client, calls, target, n < CLIENT_PARALLEL_MAX ? n : CLIENT_PARALLEL_MAX);

        if (first_failure == 0)
            first_failure = status;
    }
    free(calls);
    return first_failure;
}

uint32_t client_disconnect_all(struct client *client)
{
    return engine_disconnect(client->engine);
}

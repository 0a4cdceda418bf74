/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections, for the program.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/api.h"

ssize_t
benchfs_connections(struct benchfs *fs, struct benchfs_connection *list, size_t max)
{
    uint32_t n_max = max > UINT16_MAX ? UINT16_MAX : (uint32_t)max;
    struct client_connection *there;
    int n;
    int status = api_enter(fs);

    if (status < 0)
        return status;
    there = calloc(n_max + 1u, sizeof(*there));
    if (!there)
        return -ENOMEM;
    n = client_connections(fs->client, there, n_max);
    for (uint32_t i = 0; (int)i < n && i < n_max; i++) {
        list[i] = (struct benchfs_connection){
            .target = there[i].target,
            .is_local = there[i].is_local,
            .is_connected = there[i].is_connected,
            .n_connects = there[i].n_connects,
        };
        snprintf(list[i].host, sizeof(list[i].host), "%s", there[i].host);
    }
    free(there);
    return n;
}

int benchfs_connect(struct benchfs *fs)
{
    int status = api_enter(fs);

    return status < 0 ? status : client_connect_all(fs->client);
}

int benchfs_disconnect(struct benchfs *fs)
{
    int status = api_enter(fs);

    return status < 0 ? status : (int)client_disconnect_all(fs->client);
}

/* SPDX-License-Identifier: Apache-2.0
 * A fake service and a client of it, for one test. */
#ifndef BENCHFS_TEST_CLIENT_UNIT_H
#define BENCHFS_TEST_CLIENT_UNIT_H

#include "client/client.h"
#include "fake_service.h"

struct client_unit {
    struct unit_dir dir;
    struct fake_service *service;
    struct client *client;
};

static inline void client_unit_connect(struct client_unit *unit,
                                       enum client_route route)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct client_config config = {.route = route,
                                   .socket_path = fake_service_socket(unit->service)};

    if (client_open(&config, &unit->client, &err) < 0)
        fail_msg("%s", err.text);
}

static inline void
client_unit_start(struct client_unit *unit, uint32_t n_own, enum client_route route)
{
    unit_dir_create(&unit->dir);
    unit->service = fake_service_start(&unit->dir, n_own);
    client_unit_connect(unit, route);
}

static inline void client_unit_stop(struct client_unit *unit)
{
    client_close(unit->client);
    fake_service_stop(unit->service);
    unit_dir_remove(&unit->dir);
}

#endif

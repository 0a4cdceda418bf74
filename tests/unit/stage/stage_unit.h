/* SPDX-License-Identifier: Apache-2.0
 *
 * A real service for tests of staging: server processes as on several nodes, all on
 * this host, and on each node a client with stage workers.
 */
#ifndef BENCHFS_STAGE_UNIT_H
#define BENCHFS_STAGE_UNIT_H

#include "unit.h"

#include "client/client.h"
#include "config/config.h"
#include "stage/stage.h"
#include "stage/worker.h"

#define UNIT_NODES  2u
#define UNIT_SHARDS 2u

struct unit_server {
    pid_t pid;
    int control_fd;
    char run_dir[64];
    char store_dir[64];
};

struct unit_service {
    struct unit_dir dir;
    struct benchfs_config *config;
    struct unit_server servers[UNIT_NODES];
    struct client *clients[UNIT_NODES];
    struct stage_worker *workers[UNIT_NODES];
};

/* `report`: a file in the service's directory, or NULL. */
void unit_service_start(struct unit_service *service, const char *report);
void unit_service_stop(struct unit_service *service);

void unit_workers_start(struct unit_service *service,
                        unsigned node,
                        unsigned n_threads);
void unit_workers_stop(struct unit_service *service, unsigned node);

/* A path in the service's directory; ret has PATH_MAX bytes. Returns ret. */
char *unit_path(const struct unit_service *service, const char *name, char *ret);

/* Runs a shell command in the service's directory, which must succeed. */
void unit_shell(const struct unit_service *service, const char *command);

/* Stages one directive; what stage_run() gives. */
int unit_stage(struct unit_service *service,
               enum stage_direction direction,
               const char *source,
               const char *target,
               struct stage_result *ret,
               struct benchfs_error *err);

#endif

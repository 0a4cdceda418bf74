/* SPDX-License-Identifier: Apache-2.0
 * Joining the service that runs for this job already. */
#ifndef BENCHFS_SUPERVISOR_JOIN_H
#define BENCHFS_SUPERVISOR_JOIN_H

#include "supervisor/supervisor_impl.h"

/* The running service's configuration, in its run directory. */
#define JOIN_CONFIG_NAME "config.json"

/* Waits until the service of the lock's holder answers and is running, heartbeats on
 * stdout while it stages in, and compares the settings. 0: joined. */
int join_service(struct supervisor *supervisor, struct benchfs_error *err);

/* -EINVAL naming the first setting of a user's that `wanted` has other than by default
 * and `running` has differently. */
int join_config_check(const struct benchfs_config *wanted,
                      const struct benchfs_config *running,
                      struct benchfs_error *err);

#endif

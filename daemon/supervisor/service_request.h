/* SPDX-License-Identifier: Apache-2.0
 * Asks the running service for its state, or sets it, through the node's socket. */
#ifndef BENCHFS_SUPERVISOR_SERVICE_REQUEST_H
#define BENCHFS_SUPERVISOR_SERVICE_REQUEST_H

#include "base/error.h"
#include "proto/messages.h"

/* socket_path: the node's shard-0.sock. 0 or -errno within a few seconds. */
int service_request_state_set(const char *socket_path,
                              enum service_state state,
                              struct benchfs_error *err);
int service_request_state_get(const char *socket_path,
                              enum service_state *ret,
                              struct benchfs_error *err);

/* Asks for the end of the service on all nodes. */
int service_request_shutdown(const char *socket_path, struct benchfs_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0
 * The launcher's end of the bootstrap on one machine: gathers a record from every
 * daemon, and sends all of them to each. Not thread-safe. */
#ifndef BENCHFS_LAUNCH_HUB_H
#define BENCHFS_LAUNCH_HUB_H

#include <stdint.h>

#include "base/error.h"
#include "launch/hub_message.h"

struct hub;

/* `size` daemons, 1..HUB_DAEMONS_MAX. 0 or -errno. */
int hub_create(uint32_t size, struct hub **ret, struct benchfs_error *err);
/* Closes everything, which the daemons take as the launcher's end. NULL is fine. */
void hub_destroy(struct hub *hub);

/* The daemon's descriptor, close-on-exec: to be inherited by the daemon alone, and
 * closed here (hub_child_fd_close) after the fork. */
int hub_child_fd(const struct hub *hub, uint32_t rank);
void hub_child_fd_close(struct hub *hub, uint32_t rank);

/* To be polled for input; -1 once the daemon has gone. */
int hub_fd(const struct hub *hub, uint32_t rank);

/* Reads the message that has come from a daemon; the last one of a round makes the
 * answers go out. 0, -EPIPE (the daemon has gone) or -errno. */
int hub_receive(struct hub *hub, uint32_t rank);

#endif

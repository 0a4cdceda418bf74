/* SPDX-License-Identifier: Apache-2.0
 * The node's client side, benchfs-agent: started, heard, ended. */
#ifndef BENCHFS_SUPERVISOR_AGENT_H
#define BENCHFS_SUPERVISOR_AGENT_H

#include "supervisor/supervisor_impl.h"

/* Takes away what an earlier agent has left mounted. */
int agent_mount_clear(struct supervisor *supervisor, struct benchfs_error *err);

/* Starts it and waits until it has mounted. 0 when there is to be none. */
int agent_start(struct supervisor *supervisor, struct benchfs_error *err);

/* Ends it, and makes sure that nothing stays mounted. */
void agent_stop(struct supervisor *supervisor);

#endif

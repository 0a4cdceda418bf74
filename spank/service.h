/* SPDX-License-Identifier: Apache-2.0
 * The hooks' side of the node's daemon: asks for the endpoint table, tells of tasks
 * that have ended, has files copied out, ends the service. By the local route only. */
#ifndef BENCHFS_SPANK_SERVICE_H
#define BENCHFS_SPANK_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "spank/job.h"

struct service_link;

/* Connects to the job's daemon on this node. Every call has a deadline of `timeout_ms`;
 * call all of these with the effective ids of the job's user, from one thread. */
int service_link_open(const struct job *job,
                      unsigned timeout_ms,
                      struct service_link **ret_link,
                      struct benchfs_error *err);
/* NULL is fine. */
void service_link_close(struct service_link *link);

/* The encoded endpoint table is appended; *ret_n_targets is what it lists. */
int service_table_get(struct service_link *link,
                      struct bytes *table,
                      uint32_t *ret_n_targets,
                      struct benchfs_error *err);

/* One task of the step has ended; *ret_is_last: none of its n_tasks is left. */
int service_task_exit(struct service_link *link,
                      uint32_t step,
                      uint32_t task,
                      uint32_t n_tasks,
                      int wait_status,
                      bool *ret_is_last,
                      struct benchfs_error *err);

/* Copies out, and waits for the end of it for as long as the daemon answers. Returns 0
 * when every file arrived, else -EIO with the first reason. An empty list is fine. */
int service_stage_out(struct service_link *link,
                      const struct config_stage_list *directives,
                      bool has_terminal,
                      struct benchfs_error *err);

/* Tells all daemons to end, and waits until this node's has, at most timeout_ms: what
 * takes longer is not an error. */
int service_shutdown(struct service_link *link,
                     unsigned timeout_ms,
                     struct benchfs_error *err);

#endif

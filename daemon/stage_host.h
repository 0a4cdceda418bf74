/* SPDX-License-Identifier: Apache-2.0
 *
 * The stages of a service, on target 0: the queue, who waits at it (workers for items,
 * callers for the end), and what is told of it. Target 0's thread only.
 */
#ifndef BENCHFS_DAEMON_STAGE_HOST_H
#define BENCHFS_DAEMON_STAGE_HOST_H

#include "daemon/op.h"

struct stage_host;

/* 0 or -errno with a text. */
int stage_host_create(struct shard *shard,
                      struct stage_host **ret,
                      struct benchfs_error *err);
/* Waits until the last lines and the report are written. NULL is fine. */
void stage_host_destroy(struct stage_host *host);

/* Answers everyone who waits; from now on nobody has to. NULL is fine. */
void stage_host_stop(struct stage_host *host);
/* The client's items go back. NULL is fine. */
void stage_host_client_gone(struct stage_host *host, uint64_t client);

/* What the handlers do once they have decoded their request. */

/* 0, -EINVAL, -EBUSY, -ENOMEM. */
int stage_host_start(struct stage_host *host,
                     const struct msg_stage_start_request *m,
                     const void *directives,
                     size_t len,
                     uint64_t *ret_stage);
/* These set the op's reply, or keep the op for later (OP_PENDING). */
int stage_host_wait(struct stage_host *host,
                    struct op *op,
                    const struct msg_stage_wait_request *m);
int stage_host_pull(struct stage_host *host,
                    struct op *op,
                    const struct msg_stage_pull_request *m);
int stage_host_done(struct stage_host *host,
                    const struct msg_stage_done_request *m,
                    const void *payload,
                    size_t len);
bool stage_host_is_full(const struct stage_host *host);
/* The last stage-out that has ended did not copy everything. NULL: false. */
bool stage_host_has_lost(const struct stage_host *host);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * A node's stage workers: threads that ask target 0 for work and do it. They cost
 * nothing while there is none.
 */
#ifndef BENCHFS_STAGE_WORKER_H
#define BENCHFS_STAGE_WORKER_H

#include "base/error.h"
#include "client/client.h"

struct stage_worker;

/* n_threads 0: half of the CPUs, 2 to 8. The client must outlive the worker. */
int stage_worker_start(struct client *client,
                       unsigned n_threads,
                       struct stage_worker **ret,
                       struct benchfs_error *err);
/* Leaves items that are not done to the workers of other nodes. NULL is fine. */
void stage_worker_stop(struct stage_worker *worker);

#endif

/* SPDX-License-Identifier: Apache-2.0
 * One PMIx operation that ends on PMIx's own thread, awaited with a deadline. What was
 * given up lives on until PMIx is done with it. Private to this component. */
#ifndef BENCHFS_PMIX_PMIX_OP_H
#define BENCHFS_PMIX_PMIX_OP_H

#include "base/clock.h"

struct pmix_op;

/* Waits until fd is readable: 0, -ETIMEDOUT, or an error of the caller's own that ends
 * the wait early (a signal, a dead child). */
typedef int (*pmix_wait_fn)(void *arg, int fd, struct deadline deadline);

/* For the caller and one completion. NULL: errno tells why. */
struct pmix_op *pmix_op_create(void);

/* The completion, from any thread, at most once; `status` is a pmix_status_t. */
void pmix_op_complete(struct pmix_op *op, int status);
/* Lets go of the completion's part: the operation did not start. */
void pmix_op_cancel(struct pmix_op *op);

/* Waits for the completion and lets go of the caller's part. wait may be NULL: plain
 * poll(2). Returns what wait returns; *ret_status is set when that is 0. */
int pmix_op_wait(struct pmix_op *op,
                 pmix_wait_fn wait,
                 void *arg,
                 struct deadline deadline,
                 int *ret_status);

#endif

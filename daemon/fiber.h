/* SPDX-License-Identifier: Apache-2.0
 *
 * Fibers: functions with a stack of their own that can stop in the middle and go on
 * later. A shard runs those operations in fibers that have to wait for other targets,
 * so that they read as straight code while the shard goes on with other requests.
 *
 * All fibers of a pool belong to one thread.
 */
#ifndef BENCHFS_DAEMON_FIBER_H
#define BENCHFS_DAEMON_FIBER_H

#include <stdbool.h>
#include <stddef.h>

struct fiber;
struct fiber_pool;

/* At most `limit` fibers at a time. 0 or -ENOMEM. */
int fiber_pool_create(unsigned limit, struct fiber_pool **ret);
/* Fibers must have ended. NULL is fine. */
void fiber_pool_destroy(struct fiber_pool *pool);

/*
 * Runs `run(arg)` in a new fiber until it ends or first yields, then returns. -EAGAIN
 * when the pool's limit is reached, -ENOMEM; `run` was not called then.
 */
int fiber_start(struct fiber_pool *pool, void (*run)(void *arg), void *arg);

/* The fiber that is running in this pool, NULL outside of fibers. */
struct fiber *fiber_current(const struct fiber_pool *pool);

/* Called within a fiber: stops it and returns to whoever started or resumed it. */
void fiber_yield(struct fiber_pool *pool);

/* Called outside of fibers: goes on where the fiber yielded, until it yields or ends.
 */
void fiber_resume(struct fiber_pool *pool, struct fiber *fiber);

/* Fibers that have started and not ended. */
unsigned fiber_pool_active(const struct fiber_pool *pool);

#endif

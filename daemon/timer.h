/* SPDX-License-Identifier: Apache-2.0
 *
 * Timers of a shard's thread: a member of what waits, in a list sorted by time. Few at
 * a time: setting one walks the list.
 */
#ifndef BENCHFS_DAEMON_TIMER_H
#define BENCHFS_DAEMON_TIMER_H

#include <stdint.h>

#include "base/list.h"

struct shard_timer {
    struct list_node link;
    uint64_t at_ns; /* clock_now_ns() */
    /* Runs between batches, outside of a transaction: it may finish ops, add tasks and
     * set timers, this one too, but not touch the store. */
    void (*run)(struct shard_timer *timer);
};

void shard_timer_init(struct shard_timer *timer,
                      void (*run)(struct shard_timer *timer));
/* Moves it when it was set already. */
void shard_timer_set(struct list *timers, struct shard_timer *timer, uint64_t at_ns);
/* Fine when it is not set. */
void shard_timer_cancel(struct shard_timer *timer);

/* How long rpc_wait() may last: milliseconds, rounded up, -1 without a timer. */
int shard_timers_wait_ms(const struct list *timers);
/* Runs those whose time has come. */
void shard_timers_run(struct list *timers);

#endif

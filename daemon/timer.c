/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/timer.h"

#include "base/clock.h"

void shard_timer_init(struct shard_timer *timer, void (*run)(struct shard_timer *timer))
{
    list_node_init(&timer->link);
    timer->at_ns = 0;
    timer->run = run;
}

void shard_timer_set(struct list *timers, struct shard_timer *timer, uint64_t at_ns)
{
    list_remove(&timer->link);
    timer->at_ns = at_ns;
    list_for_each(node, timers)
    {
        if (list_entry(node, struct shard_timer, link)->at_ns > at_ns) {
            list_insert_before(node, &timer->link);
            return;
        }
    }
    list_push_back(timers, &timer->link);
}

void shard_timer_cancel(struct shard_timer *timer)
{
    list_remove(&timer->link);
}

static const struct shard_timer *first(const struct list *timers)
{
    struct list_node *node = list_front(timers);

    return node ? list_entry(node, struct shard_timer, link) : NULL;
}

int shard_timers_wait_ms(const struct list *timers)
{
    const struct shard_timer *timer = first(timers);

    if (!timer)
        return -1;
    return deadline_remaining_ms((struct deadline){.at_ns = timer->at_ns});
}

void shard_timers_run(struct list *timers)
{
    uint64_t now;

    if (list_is_empty(timers))
        return;
    now = clock_now_ns();
    while (!list_is_empty(timers) && first(timers)->at_ns <= now) {
        struct list_node *node = list_pop_front(timers);
        struct shard_timer *timer = list_entry(node, struct shard_timer, link);

        timer->run(timer);
    }
}

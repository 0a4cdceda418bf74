/* SPDX-License-Identifier: Apache-2.0
 *
 * All deadlines of an rpc in one binary heap, earliest first.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "transport/rpc_core.h"

static void timer_place(struct rpc *rpc, size_t index, struct rpc_timer *timer)
{
    rpc->timers[index] = timer;
    timer->index = index;
}

static void timer_sift_up(struct rpc *rpc, size_t index, struct rpc_timer *timer)
{
    while (index > 1 && rpc->timers[index / 2]->when_ns > timer->when_ns) {
        timer_place(rpc, index, rpc->timers[index / 2]);
        index /= 2;
    }
    timer_place(rpc, index, timer);
}

static void timer_sift_down(struct rpc *rpc, size_t index, struct rpc_timer *timer)
{
    for (;;) {
        size_t child = 2 * index;

        if (child > rpc->n_timers)
            break;
        if (child < rpc->n_timers
            && rpc->timers[child + 1]->when_ns < rpc->timers[child]->when_ns)
            child++;
        if (rpc->timers[child]->when_ns >= timer->when_ns)
            break;
        timer_place(rpc, index, rpc->timers[child]);
        index = child;
    }
    timer_place(rpc, index, timer);
}

static int timers_grow(struct rpc *rpc)
{
    size_t capacity = rpc->timers_capacity ? 2 * rpc->timers_capacity : 64;
    struct rpc_timer **timers = realloc(rpc->timers, capacity * sizeof(*timers));

    if (!timers)
        return -ENOMEM;
    rpc->timers = timers;
    rpc->timers_capacity = capacity;
    return 0;
}

int rpc_timer_set(struct rpc *rpc, struct rpc_timer *timer, uint64_t when_ns)
{
    assert(timer->fire);
    rpc_timer_clear(rpc, timer);
    if (rpc->n_timers + 1 >= rpc->timers_capacity) {
        int rc = timers_grow(rpc);

        if (rc)
            return rc;
    }
    timer->when_ns = when_ns;
    timer_sift_up(rpc, ++rpc->n_timers, timer);
    return 0;
}

void rpc_timer_clear(struct rpc *rpc, struct rpc_timer *timer)
{
    size_t index = timer->index;
    struct rpc_timer *last;

    if (index == 0)
        return;
    timer->index = 0;
    last = rpc->timers[rpc->n_timers--];
    if (last == timer)
        return;
    if (index > 1 && rpc->timers[index / 2]->when_ns > last->when_ns)
        timer_sift_up(rpc, index, last);
    else
        timer_sift_down(rpc, index, last);
}

unsigned rpc_timers_run(struct rpc *rpc)
{
    unsigned n = 0;
    uint64_t now;

    if (rpc->n_timers == 0)
        return 0;
    now = clock_now_ns();
    while (rpc->n_timers > 0 && rpc->timers[1]->when_ns <= now) {
        struct rpc_timer *timer = rpc->timers[1];

        rpc_timer_clear(rpc, timer);
        timer->fire(timer);
        n++;
    }
    return n;
}

uint64_t rpc_timers_next_ns(const struct rpc *rpc)
{
    return rpc->n_timers > 0 ? rpc->timers[1]->when_ns : UINT64_MAX;
}

void rpc_timers_fini(struct rpc *rpc)
{
    free(rpc->timers);
    rpc->timers = NULL;
    rpc->n_timers = rpc->timers_capacity = 0;
}

/* SPDX-License-Identifier: Apache-2.0
 * Monotonic time and deadlines. A deadline is made once, at the start of an operation,
 * and handed down, so that retries and steps share it. */
#ifndef BENCHFS_BASE_CLOCK_H
#define BENCHFS_BASE_CLOCK_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define CLOCK_NS_PER_MS  UINT64_C(1000000)
#define CLOCK_NS_PER_SEC UINT64_C(1000000000)

/* CLOCK_MONOTONIC: comparable between processes of one node, not between nodes. */
static inline uint64_t clock_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * CLOCK_NS_PER_SEC + (uint64_t)now.tv_nsec;
}

static inline uint64_t clock_now_ms(void)
{
    return clock_now_ns() / CLOCK_NS_PER_MS;
}

struct deadline {
    uint64_t at_ns; /* clock_now_ns() at which it has passed */
};

/* A time too far away to be counted becomes the farthest one (584 years). */
static inline struct deadline deadline_after_ms(uint64_t timeout_ms)
{
    uint64_t now = clock_now_ns();
    struct deadline deadline = {.at_ns = UINT64_MAX};

    if (timeout_ms <= (UINT64_MAX - now) / CLOCK_NS_PER_MS)
        deadline.at_ns = now + timeout_ms * CLOCK_NS_PER_MS;
    return deadline;
}

static inline struct deadline deadline_earlier(struct deadline a, struct deadline b)
{
    return a.at_ns <= b.at_ns ? a : b;
}

static inline uint64_t deadline_remaining_ns(struct deadline deadline)
{
    uint64_t now = clock_now_ns();

    return deadline.at_ns > now ? deadline.at_ns - now : 0;
}

static inline bool deadline_expired(struct deadline deadline)
{
    return deadline_remaining_ns(deadline) == 0;
}

/* For poll(2): rounded up, so that 0 means expired; at most INT_MAX, never -1. */
static inline int deadline_remaining_ms(struct deadline deadline)
{
    uint64_t ns = deadline_remaining_ns(deadline);
    uint64_t ms = ns / CLOCK_NS_PER_MS + (ns % CLOCK_NS_PER_MS != 0);

    return ms > INT_MAX ? INT_MAX : (int)ms;
}

#endif

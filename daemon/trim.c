/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/trim.h"

#include "base/clock.h"
#include "daemon/shard.h"

/* What stays in any case. */
#define RESERVE_BYTES (UINT64_C(64) << 20)
/* How long it must have been free, and how long a shard does other things between two
 * pieces, each of which takes some milliseconds. */
#define OBSERVE_NS (5 * CLOCK_NS_PER_SEC)
#define PAUSE_NS   (20 * CLOCK_NS_PER_MS)

static void on_timer(struct shard_timer *timer)
{
    struct shard *shard = list_entry(timer, struct shard, trim_timer);
    uint64_t low = store_idle_low(shard->store);

    if (low > RESERVE_BYTES && store_trim(shard->store) > 0)
        shard_timer_set(&shard->timers, timer, clock_now_ns() + PAUSE_NS);
    else if (low <= RESERVE_BYTES && store_idle_bytes(shard->store) > RESERVE_BYTES)
        shard_timer_set(&shard->timers, timer, clock_now_ns() + OBSERVE_NS);
}

void trim_init(struct shard *shard)
{
    shard_timer_init(&shard->trim_timer, on_timer);
}

void trim_progress(struct shard *shard)
{
    if (list_node_is_linked(&shard->trim_timer.link)
        || store_idle_bytes(shard->store) <= RESERVE_BYTES)
        return;
    (void)store_idle_low(shard->store);
    shard_timer_set(&shard->timers, &shard->trim_timer, clock_now_ns() + OBSERVE_NS);
}

/* SPDX-License-Identifier: Apache-2.0
 * Timers run in the order of their times, once, and not after they were cancelled. */
#include "unit.h"

#include "base/clock.h"
#include "daemon/timer.h"

struct probe {
    struct shard_timer timer;
    struct list *timers;
    unsigned *n_runs; /* of all */
    unsigned order;
    uint64_t again_ns; /* sets itself once more, 0: does not */
};

static void run(struct shard_timer *timer)
{
    struct probe *probe = list_entry(timer, struct probe, timer);

    probe->order = ++*probe->n_runs;
    if (probe->again_ns)
        shard_timer_set(probe->timers, timer, probe->again_ns);
    probe->again_ns = 0;
}

static void test_order(void **state)
{
    struct list timers;
    struct probe probes[4];
    unsigned n_runs = 0;
    uint64_t far = clock_now_ns() + 3600 * CLOCK_NS_PER_SEC;

    (void)state;
    list_init(&timers);
    assert_int_equal(shard_timers_wait_ms(&timers), -1);
    for (unsigned i = 0; i < 4; i++) {
        probes[i] = (struct probe){.timers = &timers, .n_runs = &n_runs};
        shard_timer_init(&probes[i].timer, run);
    }
    shard_timer_set(&timers, &probes[0].timer, 3);
    shard_timer_set(&timers, &probes[1].timer, far);
    shard_timer_set(&timers, &probes[2].timer, far);
    shard_timer_set(&timers, &probes[2].timer, 1); /* moved */
    shard_timer_set(&timers, &probes[3].timer, 2);
    shard_timer_cancel(&probes[3].timer);
    shard_timer_cancel(&probes[3].timer);
    assert_int_equal(shard_timers_wait_ms(&timers), 0);
    shard_timers_run(&timers);
    assert_int_equal(n_runs, 2);
    assert_int_equal(probes[2].order, 1);
    assert_int_equal(probes[0].order, 2);
    assert_in_range(shard_timers_wait_ms(&timers), 3500000, 3600000);
}

static void test_sets_itself(void **state)
{
    struct list timers;
    unsigned n_runs = 0;
    struct probe probe = {.timers = &timers, .n_runs = &n_runs, .again_ns = 5};

    (void)state;
    list_init(&timers);
    shard_timer_init(&probe.timer, run);
    shard_timer_set(&timers, &probe.timer, 1);
    shard_timers_run(&timers);
    assert_int_equal(n_runs, 2);
    assert_int_equal(shard_timers_wait_ms(&timers), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_sets_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * The timer heap: order, moving, clearing, timers that set timers. */
#include "unit.h"

#include "transport/rpc_core.h"

#define N_TIMERS 500

struct entry {
    struct rpc_timer timer;
    struct rpc *rpc;
    uint64_t *last;
    unsigned *n_fired;
    bool again;
};

static void fire(struct rpc_timer *timer)
{
    struct entry *entry = list_entry(timer, struct entry, timer);

    assert_int_equal(timer->index, 0);
    assert_true(timer->when_ns >= *entry->last);
    *entry->last = timer->when_ns;
    (*entry->n_fired)++;
    if (entry->again) {
        entry->again = false;
        assert_int_equal(rpc_timer_set(entry->rpc, timer, timer->when_ns), 0);
    }
}

static void test_order(void **state)
{
    struct rpc *rpc = calloc(1, sizeof(*rpc));
    struct entry *entries = calloc(N_TIMERS, sizeof(*entries));
    uint64_t last = 0;
    unsigned n_fired = 0, seed = 1, n_set = 0;

    (void)state;
    for (unsigned i = 0; i < N_TIMERS; i++) {
        entries[i] = (struct entry){.timer.fire = fire,
                                    .rpc = rpc,
                                    .last = &last,
                                    .n_fired = &n_fired,
                                    .again = i % 10 == 0};
        seed = seed * 1664525 + 1013904223;
        assert_int_equal(rpc_timer_set(rpc, &entries[i].timer, seed >> 8), 0);
    }
    for (unsigned i = 0; i < N_TIMERS; i += 3)
        assert_int_equal(rpc_timer_set(rpc, &entries[i].timer, 1000000 + i), 0);
    for (unsigned i = 0; i < N_TIMERS; i += 7)
        rpc_timer_clear(rpc, &entries[i].timer);
    for (unsigned i = 0; i < N_TIMERS; i++)
        n_set += i % 7 == 0 ? 0 : 1 + (unsigned)entries[i].again;
    rpc_timer_clear(rpc, &entries[0].timer); /* not set: fine */
    rpc_timers_run(rpc);
    assert_int_equal(n_fired, n_set);
    assert_int_equal(rpc_timers_next_ns(rpc), UINT64_MAX);
    rpc_timers_fini(rpc);
    free(entries);
    free(rpc);
}

static void test_not_due(void **state)
{
    struct rpc *rpc = calloc(1, sizeof(*rpc));
    uint64_t last = 0, far = clock_now_ns() + 1000 * CLOCK_NS_PER_SEC;
    unsigned n_fired = 0;
    struct entry entry = {
        .timer.fire = fire, .rpc = rpc, .last = &last, .n_fired = &n_fired};

    (void)state;
    assert_int_equal(rpc_timer_set(rpc, &entry.timer, far), 0);
    assert_int_equal(rpc_timers_run(rpc), 0);
    assert_int_equal(rpc_timers_next_ns(rpc), far);
    assert_int_equal(rpc_timer_set(rpc, &entry.timer, 1), 0);
    assert_int_equal(rpc_timers_run(rpc), 1);
    assert_int_equal(n_fired, 1);
    rpc_timers_fini(rpc);
    free(rpc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_not_due),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

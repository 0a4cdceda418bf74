/* SPDX-License-Identifier: Apache-2.0
 * Deadlines: remaining time, rounding, extremes. */
#include "unit.h"

#include "base/clock.h"

static void test_now(void **state)
{
    uint64_t first = clock_now_ns();

    (void)state;
    assert_true(clock_now_ns() >= first);
    assert_true(clock_now_ms() >= first / CLOCK_NS_PER_MS);
}

static void test_deadline(void **state)
{
    struct deadline later = deadline_after_ms(3600 * 1000);
    struct deadline gone = deadline_after_ms(0);

    (void)state;
    assert_false(deadline_expired(later));
    assert_in_range(deadline_remaining_ms(later), 3590 * 1000, 3600 * 1000);
    assert_true(deadline_expired(gone));
    assert_int_equal(deadline_remaining_ms(gone), 0);
    assert_true(deadline_earlier(later, gone).at_ns == gone.at_ns);
    assert_true(deadline_earlier(gone, later).at_ns == gone.at_ns);
}

static void test_rounds_up(void **state)
{
    struct deadline deadline = {.at_ns = clock_now_ns() + 20 * CLOCK_NS_PER_MS + 1};
    int ms = deadline_remaining_ms(deadline);

    (void)state;
    assert_in_range(ms, 1, 21);
    /* Never 0 before it has expired: poll would spin. */
    while (!deadline_expired(deadline) && ms > 0)
        ms = deadline_remaining_ms(deadline);
    assert_true(deadline_expired(deadline));
}

static void test_extremes(void **state)
{
    struct deadline never = deadline_after_ms(UINT64_MAX);

    (void)state;
    assert_false(deadline_expired(never));
    assert_int_equal(deadline_remaining_ms(never), INT_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_now),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_rounds_up),
        cmocka_unit_test(test_extremes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

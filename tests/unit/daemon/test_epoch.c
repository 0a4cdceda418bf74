/* SPDX-License-Identifier: Apache-2.0
 * Epochs: what changes them, and which names count as kept. */
#include "unit.h"

#include "daemon/epoch.h"

static void test_raise(void **state)
{
    struct epoch epoch;
    uint64_t before;

    (void)state;
    epoch_init(&epoch, 7, false);
    before = epoch.value;
    epoch_raise(&epoch);
    assert_int_not_equal(epoch.value, before);
    epoch_fini(&epoch);
    /* 0 means that nothing is to be compared */
    epoch_init(&epoch, 0, false);
    assert_int_not_equal(epoch.value, 0);
    epoch_fini(&epoch);
    epoch_init(&epoch, UINT64_MAX, false);
    epoch_raise(&epoch);
    assert_int_not_equal(epoch.value, 0);
    epoch_fini(&epoch);
}

static void test_names(void **state)
{
    struct epoch epoch;

    (void)state;
    epoch_init(&epoch, 7, false);
    assert_false(epoch_is_kept(&epoch, 5));
    epoch_keep(&epoch, 5);
    epoch_keep(&epoch, 5);
    assert_true(epoch_is_kept(&epoch, 5));
    assert_false(epoch_is_kept(&epoch, 6));
    epoch_fini(&epoch);
}

/* Clients may have kept what was asked of the process before. */
static void test_restart(void **state)
{
    struct epoch epoch;

    (void)state;
    epoch_init(&epoch, 7, true);
    assert_true(epoch_is_kept(&epoch, 6));
    epoch_fini(&epoch);
}

static void test_many_names(void **state)
{
    struct epoch epoch;

    (void)state;
    epoch_init(&epoch, 7, false);
    for (uint64_t key = 1; key <= EPOCH_NAMES_MAX; key++)
        epoch_keep(&epoch, key);
    assert_false(epoch_is_kept(&epoch, EPOCH_NAMES_MAX + 2));
    epoch_keep(&epoch, EPOCH_NAMES_MAX + 1);
    assert_true(epoch_is_kept(&epoch, 1));
    assert_true(epoch_is_kept(&epoch, EPOCH_NAMES_MAX + 2));
    epoch_fini(&epoch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_raise),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_many_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

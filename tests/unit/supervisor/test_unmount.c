/* SPDX-License-Identifier: Apache-2.0
 * Finding mounts. */
#include "unit.h"

#include "supervisor/unmount.h"

static void test_needed(void **state)
{
    (void)state;
    assert_true(unmount_is_needed("/proc"));
    assert_false(unmount_is_needed("/pro"));
    assert_false(unmount_is_needed("/proc/self"));
    assert_false(unmount_is_needed("/no/such directory"));
}

static void test_not_mounted(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;

    (void)state;
    assert_true(unmount_lazy("/no/such directory", &err) < 0);
    assert_true(err.text[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_needed),
        cmocka_unit_test(test_not_mounted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * Directory positions. */
#include "unit.h"

#include "client/position.h"

static void test_round_trip(void **state)
{
    const uint32_t targets[] = {0, 1, 32767, 32768, 65534};
    const uint64_t cookies[] = {0, 1, 0x123456789abc, POSITION_COOKIE_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        for (size_t j = 0; j < sizeof(cookies) / sizeof(cookies[0]); j++) {
            uint64_t position = position_make(targets[i], cookies[j]);

            assert_int_equal(position_target(position), targets[i]);
            assert_int_equal(position_cookie(position), cookies[j]);
        }
    }
}

static void test_start_is_zero(void **state)
{
    (void)state;
    assert_int_equal(position_make(0, 0), 0);
    assert_int_not_equal(position_make(0, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_start_is_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * Random numbers are there and differ. */
#include "unit.h"

#include "base/random.h"

static void test_differs(void **state)
{
    uint64_t a;
    uint64_t b;
    static uint8_t big[1000];
    size_t zeros = 0;

    (void)state;
    assert_int_equal(random_u64(&a), 0);
    assert_int_equal(random_u64(&b), 0);
    assert_true(a != b);
    assert_int_equal(random_bytes(big, sizeof(big)), 0);
    for (size_t i = 0; i < sizeof(big); i++)
        zeros += big[i] == 0;
    assert_in_range(zeros, 0, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_differs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * Argument lists. */
#include "unit.h"

#include "launch/arguments.h"

static void test_list(void **state)
{
    struct arguments arguments;

    (void)state;
    arguments_init(&arguments);
    arguments_add(&arguments, "program");
    arguments_add_pair(&arguments, "--name", "a b");
    arguments_printf(&arguments, "--count=%d", 7);
    assert_int_equal(arguments.status, 0);
    assert_int_equal(arguments.count, 4);
    assert_string_equal(arguments.items[0], "program");
    assert_string_equal(arguments.items[2], "a b");
    assert_string_equal(arguments.items[3], "--count=7");
    assert_null(arguments.items[4]);
    arguments_fini(&arguments);
    arguments_fini(&arguments);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

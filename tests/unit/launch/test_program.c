/* SPDX-License-Identifier: Apache-2.0
 * Programs beside this one. */
#include "unit.h"

#include <unistd.h>

#include "launch/program.h"

static void test_beside(void **state)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    struct arguments arguments;

    (void)state;
    assert_true(n > 0);
    self[n] = '\0';
    arguments_init(&arguments);
    program_add(&arguments, NULL, strrchr(self, '/') + 1);
    program_add(&arguments, "/given/path", "ignored");
    assert_string_equal(arguments.items[0], self);
    assert_string_equal(arguments.items[1], "/given/path");
    arguments_fini(&arguments);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_beside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * Without a PMIx server in the process there is nothing to register with. (With one:
 * the launch tests, in slurmstepd.) */
#include "unit.h"

#include <dlfcn.h>

#include "spank/namespace.h"

static void test_without_pmix(void **state)
{
    (void)state;
    assert_null(dlsym(RTLD_DEFAULT, "PMIx_server_register_nspace"));
    assert_int_equal(namespace_register("1", "x", 1, 1, 100, NULL), -ENOSYS);
}

static void test_with_the_library_but_no_server(void **state)
{
    (void)state;
    if (!dlopen("libpmix.so.2", RTLD_NOW | RTLD_GLOBAL))
        skip();
    assert_int_equal(namespace_register("1", "x", 1, 1, 100, NULL), -ENOSYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_pmix),
        cmocka_unit_test(test_with_the_library_but_no_server),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

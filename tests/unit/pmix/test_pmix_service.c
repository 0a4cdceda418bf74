/* SPDX-License-Identifier: Apache-2.0
 * Outside of a PMIx step everything fails at once, with a reason, and nothing starts
 * PMIx. Inside of one: tests/integration/0110-pmix.t. */
#include "unit.h"

#include "pmix/pmix_service.h"

static void test_not_offered(void **state)
{
    (void)state;
    assert_false(pmix_service_is_offered());
}

static void test_table_without_pmix(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    void *blob = NULL;
    size_t len = 0;

    (void)state;
    assert_int_equal(pmix_service_table_get("1", false, 1000, &blob, &len, &err),
                     -ENOTCONN);
    assert_non_null(strstr(err.text, "not initialised"));
    assert_int_equal(pmix_service_table_get("1", true, 1000, &blob, &len, &err),
                     -ENOTCONN);
    assert_null(blob);
}

static void test_job_too_long(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    char job[1024];
    void *blob;
    size_t len;

    (void)state;
    memset(job, '1', sizeof(job));
    job[sizeof(job) - 1] = '\0';
    assert_int_equal(pmix_service_table_get(job, false, 1000, &blob, &len, &err),
                     -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_not_offered),
        cmocka_unit_test(test_table_without_pmix),
        cmocka_unit_test(test_job_too_long),
    };

    /* the test itself may run as a task of a step */
    unsetenv("PMIX_NAMESPACE");
    return cmocka_run_group_tests(tests, NULL, NULL);
}

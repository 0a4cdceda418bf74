/* SPDX-License-Identifier: Apache-2.0
 * PMIx status to errno. */
#include "unit.h"

#include <pmix_common.h>

#include "pmix/pmix_status.h"

static void test_known(void **state)
{
    (void)state;
    assert_int_equal(pmix_status_to_errno(PMIX_SUCCESS), 0);
    assert_int_equal(pmix_status_to_errno(PMIX_ERR_TIMEOUT), -ETIMEDOUT);
    assert_int_equal(pmix_status_to_errno(PMIX_ERR_NOT_FOUND), -ENOENT);
    assert_int_equal(pmix_status_to_errno(PMIX_ERR_NOT_SUPPORTED), -EOPNOTSUPP);
}

static void test_unknown(void **state)
{
    (void)state;
    assert_int_equal(pmix_status_to_errno(-123456), -EIO);
    assert_int_equal(pmix_status_to_errno(17), -EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

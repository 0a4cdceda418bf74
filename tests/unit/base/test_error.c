/* SPDX-License-Identifier: Apache-2.0
 * Error text: set, prefix, append, cutting. */
#include "unit.h"

#include "base/error.h"

static void test_set(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;

    (void)state;
    assert_int_equal(benchfs_error_set(&err, EINVAL, "port %d", 7), -EINVAL);
    assert_int_equal(err.code, EINVAL);
    assert_string_equal(err.text, "port 7");
    assert_int_equal(benchfs_error_set(&err, -ENOENT, "x"), -ENOENT);
    assert_int_equal(err.code, ENOENT);
    assert_int_equal(benchfs_error_set(NULL, EIO, "nobody hears"), -EIO);
}

static void test_set_errno_text(void **state)
{
    struct benchfs_error err;

    (void)state;
    errno = ENOSPC;
    benchfs_error_set(&err, errno, "/x: %m");
    assert_string_equal(err.text, "/x: No space left on device");
}

static void test_set_from_own_text(void **state)
{
    struct benchfs_error err;

    (void)state;
    benchfs_error_set(&err, EIO, "inner");
    benchfs_error_set(&err, EPIPE, "outer: %s", err.text);
    assert_string_equal(err.text, "outer: inner");
}

static void test_prefix_append(void **state)
{
    struct benchfs_error err;

    (void)state;
    benchfs_error_set(&err, EIO, "middle");
    benchfs_error_prefix(&err, "%s: ", "n1");
    benchfs_error_append(&err, " (%d)", 3);
    assert_string_equal(err.text, "n1: middle (3)");
    benchfs_error_prefix(NULL, "x");
    benchfs_error_append(NULL, "x");
}

static void test_cut(void **state)
{
    struct benchfs_error err;
    char big[2 * BENCHFS_ERROR_TEXT_MAX];

    (void)state;
    memset(big, 'a', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    benchfs_error_set(&err, EIO, "%s", big);
    assert_int_equal(strlen(err.text), BENCHFS_ERROR_TEXT_MAX - 1);
    assert_string_equal(err.text + BENCHFS_ERROR_TEXT_MAX - 4, "...");
    benchfs_error_append(&err, "b");
    assert_string_equal(err.text + BENCHFS_ERROR_TEXT_MAX - 4, "...");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_set_errno_text),
        cmocka_unit_test(test_set_from_own_text),
        cmocka_unit_test(test_prefix_append),
        cmocka_unit_test(test_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

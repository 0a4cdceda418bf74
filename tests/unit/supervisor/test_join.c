/* SPDX-License-Identifier: Apache-2.0
 * Which settings of a later step contradict the running service. */
#include "unit.h"

#include "supervisor/join.h"

static struct benchfs_config *config_of(const char *json)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct benchfs_config *config;

    assert_int_equal(config_from_json_string(json, &config, &err), 0);
    return config;
}

static int
check(const char *wanted_json, const char *running_json, struct benchfs_error *err)
{
    struct benchfs_config *wanted = config_of(wanted_json);
    struct benchfs_config *running = config_of(running_json);
    int rc = join_config_check(wanted, running, err);

    config_destroy(wanted);
    config_destroy(running);
    return rc;
}

static void test_same(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;

    (void)state;
    assert_int_equal(check("{}", "{}", &err), 0);
    assert_int_equal(check("{\"capacity\": \"1G\"}", "{\"capacity\": \"1G\"}", &err),
                     0);
    /* not said is not contradicted */
    assert_int_equal(check("{}", "{\"capacity\": \"1G\", \"store\": \"disk\"}", &err),
                     0);
    /* a step's own affairs */
    assert_int_equal(check("{\"stage_in\": [\"/a:/b\"]}", "{}", &err), 0);
}

static void test_other(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;

    (void)state;
    assert_int_equal(check("{\"capacity\": \"2G\"}", "{\"capacity\": \"1G\"}", &err),
                     -EINVAL);
    assert_string_equal(
        err.text,
        "--benchfs-capacity=2147483648: the job's service runs with 1073741824");
    assert_int_equal(check("{\"store\": \"disk\"}", "{}", &err), -EINVAL);
    assert_string_equal(err.text,
                        "--benchfs-store=disk: the job's service runs with memory");
    assert_int_equal(check("{\"mount\": \"/scratch\"}", "{}", &err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * Which task of a step is the last, whatever is told twice or wrongly. */
#include "unit.h"

#include "daemon/service.h"

static int setup(void **state)
{
    return service_create((struct service **)state);
}

static int teardown(void **state)
{
    service_destroy(*state);
    return 0;
}

static bool is_last(struct service *service, uint32_t step, uint32_t task, uint32_t n)
{
    bool last;

    assert_int_equal(service_task_exit(service, step, task, n, &last), 0);
    return last;
}

static void test_last_task(void **state)
{
    struct service *service = *state;

    for (uint32_t task = 1; task < 20; task++)
        assert_false(is_last(service, 0, task, 20));
    assert_false(is_last(service, 0, 7, 20)); /* told before */
    assert_true(is_last(service, 0, 0, 20));
    assert_true(is_last(service, 0, 7, 20)); /* the answer was lost, maybe */
}

static void test_steps_are_apart(void **state)
{
    struct service *service = *state;

    assert_false(is_last(service, 0, 0, 2));
    assert_true(is_last(service, 1, 0, 1));
    assert_true(
        is_last(service, UINT32_MAX, 0, 1)); /* a batch step's number is large */
    assert_true(is_last(service, 0, 1, 2));
}

static void test_wrong_numbers(void **state)
{
    struct service *service = *state;
    bool last = false;

    assert_int_equal(service_task_exit(service, 0, 0, 0, &last), -EINVAL);
    assert_int_equal(service_task_exit(service, 0, 2, 2, &last), -EINVAL);
    assert_int_equal(service_task_exit(service, 0, 0, UINT32_MAX, &last), -EINVAL);
    assert_false(is_last(service, 0, 0, 2));
    assert_int_equal(service_task_exit(service, 0, 1, 3, &last), -EINVAL);
    assert_false(last);
    assert_true(is_last(service, 0, 1, 2));
}

static void test_state(void **state)
{
    struct service *service = *state;

    assert_int_equal(service_state_get(service), SERVICE_STARTING);
    service_state_set(service, SERVICE_RUNNING);
    assert_int_equal(service_state_get(service), SERVICE_RUNNING);
    assert_string_equal(service_state_name(SERVICE_STAGING_IN), "staging-in");
    assert_string_equal(service_state_name(SERVICE_TEARDOWN), "teardown");
    assert_string_equal(service_state_name((enum service_state)99), "unknown");
    assert_null(service_stage(service));
    service_destroy(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_last_task),
        TEST(test_steps_are_apart),
        TEST(test_wrong_numbers),
        TEST(test_state),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * Records of a round, and a round alone. */
#include "unit.h"

#include "supervisor/round.h"

static void test_record(void **state)
{
    const struct round_record record = {
        .verdict = ROUND_FAILED, .value = 7, .data = (const uint8_t *)"why", .len = 3};
    struct bytes out = BYTES_INIT(64);
    struct round_record got;

    (void)state;
    assert_int_equal(round_record_encode(&record, &out), 0);
    assert_int_equal(round_record_decode(&got, out.data, out.size), 0);
    assert_int_equal(got.verdict, ROUND_FAILED);
    assert_int_equal(got.value, 7);
    assert_int_equal(got.len, 3);
    assert_memory_equal(got.data, "why", 3);
    for (size_t len = 0; len < 5; len++)
        assert_int_equal(round_record_decode(&got, out.data, len), -EPROTO);
    out.data[0] = 99;
    assert_int_equal(round_record_decode(&got, out.data, out.size), -EPROTO);
    bytes_fini(&out);
}

static void test_alone(void **state)
{
    const struct round_record mine = {.verdict = ROUND_OK, .value = 3};
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct bootstrap *bootstrap;
    struct round_result result;

    (void)state;
    unsetenv("BENCHFS_BOOTSTRAP_FD");
    unsetenv("PMIX_NAMESPACE");
    assert_int_equal(
        bootstrap_create(NULL, NULL, deadline_after_ms(1000), &bootstrap, &err), 0);
    assert_true(bootstrap_is_embedded(bootstrap));
    assert_int_equal(
        round_run(bootstrap, &mine, deadline_after_ms(1000), &result, &err), 0);
    assert_int_equal(result.n, 1);
    assert_int_equal(result.records[0].value, 3);
    round_result_fini(&result);
    bootstrap_destroy(bootstrap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record),
        cmocka_unit_test(test_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

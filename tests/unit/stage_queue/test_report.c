/* SPDX-License-Identifier: Apache-2.0
 * The report's numbers. */
#include "unit.h"

#include "base/clock.h"
#include "config/json.h"
#include "stage_queue/report.h"

#define S CLOCK_NS_PER_SEC

static double number_at(const char *path, const char *object, const char *key)
{
    struct json_cursor root, member, value;
    struct json *json;
    double number;

    assert_int_equal(json_file_read(path, 4096, &json, NULL), 0);
    root = json_cursor_root(json, path);
    assert_int_equal(json_cursor_member(&root, object, &member, NULL), 0);
    assert_int_equal(json_cursor_member(&member, key, &value, NULL), 0);
    assert_int_equal(json_get_real(&value, &number, NULL), 0);
    json_destroy(json);
    return number;
}

static void test_report(void **state)
{
    struct report_stage in = {.n_files = 3, .n_bytes = 10, .duration_ns = 2 * S};
    struct report_stage out = {.n_files = 1, .n_errors = 1, .duration_ns = S / 2};
    struct report report;
    struct unit_dir dir;
    char path[64];

    (void)state;
    unit_dir_create(&dir);
    snprintf(path, sizeof(path), "%s/report", dir.path);
    report_init(&report, "job-1", 100 * S);
    report_stage_started(&report, STAGE_IN, 101 * S);
    report_stage_finished(&report, STAGE_IN, &in, 103 * S);
    report_stage_finished(&report, STAGE_IN, &in, 105 * S);
    assert_int_equal(report_write(&report, path, 107 * S), 0);
    assert_true(number_at(path, "stage_in", "files") == 6);
    assert_true(number_at(path, "stage_in", "bytes") == 20);
    assert_true(number_at(path, "stage_in", "seconds") == 4);
    assert_true(number_at(path, "run", "seconds") == 2);
    report_stage_started(&report, STAGE_OUT, 110 * S);
    report_stage_finished(&report, STAGE_OUT, &out, 111 * S);
    assert_int_equal(report_write(&report, path, 120 * S), 0);
    assert_true(number_at(path, "run", "seconds") == 5);
    assert_true(number_at(path, "stage_out", "errors") == 1);
    assert_true(number_at(path, "stage_out", "seconds") == 0.5);
    unit_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_report),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * What the doctor's checks stand on: running commands, findings; and that every check
 * comes to a verdict here. */
#include "unit.h"

#include "cli/doctor.h"

static int sh_run(const char *script, char *output, size_t size)
{
    char *const argv[] = {(char[]){"sh"}, (char[]){"-c"}, (char *)script, NULL};

    return doctor_command_run(argv, output, size);
}

static void test_command(void **state)
{
    char *const missing[] = {(char[]){"no-such-command"}, NULL};
    char output[32];

    (void)state;
    assert_int_equal(sh_run("echo out; echo err >&2; exit 3", output, sizeof(output)),
                     3);
    assert_string_equal(output, "out\nerr\n");
    assert_int_equal(sh_run("seq 1000000", output, sizeof(output)), 0);
    assert_int_equal(strlen(output), sizeof(output) - 1);
    assert_int_equal(doctor_command_run(missing, output, sizeof(output)), -ENOENT);
}

static void test_finding(void **state)
{
    struct doctor_finding finding;

    (void)state;
    doctor_problem(&finding, DOCTOR_BROKEN, "do this", "%s\n", "two\nlines");
    assert_int_equal(finding.verdict, DOCTOR_BROKEN);
    assert_string_equal(finding.text, "two lines");
    assert_string_equal(finding.mend, "do this");
    doctor_ok(&finding, "fine");
    assert_int_equal(finding.verdict, DOCTOR_OK);
    assert_string_equal(finding.mend, "");
}

static void test_all_checks(void **state)
{
    const struct doctor_check *lists[] = {doctor_node_checks, doctor_slurm_checks};
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct benchfs_config *config;

    (void)state;
    assert_int_equal(config_default(&config, &err), 0);
    for (size_t i = 0; i < 2; i++) {
        for (const struct doctor_check *check = lists[i]; check->name; check++) {
            struct doctor_finding finding = {.text = ""};

            check->run(config, &finding);
            assert_true(finding.text[0]);
            assert_true((finding.verdict == DOCTOR_OK) == !finding.mend[0]);
        }
    }
    config_destroy(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command),
        cmocka_unit_test(test_finding),
        cmocka_unit_test(test_all_checks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

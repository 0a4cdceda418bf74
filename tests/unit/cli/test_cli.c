/* SPDX-License-Identifier: Apache-2.0
 * Dispatch and arguments: exit statuses of what can be told without a service. */
#include "unit.h"

#include <fcntl.h>
#include <getopt.h>
#include <unistd.h>

#include "cli/cli.h"

/* Runs `benchfs ARGS...` with its output thrown away. */
static int cli(const char *const *args)
{
    char *argv[8] = {(char[]){"benchfs"}};
    int saved[2] = {dup(1), dup(2)}, null_fd = open("/dev/null", O_WRONLY);
    int argc = 1, status;

    for (; *args; args++)
        argv[argc++] = (char *)*args;
    argv[argc] = NULL;
    fflush(NULL);
    dup2(null_fd, 1);
    dup2(null_fd, 2);
    optind = 0; /* getopt_long starts anew */
    status = cli_main(argc, argv);
    fflush(NULL);
    dup2(saved[0], 1);
    dup2(saved[1], 2);
    close(saved[0]);
    close(saved[1]);
    close(null_fd);
    return status;
}

#define CLI(...) cli((const char *const[]){__VA_ARGS__, NULL})

static void test_dispatch(void **state)
{
    (void)state;
    assert_int_equal(cli((const char *const[]){NULL}), CLI_USAGE);
    assert_int_equal(CLI("--help"), CLI_OK);
    assert_int_equal(CLI("--version"), CLI_OK);
    assert_int_equal(CLI("no-such-command"), CLI_USAGE);
}

static void test_help_of_each(void **state)
{
    (void)state;
    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        assert_int_equal(CLI((*c)->name, "--help"), CLI_OK);
        assert_int_equal(CLI((*c)->name, "--no-such-option"), CLI_USAGE);
        assert_true(strncmp((*c)->usage, "usage: ", 7) == 0);
    }
}

static void test_bad_arguments(void **state)
{
    (void)state;
    assert_int_equal(CLI("run"), CLI_USAGE);
    assert_int_equal(CLI("run", "-n", "0", "true"), CLI_USAGE);
    assert_int_equal(CLI("run", "-n", "x", "true"), CLI_USAGE);
    assert_int_equal(CLI("run", "--capacity=12Q", "true"), CLI_FAILED);
    assert_int_equal(CLI("run", "--store=tape", "true"), CLI_FAILED);
    assert_int_equal(CLI("status", "surplus"), CLI_USAGE);
    assert_int_equal(CLI("stop", "surplus"), CLI_USAGE);
    assert_int_equal(CLI("cp", "one"), CLI_USAGE);
    assert_int_equal(CLI("stage-in"), CLI_USAGE);
    assert_int_equal(CLI("stage-in", "--progress=dance", "/a:/b"), CLI_USAGE);
    assert_int_equal(CLI("stage-in", "no-colon"), CLI_FAILED);
}

static void test_no_service(void **state)
{
    (void)state;
    unsetenv("BENCHFS_SOCKET");
    unsetenv("SLURM_JOB_ID");
    assert_int_equal(CLI("status"), CLI_FAILED);
    assert_int_equal(CLI("ls"), CLI_FAILED);
    assert_int_equal(CLI("stats", "--socket", "/no/such.sock"), CLI_FAILED);
    assert_int_equal(CLI("stop", "--socket", "/no/such.sock"), CLI_FAILED);
    assert_int_equal(CLI("stage-out", "/a:/b"), CLI_FAILED);
    assert_int_equal(CLI("cp", "/etc/passwd", ":/"), CLI_FAILED);
    assert_int_equal(CLI("start"), CLI_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dispatch),
        cmocka_unit_test(test_help_of_each),
        cmocka_unit_test(test_bad_arguments),
        cmocka_unit_test(test_no_service),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

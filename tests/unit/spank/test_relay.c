/* SPDX-License-Identifier: Apache-2.0
 * What of the daemon step's stderr reaches the user, and when. */
#include "unit.h"

#include <fcntl.h>
#include <unistd.h>

#include "spank/relay.h"

struct fixture {
    struct relay relay;
    int pipe[2];
};

static void setup(struct fixture *fixture)
{
    assert_int_equal(pipe2(fixture->pipe, O_CLOEXEC | O_NONBLOCK), 0);
    relay_init(&fixture->relay, fixture->pipe[1]);
}

static void teardown(struct fixture *fixture)
{
    close(fixture->pipe[0]);
    close(fixture->pipe[1]);
}

static void feed(struct fixture *fixture, const char *text)
{
    relay_feed(&fixture->relay, text, strlen(text));
}

static void expect(struct fixture *fixture, const char *wanted)
{
    char got[4096] = "";
    ssize_t size = read(fixture->pipe[0], got, sizeof(got) - 1);

    got[size > 0 ? size : 0] = '\0';
    assert_string_equal(got, wanted);
}

static void test_reason_hides_what_slurm_says(void **state)
{
    struct fixture fixture;

    (void)state;
    setup(&fixture);
    feed(&fixture, "srun: error: n2: task 1: Exited with exit code 1\nbench");
    feed(&fixture, "fsd: no space\nslurmstepd: error: x\n");
    relay_finish(&fixture.relay);
    expect(&fixture, "benchfsd: no space\n");
    assert_true(fixture.relay.has_lost);
    teardown(&fixture);
}

static void test_slurm_gives_the_reason(void **state)
{
    struct fixture fixture;

    (void)state;
    setup(&fixture);
    feed(&fixture, "srun: error: Unable to create step\n");
    expect(&fixture, "");
    assert_false(fixture.relay.has_lost);
    relay_finish(&fixture.relay);
    expect(&fixture, "srun: error: Unable to create step\n");
    teardown(&fixture);
}

static void test_after_the_start_all_passes(void **state)
{
    struct fixture fixture;

    (void)state;
    setup(&fixture);
    feed(&fixture, "srun: error: held\n");
    relay_release(&fixture.relay);
    feed(&fixture, "srun: error: n2: task 1: Killed\nother\n");
    relay_finish(&fixture.relay);
    expect(&fixture, "srun: error: n2: task 1: Killed\nother\n");
    teardown(&fixture);
}

static void test_noise_never_passes(void **state)
{
    struct fixture fixture;

    (void)state;
    setup(&fixture);
    feed(&fixture, "srun: cluster configuration lacks support for cpu binding\n");
    relay_release(&fixture.relay);
    feed(&fixture, "slurmstepd-n1: error: *** STEP 1.0 ON n1 CANCELLED AT x ***\n");
    relay_finish(&fixture.relay);
    expect(&fixture, "");
    teardown(&fixture);
}

static void test_a_bar_passes_without_newline(void **state)
{
    struct fixture fixture;

    (void)state;
    setup(&fixture);
    feed(&fixture, "\rstage-in 10 %");
    expect(&fixture, "\rstage-in 10 %");
    feed(&fixture, "\rstage-in 20 %\n");
    expect(&fixture, "\rstage-in 20 %\n");
    teardown(&fixture);
}

static void test_long_lines_and_split_starts(void **state)
{
    struct fixture fixture;
    char line[3 * RELAY_LINE_MAX];

    (void)state;
    setup(&fixture);
    memset(line, 'x', sizeof(line));
    memcpy(line, "srun: ", 6);
    for (size_t i = 0; i < sizeof(line); i++)
        relay_feed(&fixture.relay, &line[i], 1);
    for (int i = 0; i < 8; i++)
        relay_feed(&fixture.relay, line, sizeof(line));
    assert_true(fixture.relay.held_size <= RELAY_HELD_MAX);
    teardown(&fixture);
}

static void test_nobody_reads(void **state)
{
    struct relay relay;

    (void)state;
    relay_init(&relay, -1);
    relay_feed(&relay, "text\n", 5);
    relay_finish(&relay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reason_hides_what_slurm_says),
        cmocka_unit_test(test_slurm_gives_the_reason),
        cmocka_unit_test(test_after_the_start_all_passes),
        cmocka_unit_test(test_noise_never_passes),
        cmocka_unit_test(test_a_bar_passes_without_newline),
        cmocka_unit_test(test_long_lines_and_split_starts),
        cmocka_unit_test(test_nobody_reads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

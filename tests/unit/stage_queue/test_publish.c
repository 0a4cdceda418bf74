/* SPDX-License-Identifier: Apache-2.0
 * What is told of a stage: its lines, and when its end counts as told. */
#include "unit.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "stage_queue/publish.h"

#define WAIT_MS 10000u

static void test_summary(void **state)
{
    struct stage_status status = {.n_files = 5123, .n_bytes = 1438814044};
    char text[128];

    (void)state;
    assert_string_equal(
        stage_summary_format(text, sizeof(text), &status, UINT64_C(2100000000)),
        "5123 files, 1.34 GiB in 2.1 s (653 MiB/s)");
    status = (struct stage_status){.n_files = 0, .n_errors = 2};
    assert_string_equal(stage_summary_format(text, sizeof(text), &status, 1000000),
                        "0 files, 0 B in 0.0 s (0 MiB/s), 2 failed");
}

struct fixture {
    int fds[2];
    struct stage_publisher *publisher;
};

static void start(struct fixture *fixture, enum stage_progress progress)
{
    assert_int_equal(pipe2(fixture->fds, O_CLOEXEC), 0);
    assert_int_equal(
        stage_publisher_create("7", "", fixture->fds[1], &fixture->publisher), 0);
    assert_int_equal(stage_publisher_begin(fixture->publisher, 1, STAGE_OUT, progress),
                     0);
    assert_false(stage_publisher_is_done(fixture->publisher, 1));
}

/* Ends the stage, waits until that has been told, and returns all of the output. */
static void
end(struct fixture *fixture, struct stage_status *status, char *ret, size_t size)
{
    struct deadline deadline = deadline_after_ms(WAIT_MS);
    ssize_t n;

    status->is_finished = true;
    stage_publisher_update(fixture->publisher, 1, status);
    while (!stage_publisher_is_done(fixture->publisher, 1)) {
        assert_false(deadline_expired(deadline));
        usleep(1000);
    }
    stage_publisher_destroy(fixture->publisher);
    close(fixture->fds[1]);
    n = fs_read_all(fixture->fds[0], ret, size - 1);
    assert_true(n >= 0);
    ret[n] = '\0';
    close(fixture->fds[0]);
}

static void test_lines(void **state)
{
    const char *texts[] = {"/out/a\nb: Permission denied", "/out/c: No such file"};
    struct stage_status status = {.n_errors = 1, .n_texts = 1, .texts = texts};
    struct fixture f;
    char output[1024];

    (void)state;
    start(&f, STAGE_PROGRESS_LINES);
    stage_publisher_update(f.publisher, 1, &status);
    status.n_texts = 2;
    status.n_errors = 5;
    end(&f, &status, output, sizeof(output));
    assert_non_null(
        strstr(output, "benchfs: stage-out: /out/a?b: Permission denied\n"));
    assert_non_null(strstr(output, "benchfs: stage-out: /out/c: No such file\n"));
    assert_non_null(strstr(output, "benchfs: stage-out: ... and 3 more\n"));
    assert_non_null(strstr(output, "benchfs: stage-out: 0 files, 0 B in 0.0 s"));
    assert_null(strchr(output, '\r'));
    assert_int_equal(output[strlen(output) - 1], '\n');
}

static void test_bar(void **state)
{
    struct stage_status status = {.n_files = 1, .n_bytes = 5, .n_known_bytes = 5};
    struct fixture f;
    char output[2048];

    (void)state;
    start(&f, STAGE_PROGRESS_BAR);
    end(&f, &status, output, sizeof(output));
    assert_non_null(strstr(output, "\r\033[Kbenchfs: stage-out: 1 files, 5 B in"));
}

static void test_silence(void **state)
{
    const char *texts[] = {"/out/a: Permission denied"};
    struct stage_status status = {.n_errors = 1, .n_texts = 1, .texts = texts};
    struct fixture f;
    char output[64];

    (void)state;
    start(&f, STAGE_PROGRESS_NONE);
    end(&f, &status, output, sizeof(output));
    assert_string_equal(output, "");
}

static void test_report_that_cannot_be_written(void **state)
{
    struct stage_status status = {.n_files = 1};
    struct fixture f;
    char output[1024];

    (void)state;
    assert_int_equal(pipe2(f.fds, O_CLOEXEC), 0);
    assert_int_equal(
        stage_publisher_create("7", "/nonexistent/report", f.fds[1], &f.publisher), 0);
    assert_int_equal(
        stage_publisher_begin(f.publisher, 1, STAGE_IN, STAGE_PROGRESS_NONE), 0);
    end(&f, &status, output, sizeof(output));
    assert_non_null(strstr(output, "benchfs: report: /nonexistent/report: No such"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_bar),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_report_that_cannot_be_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

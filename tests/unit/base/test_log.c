/* SPDX-License-Identifier: Apache-2.0
 * Log lines, read back from a file in the place of stderr. */
#include "unit.h"

#include <pthread.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"

static FILE *capture_file;
static int saved_stderr;

static void capture_start(void)
{
    capture_file = tmpfile();
    assert_non_null(capture_file);
    saved_stderr = dup(STDERR_FILENO);
    dup2(fileno(capture_file), STDERR_FILENO);
}

static char *capture_stop(void)
{
    char *text;

    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    lseek(fileno(capture_file), 0, SEEK_SET);
    assert_int_equal(fs_fd_read(fileno(capture_file), 1 << 20, &text, NULL), 0);
    fclose(capture_file);
    return text;
}

static void test_level_names(void **state)
{
    enum log_level level;

    (void)state;
    for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++) {
        assert_int_equal(log_level_parse(log_level_name((enum log_level)i), &level), 0);
        assert_int_equal(level, i);
    }
    assert_int_equal(log_level_parse("loud", &level), -EINVAL);
    assert_int_equal(log_level_parse("", &level), -EINVAL);
}

static void test_lines(void **state)
{
    char *text;

    (void)state;
    capture_start();
    log_prefix_set("benchfsd[n1]");
    log_level_set(LOG_LEVEL_INFO);
    errno = ENOSPC;
    log_error("%s: %m", "/x");
    assert_int_equal(errno, ENOSPC);
    log_info("a\nb\x1b[0m");
    log_debug("not shown");
    log_prefix_set("");
    log_warn("plain");
    text = capture_stop();
    assert_string_equal(text,
                        "benchfsd[n1]: error: /x: No space left on device\n"
                        "benchfsd[n1]: info: a?b?[0m\n"
                        "warn: plain\n");
    free(text);
}

static void test_long_line(void **state)
{
    char big[5000];
    char *text;

    (void)state;
    memset(big, 'a', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    capture_start();
    log_error("%s", big);
    text = capture_stop();
    assert_in_range(strlen(text), 2000, 2100);
    assert_string_equal(text + strlen(text) - 5, "a...\n");
    free(text);
}

static void *log_many(void *arg)
{
    for (int i = 0; i < 200; i++)
        log_error("%s", (char *)arg);
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[2];
    char one[] = "one";
    char two[] = "two";
    char *text;
    size_t lines = 0;

    (void)state;
    capture_start();
    pthread_create(&threads[0], NULL, log_many, one);
    pthread_create(&threads[1], NULL, log_many, two);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    text = capture_stop();
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        assert_true(strcmp(line, "error: one") == 0 || strcmp(line, "error: two") == 0);
        lines++;
    }
    assert_int_equal(lines, 400);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_level_names),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

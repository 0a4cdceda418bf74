/* SPDX-License-Identifier: Apache-2.0
 * Real children: started with the right descriptors, noticed, ended. */
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch/child.h"

#define LONG_MS 10000

static int sh_start(struct child *child,
                    const char *script,
                    const struct child_options *options,
                    struct benchfs_error *err)
{
    char *const argv[] = {(char[]){"sh"}, (char[]){"-c"}, (char *)script, NULL};

    *child = (struct child)CHILD_INIT("test child");
    return child_start(child, argv, options, err);
}

static void test_exit_status(void **state)
{
    const struct child_options options = {.socket_type = 0};
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    char text[CHILD_STATUS_TEXT_MAX];
    struct child child;

    (void)state;
    assert_int_equal(sh_start(&child, "exit 3", &options, &err), 0);
    assert_int_equal(child_wait(&child, deadline_after_ms(LONG_MS)), 0);
    assert_false(child_is_running(&child));
    assert_string_equal(child_status_text(&child, text), "exited with status 3");
    child_fini(&child);
}

static void test_no_such_program(void **state)
{
    const struct child_options options = {.socket_type = SOCK_STREAM};
    char *const argv[] = {(char[]){"/no/such/program"}, NULL};
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct child child = CHILD_INIT("thing");

    (void)state;
    assert_int_equal(child_start(&child, argv, &options, &err), -ENOENT);
    assert_non_null(strstr(err.text, "thing: /no/such/program: No such file"));
    assert_false(child_is_running(&child));
    child_fini(&child);
}

static void test_socket(void **state)
{
    const struct child_options options = {.socket_type = SOCK_SEQPACKET};
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct child child;
    char text[16] = "";

    (void)state;
    assert_int_equal(sh_start(&child, "printf hello >&3", &options, &err), 0);
    assert_int_equal(recv(child.control_fd, text, sizeof(text), 0), 5);
    assert_string_equal(text, "hello");
    assert_int_equal(child_wait(&child, deadline_after_ms(LONG_MS)), 0);
    assert_int_equal(child.status, 0);
    child_fini(&child);
}

/* What else we have open is not the child's business. */
static void test_descriptors(void **state)
{
    const struct child_options options = {.socket_type = SOCK_STREAM};
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    int leak = open("/dev/null", O_RDONLY); /* without O_CLOEXEC */
    struct child child;

    (void)state;
    assert_int_equal(
        sh_start(&child,
                 "for fd in 4 5 6 7 8 9; do test -e /proc/$$/fd/$fd && exit 1; done; "
                 "test \"$(readlink /proc/$$/fd/0)\" = /dev/null",
                 &options,
                 &err),
        0);
    assert_int_equal(child_wait(&child, deadline_after_ms(LONG_MS)), 0);
    assert_int_equal(child.status, 0);
    child_fini(&child);
    close(leak);
}

static void test_stdout(void **state)
{
    struct child_options options = {.is_own_session = true};
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct child child;
    char text[16] = "";
    int fds[2];

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    options.stdout_fd = options.stderr_fd = fds[1];
    assert_int_equal(sh_start(&child, "echo out; echo err >&2", &options, &err), 0);
    close(fds[1]);
    assert_int_equal(child_wait(&child, deadline_after_ms(LONG_MS)), 0);
    assert_int_equal(read(fds[0], text, sizeof(text)), 8);
    assert_memory_equal(text, "out\nerr\n", 8);
    close(fds[0]);
    child_fini(&child);
}

static void test_end(void **state)
{
    const struct child_options options = {.socket_type = SOCK_SEQPACKET};
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    char text[CHILD_STATUS_TEXT_MAX];
    struct child child;

    (void)state;
    assert_int_equal(sh_start(&child, "exec sleep 100", &options, &err), 0);
    assert_int_equal(child_wait(&child, deadline_after_ms(1)), -ETIMEDOUT);
    child_end(&child, deadline_after_ms(0), LONG_MS);
    assert_int_equal(WTERMSIG(child.status), SIGTERM);
    child_fini(&child);

    /* one that does not listen */
    assert_int_equal(
        sh_start(&child, "trap '' TERM; printf x >&3; exec sleep 100", &options, &err),
        0);
    assert_int_equal(recv(child.control_fd, text, 1, 0), 1);
    child_end(&child, deadline_after_ms(0), 100);
    assert_int_equal(WTERMSIG(child.status), SIGKILL);
    assert_string_equal(child_status_text(&child, text),
                        "was killed by signal 9 (Killed)");
    child_fini(&child);
}

/* It does not stay when we die. */
static void test_death_of_parent(void **state)
{
    const struct child_options options = {.socket_type = SOCK_STREAM};
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    int fds[2];
    pid_t parent;
    char c;

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    parent = fork();
    if (parent == 0) {
        struct child_options with_pipe = options;
        struct child child;

        with_pipe.stdout_fd = fds[1];
        if (sh_start(&child, "exec sleep 100", &with_pipe, &err))
            _exit(1);
        raise(SIGKILL);
    }
    close(fds[1]);
    waitpid(parent, NULL, 0);
    /* the end of the pipe comes with the end of the last one that has it */
    assert_int_equal(read(fds[0], &c, 1), 0);
    close(fds[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exit_status),
        cmocka_unit_test(test_no_such_program),
        cmocka_unit_test(test_socket),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_stdout),
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_death_of_parent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * Descriptor flags; when a process was started. */
#include "unit.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/proc.h"

static void test_flags(void **state)
{
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(proc_fd_cloexec_set(fds[0], true), 0);
    assert_int_equal(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
    assert_int_equal(proc_fd_cloexec_set(fds[0], false), 0);
    assert_int_equal(fcntl(fds[0], F_GETFD), 0);
    assert_int_equal(proc_fd_nonblock_set(fds[0], true), 0);
    assert_true(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
    assert_int_equal(proc_fd_nonblock_set(fds[0], false), 0);
    assert_false(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
    proc_fd_close(&fds[0]);
    assert_int_equal(fds[0], -1);
    proc_fd_close(&fds[0]);
    close(fds[1]);
    assert_int_equal(proc_fd_cloexec_set(-1, true), -EBADF);
    assert_int_equal(proc_fd_nonblock_set(-1, true), -EBADF);
}

static void test_start_time(void **state)
{
    uint64_t start, again;
    pid_t pid;

    (void)state;
    assert_int_equal(proc_start_time(getpid(), &start), 0);
    assert_int_equal(proc_start_time(getpid(), &again), 0);
    assert_true(start == again && start > 0);
    pid = fork();
    if (pid == 0)
        _exit(0);
    assert_true(pid > 0);
    assert_int_equal(waitid(P_PID, (id_t)pid, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
    assert_int_equal(proc_start_time(pid, &start), -ESRCH); /* not waited for yet */
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(proc_start_time(pid, &start), -ESRCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_start_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

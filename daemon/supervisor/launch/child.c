/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/proc.h"

/* ---- in the child, between fork and exec: async-signal-safe calls only ------ */

static void signals_reset(void)
{
    sigset_t none;

    signal(SIGPIPE, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The descriptors 0 to 3; nothing above survives but `keep`, which exec closes. */
static int descriptors_set(int socket_fd, int stdout_fd, int stderr_fd, int *keep)
{
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int safe;

    if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0
        || dup2(stdout_fd, STDOUT_FILENO) < 0 || dup2(stderr_fd, STDERR_FILENO) < 0)
        return -1;
    /* out of the way of CHILD_CONTROL_FD */
    safe = fcntl(*keep, F_DUPFD_CLOEXEC, CHILD_CONTROL_FD + 1);
    if (safe < 0)
        return -1;
    *keep = safe;
    if (socket_fd == CHILD_CONTROL_FD)
        return fcntl(socket_fd, F_SETFD, 0);
    if (socket_fd >= 0)
        return dup2(socket_fd, CHILD_CONTROL_FD) < 0 ? -1 : 0;
    close(CHILD_CONTROL_FD);
    return 0;
}

static _Noreturn void child_exec(char *const argv[],
                                 const struct child_options *options,
                                 int socket_fd,
                                 int failure_fd,
                                 pid_t parent)
{
    int stderr_fd = options->stderr_fd ? options->stderr_fd : STDERR_FILENO;
    int stdout_fd = options->stdout_fd ? options->stdout_fd : stderr_fd;
    int code;

    signals_reset();
    if (options->is_independent || options->is_own_session)
        setsid();
    if (!options->is_independent) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent)
            _exit(EXIT_FAILURE);
    }
    if (descriptors_set(socket_fd, stdout_fd, stderr_fd, &failure_fd) == 0) {
        close_range(CHILD_CONTROL_FD + 1, UINT_MAX, CLOSE_RANGE_CLOEXEC);
        execvp(argv[0], argv);
    }
    code = errno;
    (void)!write(failure_fd, &code, sizeof(code));
    _exit(127);
}

/* ---- in the parent ---------------------------------------------------------- */

/* The errno of a failed exec, or 0: the pipe closes with the exec. */
static int exec_result(int fd)
{
    int code = 0;

    return fs_read_all(fd, &code, sizeof(code)) == (ssize_t)sizeof(code) ? code : 0;
}

static int child_fork(struct child *child,
                      char *const argv[],
                      const struct child_options *options,
                      int socket_fd,
                      const int failure[2])
{
    pid_t parent = getpid();
    int code;

    child->pid = fork();
    if (child->pid < 0) {
        child->pid = 0;
        return -errno;
    }
    if (child->pid == 0)
        child_exec(argv, options, socket_fd, failure[1], parent);
    close(failure[1]);
    child->has_ended = false;
    child->pid_fd = pidfd_open(child->pid, 0);
    code = child->pid_fd < 0 ? errno : exec_result(failure[0]);
    if (code == 0)
        return 0;
    kill(child->pid, SIGKILL);
    waitpid(child->pid, &child->status, 0);
    child->pid = 0;
    proc_fd_close(&child->pid_fd);
    return -code;
}

int child_start(struct child *child,
                char *const argv[],
                const struct child_options *options,
                struct benchfs_error *err)
{
    int type = options->socket_type;
    int fds[2] = {-1, -1}, failure[2];
    int socket_fd, rc;

    if (pipe2(failure, O_CLOEXEC) < 0)
        return benchfs_error_set(err, errno, "can't start the %s: %m", child->name);
    if (type && socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) < 0) {
        rc = -errno;
        close(failure[1]);
    } else {
        socket_fd = options->socket_fd > 0 ? options->socket_fd : fds[1];
        rc = child_fork(child, argv, options, socket_fd, failure);
    }
    close(failure[0]);
    proc_fd_close(&fds[1]);
    if (rc) {
        proc_fd_close(&fds[0]);
        return benchfs_error_set(err,
                                 -rc,
                                 "can't start the %s: %s: %s",
                                 child->name,
                                 argv[0],
                                 strerror(-rc));
    }
    child->control_fd = fds[0];
    return 0;
}

bool child_is_running(const struct child *child)
{
    return child->pid > 0 && !child->has_ended;
}

int child_wait(struct child *child, struct deadline deadline)
{
    struct pollfd poller = {.fd = child->pid_fd, .events = POLLIN};

    if (!child_is_running(child))
        return 0;
    while (poll(&poller, 1, deadline_remaining_ms(deadline)) <= 0) {
        if (deadline_expired(deadline))
            return -ETIMEDOUT;
    }
    if (waitpid(child->pid, &child->status, 0) == child->pid) {
        child->has_ended = true;
        proc_fd_close(&child->pid_fd);
    }
    return 0;
}

void child_end(struct child *child, struct deadline deadline, unsigned grace_ms)
{
    if (child_wait(child, deadline) == 0)
        return;
    kill(child->pid, SIGTERM);
    if (child_wait(child, deadline_after_ms(grace_ms)) == 0)
        return;
    kill(child->pid, SIGKILL);
    /* only a process stuck in the kernel outlives this; it is not waited for long */
    (void)child_wait(child, deadline_after_ms(grace_ms));
}

void child_fini(struct child *child)
{
    proc_fd_close(&child->pid_fd);
    proc_fd_close(&child->control_fd);
}

char *child_status_text(const struct child *child, char text[CHILD_STATUS_TEXT_MAX])
{
    if (WIFSIGNALED(child->status))
        snprintf(text,
                 CHILD_STATUS_TEXT_MAX,
                 "was killed by signal %d (%s)",
                 WTERMSIG(child->status),
                 strsignal(WTERMSIG(child->status)));
    else
        snprintf(text,
                 CHILD_STATUS_TEXT_MAX,
                 "exited with status %d",
                 WEXITSTATUS(child->status));
    return text;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command_process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/proc.h"

enum { STATUS_NOT_EXECUTABLE = 126, STATUS_NOT_FOUND = 127, STATUS_SIGNAL = 128 };

static _Noreturn void command_exec(char *const argv[])
{
    sigset_t none;

    signal(SIGPIPE, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* without us its files are gone */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    execvp(argv[0], argv);
    fprintf(stderr, "benchfs run: %s: %s\n", argv[0], strerror(errno));
    _exit(errno == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE);
}

int command_process_start(struct command_process *process,
                          char *const argv[],
                          struct benchfs_error *err)
{
    fflush(NULL);
    process->pid = fork();
    if (process->pid < 0)
        return benchfs_error_set(err, errno, "fork: %m");
    if (process->pid == 0)
        command_exec(argv);
    process->pid_fd = pidfd_open(process->pid, 0);
    if (process->pid_fd < 0) {
        int rc = benchfs_error_set(err, errno, "pidfd_open: %m");

        kill(process->pid, SIGKILL);
        waitpid(process->pid, NULL, 0);
        return rc;
    }
    return 0;
}

void command_process_signal(const struct command_process *process,
                            const struct signalfd_siginfo *info)
{
    bool is_sent = info->ssi_code <= 0; /* by kill(2) and the like, not by the kernel */

    if (is_sent)
        kill(process->pid, (int)info->ssi_signo);
}

int command_process_finish(struct command_process *process)
{
    int status;

    if (waitpid(process->pid, &status, 0) != process->pid)
        status = 0;
    proc_fd_close(&process->pid_fd);
    return WIFSIGNALED(status) ? STATUS_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

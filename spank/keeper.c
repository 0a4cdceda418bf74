/* SPDX-License-Identifier: Apache-2.0
 * Everything here after the fork is async-signal-safe: the process that forks has
 * threads, whose locks stay taken in the child for ever. */
#include "spank/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "spank/job.h"
#include "spank/relay.h"

#define ABORT_GRACE_MS 3000
#define REASON_MS      300 /* for what a failed daemon said to arrive */
#define READ_SIZE      4096

/* Descriptors of the keeper; all others are closed. */
enum { FD_HOOK = 3, FD_OUT, FD_ERR, FD_SIGNALS, FD_IN, FD_END };

struct keeper {
    pid_t child;
    bool is_starting;
    bool is_aborting;
    bool is_out_open;
    bool is_err_open;
    bool has_hook;
    bool is_failing; /* a daemon has ended while they start */
    struct deadline abort_deadline;
    struct relay relay;
};

static void signals_reset(void)
{
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Its own session: Ctrl-C of the terminal is for the job's program, not for the step
 * that carries its files. */
static void program_exec(const struct keeper_config *config, int in, int out, int err)
{
    signals_reset();
    setsid();
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
        _exit(126);
    syscall(SYS_close_range, 3, ~0u, 0);
    execvpe(config->argv[0], config->argv, config->envp);
    dprintf(2, "benchfs: %s: %s\n", config->argv[0], strerrordesc_np(errno));
    _exit(127);
}

static int signals_open(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_SETMASK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Moves fds to low, known numbers by way of high ones, so that none is in the way. */
static int descriptors_settle(const int *fds, int count)
{
    int high[FD_END];

    for (int i = 0; i < count; i++) {
        high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 64);
        if (high[i] < 0)
            return -errno;
    }
    for (int i = 0; i < count; i++) {
        if (dup3(high[i], FD_HOOK + i, O_CLOEXEC) < 0)
            return -errno;
    }
    return syscall(SYS_close_range, FD_END, ~0u, 0) < 0 ? -errno : 0;
}

static void child_abort(struct keeper *keeper)
{
    if (keeper->is_aborting)
        return;
    keeper->is_aborting = true;
    keeper->abort_deadline = deadline_after_ms(ABORT_GRACE_MS);
    kill(keeper->child, SIGTERM);
}

static void hook_lost(struct keeper *keeper)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    keeper->has_hook = false;
    keeper->is_starting = false;
    relay_release(&keeper->relay);
    if (null >= 0)
        dup2(null, 2);
}

static void hook_read(struct keeper *keeper)
{
    char commands[16];
    ssize_t size = read(FD_HOOK, commands, sizeof(commands));

    if (size == 0 || (size < 0 && errno != EINTR && errno != EAGAIN)) {
        hook_lost(keeper);
        return;
    }
    for (ssize_t i = 0; i < size; i++) {
        if (commands[i] == KEEPER_ABORT || commands[i] == KEEPER_RETRY) {
            if (commands[i] == KEEPER_RETRY)
                relay_silence(&keeper->relay);
            child_abort(keeper);
        } else if (commands[i] == KEEPER_GO) {
            (void)!write(FD_IN, "go\n", 3);
        } else if (commands[i] == KEEPER_RELEASE) {
            keeper->is_starting = false;
            relay_release(&keeper->relay);
        }
    }
}

static void out_read(struct keeper *keeper)
{
    char data[READ_SIZE];
    ssize_t size = read(FD_OUT, data, sizeof(data));

    if (size <= 0) {
        keeper->is_out_open = size < 0 && errno == EINTR;
        return;
    }
    if (keeper->has_hook && send(FD_HOOK, data, (size_t)size, MSG_NOSIGNAL) < 0)
        hook_lost(keeper);
}

static void err_read(struct keeper *keeper)
{
    char data[READ_SIZE];
    ssize_t size = read(FD_ERR, data, sizeof(data));

    if (size <= 0)
        keeper->is_err_open = size < 0 && errno == EINTR;
    else
        relay_feed(&keeper->relay, data, (size_t)size);
}

static void signal_read(struct keeper *keeper)
{
    struct signalfd_siginfo info;

    if (read(FD_SIGNALS, &info, sizeof(info)) == sizeof(info) && keeper->is_starting)
        child_abort(keeper);
}

/* One that fails to start takes the others with it, a little later. */
static void start_check(struct keeper *keeper)
{
    if (!keeper->is_starting || keeper->is_aborting || !keeper->relay.has_lost)
        return;
    if (!keeper->is_failing) {
        keeper->is_failing = true;
        keeper->abort_deadline = deadline_after_ms(REASON_MS);
    } else if (deadline_expired(keeper->abort_deadline)) {
        child_abort(keeper);
    }
}

static int wait_ms(const struct keeper *keeper)
{
    if (!keeper->is_aborting && !(keeper->is_failing && keeper->is_starting))
        return -1;
    return deadline_remaining_ms(keeper->abort_deadline);
}

/* Until the program has closed both pipes, which it does by ending. */
static void keeper_loop(struct keeper *keeper)
{
    while (keeper->is_out_open || keeper->is_err_open) {
        struct pollfd fds[] = {
            {.fd = keeper->has_hook ? FD_HOOK : -1, .events = POLLIN},
            {.fd = keeper->is_out_open ? FD_OUT : -1, .events = POLLIN},
            {.fd = keeper->is_err_open ? FD_ERR : -1, .events = POLLIN},
            {.fd = FD_SIGNALS, .events = POLLIN},
        };
        if (poll(fds, sizeof(fds) / sizeof(fds[0]), wait_ms(keeper)) == 0
            && keeper->is_aborting)
            break; /* it took too long */
        if (fds[0].revents)
            hook_read(keeper);
        if (fds[1].revents)
            out_read(keeper);
        if (fds[2].revents)
            err_read(keeper);
        if (fds[3].revents)
            signal_read(keeper);
        start_check(keeper);
    }
}

static int keeper_finish(struct keeper *keeper)
{
    char text[32];
    int status = 0;
    int code;

    if (keeper->is_out_open || keeper->is_err_open)
        kill(keeper->child, SIGKILL);
    while (waitpid(keeper->child, &status, 0) < 0 && errno == EINTR)
        ;
    relay_finish(&keeper->relay);
    code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (keeper->has_hook) {
        int length = snprintf(text, sizeof(text), "exit %d\n", code);

        send(FD_HOOK, text, (size_t)length, MSG_NOSIGNAL);
    }
    return code;
}

static void keeper_main(const struct keeper_config *config, int hook)
{
    struct keeper keeper = {.is_starting = true,
                            .is_out_open = true,
                            .is_err_open = true,
                            .has_hook = true};
    int in[2], out[2], err[2], signals;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (config->must_drop
        && identity_drop(config->uid, config->gid, config->groups, config->n_groups)
               < 0)
        _exit(126);
    signals_reset();
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || pipe2(in, O_CLOEXEC) < 0
        || pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
        _exit(126);
    keeper.child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (keeper.child == 0)
        program_exec(config, in[0], out[1], err[1]);
    signals = signals_open();
    if (keeper.child < 0 || signals < 0
        || descriptors_settle((int[]){hook, out[0], err[0], signals, in[1]},
                              FD_END - FD_HOOK)
               < 0)
        _exit(126);
    if (chdir("/") < 0)
        _exit(126);
    relay_init(&keeper.relay, 2);
    keeper_loop(&keeper);
    _exit(keeper_finish(&keeper));
}

int keeper_start(const struct keeper_config *config, pid_t *ret_pid, int *ret_socket)
{
    sigset_t all, saved;
    int pair[2];
    pid_t pid;
    int code;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    /* No handler of the parent's may run in the child. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &saved);
    /* The raw call: no atfork handlers of libraries in the process (UCX, PMIx). */
    pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0) {
        keeper_main(config, pair[1]);
        _exit(126);
    }
    code = errno;
    pthread_sigmask(SIG_SETMASK, &saved, NULL);
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return -code;
    }
    *ret_pid = pid;
    *ret_socket = pair[0];
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 * The one place where the supervisor waits: for a descriptor, a signal, a child's end
 * or the launcher's. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/proc.h"
#include "control/control.h"
#include "supervisor/supervisor_impl.h"

/* A process that closed its socket is about to end, or has just said why. */
#define LAST_WORDS_MS 1000

int supervisor_events_open(struct supervisor *supervisor, struct benchfs_error *err)
{
    sigset_t signals;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
        return benchfs_error_set(err, errno, "sigprocmask: %m");
    supervisor->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (supervisor->signal_fd < 0)
        return benchfs_error_set(err, errno, "signalfd: %m");
    return 0;
}

void supervisor_events_close(struct supervisor *supervisor)
{
    proc_fd_close(&supervisor->signal_fd);
}

static int signal_take(struct supervisor *supervisor)
{
    struct signalfd_siginfo info;

    if (read(supervisor->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return 0;
    supervisor->stop_signal = (int)info.ssi_signo;
    return -EINTR;
}

struct child *supervisor_dead_child(struct supervisor *supervisor)
{
    struct child *children[] = {
        &supervisor->server, &supervisor->agent, &supervisor->stage};

    for (size_t i = 0; i < sizeof(children) / sizeof(children[0]); i++) {
        if (children[i]->has_ended)
            return children[i];
    }
    return NULL;
}

enum {
    POLL_WANTED,
    POLL_SIGNAL,
    POLL_LAUNCHER,
    POLL_SERVER,
    POLL_AGENT,
    POLL_STAGE,
    POLL_COUNT
};

static bool is_ready(const struct pollfd *poller)
{
    return poller->fd >= 0 && poller->revents != 0;
}

static int poll_result(struct supervisor *supervisor, const struct pollfd *pollers)
{
    struct child *children[] = {
        &supervisor->server, &supervisor->agent, &supervisor->stage};
    int rc;

    /* first, because a child's last words come with its end */
    if (is_ready(&pollers[POLL_WANTED]))
        return 0;
    if (is_ready(&pollers[POLL_SIGNAL])) {
        rc = signal_take(supervisor);
        if (rc)
            return rc;
    }
    if (is_ready(&pollers[POLL_LAUNCHER]))
        return -ENOLINK;
    for (size_t i = 0; i < POLL_COUNT - POLL_SERVER; i++) {
        if (is_ready(&pollers[POLL_SERVER + i])
            && child_wait(children[i], deadline_after_ms(0)) == 0)
            return -ECHILD;
    }
    return -EAGAIN;
}

int supervisor_wait(void *arg, int fd, struct deadline deadline)
{
    struct supervisor *supervisor = arg;
    int launcher_fd =
        supervisor->bootstrap ? bootstrap_launcher_fd(supervisor->bootstrap) : -1;
    struct pollfd pollers[POLL_COUNT] = {
        [POLL_WANTED] = {.fd = fd, .events = POLLIN},
        [POLL_SIGNAL] = {.fd = supervisor->signal_fd, .events = POLLIN},
        [POLL_LAUNCHER] = {.fd = fd == launcher_fd ? -1 : launcher_fd,
                           .events = POLLIN},
        [POLL_SERVER] = {.fd = supervisor->server.pid_fd, .events = POLLIN},
        [POLL_AGENT] = {.fd = supervisor->agent.pid_fd, .events = POLLIN},
        [POLL_STAGE] = {.fd = supervisor->stage.pid_fd, .events = POLLIN},
    };
    nfds_t count = supervisor->is_stopping ? POLL_WANTED + 1 : POLL_COUNT;
    bool is_forever = deadline.at_ns == UINT64_MAX;

    for (;;) {
        int n = poll(pollers, count, is_forever ? -1 : deadline_remaining_ms(deadline));
        int rc = n > 0 ? poll_result(supervisor, pollers) : -EAGAIN;

        if (rc != -EAGAIN)
            return rc;
        if (n < 0 && errno != EINTR)
            return -errno;
        if (!is_forever && deadline_expired(deadline))
            return -ETIMEDOUT;
    }
}

/* What the server said before it ended; false: nothing. */
static bool last_words(const struct child *server, struct benchfs_error *err)
{
    struct control_message message;
    bool has_words = false;

    control_message_init(&message);
    while (
        !has_words && server->control_fd >= 0
        && control_recv(server->control_fd, &message, deadline_after_ms(LAST_WORDS_MS))
               == 0) {
        if (message.type != CONTROL_FAILED)
            continue;
        benchfs_error_set(
            err, EIO, "%.*s", (int)message.data.size, (const char *)message.data.data);
        has_words = true;
    }
    control_message_fini(&message);
    return has_words;
}

int supervisor_wait_error(struct supervisor *supervisor,
                          int rc,
                          struct benchfs_error *err)
{
    struct child *child = supervisor_dead_child(supervisor);
    char text[CHILD_STATUS_TEXT_MAX];

    if (rc == -ENOLINK)
        benchfs_error_set(err, ENOLINK, "the launcher has gone");
    if (rc == -EINTR)
        benchfs_error_set(err, EINTR, "stopped by signal %d", supervisor->stop_signal);
    if (rc != -ECHILD || !child)
        return rc;
    if (child != &supervisor->server || !last_words(child, err))
        benchfs_error_set(
            err, ECHILD, "the %s %s", child->name, child_status_text(child, text));
    return rc;
}

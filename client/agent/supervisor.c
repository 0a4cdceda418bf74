/* SPDX-License-Identifier: Apache-2.0
 * The agent's line to the supervisor that started it. */
#include "supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/proc.h"
#include "base/units.h"

#define CONTROL_ENV "BENCHFS_CONTROL_FD"

static int control_fd_take(int *ret_fd, struct benchfs_error *err)
{
    const char *text = getenv(CONTROL_ENV);
    struct stat st;
    uint64_t fd;

    if (text == NULL) {
        *ret_fd = -1;
        return 0;
    }
    if (units_count_parse(text, &fd, NULL) < 0 || fd > 1u << 20
        || fstat((int)fd, &st) < 0 || !S_ISSOCK(st.st_mode))
        return benchfs_error_set(
            err, EINVAL, CONTROL_ENV ": %s is not an open socket", text);
    *ret_fd = (int)fd;
    return proc_fd_cloexec_set(*ret_fd, true);
}

int supervisor_open(struct supervisor *supervisor, struct benchfs_error *err)
{
    sigset_t signals;
    int rc = control_fd_take(&supervisor->fd, err);

    if (rc < 0)
        return rc;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    rc = pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (rc != 0)
        return benchfs_error_set(err, rc, "signal mask: %s", strerror(rc));
    supervisor->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (supervisor->signal_fd < 0)
        return benchfs_error_set(err, errno, "signalfd: %m");
    return 0;
}

void supervisor_close(struct supervisor *supervisor)
{
    proc_fd_close(&supervisor->fd);
    proc_fd_close(&supervisor->signal_fd);
}

void supervisor_say(struct supervisor *supervisor, const char *text)
{
    if (supervisor->fd >= 0
        && send(supervisor->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        log_debug("supervisor: %m");
}

/* A packet, or the end of the line: whether it means "stop". */
static bool is_stop(int fd)
{
    char text[64];
    ssize_t n = recv(fd, text, sizeof(text), MSG_DONTWAIT);

    if (n < 0)
        return errno != EAGAIN && errno != EINTR;
    if (n == 0)
        return true;
    if (n == 4 && memcmp(text, "stop", 4) == 0)
        return true;
    log_debug("supervisor said something unknown");
    return false;
}

bool supervisor_wait(struct supervisor *supervisor, int other_fd)
{
    struct pollfd fds[] = {
        {.fd = supervisor->fd, .events = POLLIN},
        {.fd = supervisor->signal_fd, .events = POLLIN},
        {.fd = other_fd, .events = POLLIN},
    };

    for (;;) {
        if (poll(fds, sizeof(fds) / sizeof(fds[0]), -1) < 0)
            continue; /* EINTR */
        if (fds[0].revents != 0 && is_stop(supervisor->fd))
            return true;
        if (fds[1].revents != 0)
            return true;
        if (fds[2].revents != 0)
            return false;
    }
}

/* SPDX-License-Identifier: Apache-2.0
 * A child process with a socket to it: starting, noticing its end, ending it. All waits
 * are poll(2) on a pidfd. */
#ifndef BENCHFS_LAUNCH_CHILD_H
#define BENCHFS_LAUNCH_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/error.h"

/* What the child's end of the socket is, in the child. */
#define CHILD_CONTROL_FD     3
#define CHILD_CONTROL_FD_ENV "BENCHFS_CONTROL_FD"

#define CHILD_STATUS_TEXT_MAX 96

struct child {
    const char *name; /* for messages: "server process" */
    pid_t pid;        /* 0: never started */
    int pid_fd;       /* readable when it has ended; -1: not running */
    int control_fd;   /* -1: none */
    int status;       /* wait status, once has_ended */
    bool has_ended;
};

#define CHILD_INIT(name_)                                                              \
    {                                                                                  \
        .name = (name_), .pid_fd = -1, .control_fd = -1                                \
    }

struct child_options {
    int socket_type;     /* SOCK_STREAM..: a socketpair to it; 0: none */
    int socket_fd;       /* else this is its end of a socket; 0: none */
    int stdout_fd;       /* 0: where its stderr goes */
    int stderr_fd;       /* 0: ours */
    bool is_independent; /* in a session of its own, and outlives us */
    bool is_own_session; /* Ctrl-C does not reach it */
};

/* Starts argv[0], found by PATH unless it has a '/', with default signals, stdin from
 * /dev/null, and no descriptor of ours but its end of the socket, as CHILD_CONTROL_FD.
 * It gets SIGTERM when the calling thread ends, unless it is independent. Returns 0 or
 * -errno, also when the program can't be executed. */
int child_start(struct child *child,
                char *const argv[],
                const struct child_options *options,
                struct benchfs_error *err);

bool child_is_running(const struct child *child);

/* Waits for its end: 0 or -ETIMEDOUT. Fine for one that does not run. */
int child_wait(struct child *child, struct deadline deadline);

/* SIGTERM unless it ends by itself before the deadline, then, after grace_ms, SIGKILL.
 * When it returns the child is gone. */
void child_end(struct child *child, struct deadline deadline, unsigned grace_ms);

/* Closes what is left of an ended one. */
void child_fini(struct child *child);

/* "exited with status 3", "was killed by signal 9 (Killed)". Returns text. */
char *child_status_text(const struct child *child, char text[CHILD_STATUS_TEXT_MAX]);

#endif

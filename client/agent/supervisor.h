/* SPDX-License-Identifier: Apache-2.0
 * The agent's line to the supervisor that started it: a SEQPACKET socket, one text per
 * packet. To it: "mounted", "failed: <text>". From it: "stop"; hanging up means the
 * same. Signals to end come the same way. */
#ifndef BENCHFS_AGENT_SUPERVISOR_H
#define BENCHFS_AGENT_SUPERVISOR_H

#include <stdbool.h>

#include "base/error.h"

struct supervisor {
    int fd;        /* -1: started by hand, only signals end it */
    int signal_fd; /* SIGTERM, SIGINT, SIGHUP */
};

#define SUPERVISOR_INIT ((struct supervisor){.fd = -1, .signal_fd = -1})

/* Takes the descriptor named by $BENCHFS_CONTROL_FD and blocks the signals, for all
 * threads made from now on. 0 or -errno. */
int supervisor_open(struct supervisor *supervisor, struct benchfs_error *err);
void supervisor_close(struct supervisor *supervisor);

/* Never blocks; if the supervisor is gone there is nobody to tell. */
void supervisor_say(struct supervisor *supervisor, const char *text);

/* Waits without a deadline, for "stop", the end of the supervisor, a signal (true) or
 * until other_fd is readable (false; -1: none). */
bool supervisor_wait(struct supervisor *supervisor, int other_fd);

#endif

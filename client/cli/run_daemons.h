/* SPDX-License-Identifier: Apache-2.0
 * The daemons that `benchfs run` starts on this machine: their directories, their
 * bootstrap, their end. */
#ifndef BENCHFS_CLI_RUN_DAEMONS_H
#define BENCHFS_CLI_RUN_DAEMONS_H

#include <signal.h>
#include <sys/signalfd.h>

#include "base/clock.h"
#include "config/config.h"
#include "launch/child.h"
#include "launch/hub.h"

struct run_daemons_config {
    uint32_t count;
    const struct benchfs_config *settings; /* capacity is per daemon, 0: auto */
    const char *mount;                     /* absolute; NULL: in the run directory */
};

struct run_daemons {
    uint32_t count;
    struct hub *hub;
    struct child *children; /* count */
    int words_fd;           /* what the first one says; -1: closed */
    char word[64];          /* the line under way */
    size_t word_len;
    char *base_dir;       /* <runtime>/benchfs */
    char *run_dir;        /* of this run */
    char *store_base_dir; /* NULL: the user's own, not ours to remove */
    char *store_dir;      /* of this run */
    char *mount;
    char *socket_path;
    char job[32];
    int signal_fd; /* SIGINT, SIGTERM, SIGHUP, blocked from the start on */
};

enum run_event {
    RUN_EVENT_NONE, /* the deadline has passed */
    RUN_EVENT_READY,
    RUN_EVENT_STAGE_IN,
    RUN_EVENT_DAEMON, /* one has ended: *ret_rank */
    RUN_EVENT_SIGNAL,
    RUN_EVENT_OTHER, /* other_fd is readable */
};

/* Blocks the signals, makes the directories, starts the daemons. 0 or -errno;
 * run_daemons_stop() in any case. */
int run_daemons_start(struct run_daemons *daemons,
                      const struct run_daemons_config *config,
                      struct benchfs_error *err);

/* Serves the daemons' bootstrap until something happens. other_fd may be -1. */
enum run_event run_daemons_wait(struct run_daemons *daemons,
                                int other_fd,
                                struct deadline deadline,
                                uint32_t *ret_rank,
                                struct signalfd_siginfo *ret_signal);

/* Ends them together, and removes what is left. */
void run_daemons_stop(struct run_daemons *daemons);

#endif

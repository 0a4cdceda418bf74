/* SPDX-License-Identifier: Apache-2.0
 * The process between a hook and the srun of the daemon step. It outlives the hook's
 * process where the service does, without holding on to the user's terminal or pipes,
 * and ends the srun when the user interrupts the start. */
#ifndef BENCHFS_SPANK_KEEPER_H
#define BENCHFS_SPANK_KEEPER_H

#include <stdbool.h>
#include <sys/types.h>

struct keeper_config {
    char *const *argv; /* argv[0]: path or name of srun */
    char *const *envp;
    /* Become this user for good before anything else; needs root. */
    bool must_drop;
    uid_t uid;
    gid_t gid;
    const gid_t *groups;
    size_t n_groups;
};

/* What the hook's end of the socket carries. From the keeper: the lines that the
 * program writes to stdout, and at the very end "exit N\n", N as a shell gives it. To
 * the keeper, one byte each: */
enum keeper_command {
    KEEPER_GO = 'g',      /* send the program's tasks a line */
    KEEPER_RELEASE = 'r', /* the start is over: Ctrl-C is no longer for us */
    KEEPER_ABORT = 'a',   /* end the program; exits then */
    KEEPER_RETRY = 'q', /* the same, and tell the user nothing: there is another try */
};

/* Forks the keeper and the program. 0 or -errno; the socket is close-on-exec. When it
 * is closed, the keeper lets go of stderr and stays until the program ends. Safe in a
 * process with threads. */
int keeper_start(const struct keeper_config *config, pid_t *ret_pid, int *ret_socket);

#endif

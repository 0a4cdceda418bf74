/* SPDX-License-Identifier: Apache-2.0
 * The user's program under `benchfs run`: in our terminal and process group, with the
 * scratch in its environment. */
#ifndef BENCHFS_CLI_COMMAND_PROCESS_H
#define BENCHFS_CLI_COMMAND_PROCESS_H

#include <sys/signalfd.h>
#include <sys/types.h>

#include "base/error.h"

struct command_process {
    pid_t pid;
    int pid_fd; /* readable when it has ended */
};

/* Runs argv[0], found by PATH, with default signals. One that can't be executed ends
 * with 127 (not found) or 126, and has said why, as in a shell. */
int command_process_start(struct command_process *process,
                          char *const argv[],
                          struct benchfs_error *err);

/* Hands a signal on, unless it came from the terminal, which told all of us. */
void command_process_signal(const struct command_process *process,
                            const struct signalfd_siginfo *info);

/* Once pid_fd is readable: its exit status, or 128 + signal. */
int command_process_finish(struct command_process *process);

#endif

/* SPDX-License-Identifier: Apache-2.0
 * The words of rank 0 on stdout, one per line, which the plugin and the launcher read.
 * A reader that has gone does not matter. */
#ifndef BENCHFS_SUPERVISOR_WORDS_H
#define BENCHFS_SUPERVISOR_WORDS_H

#include <unistd.h>

/* Every rank's first word, when it is to wait for the launcher's "go". */
static inline void words_up(void)
{
    (void)!write(STDOUT_FILENO, "up\n", 3);
}

/* All daemons have met for the first time. */
static inline void words_met(void)
{
    (void)!write(STDOUT_FILENO, "met\n", 4);
}

/* Staging goes on: whoever waits for "ready" may wait longer. */
static inline void words_stage_in(void)
{
    (void)!write(STDOUT_FILENO, "stage-in\n", 9);
}

/* The service runs, its input is there. */
static inline void words_ready(void)
{
    (void)!write(STDOUT_FILENO, "ready\n", 6);
}

/* The service ends, and not all results were staged out. */
static inline void words_lost(void)
{
    (void)!write(STDOUT_FILENO, "lost\n", 5);
}

/* Another step's service is used; this daemon step ends. */
static inline void words_joined(void)
{
    (void)!write(STDOUT_FILENO, "joined\n", 7);
}

#endif

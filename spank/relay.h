/* SPDX-License-Identifier: Apache-2.0
 * Passes on what the daemon step's srun writes to stderr. While the daemons start,
 * lines of Slurm's own are held back: when a daemon has said why it can't start, "task
 * 1: Exited with exit code 1" tells nobody anything. No allocation: runs after fork. */
#ifndef BENCHFS_SPANK_RELAY_H
#define BENCHFS_SPANK_RELAY_H

#include <stdbool.h>
#include <stddef.h>

#define RELAY_LINE_MAX 1024
#define RELAY_HELD_MAX 4096

struct relay {
    int fd;           /* where to; -1 discards. Not owned. */
    bool is_holding;  /* the daemons are starting */
    bool is_in_line;  /* the start of this line has been passed on already */
    bool has_lost;    /* Slurm has told of a task that ended badly */
    bool has_spoken;  /* a line that is not Slurm's has been passed on */
    size_t line_size; /* start of a line that can't be told yet */
    size_t held_size;
    char line[RELAY_LINE_MAX];
    char held[RELAY_HELD_MAX];
};

void relay_init(struct relay *relay, int fd);
void relay_feed(struct relay *relay, const char *data, size_t size);
/* The start is over: passes everything on from now on, and drops what was held. */
void relay_release(struct relay *relay);
/* Passes nothing on any more. */
void relay_silence(struct relay *relay);
/* The end: held lines come out if nobody else has given a reason. */
void relay_finish(struct relay *relay);

#endif

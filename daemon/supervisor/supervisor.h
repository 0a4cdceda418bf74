/* SPDX-License-Identifier: Apache-2.0
 * The supervisor: one process per node that starts the node's server and agent, brings
 * the daemons of all nodes together, and ends what it started, in reverse. */
#ifndef BENCHFS_SUPERVISOR_SUPERVISOR_H
#define BENCHFS_SUPERVISOR_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"

struct supervisor_options {
    const struct benchfs_config *config;
    const char *job;       /* names directories, so no '/'; at most 63 bytes */
    const char *run_dir;   /* of this job and node; NULL: <config run_dir>/<job> */
    const char *store_dir; /* of this job and node; NULL: <config store>/<job> */
    const char *mount;     /* NULL: <run_dir>/mnt */
    bool has_mount;        /* false: no agent here */
    bool has_host;         /* host is set: daemons with the same one share a machine */
    uint64_t host;
    /* Says "up" on stdout, and waits for a line on stdin before it meets the others:
     * whoever launches them knows then that all nodes are past the hooks of the launch,
     * during which PMIx may turn other nodes away. */
    bool waits_for_go;
    const char *progress;       /* of stage-in: "bar", "lines", "none"; NULL: auto */
    const char *server_program; /* NULL: beside this program, as all of these */
    const char *agent_program;
    const char *command_program; /* `benchfs`, for stage-in */
};

/* The process's whole life. Returns its exit status: 0 after an ordered end or when a
 * running service was joined, 1 after one line on stderr. Writes to stdout, in rank 0
 * only: "stage-in" lines, then "ready" or "joined"; "up" in every rank. */
int supervisor_run(const struct supervisor_options *options);

#endif

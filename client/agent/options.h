/* SPDX-License-Identifier: Apache-2.0
 * The agent's command line. */
#ifndef BENCHFS_AGENT_OPTIONS_H
#define BENCHFS_AGENT_OPTIONS_H

#include <limits.h>
#include <stdbool.h>

#include "base/error.h"

#define AGENT_WORKERS_AUTO UINT_MAX /* as many as suit the node */

struct agent_options {
    const char
        *socket_path; /* of the node's daemon; NULL: found by the client library */
    const char *mountpoint;   /* NULL: --no-mount */
    unsigned n_mount_threads; /* 0: the mount's default */
    unsigned n_stage_workers; /* 0: this node does not take part in staging */
    bool wants_help;
};

extern const char agent_usage[];

/* The strings stay those of argv. 0 or -EINVAL. */
int agent_options_parse(struct agent_options *ret,
                        int argc,
                        char *argv[],
                        struct benchfs_error *err);

#endif

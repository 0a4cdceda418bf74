/* SPDX-License-Identifier: Apache-2.0
 * Starts the daemon step: a step of the same job, beside whatever else runs in it, with
 * one benchfsd per node. */
#ifndef BENCHFS_SPANK_LAUNCH_H
#define BENCHFS_SPANK_LAUNCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "spank/job.h"

struct launch_config {
    const char *srun;     /* program, path or name */
    const char *benchfsd; /* path */
    uint32_t job_id;
    uint32_t n_nodes; /* of the job */
    const char *config_json;
    char *const *envp; /* the user's environment; only what a daemon needs is taken */
    bool has_terminal; /* progress as a bar */
    /* In slurmstepd: ids to take. */
    bool must_drop;
    uid_t uid;
    gid_t gid;
    const gid_t *groups;
    size_t n_groups;
};

struct launch {
    pid_t keeper; /* 0: none */
    int socket;
    int exit_code;      /* of the step's srun; -1: not known */
    uint32_t n_awaited; /* daemons that have not said that they are up */
    size_t size;
    char data[256]; /* what was read and not yet taken */
};

enum launch_outcome {
    LAUNCH_READY,  /* this step's daemons serve */
    LAUNCH_JOINED, /* there is a service already; this step has ended */
};

/* NULL-terminated arrays in one piece of memory each (free() it); NULL without memory.
 */
char **launch_argv_build(const struct launch_config *config);
/* For the daemon step, or for one that uses the service. */
char **launch_env_build(char *const *envp, enum job_role role, bool has_terminal);

/* `benchfs VERB SRC:DST...` as a step of the job, on one node. */
struct launch_tool {
    const char *srun;
    const char *program;
    const char *job_id;
    const char *verb;
    const struct config_stage_list *list;
    bool has_terminal;
};
char **launch_tool_argv_build(const struct launch_tool *tool);

int launch_start(const struct launch_config *config,
                 struct launch *ret_launch,
                 struct benchfs_error *err);

/* launch_start() and launch_wait(), more than once if the daemons don't find each
 * other: Slurm's PMIx loses a connection now and then that comes in the middle of a
 * launch, and does not try again. */
int launch_service(const struct launch_config *config,
                   unsigned timeout_ms,
                   struct launch *ret_launch,
                   enum launch_outcome *ret_outcome,
                   struct benchfs_error *err);

/* Waits for the daemons. The deadline starts anew with each line that tells of progress
 * (stage-in). On failure everything started is ended and reaped. -EAGAIN: they all
 * started, but did not meet; another try may do better. */
int launch_wait(struct launch *launch,
                unsigned timeout_ms,
                enum launch_outcome *ret_outcome,
                struct benchfs_error *err);

/* Waits for the end of the step. Returns its exit status, or -ETIMEDOUT. */
int launch_finish(struct launch *launch, unsigned timeout_ms);

/* Lets go of it: the service lives on. NULL is fine. */
void launch_release(struct launch *launch);

/* Runs a program to its end with the given arguments, stdin from /dev/null, stdout to
 * stderr. Returns its exit status (128 + signal) or -errno. */
int launch_run(char *const *argv, char *const *envp);

#endif

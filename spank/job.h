/* SPDX-License-Identifier: Apache-2.0
 * One job on one node as the hooks see it: ids, paths, and acting as root or as the
 * user in one thread of a process that is root's. */
#ifndef BENCHFS_SPANK_JOB_H
#define BENCHFS_SPANK_JOB_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "config/config.h"

struct job {
    uint32_t id;
    uint32_t step;
    uid_t uid;
    gid_t gid;
    char id_text[16];
    char host[HOST_NAME_MAX + 1]; /* up to the first dot */
    char dir[PATH_MAX];           /* <run_dir>/<id> */
    char socket[PATH_MAX];        /* shard-0.sock in it */
    char mount[PATH_MAX];         /* mnt in it */
};

/* `config` gives run_dir. Returns 0 or -ENAMETOOLONG. */
int job_init(struct job *job,
             uint32_t id,
             uint32_t step,
             uid_t uid,
             gid_t gid,
             const struct benchfs_config *config);

/* The job's configuration as handed down by the submit, for the variable of that name.
 * Slurm puts SLURM_SPANK_ (jobs) and SPANK_ (prolog, epilog) before it. */
#define JOB_CONTROL_CONFIG "BENCHFS"
#define JOB_ENV_CONFIG     "SLURM_SPANK_BENCHFS"
#define JOB_PROLOG_CONFIG  "SPANK_BENCHFS"
/* What a step is to the service. The prefix SLURM_ gets it through --export=NONE. */
#define JOB_ENV_ROLE "SLURM_SPANK_BENCHFS_ROLE"

enum job_role {
    JOB_ROLE_NONE,   /* not said: joins a service if there is one */
    JOB_ROLE_DAEMON, /* the step that runs the daemons */
    JOB_ROLE_OWNER,  /* its last task ends the service */
    JOB_ROLE_MEMBER, /* needs a service, and leaves it alone */
    JOB_ROLE_OFF,    /* does not want the service */
    JOB_ROLE_FAILED, /* could not get it: no task may run */
};

const char *job_role_name(enum job_role role);
/* Anything unknown, and NULL, is JOB_ROLE_NONE. */
enum job_role job_role_parse(const char *name);

/* The calling thread's effective ids; other threads keep theirs, which set*id(3) of the
 * C library would change too. The real uid must be root's. */
struct identity {
    uid_t uid;
    gid_t gid;
};

/* Returns 0 or -errno; *ret_saved is for identity_restore(), which can't fail: it ends
 * the process rather than go on as somebody else. */
int identity_become(uid_t uid, gid_t gid, struct identity *ret_saved);
void identity_restore(const struct identity *saved);

/* For a child after fork: all ids, for good. Async-signal-safe. 0 or -errno. */
int identity_drop(uid_t uid, gid_t gid, const gid_t *groups, size_t n_groups);

#endif

/* SPDX-License-Identifier: Apache-2.0
 * What the hooks of one process share. Slurm calls them without a context of ours, so
 * plugin.c holds the one instance; everything else gets it as its first argument. */
#ifndef BENCHFS_SPANK_PLUGIN_H
#define BENCHFS_SPANK_PLUGIN_H

#include <slurm/spank.h>
#include <stdbool.h>
#include <stdint.h>

#include "spank/job.h"
#include "spank/launch.h"
#include "spank/options.h"

struct plugin {
    /* arguments in plugstack.conf; NULL: the default */
    const char *config_file;
    const char *benchfsd;

    enum job_role role;
    struct options options;
    struct benchfs_config *config; /* of the job; NULL: no burst buffer asked for */

    /* srun */
    bool is_in_allocation;       /* not srun's own */
    uint32_t job_nodes;          /* 0: not known */
    char *job_json;              /* the enclosing job's configuration, or NULL */
    struct benchfs_config *step; /* directives of this step in the job, or NULL */
    struct launch launch;
    bool has_service; /* a service is there for this step */

    /* slurmstepd */
    struct benchfs_config *admin; /* what root goes by */
    struct job job;
    bool is_batch;
    bool has_terminal;   /* srun's stderr is one */
    bool is_joined;      /* tasks see the scratch */
    bool has_failed;     /* no task may run */
    bool is_step_killed; /* ... and those of other nodes have been told */
    bool has_daemon_failed;
};

/* srun, sbatch, salloc: local.c. 0 or -1; the reason has been printed. */
void local_init(struct plugin *plugin);
int local_resolve(struct plugin *plugin, spank_t spank);
int local_start(struct plugin *plugin, spank_t spank);
void local_exit(struct plugin *plugin);

/* slurmstepd: remote.c. Never a failure to Slurm: one in user_init would end a batch
 * job as completed, take the node out of service, and leave tasks of other nodes
 * running. The tasks end with status 1 instead. */
void remote_start(struct plugin *plugin, spank_t spank);
void remote_task_init(const struct plugin *plugin);
void remote_task_exit(struct plugin *plugin, spank_t spank);
void remote_exit(struct plugin *plugin);

/* Prolog and epilog, as root: script.c. A failure would take the node out of service,
 * so there is none: it is logged. */
void script_prolog(struct plugin *plugin, spank_t spank);
void script_epilog(struct plugin *plugin, spank_t spank);

/* Path of one of our programs: beside `benchfsd` if plugstack.conf names it, else in
 * ../bin as seen from the plugin's file, else where it was to be installed. -ENOENT. */
int program_find(const struct plugin *plugin,
                 const char *name,
                 char *ret_path,
                 size_t size);

/* The srun that belongs to this process's Slurm. */
void srun_find(char *ret_path, size_t size);

#endif

/* SPDX-License-Identifier: Apache-2.0
 * What the user asked for: spank options as they come one by one, the environment and
 * the file, and what a job that already has a service says. */
#ifndef BENCHFS_SPANK_OPTIONS_H
#define BENCHFS_SPANK_OPTIONS_H

#include <stdbool.h>

#include "config/builder.h"

struct options {
    struct config_builder *builder; /* NULL until the first option */
    const char *config_file;        /* NULL: the default, which need not exist */
    bool is_given;                  /* at least one option on the command line */
    bool is_off;                    /* the last --benchfs said so */
    bool is_on;
};

void options_init(struct options *options, const char *config_file);
/* NULL is fine. */
void options_fini(struct options *options);

/* One option as it was typed. Returns 0, or -EINVAL with a line that names option,
 * value and reason. */
int options_set(struct options *options,
                const struct config_setting *setting,
                const char *value,
                struct benchfs_error *err);

/* Everything together, for a job that is about to be submitted: options, environment,
 * file, defaults. `*ret_config` is NULL when no burst buffer was asked for. Uses up the
 * options. config_destroy() the result. */
int options_resolve(struct options *options,
                    struct benchfs_config **ret_config,
                    struct benchfs_error *err);

/* A step in a job whose configuration is `job_json`: its own directives are those given
 * on its command line, every other option must agree with the job's. Both results are
 * to be destroyed; *ret_step has the step's directives only. Uses up the options. */
int options_resolve_step(struct options *options,
                         const char *job_json,
                         struct benchfs_config **ret_job,
                         struct benchfs_config **ret_step,
                         struct benchfs_error *err);

/* What root parts go by: the file of root's alone. */
int options_load_admin(const char *config_file,
                       struct benchfs_config **ret_config,
                       struct benchfs_error *err);

/* Removes from the process's environment what Slurm would hand to us as options of an
 * enclosing job; the job's configuration travels in a variable of ours. */
void options_forget_inherited(void);

#endif

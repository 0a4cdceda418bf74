/* SPDX-License-Identifier: Apache-2.0
 * Resolves options, environment and file for a new job, and for a step of a job. */
#include "spank/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/json.h"

/* How Slurm passes the options of a batch job or salloc on to the commands within. */
#define INHERITED_PREFIX "SLURM_SPANK__SLURM_SPANK_OPTION_benchfs_"

void options_init(struct options *options, const char *config_file)
{
    *options = (struct options){.config_file = config_file};
}

void options_fini(struct options *options)
{
    if (!options)
        return;
    config_builder_destroy(options->builder);
    options->builder = NULL;
}

static int builder_require(struct options *options, struct benchfs_error *err)
{
    if (options->builder)
        return 0;
    /* Privileged: directories of root's come from root's file, so that what is resolved
     * here and what the root parts use is the same. */
    return config_builder_create(true, &options->builder, err);
}

int options_set(struct options *options,
                const struct config_setting *setting,
                const char *value,
                struct benchfs_error *err)
{
    int status = builder_require(options, err);

    if (status == 0)
        status = config_builder_set(
            options->builder, CONFIG_SOURCE_OPTION, setting, value ? value : "", err);
    if (status < 0)
        return status;
    options->is_given = true;
    if (strcmp(setting->name, "enable") == 0) {
        options->is_off = value && strcmp(value, "off") == 0;
        options->is_on = !options->is_off;
    }
    return 0;
}

static int load_file(struct options *options, struct benchfs_error *err)
{
    const char *path =
        options->config_file ? options->config_file : CONFIG_FILE_DEFAULT;
    int status = config_builder_load_file(options->builder, path, err);

    return status == -ENOENT && !options->config_file ? 0 : status;
}

/* An option without --benchfs=on would be silently useless. */
static int check_needless(const struct options *options,
                          const struct benchfs_config *config,
                          struct benchfs_error *err)
{
    if (config->enable || !options->is_given || options->is_off)
        return 0;
    return benchfs_error_set(
        err, EINVAL, "options given, but no burst buffer asked for: add --benchfs=on");
}

int options_resolve(struct options *options,
                    struct benchfs_config **ret_config,
                    struct benchfs_error *err)
{
    struct benchfs_config *config = NULL;
    int status;

    *ret_config = NULL;
    if (options->is_off)
        return 0;
    status = builder_require(options, err);
    if (status == 0)
        status = config_builder_load_env(options->builder, NULL, NULL, err);
    if (status == 0)
        status = load_file(options, err);
    if (status == 0)
        status = config_builder_finish(options->builder, &config, err);
    if (status == 0)
        status = check_needless(options, config, err);
    options_fini(options);
    if (status == 0 && config->enable)
        *ret_config = config;
    else
        config_destroy(config);
    return status;
}

static bool is_given(const struct options *options, const char *name)
{
    return options->builder
           && config_builder_source(options->builder, config_setting_find(name))
                  == CONFIG_SOURCE_OPTION;
}

static void stage_list_swap(struct config_stage_list *a, struct config_stage_list *b)
{
    struct config_stage_list other = *a;

    *a = *b;
    *b = other;
}

/* Takes out of `step` the directives that are the job's, then compares the rest. */
static int step_check(struct benchfs_config *job,
                      struct benchfs_config *step,
                      bool has_stage_in,
                      bool has_stage_out,
                      struct benchfs_error *err)
{
    struct config_stage_list none[2] = {{.items = NULL}, {.items = NULL}};
    struct config_stage_list job_lists[2] = {{.items = NULL}, {.items = NULL}};
    struct config_stage_list *own[2] = {&step->stage_in, &step->stage_out};
    struct config_stage_list *jobs[2] = {&job->stage_in, &job->stage_out};
    bool keep[2] = {has_stage_in, has_stage_out};
    const char *name;

    for (int i = 0; i < 2; i++) {
        stage_list_swap(jobs[i], &job_lists[i]);
        stage_list_swap(own[i], &none[i]);
    }
    name = config_difference(job, step);
    for (int i = 0; i < 2; i++) {
        stage_list_swap(jobs[i], &job_lists[i]);
        if (keep[i])
            stage_list_swap(own[i], &none[i]);
    }
    for (int i = 0; i < 2; i++) {
        for (size_t k = 0; k < none[i].count; k++) {
            free(none[i].items[k].source);
            free(none[i].items[k].target);
        }
        free(none[i].items);
    }
    if (!name)
        return 0;
    return benchfs_error_set(
        err,
        EINVAL,
        "--%s: the job's burst buffer has another value, and a job "
        "has only one",
        config_setting_find(name)->option ? config_setting_find(name)->option : name);
}

static int
load_job(struct options *options, const char *job_json, struct benchfs_error *err)
{
    struct json *json = NULL;
    struct json_cursor root;
    int status = builder_require(options, err);

    if (status == 0)
        status =
            json_parse(job_json, strlen(job_json), "the job's options", &json, err);
    if (status < 0)
        return status;
    root = json_cursor_root(json, "the job's options");
    status = config_builder_load_json(options->builder, &root, err);
    json_destroy(json);
    return status;
}

int options_resolve_step(struct options *options,
                         const char *job_json,
                         struct benchfs_config **ret_job,
                         struct benchfs_config **ret_step,
                         struct benchfs_error *err)
{
    bool has_stage_in = is_given(options, "stage_in");
    bool has_stage_out = is_given(options, "stage_out");
    struct benchfs_config *job = NULL;
    struct benchfs_config *step = NULL;
    int status = config_from_json_string(job_json, &job, err);

    if (status == 0)
        status = load_job(options, job_json, err);
    if (status == 0)
        status = config_builder_finish(options->builder, &step, err);
    if (status == 0)
        status = step_check(job, step, has_stage_in, has_stage_out, err);
    options_fini(options);
    if (status < 0) {
        config_destroy(job);
        config_destroy(step);
        return status;
    }
    *ret_job = job;
    *ret_step = step;
    return 0;
}

static const char *no_environment(void *context, const char *name)
{
    (void)context;
    (void)name;
    return NULL;
}

int options_load_admin(const char *config_file,
                       struct benchfs_config **ret_config,
                       struct benchfs_error *err)
{
    struct config_sources sources = {
        .env_get = no_environment,
        .file = config_file,
        .is_privileged = true,
    };

    return config_load(&sources, ret_config, err);
}

void options_forget_inherited(void)
{
    char name[256];

    for (char **entry = environ; entry && *entry;) {
        const char *end = strchr(*entry, '=');
        size_t length = end ? (size_t)(end - *entry) : 0;

        if (strncmp(*entry, INHERITED_PREFIX, strlen(INHERITED_PREFIX)) != 0
            || length >= sizeof(name)) {
            entry++;
            continue;
        }
        memcpy(name, *entry, length);
        name[length] = '\0';
        unsetenv(name); /* moves the entries behind it up */
    }
}

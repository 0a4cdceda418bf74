/* SPDX-License-Identifier: Apache-2.0
 * srun, sbatch and salloc: checks what was asked for at the submit, has the daemons
 * started before srun launches its tasks, and stages for steps inside a job. */
#include <errno.h>
#include <slurm/slurm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "spank/plugin.h"

/* Linux takes 128 KiB per string of an environment, and a name stands before it. */
#define JSON_MAX     (96u << 10)
#define STEP_END_MS  15000
#define CMDLINE_MAX  (4u << 20)
#define NODES_ENV    "SLURM_JOB_NUM_NODES"
#define PROGRESS_ENV "BENCHFS_PROGRESS"

void local_init(struct plugin *plugin)
{
    const char *json = getenv(JOB_ENV_CONFIG);
    const char *nodes = getenv(NODES_ENV);

    if (spank_context() == S_CTX_LOCAL) {
        /* srun sets these itself once it has an allocation. */
        plugin->is_in_allocation = getenv("SLURM_JOB_ID") != NULL;
        if (plugin->is_in_allocation && nodes)
            plugin->job_nodes = (uint32_t)strtoul(nodes, NULL, 10);
        if (plugin->is_in_allocation && json && json[0] != '\0')
            plugin->job_json = strdup(json);
        if (job_role_parse(getenv(JOB_ENV_ROLE)) == JOB_ROLE_DAEMON)
            plugin->role = JOB_ROLE_DAEMON;
    } else {
        /* A job submitted from inside a job is another job. */
        unsetenv(JOB_ENV_CONFIG);
        unsetenv("BENCHFS_JOB");
        unsetenv("BENCHFS_SOCKET");
    }
    if (plugin->role != JOB_ROLE_DAEMON)
        unsetenv(JOB_ENV_ROLE);
    options_forget_inherited();
}

/* Hands the configuration to the prolog, and to the batch step or salloc's commands. */
static int config_publish(const struct benchfs_config *config,
                          spank_t spank,
                          struct benchfs_error *err)
{
    char *json;
    int status = config_to_json_string(config, false, &json);

    if (status < 0)
        return benchfs_error_set(err, status, "%s", strerror(-status));
    if (strlen(json) > JSON_MAX)
        status = benchfs_error_set(err, E2BIG, "too many stage directives");
    else if (spank_job_control_setenv(spank, JOB_CONTROL_CONFIG, json, 1)
             != ESPANK_SUCCESS)
        status = benchfs_error_set(err, EIO, "Slurm does not take the configuration");
    free(json);
    return status;
}

/* salloc's job ends without anything of ours running in it. */
static int salloc_check(const struct benchfs_config *config, struct benchfs_error *err)
{
    if (config->stage_out.count == 0
        || strcmp(program_invocation_short_name, "salloc") != 0)
        return 0;
    return benchfs_error_set(
        err,
        EINVAL,
        "--benchfs-stage-out=%s:%s: not with salloc: give it to an "
        "srun in the allocation",
        config->stage_out.items[0].source,
        config->stage_out.items[0].target);
}

static void lists_move(struct benchfs_config *from, struct benchfs_config *to)
{
    struct config_stage_list none = {.items = NULL};

    to->stage_in = from->stage_in;
    to->stage_out = from->stage_out;
    from->stage_in = none;
    from->stage_out = none;
}

/* In a job whose submit asked for nothing, an srun may: its directives are the step's.
 */
static int resolve_first_step(struct plugin *plugin, struct benchfs_error *err)
{
    int status = options_resolve(&plugin->options, &plugin->config, err);

    if (status < 0 || !plugin->config)
        return status;
    status = config_default(&plugin->step, err);
    if (status == 0)
        lists_move(plugin->config, plugin->step);
    return status;
}

int local_resolve(struct plugin *plugin, spank_t spank)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    int status;

    if (plugin->role == JOB_ROLE_DAEMON)
        return 0;
    if (plugin->options.is_off)
        plugin->role = JOB_ROLE_OFF;
    if (plugin->is_in_allocation && plugin->options.is_off)
        return 0;
    if (plugin->is_in_allocation && plugin->job_json) {
        status = options_resolve_step(
            &plugin->options, plugin->job_json, &plugin->config, &plugin->step, &err);
    } else if (plugin->is_in_allocation) {
        status = resolve_first_step(plugin, &err);
    } else {
        bool is_asked = plugin->options.is_given || getenv("BENCHFS");

        status = options_resolve(&plugin->options, &plugin->config, &err);
        /* A broken file of root's is no matter of jobs that want nothing of us. */
        if (status < 0 && !is_asked)
            return 0;
        if (status == 0 && plugin->config)
            status = salloc_check(plugin->config, &err);
        if (status == 0 && plugin->config)
            status = config_publish(plugin->config, spank, &err);
    }
    if (status == 0)
        return 0;
    slurm_error("benchfs: %s", err.text);
    return -1;
}

/* srun --jobid=N joins an allocation without being inside it; Slurm tells plugins only
 * in the arguments. */
static bool has_jobid_option(spank_t spank)
{
    char **argv = NULL;
    int argc = 0;
    int count = 0;
    bool is_there = false;
    size_t size;
    char *line;

    if (fs_file_read("/proc/self/cmdline", CMDLINE_MAX, &line, &size) < 0)
        return false;
    spank_get_item(spank, S_JOB_ARGV, &argc, &argv);
    for (size_t at = 0; at < size; at += strlen(line + at) + 1)
        count++;
    /* Not among the arguments of the program to run. */
    for (size_t at = 0; at < size && count > argc;
         at += strlen(line + at) + 1, count--) {
        if (strncmp(line + at, "--jobid", 7) == 0)
            is_there = true;
    }
    free(line);
    return is_there;
}

/* Asks the controller, where the environment does not tell. */
static uint32_t job_nodes_load(uint32_t job_id)
{
    job_info_msg_t *info = NULL;
    uint32_t count = 0;

    if (slurm_load_job(&info, job_id, 0) != SLURM_SUCCESS)
        return 0;
    if (info->record_count > 0)
        count = info->job_array[0].num_nodes;
    slurm_free_job_info_msg(info);
    return count;
}

static uint32_t nodes_count(struct plugin *plugin, spank_t spank, uint32_t job_id)
{
    uint32_t count = plugin->job_nodes;

    if (count == 0 && plugin->is_in_allocation)
        count = job_nodes_load(job_id);
    if (count == 0)
        spank_get_item(spank, S_JOB_NNODES, &count);
    return count;
}

static int service_launch(struct plugin *plugin,
                          spank_t spank,
                          uint32_t job_id,
                          enum launch_outcome *ret_outcome,
                          struct benchfs_error *err)
{
    char srun[PATH_MAX], benchfsd[PATH_MAX];
    struct launch_config config = {
        .srun = srun,
        .benchfsd = benchfsd,
        .job_id = job_id,
        .n_nodes = nodes_count(plugin, spank, job_id),
        .has_terminal = isatty(STDERR_FILENO),
    };
    char *json;
    int status = program_find(plugin, "benchfsd", benchfsd, sizeof(benchfsd));

    if (status < 0)
        return benchfs_error_set(err, status, "benchfsd: %s", strerror(-status));
    srun_find(srun, sizeof(srun));
    status = config_to_json_string(plugin->config, false, &json);
    if (status < 0)
        return benchfs_error_set(err, status, "%s", strerror(-status));
    config.config_json = json;
    setenv(JOB_ENV_CONFIG, json, 1);
    config.envp = environ; /* setenv may have moved it */
    status = launch_service(&config,
                            (unsigned)plugin->config->start_timeout_ms,
                            &plugin->launch,
                            ret_outcome,
                            err);
    free(json);
    return status;
}

/* Whether this srun runs in an environment that a daemon of this job has made. */
static bool is_service_known(const struct plugin *plugin, uint32_t job_id)
{
    const char *job = getenv("BENCHFS_JOB");

    return plugin->is_in_allocation && job && strtoul(job, NULL, 10) == job_id;
}

static int
service_require(struct plugin *plugin, spank_t spank, struct benchfs_error *err)
{
    enum launch_outcome outcome = LAUNCH_JOINED;
    uint32_t job_id = 0;
    int status = 0;

    spank_get_item(spank, S_JOB_ID, &job_id);
    if (!plugin->is_in_allocation && has_jobid_option(spank)) {
        plugin->is_in_allocation = true;
        if (!plugin->step) {
            status = config_default(&plugin->step, err);
            if (status == 0)
                lists_move(plugin->config, plugin->step);
        }
    }
    if (status == 0 && !is_service_known(plugin, job_id))
        status = service_launch(plugin, spank, job_id, &outcome, err);
    if (status < 0)
        return status;
    plugin->has_service = true;
    plugin->role = outcome == LAUNCH_READY && !plugin->is_in_allocation
                       ? JOB_ROLE_OWNER
                       : JOB_ROLE_MEMBER;
    return 0;
}

/* `benchfs stage-in SRC:DST...` as a step of its own, on any node of the job. */
static int stage_run(const struct plugin *plugin,
                     const char *verb,
                     const struct config_stage_list *list,
                     struct benchfs_error *err)
{
    char program[PATH_MAX], srun[PATH_MAX];
    struct launch_tool tool = {
        .srun = srun,
        .program = program,
        .job_id = getenv("SLURM_JOB_ID"),
        .verb = verb,
        .list = list,
        .has_terminal = isatty(STDERR_FILENO),
    };
    char **argv, **envp;
    int status;

    if (list->count == 0)
        return 0;
    status = program_find(plugin, "benchfs", program, sizeof(program));
    if (status < 0)
        return benchfs_error_set(err, status, "benchfs: %s", strerror(-status));
    srun_find(srun, sizeof(srun));
    argv = launch_tool_argv_build(&tool);
    envp = launch_env_build(environ, JOB_ROLE_MEMBER, tool.has_terminal);
    status = argv && envp ? launch_run(argv, envp) : -ENOMEM;
    free(argv);
    free(envp);
    if (status < 0)
        return benchfs_error_set(err, status, "%s: %s", verb, strerror(-status));
    if (status > 0)
        return benchfs_error_set(err, EIO, "%s: failed (see above)", verb);
    return 0;
}

int local_start(struct plugin *plugin, spank_t spank)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    int status;

    if (plugin->role == JOB_ROLE_DAEMON)
        return 0;
    if (plugin->role == JOB_ROLE_OFF) {
        setenv(JOB_ENV_ROLE, job_role_name(JOB_ROLE_OFF), 1);
        return 0;
    }
    if (!plugin->config)
        return 0;
    status = service_require(plugin, spank, &err);
    if (status == 0) {
        setenv(JOB_ENV_ROLE, job_role_name(plugin->role), 1);
        setenv(PROGRESS_ENV, isatty(STDERR_FILENO) ? "bar" : "lines", 1);
    }
    if (status == 0 && plugin->step)
        status = stage_run(plugin, "stage-in", &plugin->step->stage_in, &err);
    if (status == 0)
        return 0;
    plugin->has_service = false;
    slurm_error("benchfs: %s", err.text);
    if (!plugin->is_in_allocation)
        return -1;
    /* Slurm has made the step already, and does not take it back when a plugin fails
     * here: it would keep its share of the allocation from later steps. So it runs, and
     * its tasks end before they begin. */
    setenv(JOB_ENV_ROLE, job_role_name(JOB_ROLE_FAILED), 1);
    return 0;
}

/* Runs when srun exits. Its exit status is settled by then, and Slurm asks nobody: the
 * only way to say that files did not arrive is to leave here. */
static void __attribute__((noreturn)) exit_failed(void)
{
    fflush(NULL);
    _exit(1);
}

void local_exit(struct plugin *plugin)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    int status = 0;

    if (!plugin->has_service)
        return;
    if (plugin->role == JOB_ROLE_OWNER) {
        if (launch_finish(&plugin->launch, STEP_END_MS) > 0)
            exit_failed();
        return;
    }
    launch_release(&plugin->launch);
    if (plugin->step)
        status = stage_run(plugin, "stage-out", &plugin->step->stage_out, &err);
    if (status == 0)
        return;
    slurm_error("benchfs: %s", err.text);
    exit_failed();
}

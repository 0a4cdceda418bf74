/* SPDX-License-Identifier: Apache-2.0
 * slurmstepd: gives the tasks of a step the scratch, starts the daemons of a batch job,
 * and does at the last task's end what must be done before Slurm hears of it. */
#include <errno.h>
#include <signal.h>
#include <slurm/slurm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spank/mount.h"
#include "spank/namespace.h"
#include "spank/node.h"
#include "spank/plugin.h"
#include "spank/service.h"

#define SERVICE_TIMEOUT_MS   10000
#define NAMESPACE_TIMEOUT_MS 5000
#define SHUTDOWN_TIMEOUT_MS  10000
#define TABLE_LIMIT          (32u << 20)
#define JSON_MAX             (128u << 10)

static void __attribute__((format(printf, 2, 3)))
report(const struct plugin *plugin, const char *fmt, ...)
{
    char text[BENCHFS_ERROR_TEXT_MAX];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    slurm_spank_log("benchfs: node %s: %s", plugin->job.host, text);
}

static void fail(struct plugin *plugin, const struct benchfs_error *err)
{
    plugin->has_failed = true;
    report(plugin, "%s", err->text);
}

/* ---- start ---- */

static enum job_role role_get(const struct plugin *plugin, spank_t spank)
{
    char name[16];

    if (plugin->options.is_off)
        return JOB_ROLE_OFF;
    if (spank_getenv(spank, JOB_ENV_ROLE, name, sizeof(name)) != ESPANK_SUCCESS)
        return JOB_ROLE_NONE;
    spank_unsetenv(spank, JOB_ENV_ROLE);
    return job_role_parse(name);
}

static bool has_terminal(spank_t spank)
{
    char text[8];

    return spank_getenv(spank, "BENCHFS_PROGRESS", text, sizeof(text)) == ESPANK_SUCCESS
           && strcmp(text, "bar") == 0;
}

/* The job's configuration as its submit resolved it. With --export=NONE, Slurm does not
 * call the option hooks of a batch step, but this is there. */
static int
config_from_env(struct plugin *plugin, spank_t spank, struct benchfs_error *err)
{
    char *json = malloc(JSON_MAX);
    int status = 0;

    if (!json)
        return benchfs_error_set(err, ENOMEM, "out of memory");
    if (spank_getenv(spank, JOB_ENV_CONFIG, json, JSON_MAX) == ESPANK_SUCCESS)
        status = config_from_json_string(json, &plugin->config, err);
    free(json);
    return status;
}

static int job_load(struct plugin *plugin, spank_t spank)
{
    uint32_t id = 0, step = 0;
    uid_t uid = (uid_t)-1;
    gid_t gid = (gid_t)-1;

    if (spank_get_item(spank, S_JOB_ID, &id) != ESPANK_SUCCESS
        || spank_get_item(spank, S_JOB_STEPID, &step) != ESPANK_SUCCESS
        || spank_get_item(spank, S_JOB_UID, &uid) != ESPANK_SUCCESS
        || spank_get_item(spank, S_JOB_GID, &gid) != ESPANK_SUCCESS)
        return -EINVAL;
    plugin->is_batch = step == SLURM_BATCH_SCRIPT;
    return job_init(&plugin->job, id, step, uid, gid, plugin->admin);
}

static int prepare(struct plugin *plugin, spank_t spank, struct benchfs_error *err)
{
    const char *store = "memory";
    struct identity saved;
    int status = config_from_env(plugin, spank, err);

    if (status < 0)
        return status;
    if (plugin->config)
        store = plugin->config->store;
    status = identity_become(0, 0, &saved);
    if (status < 0)
        return benchfs_error_set(err, status, "root: %s", strerror(-status));
    status = node_prepare(&plugin->job, plugin->admin, store, err);
    identity_restore(&saved);
    return status;
}

static int namespace_offer(struct plugin *plugin, struct benchfs_error *err)
{
    struct bytes table = BYTES_INIT(TABLE_LIMIT);
    struct service_link *link = NULL;
    uint32_t n_targets = 0;
    int status = service_link_open(&plugin->job, SERVICE_TIMEOUT_MS, &link, err);

    if (status == 0)
        status = service_table_get(link, &table, &n_targets, err);
    service_link_close(link);
    /* A batch step has no PMIx server, nor do its commands want one. */
    if (status == 0 && !plugin->is_batch) {
        status = namespace_register(plugin->job.id_text,
                                    table.data,
                                    table.size,
                                    n_targets,
                                    NAMESPACE_TIMEOUT_MS,
                                    err);
        if (status == -ENOSYS)
            status = 0;
    }
    bytes_fini(&table);
    return status;
}

static int
mount_show(struct plugin *plugin, const char *path, struct benchfs_error *err)
{
    struct identity saved;
    int status = identity_become(0, 0, &saved);

    if (status < 0)
        return benchfs_error_set(err, status, "root: %s", strerror(-status));
    status = mount_private(&plugin->job, plugin->admin, path, err);
    identity_restore(&saved);
    return status;
}

static int join(struct plugin *plugin, spank_t spank, struct benchfs_error *err)
{
    const char *path;
    int status = 0;

    if (!plugin->config)
        status = config_from_env(plugin, spank, err);
    path = plugin->config ? plugin->config->mount : plugin->admin->mount;
    if (status == 0)
        status = namespace_offer(plugin, err);
    if (status == 0)
        status = mount_show(plugin, path, err);
    if (status < 0)
        return status;
    spank_setenv(spank, "BENCHFS_MOUNT", path, 1);
    spank_setenv(spank, "BENCHFS_SOCKET", plugin->job.socket, 1);
    spank_setenv(spank, "BENCHFS_JOB", plugin->job.id_text, 1);
    plugin->is_joined = true;
    return 0;
}

/* ---- batch ---- */

static uint32_t nodes_count(spank_t spank)
{
    uint32_t count = 0;
    char text[16];

    /* The batch step itself has one node. */
    if (spank_getenv(spank, "SLURM_JOB_NUM_NODES", text, sizeof(text))
        == ESPANK_SUCCESS)
        count = (uint32_t)strtoul(text, NULL, 10);
    if (count == 0)
        spank_get_item(spank, S_JOB_NNODES, &count);
    return count;
}

static int batch_start(struct plugin *plugin, spank_t spank, struct benchfs_error *err)
{
    char srun[PATH_MAX], benchfsd[PATH_MAX];
    struct launch_config config = {
        .srun = srun,
        .benchfsd = benchfsd,
        .job_id = plugin->job.id,
        .n_nodes = nodes_count(spank),
        .must_drop = true,
        .uid = plugin->job.uid,
        .gid = plugin->job.gid,
    };
    enum launch_outcome outcome;
    char **envp = NULL;
    gid_t *groups = NULL;
    int n_groups = 0;
    char *json;
    int status = program_find(plugin, "benchfsd", benchfsd, sizeof(benchfsd));

    if (status < 0)
        return benchfs_error_set(err, status, "benchfsd: %s", strerror(-status));
    srun_find(srun, sizeof(srun));
    spank_get_item(spank, S_JOB_ENV, &envp);
    spank_get_item(spank, S_JOB_SUPPLEMENTARY_GIDS, &groups, &n_groups);
    config.envp = envp;
    config.groups = groups;
    config.n_groups = (size_t)n_groups;
    status = config_to_json_string(plugin->config, false, &json);
    if (status < 0)
        return benchfs_error_set(err, status, "%s", strerror(-status));
    config.config_json = json;
    status = launch_service(&config,
                            (unsigned)plugin->config->start_timeout_ms,
                            &plugin->launch,
                            &outcome,
                            err);
    free(json);
    return status == 0 ? join(plugin, spank, err) : status;
}

static void batch_or_nothing(struct plugin *plugin, spank_t spank)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    int status = config_from_env(plugin, spank, &err);

    if (status == 0 && plugin->config && plugin->config->enable)
        status = batch_start(plugin, spank, &err);
    if (status < 0)
        fail(plugin, &err);
}

static void step_join(struct plugin *plugin, spank_t spank)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct stat st;
    int status;

    if (stat(plugin->job.socket, &st) == 0)
        status = join(plugin, spank, &err);
    else if (plugin->role == JOB_ROLE_NONE)
        return;
    else
        status = benchfs_error_set(
            &err, errno, "no daemon of this job here: %s: %m", plugin->job.socket);
    if (status < 0)
        fail(plugin, &err);
}

/* What the batch script's environment says is not for a step without the scratch. */
static void environment_clear(spank_t spank)
{
    spank_unsetenv(spank, "BENCHFS_MOUNT");
    spank_unsetenv(spank, "BENCHFS_SOCKET");
    spank_unsetenv(spank, "BENCHFS_JOB");
}

void remote_start(struct plugin *plugin, spank_t spank)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    int status;

    plugin->role = role_get(plugin, spank);
    plugin->has_terminal = has_terminal(spank);
    if (plugin->role == JOB_ROLE_OFF) {
        environment_clear(spank);
        return;
    }
    if (plugin->role == JOB_ROLE_FAILED) {
        plugin->has_failed = true; /* srun has said why */
        return;
    }
    status = options_load_admin(plugin->config_file, &plugin->admin, &err);
    if (status == 0)
        status = job_load(plugin, spank);
    if (status < 0) {
        /* Jobs that want nothing of us don't suffer from a broken file of root's. */
        if (plugin->role != JOB_ROLE_NONE)
            fail(plugin, &err);
        else
            slurm_debug("benchfs: %s", err.text);
        return;
    }
    if (plugin->role == JOB_ROLE_DAEMON) {
        if (prepare(plugin, spank, &err) < 0)
            fail(plugin, &err);
    } else if (plugin->is_batch) {
        batch_or_nothing(plugin, spank);
    } else {
        step_join(plugin, spank);
    }
}

void remote_task_init(const struct plugin *plugin)
{
    /* The reason was given, once, where it was found. */
    if (plugin->has_failed)
        _exit(1);
}

/* ---- end ---- */

/* The tasks are all gone, and Slurm does not know it yet: until this returns, the job
 * has its nodes. */
static int
service_end(struct plugin *plugin, struct service_link *link, struct benchfs_error *err)
{
    int status = 0;

    if (plugin->config) {
        status = service_stage_out(
            link, &plugin->config->stage_out, plugin->has_terminal, err);
        if (status < 0)
            report(plugin, "%s", err->text);
    }
    return service_shutdown(link, SHUTDOWN_TIMEOUT_MS, err);
}

static int task_end(struct plugin *plugin, spank_t spank, struct benchfs_error *err)
{
    uint32_t task = 0, n_tasks = 0;
    int wait_status = 0;
    bool is_last = plugin->is_batch;
    struct service_link *link = NULL;
    int status = service_link_open(&plugin->job, SERVICE_TIMEOUT_MS, &link, err);

    spank_get_item(spank, S_TASK_GLOBAL_ID, &task);
    spank_get_item(spank, S_JOB_TOTAL_TASK_COUNT, &n_tasks);
    spank_get_item(spank, S_TASK_EXIT_STATUS, &wait_status);
    if (status == 0 && !plugin->is_batch)
        status = service_task_exit(
            link, plugin->job.step, task, n_tasks, wait_status, &is_last, err);
    if (status == 0 && is_last)
        status = service_end(plugin, link, err);
    service_link_close(link);
    return status;
}

static void owner_task_exit(struct plugin *plugin, spank_t spank)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct identity saved;
    int status = identity_become(plugin->job.uid, plugin->job.gid, &saved);

    if (status < 0) {
        report(plugin, "uid %u: %s", plugin->job.uid, strerror(-status));
        return;
    }
    status = task_end(plugin, spank, &err);
    identity_restore(&saved);
    /* After scancel or a time limit the daemons have been told to end, too. */
    if (status < 0)
        report(plugin, "%s", err.text);
}

void remote_task_exit(struct plugin *plugin, spank_t spank)
{
    int wait_status = 0;

    if (plugin->role == JOB_ROLE_DAEMON) {
        spank_get_item(spank, S_TASK_EXIT_STATUS, &wait_status);
        plugin->has_daemon_failed |= wait_status != 0;
    } else if (plugin->has_failed) {
        /* Tasks on other nodes would wait for those that did not run here. */
        if (!plugin->is_batch && !plugin->is_step_killed
            && plugin->role != JOB_ROLE_FAILED)
            slurm_kill_job_step(plugin->job.id, plugin->job.step, SIGKILL);
        plugin->is_step_killed = true;
    } else if (plugin->is_joined
               && (plugin->role == JOB_ROLE_OWNER || plugin->is_batch)) {
        owner_task_exit(plugin, spank);
    }
}

void remote_exit(struct plugin *plugin)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;

    launch_release(&plugin->launch);
    if (plugin->role != JOB_ROLE_DAEMON || !plugin->admin
        || !(plugin->has_daemon_failed || plugin->has_failed))
        return;
    /* A start that failed leaves nothing, also when the job goes on. */
    if (node_remove_unused(&plugin->job, plugin->admin, &err) < 0)
        slurm_debug("benchfs: %s", err.text);
}

/* SPDX-License-Identifier: Apache-2.0
 * benchfs-agent: the node's client side of a service, one client for the mount and the
 * stage workers. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "client/client.h"
#include "client/remote.h"
#include "fuse/mount.h"
#include "options.h"
#include "stage/worker.h"
#include "supervisor.h"

/* How long programs may keep the mount busy when the agent is to end. */
#define UNMOUNT_TIMEOUT_MS 3000u

struct agent {
    struct agent_options options;
    struct supervisor supervisor;
    struct client *client;
    struct mount *mount;
    struct stage_worker *stage_worker;
};

static int log_configure(struct benchfs_error *err)
{
    const char *name = getenv("BENCHFS_LOG_LEVEL");
    enum log_level level;

    log_prefix_set("benchfs-agent");
    if (name == NULL)
        return 0;
    if (log_level_parse(name, &level) < 0)
        return benchfs_error_set(
            err,
            EINVAL,
            "BENCHFS_LOG_LEVEL: %s is not error, warn, info or debug",
            name);
    log_level_set(level);
    return 0;
}

static int agent_client_start(struct agent *agent, struct benchfs_error *err)
{
    const struct client_config config = {
        .route = CLIENT_ROUTE_AUTO,
        .socket_path = agent->options.socket_path,
        .kind = HELLO_CLIENT,
        .remote = &client_remote_ucx,
    };

    return client_open(&config, &agent->client, err);
}

static int agent_mount_start(struct agent *agent, struct benchfs_error *err)
{
    struct mount_options options = MOUNT_OPTIONS_DEFAULT;

    if (agent->options.mountpoint == NULL)
        return 0;
    options.n_threads = agent->options.n_mount_threads;
    return mount_start(
        agent->client, agent->options.mountpoint, &options, &agent->mount, err);
}

static int agent_workers_start(struct agent *agent, struct benchfs_error *err)
{
    unsigned n = agent->options.n_stage_workers;

    if (n == 0)
        return 0;
    return stage_worker_start(
        agent->client, n == AGENT_WORKERS_AUTO ? 0 : n, &agent->stage_worker, err);
}

static int agent_start(struct agent *agent, struct benchfs_error *err)
{
    int rc = agent_client_start(agent, err);

    if (rc == 0)
        rc = agent_mount_start(agent, err);
    if (rc == 0)
        rc = agent_workers_start(agent, err);
    return rc;
}

/* Until the end is wanted (0), or the mount was taken away (-errno). */
static int agent_run(struct agent *agent, struct benchfs_error *err)
{
    int gone_fd = agent->mount != NULL ? mount_gone_fd(agent->mount) : -1;

    supervisor_say(&agent->supervisor, "mounted");
    if (supervisor_wait(&agent->supervisor, gone_fd))
        return 0;
    return benchfs_error_set(
        err, ENOTCONN, "the mount at %s was taken away", agent->options.mountpoint);
}

/* In reverse order; what was not started is NULL. */
static int agent_stop(struct agent *agent, struct benchfs_error *err)
{
    int rc;

    stage_worker_stop(agent->stage_worker);
    rc = mount_stop(agent->mount, UNMOUNT_TIMEOUT_MS, err);

    client_close(agent->client);
    return rc;
}

static void failure_report(struct agent *agent, const struct benchfs_error *err)
{
    char text[sizeof(err->text) + 16];

    snprintf(text, sizeof(text), "failed: %s", err->text);
    supervisor_say(&agent->supervisor, text);
    log_error("%s", err->text);
}

int main(int argc, char *argv[])
{
    struct agent agent = {.supervisor = SUPERVISOR_INIT};
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct benchfs_error stop_err = BENCHFS_ERROR_INIT;
    int rc;

    rc = supervisor_open(&agent.supervisor, &err);
    if (rc == 0)
        rc = log_configure(&err);
    if (rc == 0)
        rc = agent_options_parse(&agent.options, argc, argv, &err);
    if (rc == 0 && agent.options.wants_help)
        return fputs(agent_usage, stdout) < 0;
    if (rc == 0 && chdir("/") < 0)
        rc = benchfs_error_set(&err, errno, "/: %m");
    if (rc == 0)
        rc = agent_start(&agent, &err);
    if (rc == 0)
        rc = agent_run(&agent, &err);
    if (rc < 0)
        failure_report(&agent, &err);
    if (agent_stop(&agent, &stop_err) < 0) {
        failure_report(&agent, &stop_err);
        rc = -stop_err.code;
    }
    supervisor_close(&agent.supervisor);
    return rc < 0;
}

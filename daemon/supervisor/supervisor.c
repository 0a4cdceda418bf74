/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/supervisor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "supervisor/service_request.h"
#include "supervisor/supervisor_impl.h"

#define FOREVER                                                                        \
    (struct deadline)                                                                  \
    {                                                                                  \
        .at_ns = UINT64_MAX                                                            \
    }

static void supervisor_init(struct supervisor *supervisor,
                            const struct supervisor_options *options)
{
    *supervisor = (struct supervisor){
        .options = options,
        .config = options->config,
        .start_deadline = deadline_after_ms(options->config->start_timeout_ms),
        .phase_start_ns = clock_now_ns(),
        .place = PLACE_INIT,
        .signal_fd = -1,
        .table = BYTES_INIT(64u << 20),
        .server = CHILD_INIT("server process"),
        .agent = CHILD_INIT("agent"),
        .stage = CHILD_INIT("stage-in"),
    };
    /* before there are threads; the agent looks for it */
    setenv(CHILD_CONTROL_FD_ENV, "3", 1);
    /* UCX reads it when it is loaded; by default a worker can have 1024 connections,
     * and falls over beyond. */
    setenv("UCX_ASYNC_MAX_EVENTS", "65536", 0);
}

static void supervisor_fini(struct supervisor *supervisor)
{
    bootstrap_destroy(supervisor->bootstrap);
    place_close(&supervisor->place);
    supervisor_events_close(supervisor);
    bytes_fini(&supervisor->table);
    free(supervisor->socket_path);
    free(supervisor->mount);
}

void supervisor_phase_end(struct supervisor *supervisor, const char *name)
{
    uint64_t now = clock_now_ns();

    log_info("phase %s: %.1f ms, ended at %.6f s",
             name,
             (double)(now - supervisor->phase_start_ns) / CLOCK_NS_PER_MS,
             (double)now / CLOCK_NS_PER_SEC);
    supervisor->phase_start_ns = now;
}

/* One event: -ESHUTDOWN when the end is asked for, else -errno with a text. */
static int event_take(struct supervisor *supervisor, struct benchfs_error *err)
{
    int rc = supervisor_wait(supervisor, supervisor->server.control_fd, FOREVER);

    if (rc == -EINTR || rc == -ENOLINK)
        return -ESHUTDOWN;
    return rc ? supervisor_wait_error(supervisor, rc, err)
              : server_child_message(supervisor, err);
}

/* Until the end is asked for (0) or something has failed that can't be mended. */
static int supervisor_watch(struct supervisor *supervisor, struct benchfs_error *err)
{
    int rc;

    do {
        rc = event_take(supervisor, err);
        if (rc == -ECHILD && supervisor_dead_child(supervisor) == &supervisor->server)
            rc = server_child_restart(supervisor, err);
    } while (rc == 0);
    return rc == -ESHUTDOWN ? 0 : rc;
}

/* One line, from the node where the cause is. */
static void failure_report(const struct supervisor *supervisor,
                           const struct benchfs_error *err)
{
    if (supervisor->is_peer_failed || supervisor->stop_signal)
        log_info("%s", err->text);
    else
        log_error("%s", err->text);
}

/* The nodes have met for the last time: they end together, by the service's own means.
 */
static bool others_end(struct supervisor *supervisor)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;

    return child_is_running(&supervisor->server)
           && service_request_shutdown(supervisor->socket_path, &err) == 0;
}

int supervisor_run(const struct supervisor_options *options)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct supervisor supervisor;
    bool is_clean = false;
    int rc;

    supervisor_init(&supervisor, options);
    rc = supervisor_events_open(&supervisor, &err);
    if (rc == 0)
        rc = supervisor_start(&supervisor, &err);
    if (rc == 0) {
        rc = supervisor_watch(&supervisor, &err);
        is_clean = rc == 0;
    }
    if (rc < 0) {
        failure_report(&supervisor, &err);
        supervisor_failure_tell(&supervisor, &err);
        if (supervisor.is_started)
            is_clean = others_end(&supervisor);
    }
    supervisor_phase_end(&supervisor, "service");
    supervisor_stop(&supervisor, is_clean);
    supervisor_fini(&supervisor);
    return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

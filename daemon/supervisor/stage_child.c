/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/stage_child.h"

#include <errno.h>
#include <string.h>

#include "launch/arguments.h"
#include "launch/program.h"
#include "supervisor/service_request.h"
#include "supervisor/words.h"

#define HEARTBEAT_MS 500 /* at least one word a second is promised */

static int stage_start(struct supervisor *supervisor, struct benchfs_error *err)
{
    const struct supervisor_options *options = supervisor->options;
    const struct config_stage_list *list = &supervisor->config->stage_in;
    const struct child_options child_options = {.socket_type = 0};
    struct arguments arguments;
    int rc;

    arguments_init(&arguments);
    program_add(&arguments, options->command_program, "benchfs");
    arguments_add(&arguments, "stage-in");
    arguments_add(&arguments, "--socket");
    arguments_printf(&arguments, "%s/shard-0.sock", supervisor->place.run_dir);
    if (options->progress)
        arguments_printf(&arguments, "--progress=%s", options->progress);
    arguments_add(&arguments, "--");
    for (size_t i = 0; i < list->count; i++)
        arguments_printf(
            &arguments, "%s:%s", list->items[i].source, list->items[i].target);
    rc = arguments.status;
    if (rc)
        benchfs_error_set(err, -rc, "stage-in: out of memory");
    else
        rc = child_start(&supervisor->stage, arguments.items, &child_options, err);
    arguments_fini(&arguments);
    return rc;
}

static int stage_wait(struct supervisor *supervisor, struct benchfs_error *err)
{
    char text[CHILD_STATUS_TEXT_MAX];
    int rc;

    do {
        words_stage_in();
        rc = supervisor_wait(
            supervisor, supervisor->server.control_fd, deadline_after_ms(HEARTBEAT_MS));
    } while (rc == -ETIMEDOUT);
    if (rc == 0)
        return server_child_message(supervisor, err);
    if (rc != -ECHILD || supervisor_dead_child(supervisor) != &supervisor->stage)
        return supervisor_wait_error(supervisor, rc, err);
    if (supervisor->stage.status != 0)
        return benchfs_error_set(
            err,
            EIO,
            "--benchfs-stage-in: not everything was copied (see above; the copy %s)",
            child_status_text(&supervisor->stage, text));
    child_fini(&supervisor->stage);
    supervisor->stage = (struct child)CHILD_INIT("stage-in");
    return 0;
}

int stage_child_run(struct supervisor *supervisor, struct benchfs_error *err)
{
    int rc;

    if (supervisor->config->stage_in.count == 0)
        return 0;
    rc = service_request_state_set(supervisor->socket_path, SERVICE_STAGING_IN, err);
    if (rc == 0)
        rc = stage_start(supervisor, err);
    if (rc == 0)
        rc = stage_wait(supervisor, err);
    if (rc == 0)
        rc = service_request_state_set(supervisor->socket_path, SERVICE_STAGED_IN, err);
    return rc;
}

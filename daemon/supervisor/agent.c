/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/agent.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "launch/arguments.h"
#include "launch/program.h"
#include "supervisor/unmount.h"

#define WORD_MOUNTED "mounted"
#define WORD_FAILED  "failed: "
#define WORD_STOP    "stop"
/* It writes back what programs left in the page cache. */
#define STOP_MS  15000
#define GRACE_MS 3000

int agent_mount_clear(struct supervisor *supervisor, struct benchfs_error *err)
{
    if (!supervisor->mount || !unmount_is_needed(supervisor->mount))
        return 0;
    return unmount_lazy(supervisor->mount, err);
}

static int agent_spawn(struct supervisor *supervisor, struct benchfs_error *err)
{
    const struct child_options options = {.socket_type = SOCK_SEQPACKET};
    struct arguments arguments;
    int rc;

    arguments_init(&arguments);
    program_add(&arguments, supervisor->options->agent_program, "benchfs-agent");
    arguments_add_pair(&arguments, "--socket", supervisor->socket_path);
    arguments_add_pair(&arguments, "--mount", supervisor->mount);
    rc = arguments.status;
    if (rc)
        benchfs_error_set(err, -rc, "agent: out of memory");
    else
        rc = child_start(&supervisor->agent, arguments.items, &options, err);
    arguments_fini(&arguments);
    return rc;
}

/* Its next text; the socket is readable or it has ended. */
static int agent_hear(struct supervisor *supervisor, struct benchfs_error *err)
{
    char text[BENCHFS_ERROR_TEXT_MAX + sizeof(WORD_FAILED)];
    char status[CHILD_STATUS_TEXT_MAX];
    ssize_t n =
        recv(supervisor->agent.control_fd, text, sizeof(text) - 1, MSG_DONTWAIT);

    if (n > 0) {
        text[n] = '\0';
        if (strcmp(text, WORD_MOUNTED) == 0)
            return 0;
        if (strncmp(text, WORD_FAILED, strlen(WORD_FAILED)) == 0)
            return benchfs_error_set(err, EIO, "%s", text + strlen(WORD_FAILED));
        return benchfs_error_set(err, EPROTO, "agent: unknown message");
    }
    if (child_wait(&supervisor->agent, deadline_after_ms(GRACE_MS)) == 0)
        return benchfs_error_set(
            err, ECHILD, "the agent %s", child_status_text(&supervisor->agent, status));
    return benchfs_error_set(err, EPROTO, "agent: it closed its socket");
}

static int agent_mount_prepare(struct supervisor *supervisor, struct benchfs_error *err)
{
    int rc = agent_mount_clear(supervisor, err);
    struct stat st;

    if (rc)
        return rc;
    if (mkdir(supervisor->mount, 0700) == 0)
        supervisor->has_made_mount = true;
    else if (errno != EEXIST)
        rc = benchfs_error_set(
            err, errno, "can't make directory %s: %m", supervisor->mount);
    else if (stat(supervisor->mount, &st) < 0 || !S_ISDIR(st.st_mode))
        rc = benchfs_error_set(
            err, ENOTDIR, "can't mount: %s is not a directory", supervisor->mount);
    return rc;
}

int agent_start(struct supervisor *supervisor, struct benchfs_error *err)
{
    int rc;

    if (!supervisor->mount)
        return 0;
    rc = agent_mount_prepare(supervisor, err);
    if (rc == 0)
        rc = agent_spawn(supervisor, err);
    if (rc)
        return rc;
    rc = supervisor_wait(
        supervisor, supervisor->agent.control_fd, supervisor->start_deadline);
    if (rc == -ETIMEDOUT)
        return benchfs_error_set(
            err, ETIMEDOUT, "agent: not mounted at %s in time", supervisor->mount);
    return rc ? supervisor_wait_error(supervisor, rc, err)
              : agent_hear(supervisor, err);
}

void agent_stop(struct supervisor *supervisor)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct child *agent = &supervisor->agent;

    if (child_is_running(agent)) {
        (void)send(agent->control_fd, WORD_STOP, strlen(WORD_STOP), MSG_NOSIGNAL);
        child_end(agent, deadline_after_ms(STOP_MS), GRACE_MS);
    }
    /* without the lock it is another service's, which we joined */
    if (supervisor->place.lock_fd >= 0 && agent_mount_clear(supervisor, &err))
        log_warn("%s", err.text);
    if (supervisor->has_made_mount)
        (void)rmdir(supervisor->mount);
    child_fini(agent);
}

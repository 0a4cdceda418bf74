/* SPDX-License-Identifier: Apache-2.0
 * Arguments, environment and progress of the daemon step. */
#include "spank/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/proc.h"
#include "spank/job.h"
#include "spank/keeper.h"

#define MEET_TIMEOUT_MS  2000 /* it takes some milliseconds, or does not happen */
#define LAUNCH_TRIES     3
#define ABORT_TIMEOUT_MS 6000
#define ARGS_MAX         24

/* Everything else stays out: SLURM_*, SRUN_* and SBATCH_* of the enclosing step would
 * shape this one, PMIX_* and OMPI_* would make it believe it is part of another. */
static const char *const env_patterns[] = {
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_*",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "SLURM_CONF",
    "SLURM_CONF_SERVER",
    "SLURM_WORKING_CLUSTER",
    "MUNGE_SOCKET",
    "UCX_*",
    "BENCHFS*",
    "?SAN_OPTIONS",
    "??SAN_OPTIONS",
};

static bool env_is_wanted(const char *entry)
{
    const char *end = strchr(entry, '=');
    char name[128];

    if (!end || (size_t)(end - entry) >= sizeof(name))
        return false;
    memcpy(name, entry, (size_t)(end - entry));
    name[end - entry] = '\0';
    for (size_t i = 0; i < sizeof(env_patterns) / sizeof(env_patterns[0]); i++) {
        if (fnmatch(env_patterns[i], name, 0) == 0)
            return true;
    }
    return false;
}

/* A NULL-terminated array of strings and the strings behind it, as one allocation. */
static char **array_pack(const char *const *items, size_t count)
{
    size_t size = (count + 1) * sizeof(char *);
    char **array;
    char *next;

    for (size_t i = 0; i < count; i++)
        size += strlen(items[i]) + 1;
    array = malloc(size);
    if (!array)
        return NULL;
    next = (char *)(array + count + 1);
    for (size_t i = 0; i < count; i++) {
        array[i] = next;
        next = stpcpy(next, items[i]) + 1;
    }
    array[count] = NULL;
    return array;
}

char **launch_env_build(char *const *envp, enum job_role role, bool has_terminal)
{
    char role_entry[64];
    const char **items;
    char **array;
    size_t count = 0;
    size_t total = 0;

    while (envp && envp[total])
        total++;
    items = calloc(total + 3, sizeof(*items));
    if (!items)
        return NULL;
    for (size_t i = 0; i < total; i++) {
        if (env_is_wanted(envp[i])
            && strncmp(envp[i], "BENCHFS_PROGRESS=", strlen("BENCHFS_PROGRESS=")) != 0)
            items[count++] = envp[i];
    }
    snprintf(role_entry, sizeof(role_entry), JOB_ENV_ROLE "=%s", job_role_name(role));
    items[count++] = role_entry;
    items[count++] = has_terminal ? "BENCHFS_PROGRESS=bar" : "BENCHFS_PROGRESS=lines";
    array = array_pack(items, count);
    free(items);
    return array;
}

char **launch_argv_build(const struct launch_config *config)
{
    char job[32], nodes[32];
    const char *items[ARGS_MAX];
    size_t count = 0;

    snprintf(job, sizeof(job), "--jobid=%u", config->job_id);
    snprintf(nodes, sizeof(nodes), "--nodes=%u", config->n_nodes);
    items[count++] = config->srun;
    items[count++] = job;
    items[count++] = nodes;
    items[count++] = "--ntasks-per-node=1";
    /* Takes nothing away from the job's own steps, and waits for none of them. */
    items[count++] = "--overlap";
    items[count++] = "--mem=0";
    items[count++] = "--cpu-bind=none";
    items[count++] = "--mpi=pmix";
    /* With 1, srun may drop what the failing task has written: its reason. The keeper
     * ends a start that has failed, and later a daemon's end is its peers' business. */
    items[count++] = "--kill-on-bad-exit=0";
    items[count++] = "--no-kill"; /* of the other nodes, when one fails */
    items[count++] = "--job-name=benchfsd";
    items[count++] = "--export=ALL";
    items[count++] = "--unbuffered";
    items[count++] = "--chdir=/";
    items[count++] = config->benchfsd;
    items[count++] = "--wait-go";
    items[count++] = "--config-json";
    items[count++] = config->config_json;
    return array_pack(items, count);
}

char **launch_tool_argv_build(const struct launch_tool *tool)
{
    static const char *const fixed[] = {"--nodes=1",
                                        "--ntasks=1",
                                        "--overlap",
                                        "--mem=0",
                                        "--mpi=none",
                                        "--export=ALL",
                                        "--unbuffered"};
    size_t n_fixed = sizeof(fixed) / sizeof(fixed[0]);
    const struct config_stage_list *list = tool->list;
    const char **items = calloc(list->count + n_fixed + 6, sizeof(*items));
    size_t count = 0, first;
    char **array = NULL;
    char job[64];

    if (!items)
        return NULL;
    snprintf(job, sizeof(job), "--jobid=%s", tool->job_id);
    items[count++] = tool->srun;
    items[count++] = job;
    for (size_t i = 0; i < n_fixed; i++)
        items[count++] = fixed[i];
    items[count++] = tool->program;
    items[count++] = tool->verb;
    items[count++] = tool->has_terminal ? "--progress=bar" : "--progress=lines";
    items[count++] = "--";
    first = count;
    for (size_t i = 0; i < list->count; i++) {
        char *text;

        if (asprintf(&text, "%s:%s", list->items[i].source, list->items[i].target) < 0)
            break;
        items[count++] = text;
    }
    if (count == first + list->count)
        array = array_pack(items, count);
    while (count > first)
        free((char *)(uintptr_t)items[--count]);
    free(items);
    return array;
}

int launch_start(const struct launch_config *config,
                 struct launch *ret_launch,
                 struct benchfs_error *err)
{
    struct keeper_config keeper = {
        .argv = launch_argv_build(config),
        .envp = launch_env_build(config->envp, JOB_ROLE_DAEMON, config->has_terminal),
        .must_drop = config->must_drop,
        .uid = config->uid,
        .gid = config->gid,
        .groups = config->groups,
        .n_groups = config->n_groups,
    };
    int status = -ENOMEM;

    *ret_launch =
        (struct launch){.socket = -1, .exit_code = -1, .n_awaited = config->n_nodes};
    if (keeper.argv && keeper.envp)
        status = keeper_start(&keeper, &ret_launch->keeper, &ret_launch->socket);
    free((void *)keeper.argv);
    free((void *)keeper.envp);
    if (status < 0)
        return benchfs_error_set(
            err, status, "cannot start the daemon step: %s", strerror(-status));
    return 0;
}

/* The next line without its newline, in `line` (cut if longer). Returns 1, 0 at the
 * end, -ETIMEDOUT, or -errno. */
static int
line_read(struct launch *launch, struct deadline deadline, char *line, size_t size)
{
    for (;;) {
        char *end = memchr(launch->data, '\n', launch->size);
        struct pollfd fd = {.fd = launch->socket, .events = POLLIN};
        ssize_t got;

        if (end || launch->size == sizeof(launch->data)) {
            size_t length = end ? (size_t)(end - launch->data) : launch->size;
            size_t used = end ? length + 1 : length;

            snprintf(line, size, "%.*s", (int)length, launch->data);
            memmove(launch->data, launch->data + used, launch->size - used);
            launch->size -= used;
            return 1;
        }
        if (poll(&fd, 1, deadline_remaining_ms(deadline)) == 0)
            return -ETIMEDOUT;
        if (!fd.revents)
            continue; /* EINTR */
        got = read(launch->socket,
                   launch->data + launch->size,
                   sizeof(launch->data) - launch->size);
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got == 0)
            return 0;
        launch->size += got > 0 ? (size_t)got : 0;
    }
}

static void keeper_reap(struct launch *launch)
{
    if (launch->keeper > 0)
        while (waitpid(launch->keeper, NULL, 0) < 0 && errno == EINTR)
            ;
    launch->keeper = 0;
    proc_fd_close(&launch->socket);
}

static void keeper_command(const struct launch *launch, char command)
{
    /* If the keeper is gone, there is nobody to command. */
    (void)!send(launch->socket, &command, 1, MSG_NOSIGNAL);
}

int launch_finish(struct launch *launch, unsigned timeout_ms)
{
    struct deadline deadline = deadline_after_ms(timeout_ms);
    bool has_lost = false;
    char line[256];
    int status;

    if (launch->keeper <= 0)
        return launch->exit_code;
    while ((status = line_read(launch, deadline, line, sizeof(line))) > 0) {
        has_lost |= strcmp(line, "lost") == 0;
        (void)!sscanf(line, "exit %d", &launch->exit_code);
    }
    if (has_lost && launch->exit_code <= 0)
        launch->exit_code = 1;
    if (status == -ETIMEDOUT)
        return status;
    keeper_reap(launch);
    return launch->exit_code;
}

static void launch_abort(struct launch *launch, enum keeper_command how)
{
    keeper_command(launch, (char)how);
    if (launch_finish(launch, ABORT_TIMEOUT_MS) == -ETIMEDOUT) {
        kill(launch->keeper, SIGKILL);
        keeper_reap(launch);
    }
}

/* What the daemons say of their start, until they are ready. 1: they are; 0: the end;
 * -ETIMEDOUT; -EAGAIN: they don't meet. */
static int
ready_read(struct launch *launch, unsigned timeout_ms, char *line, size_t size)
{
    struct deadline deadline = deadline_after_ms(timeout_ms);
    bool are_meeting = false;
    int status;

    while ((status = line_read(launch, deadline, line, size)) > 0) {
        if (sscanf(line, "exit %d", &launch->exit_code) == 1)
            continue;
        if (strcmp(line, "ready") == 0 || strcmp(line, "joined") == 0)
            return 1;
        are_meeting = false;
        deadline = deadline_after_ms(timeout_ms);
        /* All nodes' daemons run, so no hook does: now they may meet through PMIx,
         * which on a node turns others away while a hook has the user's rights. */
        if (strcmp(line, "up") == 0 && launch->n_awaited > 0
            && --launch->n_awaited == 0) {
            keeper_command(launch, KEEPER_GO);
            deadline = deadline_earlier(deadline, deadline_after_ms(MEET_TIMEOUT_MS));
            are_meeting = true;
        }
    }
    return status == -ETIMEDOUT && are_meeting ? -EAGAIN : status;
}

int launch_wait(struct launch *launch,
                unsigned timeout_ms,
                enum launch_outcome *ret_outcome,
                struct benchfs_error *err)
{
    char line[256] = "";
    int status = ready_read(launch, timeout_ms, line, sizeof(line));

    if (status > 0) {
        *ret_outcome = line[0] == 'r' ? LAUNCH_READY : LAUNCH_JOINED;
        keeper_command(launch, KEEPER_RELEASE);
        if (*ret_outcome == LAUNCH_JOINED)
            launch_finish(launch, timeout_ms);
        return 0;
    }
    launch_abort(launch, status == -EAGAIN ? KEEPER_RETRY : KEEPER_ABORT);
    if (status == -EAGAIN)
        return benchfs_error_set(
            err, EAGAIN, "the daemons of the job's nodes do not meet through PMIx");
    if (status == -ETIMEDOUT)
        return benchfs_error_set(
            err, ETIMEDOUT, "the daemons are not ready after %u ms", timeout_ms);
    return benchfs_error_set(err, EIO, "the daemons did not start (see above)");
}

int launch_service(const struct launch_config *config,
                   unsigned timeout_ms,
                   struct launch *ret_launch,
                   enum launch_outcome *ret_outcome,
                   struct benchfs_error *err)
{
    int status = -EAGAIN;

    for (int i = 0; status == -EAGAIN && i < LAUNCH_TRIES; i++) {
        status = launch_start(config, ret_launch, err);
        if (status == 0)
            status = launch_wait(ret_launch, timeout_ms, ret_outcome, err);
    }
    return status;
}

void launch_release(struct launch *launch)
{
    if (!launch)
        return;
    launch->keeper = 0;
    proc_fd_close(&launch->socket);
}

int launch_run(char *const *argv, char *const *envp)
{
    sigset_t all, saved;
    int status = 0;
    pid_t pid;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &saved);
    pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0) {
        int null = open("/dev/null", O_RDONLY);
        sigset_t none;

        for (int number = 1; number < NSIG; number++)
            signal(number, SIG_DFL);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        if (null < 0 || dup2(null, 0) < 0 || dup2(2, 1) < 0)
            _exit(126);
        execvpe(argv[0], argv, envp);
        _exit(127);
    }
    status = errno;
    pthread_sigmask(SIG_SETMASK, &saved, NULL);
    if (pid < 0)
        return -status;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* SPDX-License-Identifier: Apache-2.0
 * benchfs start: a service for the Slurm job we are in, without the plugin. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/proc.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "launch/arguments.h"
#include "launch/child.h"
#include "launch/program.h"

/* Slurm launches the step; then the daemons have their own deadline. */
#define LAUNCH_MARGIN_MS 10000
#define STOP_GRACE_MS    5000

extern char **environ;

struct start {
    const struct cli_command *command;
    struct options options;
    struct benchfs_config *config;
    char *job;
    char *n_nodes;
    char *run_dir;
    char *store_dir;
    struct child srun;
    int words_fd;
};

/* What of SLURM_* srun needs; all else would shape the daemon step after ours. */
static const char *const slurm_kept[] = {
    "SLURM_CONF=", "SLURM_CONF_SERVER=", "SLURM_WORKING_CLUSTER=", NULL};
static const char *const foreign_prefixes[] = {
    "SLURM_", "SLURMD_", "SRUN_", "SBATCH_", "SALLOC_", "PMIX_", "PMI_", "OMPI_", NULL};

static bool has_prefix(const char *text, const char *const *prefixes)
{
    for (; *prefixes; prefixes++) {
        if (strncmp(text, *prefixes, strlen(*prefixes)) == 0)
            return true;
    }
    return false;
}

/* Leaves no variable that makes the inner srun another one than asked for. */
static void environment_clean(void)
{
    for (char **entry = environ; *entry;) {
        char name[256];
        size_t len = strcspn(*entry, "=");

        if (len >= sizeof(name) || !has_prefix(*entry, foreign_prefixes)
            || has_prefix(*entry, slurm_kept)) {
            entry++;
            continue;
        }
        memcpy(name, *entry, len);
        name[len] = '\0';
        unsetenv(name); /* moves the next one here */
    }
    setenv("BENCHFS", "off", 1); /* should the plugin be there after all */
}

/* ---- start ------------------------------------------------------------------ */

static int job_find(struct start *start, struct benchfs_error *err)
{
    const char *job = getenv("SLURM_JOB_ID");
    const char *nodes = getenv("SLURM_JOB_NUM_NODES");

    if (!job || !job[0] || strchr(job, '/'))
        return benchfs_error_set(
            err, ENOENT, "not in a Slurm job (SLURM_JOB_ID); see 'benchfs run'");
    if (!nodes)
        nodes = getenv("SLURM_NNODES");
    start->job = strdup(job); /* the environment is cleaned before it is used */
    start->n_nodes = strdup(nodes ? nodes : "1");
    if (!start->job || !start->n_nodes)
        return benchfs_error_set(err, ENOMEM, "out of memory");
    return 0;
}

static int paths_make(struct start *start, struct benchfs_error *err)
{
    const char *store = config_store_dir(start->config);
    bool is_users = start->config->store[0] == '/';
    int n = asprintf(&start->run_dir, "/tmp/benchfs-%u/%s", geteuid(), start->job);

    if (n < 0) {
        start->run_dir = NULL;
        return benchfs_error_set(err, ENOMEM, "no memory for a path");
    }
    n = is_users
            ? asprintf(&start->store_dir, "%s/benchfs-%s", store, start->job)
            : asprintf(&start->store_dir, "%s-%u/%s", store, geteuid(), start->job);
    if (n < 0) {
        start->store_dir = NULL;
        return benchfs_error_set(err, ENOMEM, "no memory for a path");
    }
    return 0;
}

static void arguments_fill(const struct start *start,
                           const char *config,
                           struct arguments *arguments)
{
    const char *mount = options_value(&start->options, "mount");

    arguments_add(arguments, "srun");
    arguments_printf(arguments, "--jobid=%s", start->job);
    arguments_printf(arguments, "--nodes=%s", start->n_nodes);
    arguments_add(arguments, "--ntasks-per-node=1");
    arguments_add(arguments, "--overlap");
    arguments_add(arguments, "--mem=0");
    arguments_add(arguments, "--mpi=pmix");
    /* with 1, srun may drop what the failing task has written: its reason */
    arguments_add(arguments, "--kill-on-bad-exit=0");
    arguments_add(arguments, "--no-kill");
    arguments_add(arguments, "--job-name=benchfsd");
    arguments_add(arguments, "--export=ALL");
    arguments_add(arguments, "--input=none");
    arguments_add(arguments, "--unbuffered");
    arguments_add(arguments, "--chdir=/");
    program_add(arguments, NULL, "benchfsd");
    arguments_add_pair(arguments, "--config-json", config);
    arguments_add_pair(arguments, "--job", start->job);
    arguments_add_pair(arguments, "--run-dir", start->run_dir);
    arguments_add_pair(arguments, "--store-dir", start->store_dir);
    if (mount)
        arguments_add_pair(arguments, "--mount", start->config->mount);
    if (isatty(STDERR_FILENO))
        arguments_add(arguments, "--progress=bar");
}

static int step_start(struct start *start, struct benchfs_error *err)
{
    struct child_options options = {.is_independent = true};
    struct arguments arguments;
    char *config;
    int words[2], rc = config_to_json_string(start->config, false, &config);

    if (rc)
        return benchfs_error_set(err, -rc, "settings: %s", strerror(-rc));
    arguments_init(&arguments);
    arguments_fill(start, config, &arguments);
    free(config);
    if (pipe2(words, O_CLOEXEC) < 0) {
        arguments_fini(&arguments);
        return benchfs_error_set(err, errno, "pipe: %m");
    }
    start->words_fd = words[0];
    options.stdout_fd = words[1];
    environment_clean();
    rc = arguments.status;
    if (rc)
        benchfs_error_set(err, -rc, "out of memory");
    else
        rc = child_start(&start->srun, arguments.items, &options, err);
    close(words[1]);
    arguments_fini(&arguments);
    return rc;
}

/* The next line; 1, 0 at the end, -ETIMEDOUT. */
static int line_read(int fd, struct deadline deadline, char *line, size_t size)
{
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    size_t len = 0;
    char c;

    for (;;) {
        if (poll(&poller, 1, deadline_remaining_ms(deadline)) == 0)
            return -ETIMEDOUT;
        if (read(fd, &c, 1) != 1)
            return 0;
        if (c == '\n')
            break;
        if (len < size - 1)
            line[len++] = c;
    }
    line[len] = '\0';
    return 1;
}

static int ready_wait(struct start *start, struct benchfs_error *err)
{
    unsigned timeout_ms = (unsigned)start->config->start_timeout_ms + LAUNCH_MARGIN_MS;
    struct deadline deadline = deadline_after_ms(timeout_ms);
    char line[64];
    int rc;

    while ((rc = line_read(start->words_fd, deadline, line, sizeof(line))) == 1) {
        if (strcmp(line, "ready") == 0 || strcmp(line, "joined") == 0)
            return 0;
        if (strcmp(line, "stage-in") == 0)
            deadline = deadline_after_ms(timeout_ms);
    }
    return rc == 0 ? benchfs_error_set(err, EIO, "the daemons did not start")
                   : benchfs_error_set(
                       err, ETIMEDOUT, "the daemons did not become ready in time");
}

static void environment_print(const struct start *start)
{
    const char *mount = options_value(&start->options, "mount");

    if (mount)
        printf("export BENCHFS_MOUNT='%s'\n", start->config->mount);
    else
        printf("export BENCHFS_MOUNT='%s/mnt'\n", start->run_dir);
    printf("export BENCHFS_SOCKET='%s/shard-0.sock'\n", start->run_dir);
    printf("export BENCHFS_JOB='%s'\n", start->job);
}

static int service_start(struct start *start, struct benchfs_error *err)
{
    int rc = job_find(start, err);

    if (rc == 0)
        rc = options_config_load(&start->options, &start->config, err);
    if (rc == 0)
        rc = paths_make(start, err);
    if (rc == 0)
        rc = step_start(start, err);
    if (rc)
        return rc;
    rc = ready_wait(start, err);
    if (rc)
        child_end(&start->srun, deadline_after_ms(0), STOP_GRACE_MS);
    else
        environment_print(start);
    return rc;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct start start = {
        .command = command, .srun = CHILD_INIT("daemon step"), .words_fd = -1};
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct cli_common common = {.socket = NULL};
    int id, rc;

    options_init(&start.options, CLI_OPTION_FIRST);
    while ((id = cli_option_next(command, argc, argv, "", start.options.longs, &common))
           != -1) {
        if (id == '?')
            return CLI_USAGE;
        if (options_take(&start.options, id, CLI_OPTION_FIRST, optarg))
            return cli_usage_fail(command, "too many options");
    }
    if (common.wants_help)
        return CLI_OK;
    if (optind < argc)
        return cli_usage_fail(command, "%s: unexpected argument", argv[optind]);
    rc = service_start(&start, &err);
    child_fini(&start.srun);
    proc_fd_close(&start.words_fd);
    config_destroy(start.config);
    free(start.job);
    free(start.n_nodes);
    free(start.run_dir);
    free(start.store_dir);
    return rc ? cli_fail(command, &err) : CLI_OK;
}

const struct cli_command cmd_start = {
    .name = "start",
    .summary = "start a service in a Slurm job without the plugin",
    .usage =
        "usage: eval \"$(benchfs start [options])\"\n"
        "Inside a job (sbatch, salloc): starts a daemon on each of its nodes and "
        "mounts\n"
        "the scratch there. Prints the lines that set BENCHFS_MOUNT, BENCHFS_SOCKET "
        "and\n"
        "BENCHFS_JOB. 'benchfs stop' ends it; so does the end of the job.\n"
        "  --store WHAT         memory, disk or a directory (default memory)\n"
        "  --capacity SIZE      per node (default: half of what is free)\n"
        "  --mount DIR          where to mount (default: /tmp/benchfs-UID/JOB/mnt)\n"
        "  --chunk-size SIZE    how files are cut up (default 1MiB)\n"
        "  --stage-in SRC:DST   copy SRC to DST in the scratch first; repeatable\n"
        "These may also be given as --benchfs-..., by environment and by file.\n",
    .run = run,
};

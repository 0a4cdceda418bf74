/* SPDX-License-Identifier: Apache-2.0
 * benchfs run: a service on this machine for as long as a command runs. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/command_process.h"
#include "cli/options.h"
#include "cli/run_daemons.h"
#include "launch/arguments.h"
#include "launch/program.h"

#define FOREVER                                                                        \
    (struct deadline)                                                                  \
    {                                                                                  \
        .at_ns = UINT64_MAX                                                            \
    }
/* Beyond the daemons' own deadline, so that theirs is the one that is told. */
#define START_MARGIN_MS 3000
#define STATUS_SIGNAL   128

struct run {
    const struct cli_command *command;
    struct options options;
    struct benchfs_config *config;
    struct run_daemons_config daemons_config;
    struct run_daemons daemons;
    char *mount;    /* made absolute */
    bool is_broken; /* a daemon has ended before its time */
};

/* ---- arguments -------------------------------------------------------------- */

static int absolute_path(const char *text, char **ret, struct benchfs_error *err)
{
    char *cwd = NULL;
    int n = 0;

    if (text[0] == '/') {
        *ret = strdup(text);
    } else {
        cwd = getcwd(NULL, 0);
        n = cwd ? asprintf(ret, "%s/%s", cwd, text) : -1;
        free(cwd);
    }
    if (n < 0 || !*ret) {
        *ret = NULL;
        return benchfs_error_set(err, ENOMEM, "--mount: no memory for a path");
    }
    return 0;
}

static int arguments_parse(struct run *run,
                           int argc,
                           char **argv,
                           struct cli_common *common,
                           struct benchfs_error *err)
{
    uint64_t count;
    int id;

    options_init(&run->options, CLI_OPTION_FIRST);
    while ((id = cli_option_next(
                run->command, argc, argv, "+n:", run->options.longs, common))
           != -1) {
        if (id == '?')
            return -EINVAL;
        if (id != 'n') {
            if (options_take(&run->options, id, CLI_OPTION_FIRST, optarg))
                return benchfs_error_set(err, E2BIG, "too many options");
            continue;
        }
        if (units_count_parse(optarg, &count, NULL) || count == 0
            || count > HUB_DAEMONS_MAX)
            return benchfs_error_set(
                err, EINVAL, "-n %s: not 1 to %u daemons", optarg, HUB_DAEMONS_MAX);
        run->daemons_config.count = (uint32_t)count;
    }
    return 0;
}

static int settings_load(struct run *run, struct benchfs_error *err)
{
    const char *mount = options_value(&run->options, "mount");
    int rc = 0;

    if (mount) {
        rc = absolute_path(mount, &run->mount, err);
        for (size_t i = 0; rc == 0 && i < run->options.n_values; i++) {
            if (strcmp(run->options.values[i].name, "mount") == 0)
                run->options.values[i].value = run->mount;
        }
    }
    if (rc == 0)
        rc = options_config_load(&run->options, &run->config, err);
    if (rc)
        return rc;
    run->daemons_config.settings = run->config;
    run->daemons_config.mount = mount ? run->config->mount : NULL;
    return 0;
}

/* ---- phases ----------------------------------------------------------------- */

/* 0: ready. A failed daemon has said why. 128 + signal, or 1. */
static int ready_wait(struct run *run)
{
    unsigned timeout_ms = (unsigned)run->config->start_timeout_ms + START_MARGIN_MS;
    struct deadline deadline = deadline_after_ms(timeout_ms);
    struct signalfd_siginfo info;
    uint32_t rank;

    for (;;) {
        switch (run_daemons_wait(&run->daemons, -1, deadline, &rank, &info)) {
        case RUN_EVENT_READY:
            return 0;
        case RUN_EVENT_STAGE_IN:
            deadline = deadline_after_ms(timeout_ms);
            break;
        case RUN_EVENT_DAEMON:
            run->is_broken = true;
            return CLI_FAILED;
        case RUN_EVENT_SIGNAL:
            return STATUS_SIGNAL + (int)info.ssi_signo;
        case RUN_EVENT_NONE:
            fputs("benchfs run: the daemons did not become ready in time\n", stderr);
            return CLI_FAILED;
        case RUN_EVENT_OTHER:
            break;
        }
    }
}

static void environment_set(const struct run_daemons *daemons)
{
    setenv("BENCHFS_MOUNT", daemons->mount, 1);
    setenv("BENCHFS_SOCKET", daemons->socket_path, 1);
    setenv("BENCHFS_JOB", daemons->job, 1);
}

static int command_run(struct run *run, char **argv)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct command_process process;
    struct signalfd_siginfo info;
    uint32_t rank;

    environment_set(&run->daemons);
    if (command_process_start(&process, argv, &err))
        return cli_fail(run->command, &err);
    for (;;) {
        switch (
            run_daemons_wait(&run->daemons, process.pid_fd, FOREVER, &rank, &info)) {
        case RUN_EVENT_OTHER:
            return command_process_finish(&process);
        case RUN_EVENT_SIGNAL:
            command_process_signal(&process, &info);
            break;
        case RUN_EVENT_DAEMON:
            /* what the command still does on the scratch fails with an error */
            run->is_broken = true;
            fprintf(stderr,
                    "benchfs run: daemon %u has ended; the scratch is lost\n",
                    rank);
            break;
        default:
            break;
        }
    }
}

/* `benchfs stage-out`, as a child, so that signals and daemons are still looked after.
 */
static int stage_out(struct run *run)
{
    const struct config_stage_list *list = &run->config->stage_out;
    const struct child_options options = {.is_own_session = false};
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct child child = CHILD_INIT("stage-out");
    struct signalfd_siginfo info;
    struct arguments arguments;
    uint32_t rank;
    int rc;

    if (list->count == 0 || run->is_broken)
        return 0;
    arguments_init(&arguments);
    program_add(&arguments, NULL, "benchfs");
    arguments_add(&arguments, "stage-out");
    arguments_add_pair(&arguments, "--socket", run->daemons.socket_path);
    arguments_add(&arguments, "--");
    for (size_t i = 0; i < list->count; i++)
        arguments_printf(
            &arguments, "%s:%s", list->items[i].source, list->items[i].target);
    rc = arguments.status ? arguments.status
                          : child_start(&child, arguments.items, &options, &err);
    arguments_fini(&arguments);
    if (rc)
        return cli_fail(run->command, &err);
    while (child_is_running(&child)) {
        enum run_event event =
            run_daemons_wait(&run->daemons, child.pid_fd, FOREVER, &rank, &info);

        if (event == RUN_EVENT_OTHER)
            (void)child_wait(&child, deadline_after_ms(0));
        else if (event == RUN_EVENT_SIGNAL || event == RUN_EVENT_DAEMON)
            child_end(&child, deadline_after_ms(0), START_MARGIN_MS);
    }
    child_fini(&child);
    return child.status ? CLI_FAILED : CLI_OK;
}

static int service_run(struct run *run, char **argv)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    int status, stage_status;

    if (run_daemons_start(&run->daemons, &run->daemons_config, &err)) {
        status = cli_fail(run->command, &err);
    } else {
        status = ready_wait(run);
        if (status == 0) {
            status = command_run(run, argv);
            stage_status = stage_out(run);
            if (status == 0)
                status = run->is_broken ? CLI_FAILED : stage_status;
        }
    }
    run_daemons_stop(&run->daemons);
    return status;
}

static int run_main(const struct cli_command *command, int argc, char **argv)
{
    struct run run = {.command = command, .daemons_config.count = 1};
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct cli_common common = {.socket = NULL};
    int status;

    if (arguments_parse(&run, argc, argv, &common, &err))
        return err.code ? cli_usage_fail(command, "%s", err.text) : CLI_USAGE;
    if (common.wants_help)
        return CLI_OK;
    if (optind == argc)
        return cli_usage_fail(command, "no command given");
    if (settings_load(&run, &err)) {
        status = cli_fail(command, &err);
    } else {
        log_level_set(run.config->log_level);
        status = service_run(&run, argv + optind);
    }
    config_destroy(run.config);
    free(run.mount);
    return status;
}

const struct cli_command cmd_run = {
    .name = "run",
    .summary = "run a command with a service on this machine",
    .usage =
        "usage: benchfs run [-n DAEMONS] [options] [--] CMD [ARGS...]\n"
        "Starts daemons on this machine, mounts the scratch, runs CMD, which finds it "
        "at\n"
        "$BENCHFS_MOUNT, and takes everything away again. The exit status is CMD's.\n"
        "  -n DAEMONS           how many daemons (default 1)\n"
        "  --store WHAT         memory, disk or a directory (default memory)\n"
        "  --capacity SIZE      of each daemon (default: half of what is free, "
        "shared)\n"
        "  --mount DIR          where to mount; made if missing (default: a private "
        "one)\n"
        "  --chunk-size SIZE    how files are cut up (default 1MiB)\n"
        "  --stage-in SRC:DST   copy SRC to DST in the scratch before CMD; repeatable\n"
        "  --stage-out SRC:DST  copy SRC of the scratch to DST after CMD; repeatable\n"
        "These may also be given as --benchfs-..., by environment and by file.\n",
    .run = run_main,
};

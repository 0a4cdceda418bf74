/* SPDX-License-Identifier: Apache-2.0
 * The agent's command line. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

#include "base/units.h"

#define STAGE_WORKERS_MAX 64u
#define MOUNT_THREADS_MAX 256u

const char agent_usage[] =
    "usage: benchfs-agent [--socket PATH] {--mount DIR | --no-mount}\n"
    "                     [--mount-threads N] [--stage-workers N]\n"
    "The node's client side of a BenchFS service: the mount and the stage workers.\n"
    "Started by benchfsd; ends when descriptor $BENCHFS_CONTROL_FD hangs up, or upon\n"
    "SIGTERM.\n";

enum option_id {
    OPTION_SOCKET = 1,
    OPTION_MOUNT,
    OPTION_NO_MOUNT,
    OPTION_MOUNT_THREADS,
    OPTION_STAGE_WORKERS,
    OPTION_HELP,
};

static const struct option long_options[] = {
    {"socket", required_argument, NULL, OPTION_SOCKET},
    {"mount", required_argument, NULL, OPTION_MOUNT},
    {"no-mount", no_argument, NULL, OPTION_NO_MOUNT},
    {"mount-threads", required_argument, NULL, OPTION_MOUNT_THREADS},
    {"stage-workers", required_argument, NULL, OPTION_STAGE_WORKERS},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static int count_parse(const char *name,
                       const char *text,
                       unsigned max,
                       unsigned *ret,
                       struct benchfs_error *err)
{
    uint64_t count;

    if (units_count_parse(text, &count, NULL) < 0 || count > max)
        return benchfs_error_set(
            err, EINVAL, "%s: %s is not a number from 0 to %u", name, text, max);
    *ret = (unsigned)count;
    return 0;
}

/* The agent leaves its working directory, so that it holds no file system busy. */
static int path_parse(const char *name,
                      const char *text,
                      const char **ret,
                      struct benchfs_error *err)
{
    if (text[0] != '/')
        return benchfs_error_set(err, EINVAL, "%s: %s is not absolute", name, text);
    *ret = text;
    return 0;
}

static int option_apply(struct agent_options *options,
                        int option,
                        bool *is_mount_said,
                        struct benchfs_error *err)
{
    switch (option) {
    case OPTION_SOCKET:
        return path_parse("--socket", optarg, &options->socket_path, err);
    case OPTION_MOUNT:
        *is_mount_said = true;
        return path_parse("--mount", optarg, &options->mountpoint, err);
    case OPTION_NO_MOUNT:
        *is_mount_said = true;
        options->mountpoint = NULL;
        return 0;
    case OPTION_MOUNT_THREADS:
        return count_parse("--mount-threads",
                           optarg,
                           MOUNT_THREADS_MAX,
                           &options->n_mount_threads,
                           err);
    case OPTION_STAGE_WORKERS:
        return count_parse("--stage-workers",
                           optarg,
                           STAGE_WORKERS_MAX,
                           &options->n_stage_workers,
                           err);
    case OPTION_HELP:
        options->wants_help = true;
        return 0;
    default:
        return -EINVAL;
    }
}

int agent_options_parse(struct agent_options *ret,
                        int argc,
                        char *argv[],
                        struct benchfs_error *err)
{
    struct agent_options options = {.n_stage_workers = AGENT_WORKERS_AUTO};
    bool is_mount_said = false;
    int option;
    int rc;

    opterr = 0;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (option == '?')
            return benchfs_error_set(err,
                                     EINVAL,
                                     "%s: unknown, or without its value; see --help",
                                     argv[optind - 1]);
        rc = option_apply(&options, option, &is_mount_said, err);
        if (rc < 0)
            return rc;
    }
    if (optind < argc)
        return benchfs_error_set(err, EINVAL, "unexpected argument %s", argv[optind]);
    if (!is_mount_said && !options.wants_help)
        return benchfs_error_set(err, EINVAL, "--mount DIR or --no-mount is needed");
    *ret = options;
    return 0;
}

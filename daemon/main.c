/* SPDX-License-Identifier: Apache-2.0
 * benchfsd: the supervisor of a node (started by srun or a launcher), or, with
 * --server, the node's server process (started by the supervisor). */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/units.h"
#include "control/control.h"
#include "daemon/server.h"
#include "daemon/survey.h"
#include "supervisor/supervisor.h"

#define JOB_MAX 63

static const char usage_text[] =
    "usage: benchfsd [--config-json JSON] [--job ID] [options]\n"
    "The daemon of a BenchFS service on one node; started by srun (the plugin, "
    "'benchfs\n"
    "start') or by 'benchfs run', not by hand.\n"
    "  --config-json JSON   all settings; without it: file and environment\n"
    "  --job ID             the job (default: $SLURM_JOB_ID)\n"
    "  --run-dir DIR        sockets and state of this job and node\n"
    "                       (default: <setting run_dir>/<job>)\n"
    "  --store-dir DIR      data of this job and node (default: <setting "
    "store>/<job>)\n"
    "  --mount DIR          where to mount (default: <run dir>/mnt)\n"
    "  --no-mount           don't mount on this node\n"
    "  --host-id HEX        daemons with the same one are on the same machine\n"
    "  --progress WHAT      of stage-in: bar, lines or none (default: bar on a "
    "terminal)\n"
    "  --wait-go            print \"up\", and go on when stdin has a line\n"
    "  --server-program, --agent-program, --command-program FILE\n"
    "                       programs to start instead of those beside this one\n"
    "  --survey DIR         write the records of the stores in DIR, for benchfs fsck\n"
    "  --server             be the server process; internal\n"
    "  --help, --version\n";

/* Beyond the range of characters: there are no short options. */
enum option_id {
    OPTION_AGENT_PROGRAM = 256,
    OPTION_CAPACITY,
    OPTION_COMMAND_PROGRAM,
    OPTION_CONFIG_JSON,
    OPTION_HELP,
    OPTION_HOST_ID,
    OPTION_INSTANCE,
    OPTION_JOB,
    OPTION_LISTEN,
    OPTION_MOUNT,
    OPTION_N_NODES,
    OPTION_NODE,
    OPTION_NO_MOUNT,
    OPTION_PROGRESS,
    OPTION_RUN_DIR,
    OPTION_SERVER,
    OPTION_SERVER_PROGRAM,
    OPTION_RESTART,
    OPTION_SHARDS,
    OPTION_SURVEY,
    OPTION_WAIT_GO,
    OPTION_STORE_DIR,
    OPTION_VERSION,
};

static const struct option long_options[] = {
    {"agent-program", required_argument, NULL, OPTION_AGENT_PROGRAM},
    {"capacity", required_argument, NULL, OPTION_CAPACITY},
    {"command-program", required_argument, NULL, OPTION_COMMAND_PROGRAM},
    {"config-json", required_argument, NULL, OPTION_CONFIG_JSON},
    {"help", no_argument, NULL, OPTION_HELP},
    {"host-id", required_argument, NULL, OPTION_HOST_ID},
    {"instance", required_argument, NULL, OPTION_INSTANCE},
    {"job", required_argument, NULL, OPTION_JOB},
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"mount", required_argument, NULL, OPTION_MOUNT},
    {"n-nodes", required_argument, NULL, OPTION_N_NODES},
    {"no-mount", no_argument, NULL, OPTION_NO_MOUNT},
    {"node", required_argument, NULL, OPTION_NODE},
    {"progress", required_argument, NULL, OPTION_PROGRESS},
    {"wait-go", no_argument, NULL, OPTION_WAIT_GO},
    {"run-dir", required_argument, NULL, OPTION_RUN_DIR},
    {"server", no_argument, NULL, OPTION_SERVER},
    {"server-program", required_argument, NULL, OPTION_SERVER_PROGRAM},
    {"restart", required_argument, NULL, OPTION_RESTART},
    {"shards", required_argument, NULL, OPTION_SHARDS},
    {"survey", required_argument, NULL, OPTION_SURVEY},
    {"store-dir", required_argument, NULL, OPTION_STORE_DIR},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

enum role { ROLE_SUPERVISOR, ROLE_SERVER, ROLE_SURVEY, ROLE_HELP, ROLE_VERSION };

struct arguments {
    enum role role;
    const char *config_json;
    struct supervisor_options supervisor;
    struct server_config server;
    const char *survey_dir;
};

static int hex_parse(const char *text, uint64_t *ret, struct benchfs_error *err)
{
    char *end;

    errno = 0;
    *ret = strtoull(text, &end, 16);
    if (errno || end == text || *end || strlen(text) > 16)
        return benchfs_error_set(err, EINVAL, "not a hexadecimal number");
    return 0;
}

static int count_parse(const char *text, uint32_t *ret, struct benchfs_error *err)
{
    uint64_t count;
    int rc = units_count_parse(text, &count, err);

    if (rc == 0 && count > UINT32_MAX)
        rc = benchfs_error_set(err, ERANGE, "too large");
    if (rc == 0)
        *ret = (uint32_t)count;
    return rc;
}

static int job_parse(const char *text, const char **ret, struct benchfs_error *err)
{
    if (!text[0] || text[0] == '.' || strchr(text, '/') || strlen(text) > JOB_MAX)
        return benchfs_error_set(err, EINVAL, "not a job id");
    *ret = text;
    return 0;
}

static int progress_parse(const char *text, const char **ret, struct benchfs_error *err)
{
    if (strcmp(text, "bar") != 0 && strcmp(text, "lines") != 0
        && strcmp(text, "none") != 0)
        return benchfs_error_set(err, EINVAL, "not bar, lines or none");
    *ret = text;
    return 0;
}

/* The options that need no more than keeping. */
static const char **text_field(struct arguments *arguments, int id)
{
    switch (id) {
    case OPTION_AGENT_PROGRAM:
        return &arguments->supervisor.agent_program;
    case OPTION_COMMAND_PROGRAM:
        return &arguments->supervisor.command_program;
    case OPTION_CONFIG_JSON:
        return &arguments->config_json;
    case OPTION_LISTEN:
        return &arguments->server.listen_address;
    case OPTION_MOUNT:
        return &arguments->supervisor.mount;
    case OPTION_RESTART:
        return &arguments->server.restart_ports;
    case OPTION_RUN_DIR:
        return &arguments->supervisor.run_dir;
    case OPTION_SERVER_PROGRAM:
        return &arguments->supervisor.server_program;
    case OPTION_STORE_DIR:
        return &arguments->supervisor.store_dir;
    default:
        return NULL;
    }
}

static int option_take(struct arguments *arguments,
                       int id,
                       const char *value,
                       struct benchfs_error *err)
{
    const char **text = text_field(arguments, id);

    if (text) {
        *text = value;
        return 0;
    }
    switch (id) {
    case OPTION_CAPACITY:
        return units_count_parse(value, &arguments->server.capacity_bytes, err);
    case OPTION_HELP:
        arguments->role = ROLE_HELP;
        return 0;
    case OPTION_HOST_ID:
        arguments->supervisor.has_host = true;
        return hex_parse(value, &arguments->supervisor.host, err);
    case OPTION_INSTANCE:
        return hex_parse(value, &arguments->server.instance, err);
    case OPTION_JOB:
        return job_parse(value, &arguments->supervisor.job, err);
    case OPTION_N_NODES:
        return count_parse(value, &arguments->server.n_nodes, err);
    case OPTION_NODE:
        return count_parse(value, &arguments->server.node, err);
    case OPTION_NO_MOUNT:
        arguments->supervisor.has_mount = false;
        return 0;
    case OPTION_PROGRESS:
        return progress_parse(value, &arguments->supervisor.progress, err);
    case OPTION_WAIT_GO:
        arguments->supervisor.waits_for_go = true;
        return 0;
    case OPTION_SERVER:
        arguments->role = ROLE_SERVER;
        return 0;
    case OPTION_SHARDS:
        return count_parse(value, &arguments->server.n_shards, err);
    case OPTION_SURVEY:
        arguments->role = ROLE_SURVEY;
        arguments->survey_dir = value;
        return 0;
    case OPTION_VERSION:
        arguments->role = ROLE_VERSION;
        return 0;
    default:
        return benchfs_error_set(err, EINVAL, "unknown option; see --help");
    }
}

static int arguments_parse(struct arguments *arguments,
                           int argc,
                           char **argv,
                           struct benchfs_error *err)
{
    int id;

    *arguments = (struct arguments){.supervisor.has_mount = true};
    opterr = 0;
    while (optind < argc) {
        const char *name = argv[optind];
        int rc;

        id = getopt_long(argc, argv, "+", long_options, NULL);
        if (id < 0)
            break;
        rc = option_take(arguments, id, optarg, err);
        if (rc) {
            benchfs_error_prefix(err, "%s: ", name);
            return rc;
        }
    }
    if (optind < argc)
        return benchfs_error_set(err, EINVAL, "%s: unexpected argument", argv[optind]);
    return 0;
}

static int job_find(struct arguments *arguments, struct benchfs_error *err)
{
    const char *job = getenv("SLURM_JOB_ID");
    int rc;

    if (arguments->supervisor.job)
        return 0;
    if (!job)
        return benchfs_error_set(
            err, EINVAL, "which job? neither --job nor SLURM_JOB_ID is given");
    rc = job_parse(job, &arguments->supervisor.job, err);
    benchfs_error_prefix(err, "SLURM_JOB_ID: ");
    return rc;
}

static int
config_find(const char *json, struct benchfs_config **ret, struct benchfs_error *err)
{
    const struct config_sources sources = {.option_count = 0};
    int rc;

    if (!json)
        return config_load(&sources, ret, err);
    rc = config_from_json_string(json, ret, err);
    if (rc)
        benchfs_error_prefix(err, "--config-json: ");
    return rc;
}

static int server_check(const struct arguments *arguments, struct benchfs_error *err)
{
    const struct server_config *server = &arguments->server;

    if (!server->run_dir || !server->store_dir || server->n_shards == 0
        || server->node >= server->n_nodes || server->capacity_bytes == 0)
        return benchfs_error_set(
            err, EINVAL, "--server: internal; started by the supervisor only");
    return 0;
}

static int server_role(struct arguments *arguments, const struct benchfs_config *config)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct server_config *server = &arguments->server;

    server->settings = config;
    server->job = arguments->supervisor.job;
    server->host = arguments->supervisor.host;
    server->run_dir = arguments->supervisor.run_dir;
    server->store_dir = arguments->supervisor.store_dir;
    server->control_fd = CONTROL_FD;
    if (server_check(arguments, &err)) {
        log_error("%s", err.text);
        return EXIT_FAILURE;
    }
    return server_run(server);
}

static int supervisor_role(struct arguments *arguments,
                           const struct benchfs_config *config)
{
    arguments->supervisor.config = config;
    return supervisor_run(&arguments->supervisor);
}

/* "benchfsd[n2]", so that a line of any node's tells which. */
static void log_prefix_make(void)
{
    char host[HOST_NAME_MAX + 1] = "?";
    char prefix[HOST_NAME_MAX + 16];

    (void)gethostname(host, sizeof(host) - 1);
    snprintf(prefix, sizeof(prefix), "benchfsd[%s]", host);
    log_prefix_set(prefix);
}

int main(int argc, char **argv)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct benchfs_config *config = NULL;
    struct arguments arguments;
    int rc, status = EXIT_FAILURE;

    log_prefix_make();
    rc = arguments_parse(&arguments, argc, argv, &err);
    if (rc == 0 && arguments.role == ROLE_HELP)
        return fputs(usage_text, stdout) < 0;
    if (rc == 0 && arguments.role == ROLE_VERSION)
        return puts("benchfsd " BENCHFS_VERSION) < 0;
    if (rc == 0 && arguments.role == ROLE_SURVEY)
        return survey_print(arguments.survey_dir);
    if (rc == 0)
        rc = job_find(&arguments, &err);
    if (rc == 0)
        rc = config_find(arguments.config_json, &config, &err);
    if (rc) {
        log_error("%s", err.text);
    } else {
        log_level_set(config->log_level);
        status = arguments.role == ROLE_SERVER ? server_role(&arguments, config)
                                               : supervisor_role(&arguments, config);
    }
    config_destroy(config);
    return status;
}

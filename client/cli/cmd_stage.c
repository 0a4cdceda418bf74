/* SPDX-License-Identifier: Apache-2.0
 * benchfs stage-in and stage-out: have the daemons copy, show how it goes. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/units.h"
#include "cli/cli.h"
#include "config/builder.h"
#include "stage/stage.h"

/* How often a line comes when there is no terminal. */
#define LINE_INTERVAL_MS 5000
#define BAR_INTERVAL_MS  200
#define BAR_WIDTH        24
#define PROGRESS_ENV     "BENCHFS_PROGRESS"

enum { OPTION_PROGRESS = CLI_OPTION_FIRST };

static const struct option own_options[] = {
    {"progress", required_argument, NULL, OPTION_PROGRESS},
    {NULL, 0, NULL, 0},
};

enum progress_kind { PROGRESS_AUTO, PROGRESS_NONE, PROGRESS_LINES, PROGRESS_BAR };

struct progress {
    const char *name; /* of the command */
    enum progress_kind kind;
    uint64_t started_ms;
    uint64_t last_ms; /* when something was shown */
    bool is_bar_open; /* the cursor stands in the bar */
};

/* ---- progress --------------------------------------------------------------- */

static void rates_print(const struct progress *progress,
                        const struct stage_result *so_far)
{
    char done[UNITS_TEXT_MAX], known[UNITS_TEXT_MAX], rate[UNITS_TEXT_MAX];
    uint64_t elapsed_ns = (clock_now_ms() - progress->started_ms) * CLOCK_NS_PER_MS;

    fprintf(stderr,
            "%" PRIu64 " of %" PRIu64 " files, %s of %s, %s",
            so_far->n_files,
            so_far->n_known_files,
            units_size_format(done, sizeof(done), so_far->n_bytes),
            units_size_format(known, sizeof(known), so_far->n_known_bytes),
            units_rate_format(rate, sizeof(rate), so_far->n_bytes, elapsed_ns));
}

static void bar_print(struct progress *progress, const struct stage_result *so_far)
{
    char bar[BAR_WIDTH + 1];
    uint64_t known = so_far->n_known_bytes ? so_far->n_known_bytes : 1;
    uint64_t filled =
        so_far->n_bytes >= known
            ? BAR_WIDTH
            : (uint64_t)((double)so_far->n_bytes / (double)known * BAR_WIDTH);

    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', filled);
    bar[BAR_WIDTH] = '\0';
    fprintf(stderr, "\rbenchfs: %s [%s] ", progress->name, bar);
    rates_print(progress, so_far);
    fputs("\033[K", stderr);
    progress->is_bar_open = true;
}

static void line_print(const struct progress *progress,
                       const struct stage_result *so_far)
{
    fprintf(stderr, "benchfs: %s: ", progress->name);
    rates_print(progress, so_far);
    fputc('\n', stderr);
}

/* As the daemons write it of a stage that they were asked to show. */
static void summary_print(const struct progress *progress,
                          const struct stage_result *result)
{
    char bytes[UNITS_TEXT_MAX], rate[UNITS_TEXT_MAX];
    uint64_t duration_ns = (uint64_t)(result->seconds * (double)CLOCK_NS_PER_SEC);

    fprintf(stderr,
            "benchfs: %s: %" PRIu64 " files, %s in %.1f s (%s)\n",
            progress->name,
            result->n_files,
            units_size_format(bytes, sizeof(bytes), result->n_bytes),
            result->seconds,
            units_rate_format(rate, sizeof(rate), result->n_bytes, duration_ns));
}

static int on_progress(void *arg, const struct stage_result *so_far)
{
    struct progress *progress = arg;
    uint64_t now = clock_now_ms();

    if (progress->kind == PROGRESS_BAR) {
        bar_print(progress, so_far);
        progress->last_ms = now;
    } else if (progress->kind == PROGRESS_LINES
               && now - progress->last_ms >= LINE_INTERVAL_MS) {
        line_print(progress, so_far);
        progress->last_ms = now;
    }
    return 0;
}

static void progress_end(struct progress *progress, const struct stage_result *result)
{
    if (result->n_known_files == 0 && result->n_errors > 0)
        return; /* it did not come to copying: the errors say why */
    if (progress->kind == PROGRESS_BAR) {
        bar_print(progress, result);
        fputc('\n', stderr);
    }
    if (progress->kind != PROGRESS_NONE)
        summary_print(progress, result);
}

static int progress_parse(const char *text, enum progress_kind *ret)
{
    static const struct {
        const char *name;
        enum progress_kind kind;
    } kinds[] = {{"auto", PROGRESS_AUTO},
                 {"none", PROGRESS_NONE},
                 {"lines", PROGRESS_LINES},
                 {"bar", PROGRESS_BAR}};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].name, text) == 0) {
            *ret = kinds[i].kind;
            return 0;
        }
    }
    return -EINVAL;
}

/* Whoever started us may know better than isatty() whether there is a terminal. */
static void progress_choose(struct progress *progress)
{
    const char *env = getenv(PROGRESS_ENV);

    if (progress->kind == PROGRESS_AUTO && env)
        (void)progress_parse(env, &progress->kind);
    if (progress->kind == PROGRESS_AUTO)
        progress->kind = isatty(STDERR_FILENO) ? PROGRESS_BAR : PROGRESS_LINES;
}

/* ---- the stage -------------------------------------------------------------- */

/* Directives are parsed where all settings are. */
static int directives_parse(enum stage_direction direction,
                            char **texts,
                            int count,
                            struct benchfs_config **ret,
                            struct benchfs_error *err)
{
    const char *setting = direction == STAGE_IN ? "stage_in" : "stage_out";
    struct config_builder *builder;
    int rc = config_builder_create(false, &builder, err);

    for (int i = 0; rc == 0 && i < count; i++)
        rc = config_set(builder, CONFIG_SOURCE_OPTION, setting, texts[i], err);
    if (rc == 0)
        rc = config_builder_finish(builder, ret, err);
    config_builder_destroy(builder);
    return rc;
}

static int result_json_print(const struct stage_result *result)
{
    struct json *json = json_make_object();
    struct json *errors = json_make_array();
    int rc = json_set(json, "files", json_make_u64(result->n_files));

    rc = rc ? rc : json_set(json, "bytes", json_make_u64(result->n_bytes));
    rc = rc ? rc : json_set(json, "errors", json_make_u64(result->n_errors));
    rc = rc ? rc : json_set(json, "skipped", json_make_u64(result->n_skipped));
    rc = rc ? rc : json_set(json, "seconds", json_make_real(result->seconds));
    if (rc)
        json_destroy(errors);
    else
        rc = json_set(json, "texts", errors);
    for (unsigned i = 0; rc == 0 && i < result->n_texts; i++)
        rc = json_append(errors, json_make_string(result->texts[i]));
    if (rc == 0)
        rc = cli_json_print(json);
    json_destroy(json);
    return rc;
}

static void errors_print(const struct cli_command *command,
                         const struct stage_result *result)
{
    for (unsigned i = 0; i < result->n_texts; i++)
        fprintf(stderr, "benchfs: %s: %s\n", command->name, result->texts[i]);
    if (result->n_errors > result->n_texts)
        fprintf(stderr,
                "benchfs: %s: %" PRIu64 " could not be copied\n",
                command->name,
                result->n_errors);
}

static int stage_show(const struct cli_command *command,
                      const struct cli_common *common,
                      struct client *client,
                      enum stage_direction direction,
                      const struct config_stage_list *directives,
                      struct progress *progress)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct stage_result result = {.n_texts = 0};
    const struct stage_options options = {
        .interval_ms = BAR_INTERVAL_MS,
        .on_progress = on_progress,
        .arg = progress,
    };
    int rc;

    progress_choose(progress);
    progress->started_ms = progress->last_ms = clock_now_ms();
    rc = stage_run(client, direction, directives, &options, &result, &err);
    if (result.is_finished)
        progress_end(progress, &result);
    else if (progress->is_bar_open)
        fputc('\n', stderr);
    errors_print(command, &result);
    if (rc && result.n_texts == 0)
        cli_fail(command, &err);
    if (common->is_json && result_json_print(&result))
        rc = -EIO;
    stage_result_fini(&result);
    return rc ? CLI_FAILED : CLI_OK;
}

static int stage_command(const struct cli_command *command,
                         enum stage_direction direction,
                         int argc,
                         char **argv)
{
    struct progress progress = {.name = command->name};
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct cli_common common = {.socket = NULL};
    struct benchfs_config *config;
    struct client *client;
    int id, status;

    while ((id = cli_option_next(command, argc, argv, "", own_options, &common))
           != -1) {
        if (id == '?')
            return CLI_USAGE;
        if (progress_parse(optarg, &progress.kind))
            return cli_usage_fail(
                command, "--progress=%s: not auto, bar, lines or none", optarg);
    }
    if (common.wants_help)
        return CLI_OK;
    if (optind == argc)
        return cli_usage_fail(command, "what? SRC:DST is needed");
    if (directives_parse(direction, argv + optind, argc - optind, &config, &err))
        return cli_fail(command, &err);
    if (cli_client_open(&common, &client, &err)) {
        config_destroy(config);
        return cli_fail(command, &err);
    }
    status = stage_show(command,
                        &common,
                        client,
                        direction,
                        direction == STAGE_IN ? &config->stage_in : &config->stage_out,
                        &progress);
    client_close(client);
    config_destroy(config);
    return status;
}

static int run_in(const struct cli_command *command, int argc, char **argv)
{
    return stage_command(command, STAGE_IN, argc, argv);
}

static int run_out(const struct cli_command *command, int argc, char **argv)
{
    return stage_command(command, STAGE_OUT, argc, argv);
}

#define OPTIONS_HELP                                                                   \
    "  --progress WHAT  on stderr: auto (bar on a terminal, else lines), bar, "        \
    "lines,\n"                                                                         \
    "                   none\n"                                                        \
    "  --json           the result as JSON\n"                                          \
    "  --socket PATH    socket of the node's daemon (default: $BENCHFS_SOCKET, then\n" \
    "                   the job's)\n"

const struct cli_command cmd_stage_in = {
    .name = "stage-in",
    .summary = "copy files into the scratch, all nodes at once",
    .usage = "usage: benchfs stage-in [options] SRC:DST...\n"
             "Copies SRC, a file, a tree or a glob that all nodes see, to DST in the\n"
             "scratch. Both are absolute; DST counts from the scratch's "
             "root.\n" OPTIONS_HELP,
    .run = run_in,
};

const struct cli_command cmd_stage_out = {
    .name = "stage-out",
    .summary = "copy files out of the scratch, all nodes at once",
    .usage = "usage: benchfs stage-out [options] SRC:DST...\n"
             "Copies SRC, a file, a tree or a glob in the scratch, to DST, which all\n"
             "nodes see. Both are absolute; SRC counts from the scratch's "
             "root.\n" OPTIONS_HELP,
    .run = run_out,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define OWN_OPTIONS_MAX 48
#define ANSWER_SPACE    (4u << 20)

const struct cli_command *const cli_commands[] = {
    &cmd_run,
    &cmd_start,
    &cmd_stop,
    &cmd_status,
    &cmd_ls,
    &cmd_cp,
    &cmd_stage_in,
    &cmd_stage_out,
    &cmd_stats,
    &cmd_fsck,
    &cmd_doctor,
    NULL,
};

/* ---- dispatch --------------------------------------------------------------- */

static void help_print(FILE *out)
{
    fputs("usage: benchfs COMMAND [options]\n"
          "A burst buffer file system made of a job's own nodes.\n\n",
          out);
    for (const struct cli_command *const *c = cli_commands; *c; c++)
        fprintf(out, "  %-10s  %s\n", (*c)->name, (*c)->summary);
    fputs("\n'benchfs COMMAND --help' tells more.\n", out);
}

static const struct cli_command *command_find(const char *name)
{
    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        if (strcmp((*c)->name, name) == 0)
            return *c;
    }
    return NULL;
}

int cli_main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;
    const struct cli_command *command;

    log_prefix_set("benchfs");
    if (!name) {
        help_print(stderr);
        return CLI_USAGE;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0
        || strcmp(name, "help") == 0) {
        help_print(stdout);
        return CLI_OK;
    }
    if (strcmp(name, "--version") == 0) {
        puts("benchfs " BENCHFS_VERSION);
        return CLI_OK;
    }
    command = command_find(name);
    if (!command) {
        fprintf(stderr, "benchfs: %s: no such command; see benchfs --help\n", name);
        return CLI_USAGE;
    }
    return command->run(command, argc - 1, argv + 1);
}

int cli_fail(const struct cli_command *command, const struct benchfs_error *err)
{
    fprintf(stderr, "benchfs %s: %s\n", command->name, err->text);
    return CLI_FAILED;
}

int cli_usage_fail(const struct cli_command *command, const char *fmt, ...)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    va_list args;

    va_start(args, fmt);
    benchfs_error_vset(&err, EINVAL, fmt, args);
    va_end(args);
    fprintf(stderr,
            "benchfs %s: %s; see benchfs %s --help\n",
            command->name,
            err.text,
            command->name);
    return CLI_USAGE;
}

/* ---- options ---------------------------------------------------------------- */

enum { OPTION_SOCKET = 256, OPTION_JSON, OPTION_HELP, N_COMMON = 3 };

static const struct option common_options[N_COMMON] = {
    {"socket", required_argument, NULL, OPTION_SOCKET},
    {"json", no_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, OPTION_HELP},
};

/* The common options and a command's own ones. */
static void options_join(struct option *all, const struct option *own)
{
    size_t n = N_COMMON;

    memcpy(all, common_options, sizeof(common_options));
    while (own && own->name && n < OWN_OPTIONS_MAX + N_COMMON)
        all[n++] = *own++;
    all[n] = (struct option){.name = NULL};
}

int cli_option_next(const struct cli_command *command,
                    int argc,
                    char **argv,
                    const char *shorts,
                    const struct option *own,
                    struct cli_common *common)
{
    struct option all[OWN_OPTIONS_MAX + N_COMMON + 1];
    int id, at;

    options_join(all, own);
    opterr = 0;
    for (;;) {
        at = optind;
        id = getopt_long(argc, argv, shorts, all, NULL);
        switch (id) {
        case OPTION_SOCKET:
            common->socket = optarg;
            break;
        case OPTION_JSON:
            common->is_json = true;
            break;
        case OPTION_HELP:
            fputs(command->usage, stdout);
            common->wants_help = true;
            return -1;
        case '?':
        case ':':
            cli_usage_fail(
                command, "%s: unknown, or without its value", argv[at ? at : 1]);
            return '?';
        default:
            return id;
        }
    }
}

/* ---- the service ------------------------------------------------------------ */

int cli_client_open(const struct cli_common *common,
                    struct client **ret,
                    struct benchfs_error *err)
{
    const struct client_config config = {
        .route = CLIENT_ROUTE_LOCAL,
        .socket_path = common->socket,
        .kind = HELLO_CLIENT,
    };

    return client_open(&config, ret, err);
}

int cli_json_get(struct client *client,
                 uint16_t opcode,
                 uint32_t target,
                 struct json **ret,
                 struct benchfs_error *err)
{
    struct client_request request = {.opcode = opcode, .target = target};
    struct iovec answer = {.iov_base = malloc(ANSWER_SPACE), .iov_len = ANSWER_SPACE};
    int rc;

    if (!answer.iov_base)
        return benchfs_error_set(err, ENOMEM, "no memory for the answer");
    request.recv = &answer;
    request.n_recv = 1;
    rc = client_request_sync(client, &request);
    if (rc)
        benchfs_error_set(err, -rc, "the service: %s", strerror(-rc));
    else
        rc = json_parse(
            answer.iov_base, request.received, "the service's answer", ret, err);
    free(answer.iov_base);
    return rc;
}

int cli_json_print(const struct json *json)
{
    char *text;
    int rc = json_write(json, true, &text, NULL);

    if (rc)
        return rc;
    rc = puts(text) < 0 || fflush(stdout) < 0 ? -errno : 0;
    free(text);
    return rc;
}

const char *cli_json_text(const struct json_cursor *at, const char *key)
{
    const char *text;

    return json_member_string(at, key, &text, NULL) == 0 ? text : "";
}

uint64_t cli_json_u64(const struct json_cursor *at, const char *key)
{
    uint64_t value;

    return json_member_u64(at, key, 0, UINT64_MAX - 1, &value, NULL) == 0 ? value : 0;
}

/* SPDX-License-Identifier: Apache-2.0
 * What the subcommands share: the table of commands, how they fail, how they ask the
 * service. */
#ifndef BENCHFS_CLI_CLI_H
#define BENCHFS_CLI_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "client/client.h"
#include "config/json.h"

/* Exit statuses. */
enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

struct cli_command {
    const char *name;
    const char *summary; /* one line for the list of commands */
    const char *usage;   /* all of `benchfs NAME --help` */
    /* argv[0] is the name. Returns the exit status. */
    int (*run)(const struct cli_command *command, int argc, char **argv);
};

extern const struct cli_command cmd_cp, cmd_doctor, cmd_fsck, cmd_ls, cmd_run,
    cmd_stage_in, cmd_stage_out, cmd_start, cmd_stats, cmd_status, cmd_stop;

/* In the order of the help; NULL-ended. */
extern const struct cli_command *const cli_commands[];

/* The whole command: argv as of main(). */
int cli_main(int argc, char **argv);

/* "benchfs status: text" on stderr; returns CLI_FAILED. */
int cli_fail(const struct cli_command *command, const struct benchfs_error *err);
/* The same with a hint at --help; returns CLI_USAGE. */
int cli_usage_fail(const struct cli_command *command, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- common options --------------------------------------------------------- */

struct cli_common {
    const char *socket; /* --socket: the node's daemon; NULL: found */
    bool is_json;       /* --json */
    bool wants_help;
};

/* Ids of getopt_long() for a command's own long options begin here. */
#define CLI_OPTION_FIRST 512

struct option;

/* getopt_long() with the common options: -1 at the end, '?' after an error that was
 * printed (return CLI_USAGE), else the id of an option of `own`. `shorts` begins with
 * '+' when the first other argument ends the options. */
int cli_option_next(const struct cli_command *command,
                    int argc,
                    char **argv,
                    const char *shorts,
                    const struct option *own,
                    struct cli_common *common);

/* ---- the service ------------------------------------------------------------ */

/* Through the node's daemon: no UCX, no PMIx. client_close() it. */
int cli_client_open(const struct cli_common *common,
                    struct client **ret,
                    struct benchfs_error *err);

/* A request without a body whose answer is JSON. json_destroy() it. */
int cli_json_get(struct client *client,
                 uint16_t opcode,
                 uint32_t target,
                 struct json **ret,
                 struct benchfs_error *err);

/* Prints it indented, with a newline. 0 or -errno. */
int cli_json_print(const struct json *json);

/* Reads, for people, what need not be there: "" or 0 then. */
const char *cli_json_text(const struct json_cursor *at, const char *key);
uint64_t cli_json_u64(const struct json_cursor *at, const char *key);

#endif

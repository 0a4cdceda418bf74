/* SPDX-License-Identifier: Apache-2.0
 * benchfs status: state, nodes, space. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/units.h"
#include "cli/cli.h"
#include "cli/table_json.h"
#include "proto/ops.h"

enum { OPTION_TABLE = CLI_OPTION_FIRST };

static const struct option own_options[] = {
    {"table", no_argument, NULL, OPTION_TABLE},
    {NULL, 0, NULL, 0},
};

static void usage_print(const char *label, const struct json_cursor *at)
{
    uint64_t capacity = cli_json_u64(at, "capacity_bytes");
    uint64_t used = cli_json_u64(at, "used_bytes");
    char capacity_text[UNITS_TEXT_MAX], used_text[UNITS_TEXT_MAX];

    printf("%-10s %s of %s used (%.0f%%), %" PRIu64 " files and directories\n",
           label,
           units_size_format(used_text, sizeof(used_text), used),
           units_size_format(capacity_text, sizeof(capacity_text), capacity),
           capacity ? 100.0 * (double)used / (double)capacity : 0.0,
           cli_json_u64(at, "inodes_used"));
}

static bool node_is_lost(const struct json_cursor *node)
{
    struct json_cursor at;
    bool is_lost = false;

    if (json_cursor_member(node, "is_lost", &at, NULL) == 0)
        (void)json_get_bool(&at, &is_lost, NULL);
    return is_lost;
}

static void status_print(const struct json *status)
{
    struct json_cursor root = json_cursor_root(status, "status");
    struct json_cursor nodes;
    size_t n_nodes = 0;

    printf("%-10s %s\n", "job", cli_json_text(&root, "job"));
    printf("%-10s %s\n", "state", cli_json_text(&root, "state"));
    printf("%-10s %" PRIu64 "\n", "nodes", cli_json_u64(&root, "n_nodes"));
    printf("%-10s %" PRIu64 "\n", "targets", cli_json_u64(&root, "n_targets"));
    usage_print("space", &root);
    if (json_cursor_member(&root, "nodes", &nodes, NULL) == 0)
        (void)json_get_count(&nodes, &n_nodes, NULL);
    for (size_t i = 0; i < n_nodes; i++) {
        struct json_cursor node = json_cursor_element(&nodes, i);
        char label[64];

        snprintf(label, sizeof(label), "  %s", cli_json_text(&node, "host"));
        if (node_is_lost(&node))
            printf("%-10s lost\n", label);
        else
            usage_print(label, &node);
    }
}

static int status_show(struct client *client, bool is_json, struct benchfs_error *err)
{
    struct json *status;
    int rc = cli_json_get(client, OP_STATUS, 0, &status, err);

    if (rc)
        return rc;
    if (is_json)
        rc = cli_json_print(status);
    else
        status_print(status);
    json_destroy(status);
    return rc;
}

static int table_show(struct client *client, struct benchfs_error *err)
{
    struct json *table = table_json_make(client_table(client));
    int rc;

    if (!table)
        return benchfs_error_set(err, ENOMEM, "no memory for the endpoint table");
    rc = cli_json_print(table);
    json_destroy(table);
    return rc;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct cli_common common = {.socket = NULL};
    bool wants_table = false;
    struct client *client;
    int id, rc;

    while ((id = cli_option_next(command, argc, argv, "", own_options, &common))
           != -1) {
        if (id == '?')
            return CLI_USAGE;
        wants_table = id == OPTION_TABLE;
    }
    if (common.wants_help)
        return CLI_OK;
    if (optind < argc)
        return cli_usage_fail(command, "%s: unexpected argument", argv[optind]);
    rc = cli_client_open(&common, &client, &err);
    if (rc)
        return cli_fail(command, &err);
    rc = wants_table ? table_show(client, &err)
                     : status_show(client, common.is_json, &err);
    client_close(client);
    return rc ? cli_fail(command, &err) : CLI_OK;
}

const struct cli_command cmd_status = {
    .name = "status",
    .summary = "show the service's state, nodes and space",
    .usage =
        "usage: benchfs status [--json | --table] [--socket PATH]\n"
        "State (starting, staging-in, staged-in, running, staging-out, teardown),\n"
        "nodes, targets and space of this job's service.\n"
        "  --json         as JSON (schemas/status.schema.json)\n"
        "  --table        the endpoint table, as JSON "
        "(schemas/endpoint_table.schema.json)\n"
        "  --socket PATH  socket of the node's daemon (default: $BENCHFS_SOCKET,\n"
        "                 then the job's)\n",
    .run = run,
};

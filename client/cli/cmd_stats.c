/* SPDX-License-Identifier: Apache-2.0
 * benchfs stats: counters of every target. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "proto/ops.h"

static int
stats_collect(struct client *client, struct json *array, struct benchfs_error *err)
{
    uint32_t n = client_table(client)->n_endpoints;

    for (uint32_t target = 0; target < n; target++) {
        struct json *stats;
        int rc = cli_json_get(client, OP_STATS, target, &stats, err);

        if (rc == 0 && (rc = json_append(array, stats)))
            benchfs_error_set(err, -rc, "no memory for the counters");
        if (rc)
            return rc;
    }
    return 0;
}

static void ops_print(const struct json_cursor *stats)
{
    const void *position = NULL;
    struct json_cursor ops, op;

    if (json_cursor_member(stats, "ops", &ops, NULL))
        return;
    while (json_next_member(&ops, &position, &op))
        printf("  %-16s %12" PRIu64 "\n", op.key, cli_json_u64(&ops, op.key));
}

static const char *text_of(const struct json_cursor *object, const char *key)
{
    struct json_cursor member;
    const char *text = NULL;

    if (json_cursor_member(object, key, &member, NULL)
        || json_get_string(&member, &text, NULL))
        return "?";
    return text;
}

static void peers_print(const struct json_cursor *stats)
{
    struct json_cursor peers;
    size_t n = 0;

    if (json_cursor_member(stats, "peers", &peers, NULL)
        || json_get_count(&peers, &n, NULL))
        return;
    for (size_t i = 0; i < n; i++) {
        struct json_cursor peer = json_cursor_element(&peers, i);

        printf("  to target %" PRIu64 " on %s: %s, connects %" PRIu64 "\n",
               cli_json_u64(&peer, "target"),
               text_of(&peer, "host"),
               text_of(&peer, "state"),
               cli_json_u64(&peer, "connects"));
    }
}

static void stats_print(const struct json *array)
{
    struct json_cursor root = json_cursor_root(array, "stats");
    size_t n = 0;

    (void)json_get_count(&root, &n, NULL);
    for (size_t i = 0; i < n; i++) {
        struct json_cursor stats = json_cursor_element(&root, i);
        const void *position = NULL;
        struct json_cursor member;

        printf("target %" PRIu64 "\n", cli_json_u64(&stats, "target"));
        while (json_next_member(&stats, &position, &member)) {
            if (json_kind(member.json) == JSON_KIND_INTEGER
                && strcmp(member.key, "target") != 0)
                printf("  %-16s %12" PRIu64 "\n",
                       member.key,
                       cli_json_u64(&stats, member.key));
        }
        ops_print(&stats);
        peers_print(&stats);
    }
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct cli_common common = {.socket = NULL};
    struct json *array = NULL;
    struct client *client;
    int rc;

    if (cli_option_next(command, argc, argv, "", NULL, &common) == '?')
        return CLI_USAGE;
    if (common.wants_help)
        return CLI_OK;
    if (optind < argc)
        return cli_usage_fail(command, "%s: unexpected argument", argv[optind]);
    rc = cli_client_open(&common, &client, &err);
    if (rc)
        return cli_fail(command, &err);
    array = json_make_array();
    rc = array ? stats_collect(client, array, &err)
               : benchfs_error_set(&err, ENOMEM, "no memory for the counters");
    client_close(client);
    if (rc == 0 && common.is_json)
        rc = cli_json_print(array);
    else if (rc == 0)
        stats_print(array);
    json_destroy(array);
    return rc ? cli_fail(command, &err) : CLI_OK;
}

const struct cli_command cmd_stats = {
    .name = "stats",
    .summary = "show counters of every target",
    .usage = "usage: benchfs stats [--json] [--socket PATH]\n"
             "What each target has done: requests, bytes, connections, operations.\n"
             "  --json         as a JSON array\n"
             "  --socket PATH  socket of the node's daemon (default: $BENCHFS_SOCKET,\n"
             "                 then the job's)\n",
    .run = run,
};

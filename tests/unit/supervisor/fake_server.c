/* SPDX-License-Identifier: Apache-2.0
 * Stands in for the server process: speaks on the control socket, keeps no files. The
 * job's name says how it behaves: "fails", "dies", "silent", "unconnected", "asks". */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/control.h"
#include "proto/endpoint_table.h"

#define LONG_MS 20000

struct fake {
    const char *job;
    uint32_t node, n_nodes, n_shards;
};

static const char *option(int argc, char **argv, const char *name)
{
    size_t len = strlen(name);

    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], name, len) == 0 && argv[i][len] == '=')
            return argv[i] + len + 1;
        if (strcmp(argv[i], name) == 0 && i + 1 < argc)
            return argv[i + 1];
    }
    return "0";
}

static int say(uint32_t type, const void *data, size_t len)
{
    return control_send(CONTROL_FD, type, data, len, deadline_after_ms(LONG_MS));
}

static void text_say(uint32_t type, const char *text)
{
    (void)say(type, text, strlen(text));
}

static int record_say(const struct fake *fake)
{
    struct bytes record = BYTES_INIT(65536);
    struct endpoint endpoints[64];
    char host[] = "fake", path[] = "/fake.sock";
    int rc;

    for (uint32_t i = 0; i < fake->n_shards; i++)
        endpoints[i] = (struct endpoint){
            .node = fake->node, .shard = i, .host_name = host, .local_path = path};
    rc = endpoint_record_encode(endpoints, fake->n_shards, &record);
    if (rc == 0)
        rc = say(CONTROL_RECORD, record.data, record.size);
    bytes_fini(&record);
    return rc;
}

static int table_hear(const struct fake *fake)
{
    struct control_message message;
    struct endpoint_table table;
    int rc;

    control_message_init(&message);
    rc = control_recv(CONTROL_FD, &message, deadline_after_ms(LONG_MS));
    if (rc == 0 && message.type != CONTROL_TABLE)
        rc = -EPROTO;
    if (rc == 0)
        rc = endpoint_table_decode(&table, message.data.data, message.data.size, NULL);
    control_message_fini(&message);
    if (rc)
        return rc;
    if (table.n_nodes != fake->n_nodes
        || table.n_endpoints != fake->n_nodes * fake->n_shards
        || strcmp(table.job, fake->job) != 0)
        rc = -EPROTO;
    endpoint_table_fini(&table);
    return rc;
}

static int stop_hear(void)
{
    struct control_message message;
    int rc;

    control_message_init(&message);
    rc = control_recv(CONTROL_FD, &message, deadline_after_ms(LONG_MS));
    if (rc == 0 && message.type != CONTROL_STOP)
        rc = -EPROTO;
    control_message_fini(&message);
    return rc;
}

int main(int argc, char **argv)
{
    struct fake fake = {
        .job = option(argc, argv, "--job"),
        .node = (uint32_t)atoi(option(argc, argv, "--node")),
        .n_nodes = (uint32_t)atoi(option(argc, argv, "--n-nodes")),
        .n_shards = (uint32_t)atoi(option(argc, argv, "--shards")),
    };
    bool is_last = fake.node + 1 == fake.n_nodes; /* misbehaves, when asked to */

    if (is_last && strstr(fake.job, "fails")) {
        text_say(CONTROL_FAILED, "no space for a fake");
        return EXIT_FAILURE;
    }
    if (is_last && strstr(fake.job, "dies"))
        abort();
    if (is_last && strstr(fake.job, "silent"))
        return stop_hear() ? EXIT_FAILURE : EXIT_SUCCESS;
    if (record_say(&fake) || table_hear(&fake))
        return EXIT_FAILURE;
    if (is_last && strstr(fake.job, "unconnected")) {
        text_say(CONTROL_FAILED, "can't reach node 0");
        return EXIT_FAILURE;
    }
    text_say(CONTROL_CONNECTED, "");
    if (strstr(fake.job, "asks"))
        text_say(CONTROL_SHUTDOWN, "");
    return stop_hear() ? EXIT_FAILURE : EXIT_SUCCESS;
}

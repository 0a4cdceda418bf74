/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/server.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/control.h"
#include "daemon/shard.h"
#include "proto/messages.h"
#include "transport/rpc_ucx.h"

#define CONTROL_SEND_MS 5000
#define PATH_SIZE       256
#define SHARD_SPIN_US   20 /* a busy shard gets its next request without a wake-up */

/* ---- to the supervisor */

static int
tell(const struct server *server, uint32_t type, const void *data, size_t len)
{
    return control_send(
        server->config.control_fd, type, data, len, deadline_after_ms(CONTROL_SEND_MS));
}

void server_shutdown_request(struct server *server, bool has_lost)
{
    int rc = tell(server, CONTROL_SHUTDOWN, "lost", has_lost ? 4 : 0);

    if (rc)
        log_error("can't ask the supervisor for the end: %s", strerror(-rc));
}

/* ---- shards */

/* The port that the shard listened on before, 0: any. */
static uint16_t restart_port(const struct server_config *config, uint32_t index)
{
    const char *text = config->restart_ports;

    for (uint32_t i = 0; text && i < index; i++) {
        text = strchr(text, ',');
        text = text ? text + 1 : NULL;
    }
    return text ? (uint16_t)strtoul(text, NULL, 10) : 0;
}

static int shard_open(struct server *server, uint32_t index, struct benchfs_error *err)
{
    const struct server_config *config = &server->config;
    const struct benchfs_config *settings = config->settings;
    char local_path[PATH_SIZE], directory[PATH_SIZE];
    struct shard_config shard = {
        .server = server,
        .target = config->node * config->n_shards + index,
        .index = index,
        .chunk_size = (uint32_t)settings->chunk_size_bytes,
        .is_restarted = config->restart_ports != NULL,
        .rpc =
            {
                .job = config->job,
                .kind = HELLO_DAEMON,
                .request_timeout_ms = (unsigned)settings->request_timeout_ms,
                .connect_timeout_ms = (unsigned)settings->connect_timeout_ms,
                .client_limit = (unsigned)settings->client_limit,
                .spin_us = SHARD_SPIN_US,
                .local_path = local_path,
                .remote = config->listen_address ? &rpc_backend_ucx : NULL,
                .listen_address = config->listen_address,
                .listen_port = restart_port(config, index),
                .node = config->node,
                .instance = config->instance,
            },
        .store =
            {
                .directory = directory,
                .job = config->job,
                .capacity_bytes = config->capacity_bytes / config->n_shards,
                .is_durable = config_store_is_durable(settings),
            },
    };

    snprintf(
        local_path, sizeof(local_path), "%s/shard-%u.sock", config->run_dir, index);
    snprintf(directory, sizeof(directory), "%s/shard-%u", config->store_dir, index);
    shard.rpc.target = shard.target;
    shard.store.target = shard.target;
    return shard_create(&shard, &server->shards[index], err);
}

static int shards_open(struct server *server, struct benchfs_error *err)
{
    server->shards = calloc(server->n_shards, sizeof(*server->shards));
    if (!server->shards)
        return benchfs_error_set(
            err, ENOMEM, "no memory for %u shards", server->n_shards);
    for (uint32_t i = 0; i < server->n_shards; i++) {
        int rc = shard_open(server, i, err);

        if (rc)
            return rc;
    }
    return 0;
}

static void shards_close(struct server *server)
{
    for (uint32_t i = 0; server->shards && i < server->n_shards; i++) {
        if (server->shards[i])
            shard_stop(server->shards[i]);
    }
    for (uint32_t i = 0; server->shards && i < server->n_shards; i++) {
        if (server->shards[i])
            shard_join(server->shards[i]);
        shard_destroy(server->shards[i]);
    }
    free(server->shards);
    server->shards = NULL;
}

/* ---- start */

static void endpoint_fill(const struct server *server,
                          uint32_t index,
                          char *host_name,
                          char *local_path,
                          struct endpoint *ret)
{
    const struct server_config *config = &server->config;
    struct rpc_address address = {.socket_address = NULL};

    (void)rpc_address_get(server->shards[index]->rpc, &address);
    snprintf(local_path, PATH_SIZE, "%s/shard-%u.sock", config->run_dir, index);
    *ret = (struct endpoint){
        .node = config->node,
        .shard = index,
        .instance = config->instance,
        .host = config->host,
        .host_name = host_name,
        .local_path = local_path,
        .socket_address = (uint8_t *)(uintptr_t)address.socket_address,
        .socket_address_len = (uint16_t)address.socket_address_len,
        .worker_address = (uint8_t *)(uintptr_t)address.worker_address,
        .worker_address_len = (uint16_t)address.worker_address_len,
    };
}

static int record_send(struct server *server, struct benchfs_error *err)
{
    struct bytes record = BYTES_INIT(CONTROL_MESSAGE_MAX);
    char host_name[ENDPOINT_HOST_MAX + 1] = "";
    char(*paths)[PATH_SIZE] = calloc(server->n_shards, sizeof(*paths));
    struct endpoint *endpoints = calloc(server->n_shards, sizeof(*endpoints));
    int rc = paths && endpoints ? 0 : -ENOMEM;

    if (rc)
        goto out;
    gethostname(host_name, sizeof(host_name) - 1);
    for (uint32_t i = 0; i < server->n_shards; i++)
        endpoint_fill(server, i, host_name, paths[i], &endpoints[i]);
    rc = endpoint_record_encode(endpoints, server->n_shards, &record);
    if (rc == 0)
        rc = tell(server, CONTROL_RECORD, record.data, record.size);

out:
    bytes_fini(&record);
    free(endpoints);
    free(paths);
    return rc ? benchfs_error_set(
               err, -rc, "can't publish the endpoints: %s", strerror(-rc))
              : 0;
}

/* Waits for the table; -ECANCELED when the supervisor stops the start. */
static int table_receive(struct server *server, struct benchfs_error *err)
{
    uint64_t timeout_ms = server->config.settings->start_timeout_ms;
    struct control_message message;
    int rc;

    control_message_init(&message);
    rc = control_recv(
        server->config.control_fd, &message, deadline_after_ms(timeout_ms));
    if (rc == -EPIPE || (rc == 0 && message.type == CONTROL_STOP)) {
        rc = -ECANCELED;
        goto out;
    }
    if (rc || message.type != CONTROL_TABLE) {
        rc = benchfs_error_set(err,
                               rc ? -rc : EPROTO,
                               "no endpoint table from the supervisor: %s",
                               strerror(rc ? -rc : EPROTO));
        goto out;
    }
    rc = endpoint_table_decode(
        &server->table, message.data.data, message.data.size, err);
    if (rc)
        goto out;
    server->table_blob = message.data;
    bytes_init(&message.data, CONTROL_MESSAGE_MAX);

out:
    control_message_fini(&message);
    return rc;
}

static int shards_connect(struct server *server, struct benchfs_error *err)
{
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i < server->n_shards; i++) {
        rc = shard_table_set(server->shards[i], &server->table, err);
        if (rc == 0)
            rc = shard_start(server->shards[i], err);
    }
    /* who was restarted does not wait for others, which may be under way too */
    for (uint32_t i = 0;
         rc == 0 && !server->config.restart_ports && i < server->n_shards;
         i++)
        rc = shard_peers_check(server->shards[i],
                               (unsigned)server->config.settings->connect_timeout_ms,
                               err);
    return rc;
}

static int server_start(struct server *server, struct benchfs_error *err)
{
    int rc = shards_open(server, err);

    if (rc == 0)
        rc = record_send(server, err);
    if (rc == 0)
        rc = table_receive(server, err);
    if (rc == 0)
        rc = shards_connect(server, err);
    if (rc == 0)
        rc = tell(server, CONTROL_CONNECTED, NULL, 0);
    return rc;
}

/* ---- life */

/* Returns when the supervisor says stop, or is gone. */
static void server_wait(const struct server *server)
{
    struct control_message message;
    int rc = 0;

    control_message_init(&message);
    do {
        struct pollfd poller = {.fd = server->config.control_fd, .events = POLLIN};

        if (poll(&poller, 1, -1) < 0)
            continue;
        rc = control_recv(poller.fd, &message, deadline_after_ms(CONTROL_SEND_MS));
    } while (rc == 0 && message.type != CONTROL_STOP);
    control_message_fini(&message);
}

static void server_fini(struct server *server)
{
    shards_close(server);
    endpoint_table_fini(&server->table);
    bytes_fini(&server->table_blob);
}

int server_run(const struct server_config *config)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct server server = {
        .config = *config,
        .n_shards = config->n_shards,
        .table_blob = BYTES_INIT(CONTROL_MESSAGE_MAX),
        .started_ns = shard_now_ns(),
    };
    int rc;

    signal(SIGPIPE, SIG_IGN);
    rc = server_start(&server, &err);
    if (rc == 0)
        server_wait(&server);
    else if (rc != -ECANCELED)
        (void)tell(&server, CONTROL_FAILED, err.text, strlen(err.text));
    server_fini(&server);
    return rc == 0 || rc == -ECANCELED ? EXIT_SUCCESS : EXIT_FAILURE;
}

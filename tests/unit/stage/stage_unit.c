/* SPDX-License-Identifier: Apache-2.0 */
#include "stage_unit.h"

#include <limits.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/control.h"
#include "daemon/server.h"

#define WAIT_MS        20000u
#define CAPACITY_BYTES (512u << 20)

char *unit_path(const struct unit_service *service, const char *name, char *ret)
{
    snprintf(ret, PATH_MAX, "%s/%s", service->dir.path, name);
    return ret;
}

void unit_shell(const struct unit_service *service, const char *command)
{
    char text[4096];

    snprintf(text, sizeof(text), "cd '%s' && { %s\n}", service->dir.path, command);
    if (system(text) != 0)
        fail_msg("failed: %s", command);
}

static void server_start(struct unit_service *service, unsigned node)
{
    struct unit_server *server = &service->servers[node];
    struct server_config config = {
        .settings = service->config,
        .job = "unit",
        .node = node,
        .n_nodes = UNIT_NODES,
        .n_shards = UNIT_SHARDS,
        .host = 1,
        .instance = node + 1,
        .run_dir = server->run_dir,
        .store_dir = server->store_dir,
        .capacity_bytes = CAPACITY_BYTES,
    };
    int fds[2];

    snprintf(
        server->run_dir, sizeof(server->run_dir), "%s/run-%u", service->dir.path, node);
    snprintf(server->store_dir,
             sizeof(server->store_dir),
             "%s/store-%u",
             service->dir.path,
             node);
    assert_int_equal(mkdir(server->run_dir, 0700), 0);
    assert_int_equal(mkdir(server->store_dir, 0700), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    server->pid = fork();
    assert_true(server->pid >= 0);
    if (server->pid == 0) {
        for (unsigned i = 0; i < node; i++)
            close(service->servers[i].control_fd);
        close(fds[0]);
        config.control_fd = fds[1];
        _exit(server_run(&config));
    }
    close(fds[1]);
    server->control_fd = fds[0];
}

static void message_expect(struct unit_server *server,
                           uint32_t type,
                           struct control_message *message)
{
    int rc = control_recv(server->control_fd, message, deadline_after_ms(WAIT_MS));

    assert_int_equal(rc, 0);
    if (message->type == CONTROL_FAILED)
        fail_msg("%.*s", (int)message->data.size, (const char *)message->data.data);
    assert_int_equal(message->type, type);
}

/* What a supervisor does: records in, table out. */
static void servers_connect(struct unit_service *service)
{
    struct endpoint endpoints[UNIT_NODES * UNIT_SHARDS];
    struct endpoint *records[UNIT_NODES];
    struct endpoint_table table = {
        .job = "unit",
        .uid = geteuid(),
        .gid = getegid(),
        .n_nodes = UNIT_NODES,
        .chunk_size = 1u << 20,
        .request_timeout_ms = WAIT_MS,
        .connect_timeout_ms = WAIT_MS,
        .n_endpoints = UNIT_NODES * UNIT_SHARDS,
        .endpoints = endpoints,
    };
    struct bytes blob = BYTES_INIT(1u << 20);
    struct control_message message;
    uint32_t n;

    control_message_init(&message);
    for (unsigned i = 0; i < UNIT_NODES; i++) {
        message_expect(&service->servers[i], CONTROL_RECORD, &message);
        assert_int_equal(
            endpoint_record_decode(
                &records[i], &n, message.data.data, message.data.size, NULL),
            0);
        assert_int_equal(n, UNIT_SHARDS);
        memcpy(&endpoints[i * UNIT_SHARDS], records[i], n * sizeof(endpoints[0]));
    }
    assert_int_equal(endpoint_table_encode(&table, &blob), 0);
    for (unsigned i = 0; i < UNIT_NODES; i++)
        assert_int_equal(control_send(service->servers[i].control_fd,
                                      CONTROL_TABLE,
                                      blob.data,
                                      blob.size,
                                      deadline_after_ms(WAIT_MS)),
                         0);
    for (unsigned i = 0; i < UNIT_NODES; i++) {
        message_expect(&service->servers[i], CONTROL_CONNECTED, &message);
        endpoint_list_free(records[i], UNIT_SHARDS);
    }
    control_message_fini(&message);
    bytes_fini(&blob);
}

static void client_start(struct unit_service *service, unsigned node)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    char path[128];
    struct client_config config = {.route = CLIENT_ROUTE_AUTO, .socket_path = path};

    snprintf(path, sizeof(path), "%s/shard-0.sock", service->servers[node].run_dir);
    if (client_open(&config, &service->clients[node], &err))
        fail_msg("%s", err.text);
}

void unit_service_start(struct unit_service *service, const char *report)
{
    memset(service, 0, sizeof(*service));
    unit_dir_create(&service->dir);
    assert_int_equal(config_default(&service->config, NULL), 0);
    if (report) {
        free(service->config->report);
        assert_true(
            asprintf(&service->config->report, "%s/%s", service->dir.path, report) > 0);
    }
    for (unsigned i = 0; i < UNIT_NODES; i++)
        server_start(service, i);
    servers_connect(service);
    for (unsigned i = 0; i < UNIT_NODES; i++)
        client_start(service, i);
}

void unit_workers_start(struct unit_service *service, unsigned node, unsigned n_threads)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;

    if (stage_worker_start(
            service->clients[node], n_threads, &service->workers[node], &err))
        fail_msg("%s", err.text);
}

void unit_workers_stop(struct unit_service *service, unsigned node)
{
    stage_worker_stop(service->workers[node]);
    service->workers[node] = NULL;
}

void unit_service_stop(struct unit_service *service)
{
    for (unsigned i = 0; i < UNIT_NODES; i++) {
        unit_workers_stop(service, i);
        client_close(service->clients[i]);
    }
    for (unsigned i = 0; i < UNIT_NODES; i++)
        assert_int_equal(control_send(service->servers[i].control_fd,
                                      CONTROL_STOP,
                                      NULL,
                                      0,
                                      deadline_after_ms(WAIT_MS)),
                         0);
    for (unsigned i = 0; i < UNIT_NODES; i++) {
        int status = -1;

        assert_int_equal(waitpid(service->servers[i].pid, &status, 0),
                         service->servers[i].pid);
        assert_int_equal(status, 0);
        close(service->servers[i].control_fd);
    }
    config_destroy(service->config);
    unit_dir_remove(&service->dir);
}

int unit_stage(struct unit_service *service,
               enum stage_direction direction,
               const char *source,
               const char *target,
               struct stage_result *ret,
               struct benchfs_error *err)
{
    struct config_stage directive = {
        .source = (char *)(uintptr_t)source,
        .target = (char *)(uintptr_t)target,
    };
    struct config_stage_list list = {.items = &directive, .count = 1};
    struct stage_options options = {.timeout_ms = WAIT_MS};

    return stage_run(service->clients[0], direction, &list, &options, ret, err);
}

/* SPDX-License-Identifier: Apache-2.0
 * The hooks' requests against a server process with canned answers. */
#include "unit.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/endpoint_table.h"
#include "proto/messages.h"
#include "proto/ops.h"
#include "spank/service.h"
#include "transport/rpc.h"

#define TIMEOUT_MS 5000
#define N_TASKS    3u

struct fixture {
    struct unit_dir dir;
    struct job job;
    pid_t server;
    struct service_link *link;
    struct benchfs_error err;
};

/* ---- the server ---- */

struct server {
    struct rpc *rpc;
    struct bytes table;
    unsigned n_exits;
    unsigned n_polls;
    uint32_t n_directives;
    bool is_over;
    char payload[4096];
};

static void pulled(void *arg, int status)
{
    (void)arg;
    (void)status;
}

static size_t
answer_stage_wait(struct server *server, uint8_t *body, struct iovec *ret_texts)
{
    static const char text[] = "\x0e\x00/out/x: broken";
    struct msg_stage_wait_reply reply = {.finished = ++server->n_polls >= 3,
                                         .n_known_files = 5};

    /* Two directives: the second one fails. */
    if (reply.finished && server->n_directives == 2) {
        reply.n_errors = 1;
        reply.n_texts = 1;
        *ret_texts = (struct iovec){(void *)(uintptr_t)text, sizeof(text) - 1};
    }
    return msg_stage_wait_reply_encode(&reply, body, MSG_stage_wait_reply_MAX);
}

static void on_request(void *arg, struct rpc_request *request)
{
    struct server *server = arg;
    uint8_t body[512];
    size_t length = 0;
    struct iovec payload = {.iov_len = 0};

    if (request->header.opcode == OP_TABLE) {
        struct msg_table_reply reply = {.node = 0};

        length = msg_table_reply_encode(&reply, body, sizeof(body));
        payload = (struct iovec){server->table.data, server->table.size};
    } else if (request->header.opcode == OP_TASK_EXIT) {
        struct msg_task_exit_reply reply = {.is_last = ++server->n_exits == N_TASKS};

        length = msg_task_exit_reply_encode(&reply, body, sizeof(body));
    } else if (request->header.opcode == OP_STAGE_START) {
        struct msg_stage_start_reply reply = {.stage = 7};
        struct msg_stage_start_request start;
        struct iovec space = {server->payload, request->header.payload_len};

        assert_int_equal(msg_stage_start_request_decode(
                             &start, request->body, request->header.body_len),
                         0);
        server->n_directives = start.n_directives;
        rpc_request_pull(request, &space, 1, pulled, NULL);
        length = msg_stage_start_reply_encode(&reply, body, sizeof(body));
    } else if (request->header.opcode == OP_STAGE_WAIT) {
        length = answer_stage_wait(server, body, &payload);
    } else if (request->header.opcode == OP_SHUTDOWN) {
        server->is_over = true;
    }
    rpc_request_reply(
        request, 0, body, length, &payload, payload.iov_len > 0, pulled, NULL);
}

static void on_client_down(void *arg, uint64_t client, bool is_evicted)
{
    (void)arg;
    (void)client;
    (void)is_evicted;
}

static void table_make(struct server *server)
{
    char name[] = "n1", path[] = "/x";
    struct endpoint endpoints[2] = {
        {.host_name = name, .local_path = path},
        {.host_name = name, .local_path = path, .shard = 1}};
    struct endpoint_table table = {.job = "7",
                                   .n_nodes = 1,
                                   .n_endpoints = 2,
                                   .endpoints = endpoints,
                                   .chunk_size = 1 << 20};

    bytes_init(&server->table, 1 << 20);
    if (endpoint_table_encode(&table, &server->table) < 0)
        _exit(1);
}

static void server_main(const struct fixture *fixture, int ready)
{
    struct server server = {.n_exits = 0};
    struct rpc_server handlers = {
        .on_request = on_request, .on_client_down = on_client_down, .arg = &server};
    struct rpc_config config = {.client = 1,
                                .job = "7",
                                .kind = HELLO_DAEMON,
                                .request_timeout_ms = TIMEOUT_MS,
                                .connect_timeout_ms = TIMEOUT_MS,
                                .client_limit = 16,
                                .server = &handlers,
                                .local_path = fixture->job.socket};

    table_make(&server);
    if (rpc_create(&config, &server.rpc, NULL) < 0)
        _exit(1);
    rpc_set_n_targets(server.rpc, 2);
    (void)!write(ready, "", 1);
    while (!server.is_over) {
        if (rpc_progress(server.rpc) == 0)
            rpc_wait(server.rpc, -1);
    }
    /* The answer is on its way when the connection closes. */
    for (int i = 0; i < 100; i++)
        rpc_progress(server.rpc);
    usleep(50000);
    rpc_destroy(server.rpc);
    bytes_fini(&server.table);
    _exit(0);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    struct benchfs_config config = {.run_dir = fixture->dir.path};
    char byte;
    int ready[2];

    unit_dir_create(&fixture->dir);
    assert_int_equal(job_init(&fixture->job, 7, 0, getuid(), getgid(), &config), 0);
    assert_int_equal(mkdir(fixture->job.dir, 0700), 0);
    assert_int_equal(pipe(ready), 0);
    fixture->server = fork();
    if (fixture->server == 0)
        server_main(fixture, ready[1]);
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    assert_int_equal(
        service_link_open(&fixture->job, TIMEOUT_MS, &fixture->link, &fixture->err), 0);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    service_link_close(fixture->link);
    kill(fixture->server, SIGKILL);
    waitpid(fixture->server, NULL, 0);
    unit_dir_remove(&fixture->dir);
    free(fixture);
    return 0;
}

static void test_table(void **state)
{
    struct fixture *fixture = *state;
    struct bytes table = BYTES_INIT(32 << 20);
    uint32_t n_targets = 0;

    assert_int_equal(
        service_table_get(fixture->link, &table, &n_targets, &fixture->err), 0);
    assert_int_equal(n_targets, 2);
    assert_true(table.size > 0);
    bytes_fini(&table);
}

static void test_last_task(void **state)
{
    struct fixture *fixture = *state;

    for (uint32_t task = 0; task < N_TASKS; task++) {
        bool is_last = false;

        assert_int_equal(
            service_task_exit(
                fixture->link, 0, task, N_TASKS, 0, &is_last, &fixture->err),
            0);
        assert_int_equal(is_last, task == N_TASKS - 1);
    }
}

static void test_stage_out(void **state)
{
    struct fixture *fixture = *state;
    char a[] = "/a", b[] = "/b";
    struct config_stage items[] = {{a, b}, {b, a}};
    struct config_stage_list list = {items, 0};

    assert_int_equal(service_stage_out(fixture->link, &list, false, &fixture->err), 0);
    list.count = 1;
    assert_int_equal(service_stage_out(fixture->link, &list, false, &fixture->err), 0);
    list.count = 2;
    assert_int_equal(service_stage_out(fixture->link, &list, true, &fixture->err),
                     -EIO);
    assert_non_null(strstr(fixture->err.text, "1 could not be copied: /out/x: broken"));
}

static void test_shutdown_waits_for_the_end(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(service_shutdown(fixture->link, TIMEOUT_MS, &fixture->err), 0);
    assert_int_equal(access(fixture->job.socket, F_OK), -1);
}

static void test_dead_service_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    bool is_last;

    assert_int_equal(kill(fixture->server, SIGKILL), 0);
    assert_int_equal(waitpid(fixture->server, NULL, 0), fixture->server);
    assert_true(service_task_exit(fixture->link, 0, 0, 1, 0, &is_last, &fixture->err)
                < 0);
    assert_non_null(strstr(fixture->err.text, "shard-0.sock: task exit: "));
    fixture->server = fork();
    if (fixture->server == 0)
        _exit(0);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_table),
        ROW(test_last_task),
        ROW(test_stage_out),
        ROW(test_shutdown_waits_for_the_end),
        ROW(test_dead_service_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

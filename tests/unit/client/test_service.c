/* SPDX-License-Identifier: Apache-2.0
 * Finding a service, its table, and the way to each target. */
#include "client_unit.h"

#include "proto/ops.h"

static void
expect_open_error(const struct client_config *config, int status, const char *text)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct client *client = NULL;

    assert_int_equal(client_open(config, &client, &err), status);
    assert_null(client);
    if (!strstr(err.text, text))
        fail_msg("\"%s\" is not in \"%s\"", text, err.text);
}

static void test_not_found(void **state)
{
    struct client_config config = {.socket_path = "/nonexistent/shard-0.sock"};

    (void)state;
    expect_open_error(&config, -ENOENT, "/nonexistent/shard-0.sock");
    config.socket_path = NULL;
    unsetenv("BENCHFS_SOCKET");
    unsetenv("SLURM_JOB_ID");
    expect_open_error(&config, -ENOENT, "SLURM_JOB_ID");
    setenv("SLURM_JOB_ID", "4294967290", 1);
    expect_open_error(&config, -ENOENT, "/run/benchfs/4294967290/shard-0.sock");
    setenv("BENCHFS_SOCKET", "/nonexistent/2.sock", 1);
    expect_open_error(&config, -ENOENT, "/nonexistent/2.sock");
    unsetenv("SLURM_JOB_ID");
    unsetenv("BENCHFS_SOCKET");
}

static void test_nobody_listens(void **state)
{
    struct client_config config = {0};
    struct unit_dir dir;
    char path[128];
    FILE *file;

    (void)state;
    unit_dir_create(&dir);
    snprintf(path, sizeof(path), "%s/shard-0.sock", dir.path);
    file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    config.socket_path = path;
    expect_open_error(&config, -ECONNREFUSED, path);
    unit_dir_remove(&dir);
}

static void test_table(void **state)
{
    struct client_unit unit;

    (void)state;
    client_unit_start(&unit, 2, CLIENT_ROUTE_AUTO);
    assert_int_equal(client_table(unit.client)->n_endpoints, FAKE_TARGETS);
    assert_string_equal(client_table(unit.client)->job, "test");
    assert_int_equal(client_node(unit.client), 0);
    assert_int_not_equal(client_id(unit.client), 0);
    client_unit_stop(&unit);
}

/* The service refuses what comes the wrong way. */
static void expect_reaches_all(const struct client_unit *unit)
{
    for (uint64_t target = 0; target < FAKE_TARGETS; target++) {
        uint64_t ino = FAKE_ECHO_BIT | target;
        struct wire_attr attr;

        assert_int_equal(client_getattr(unit->client, ino, &attr), 0);
        assert_int_equal(attr.ino, ino);
    }
}

static void test_routes(void **state)
{
    const enum client_route routes[] = {CLIENT_ROUTE_AUTO, CLIENT_ROUTE_LOCAL};

    (void)state;
    for (int i = 0; i < 2; i++) {
        for (uint32_t n_own = 1; n_own <= FAKE_TARGETS; n_own++) {
            struct client_unit unit;

            client_unit_start(&unit, n_own, routes[i]);
            expect_reaches_all(&unit);
            client_unit_stop(&unit);
        }
    }
}

static void test_stale_target(void **state)
{
    struct wire_attr attr;
    struct client_unit unit;

    (void)state;
    client_unit_start(&unit, FAKE_TARGETS, CLIENT_ROUTE_AUTO);
    assert_int_equal(client_getattr(unit.client, FAKE_ECHO_BIT | 999, &attr), -ESTALE);
    client_unit_stop(&unit);
}

static void test_statfs(void **state)
{
    struct msg_statfs_reply sum;
    struct client_unit unit;

    (void)state;
    client_unit_start(&unit, 1, CLIENT_ROUTE_AUTO);
    assert_int_equal(client_statfs(unit.client, &sum), 0);
    assert_int_equal(sum.capacity_bytes, 1000 * FAKE_TARGETS);
    assert_int_equal(sum.inodes_free, 4 * FAKE_TARGETS);
    assert_int_equal(fake_service_count(unit.service, OP_STATFS), FAKE_TARGETS);
    client_unit_stop(&unit);
}

static void test_request_sync(void **state)
{
    struct client_request *request = calloc(1, sizeof(*request));
    struct msg_statfs_reply reply;
    struct client_unit unit;

    (void)state;
    client_unit_start(&unit, 1, CLIENT_ROUTE_AUTO);
    request->opcode = OP_STATFS;
    request->target = 2;
    assert_int_equal(client_request_sync(unit.client, request), 0);
    assert_int_equal(
        msg_statfs_reply_decode(&reply, request->reply, request->reply_len), 0);
    assert_int_equal(reply.used_bytes, 10);
    request->opcode = OP_STAGE_START;
    assert_int_equal(client_request_sync(unit.client, request), -EOPNOTSUPP);
    free(request);
    client_unit_stop(&unit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_not_found),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_stale_target),
        cmocka_unit_test(test_statfs),
        cmocka_unit_test(test_request_sync),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

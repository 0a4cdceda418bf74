/* SPDX-License-Identifier: Apache-2.0
 * The direct route beside the local one: one client, two rpcs, calls over both at once.
 */
#include "client_unit.h"

#include <pthread.h>

#include "client/client_internal.h"
#include "client/remote.h"
#include "transport/rpc_ucx.h"

#define THREADS 4
#define CALLS   100

static int auth_make(void *arg,
                     const void *challenge,
                     size_t len,
                     char *buf,
                     size_t cap,
                     struct benchfs_error *err)
{
    (void)arg;
    (void)err;
    assert_true(len <= cap);
    memcpy(buf, challenge, len);
    return (int)len;
}

static int auth_check(void *arg,
                      const char *cred,
                      size_t cred_len,
                      const void *challenge,
                      size_t len,
                      uint32_t uid,
                      struct benchfs_error *err)
{
    (void)arg;
    (void)uid;
    (void)err;
    return cred_len == len && memcmp(cred, challenge, len) == 0 ? 0 : -EACCES;
}

static const struct rpc_auth auth = {.make = auth_make, .check = auth_check};

static int
auth_open(void **ret_state, const struct rpc_auth **ret_auth, struct benchfs_error *err)
{
    (void)err;
    *ret_state = NULL;
    *ret_auth = &auth;
    return 0;
}

static void auth_close(void *state)
{
    (void)state;
}

static const struct client_remote remote = {
    .backend = &rpc_backend_ucx, .auth_open = auth_open, .auth_close = auth_close};

static void start(struct client_unit *unit)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct client_config config = {.route = CLIENT_ROUTE_AUTO, .remote = &remote};

    unit_dir_create(&unit->dir);
    unit->service = fake_service_start_remote(&unit->dir, 1, &rpc_backend_ucx, &auth);
    config.socket_path = fake_service_socket(unit->service);
    if (client_open(&config, &unit->client, &err) < 0)
        fail_msg("%s", err.text);
}

static void *thread_run(void *arg)
{
    struct client *client = arg;
    uintptr_t n_wrong = 0;

    for (uint64_t i = 0; i < CALLS; i++) {
        uint64_t ino = FAKE_ECHO_BIT | i << 16 | i % FAKE_TARGETS;
        struct wire_attr attr;

        if (client_getattr(client, ino, &attr) < 0 || attr.ino != ino)
            n_wrong++;
    }
    return (void *)n_wrong;
}

static void test_threads(void **state)
{
    pthread_t threads[THREADS];
    struct client_unit unit;

    (void)state;
    start(&unit);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, thread_run, unit.client), 0);
    for (int i = 0; i < THREADS; i++) {
        void *n_wrong;

        pthread_join(threads[i], &n_wrong);
        assert_null(n_wrong);
    }
    client_unit_stop(&unit);
}

static struct client_file *file_new(struct client *client)
{
    struct msg_create_request what = {.mode = S_IFREG | 0644, .base = BASE_HOME};
    struct client_file *file;

    assert_int_equal(client_file_create(client,
                                        PLACEMENT_ROOT_INO,
                                        "f",
                                        &what,
                                        OPEN_READ | OPEN_WRITE,
                                        NULL,
                                        &file),
                     0);
    return file;
}

/* One write and one read whose chunks go both ways. */
static void test_data(void **state)
{
    enum { SIZE = 100 * FAKE_CHUNK_SIZE };
    struct iovec iov = {.iov_len = SIZE};
    uint8_t *out = malloc(SIZE);
    uint8_t *in = calloc(1, SIZE);
    struct client_file *file;
    struct client_unit unit;

    (void)state;
    start(&unit);
    for (size_t i = 0; i < SIZE; i++)
        out[i] = (uint8_t)(i * 5 + i / 300);
    file = file_new(unit.client);
    iov.iov_base = out;
    assert_int_equal(client_file_writev(file, &iov, 1, 99), SIZE);
    iov.iov_base = in;
    assert_int_equal(client_file_readv(file, &iov, 1, 99), SIZE);
    assert_memory_equal(in, out, SIZE);
    assert_int_equal(client_file_close(file), 0);
    free(out);
    free(in);
    client_unit_stop(&unit);
}

static bool is_stopping;

static void *file_use(void *arg)
{
    struct client_file *file = arg;
    uintptr_t n_wrong = 0;
    uint8_t byte = 0;
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};

    for (uint64_t i = 0; !__atomic_load_n(&is_stopping, __ATOMIC_RELAXED); i++) {
        if (client_file_readv(file, &iov, 1, i % 8 * FAKE_CHUNK_SIZE) != 1
            || byte != i % 8 + 1)
            n_wrong++;
    }
    return (void *)n_wrong;
}

static uint32_t
connected(struct client *client, uint32_t *ret_remote, uint64_t *ret_connects)
{
    struct client_connection list[FAKE_TARGETS];
    int n = client_connections(client, list, FAKE_TARGETS);
    uint32_t n_connected = 0;

    *ret_remote = 0;
    *ret_connects = 0;
    assert_in_range(n, 1, FAKE_TARGETS);
    for (int i = 0; i < n; i++) {
        n_connected += list[i].is_connected;
        *ret_remote += list[i].is_connected && !list[i].is_local;
        *ret_connects += list[i].n_connects;
        assert_non_null(list[i].host);
    }
    return n_connected;
}

/* Connections are made, closed, and made again, and a file is in use meanwhile. */
static void test_pool(void **state)
{
    uint8_t data[8 * FAKE_CHUNK_SIZE];
    struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};
    struct client_file *file;
    struct client_unit unit;
    uint64_t connects, again;
    pthread_t threads[2];
    uint32_t n_remote, n_closed;

    (void)state;
    start(&unit);
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i / FAKE_CHUNK_SIZE + 1);
    assert_int_equal(client_connect_all(unit.client), 0);
    assert_int_equal(connected(unit.client, &n_remote, &connects), FAKE_TARGETS);
    assert_int_equal(connects, FAKE_TARGETS);
    assert_in_range(n_remote, 1, FAKE_TARGETS - 1);
    assert_int_equal(client_connections(unit.client, NULL, 0), FAKE_TARGETS);
    file = file_new(unit.client);
    assert_int_equal(client_file_writev(file, &iov, 1, 0), sizeof(data));
    n_closed = client_disconnect_all(unit.client);
    assert_int_equal(n_closed, n_remote);
    assert_int_equal(client_disconnect_all(unit.client), 0);
    assert_int_equal(connected(unit.client, &n_remote, &again),
                     FAKE_TARGETS - n_closed);
    assert_int_equal(n_remote, 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, file_use, file), 0);
    for (int i = 0; i < 50; i++) {
        client_disconnect_all(unit.client);
        assert_int_equal(client_connect_all(unit.client), 0);
    }
    __atomic_store_n(&is_stopping, true, __ATOMIC_RELAXED);
    for (int i = 0; i < 2; i++) {
        void *n_wrong;

        pthread_join(threads[i], &n_wrong);
        assert_null(n_wrong);
    }
    assert_int_equal(connected(unit.client, &n_remote, &again), FAKE_TARGETS);
    assert_true(again > connects);
    assert_int_equal(client_file_close(file), 0);
    client_unit_stop(&unit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_data),
        cmocka_unit_test(test_pool),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

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

/* One write and one read whose chunks go both ways. */
static void test_data(void **state)
{
    enum { SIZE = 100 * FAKE_CHUNK_SIZE };
    struct msg_create_request what = {.mode = S_IFREG | 0644, .base = BASE_HOME};
    struct iovec iov = {.iov_len = SIZE};
    uint8_t *out = malloc(SIZE);
    uint8_t *in = calloc(1, SIZE);
    struct client_file *file;
    struct client_unit unit;

    (void)state;
    start(&unit);
    for (size_t i = 0; i < SIZE; i++)
        out[i] = (uint8_t)(i * 5 + i / 300);
    assert_int_equal(client_file_create(unit.client,
                                        PLACEMENT_ROOT_INO,
                                        "f",
                                        &what,
                                        OPEN_READ | OPEN_WRITE,
                                        NULL,
                                        &file),
                     0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_data),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

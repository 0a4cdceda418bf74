/* SPDX-License-Identifier: Apache-2.0
 * The UCX route over TCP on loopback: payloads of all sizes, connection modes, peers
 * that die, stop or misbehave, ports. The server is a process of its own. */
#include "rpc_ucx_child.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "proto/messages.h"
#include "transport/rpc_ucx.h"

static void fill(uint8_t *data, size_t size, uint32_t seed)
{
    for (size_t i = 0; i < size; i++) {
        seed = seed * 1664525 + 1013904223;
        data[i] = (uint8_t)(seed >> 24);
    }
}

/* Cuts memory into `n` entries, with an empty one among them. */
static int cut(uint8_t *data, size_t size, int n, struct iovec *ret_iov)
{
    size_t piece = size / (size_t)n;
    int k = 0;

    for (int i = 0; i < n; i++) {
        size_t len = i + 1 < n ? piece : size - piece * (size_t)(n - 1);

        ret_iov[k++] = (struct iovec){
            .iov_base = data + piece * (size_t)i,
            .iov_len = len,
        };
        if (i == 0)
            ret_iov[k++] = (struct iovec){0};
    }
    return k;
}

/* Puts `size` bytes into the server's memory and gets them back. */
static void put_get(struct client *client, size_t size, int n_pieces)
{
    uint8_t *out = malloc(size + 1), *in = malloc(size + 1), range[8];
    struct iovec send[16], recv[16];
    struct rpc_call put = {
        .body = range,
        .body_len = child_range(range, 0, (uint32_t)size),
        .send = send,
        .n_send = cut(out, size, n_pieces, send),
    };
    struct rpc_call get = {
        .body = range,
        .body_len = put.body_len,
        .recv = recv,
        .n_recv = cut(in, size, n_pieces, recv),
    };

    fill(out, size, (uint32_t)size);
    memset(in, 0, size);
    assert_int_equal(client_call(client, &put, CHILD_PUT), 0);
    assert_int_equal(put.reply_len, 8);
    assert_memory_equal(put.reply, range, 8);
    assert_int_equal(client_call(client, &get, CHILD_GET), 0);
    assert_int_equal(get.received, size);
    assert_true(memcmp(in, out, size) == 0);
    free(out);
    free(in);
}

static void echo(struct client *client, size_t size)
{
    uint8_t body[WIRE_BODY_MAX];
    struct rpc_call call = {.body = body, .body_len = size};

    fill(body, size, 1);
    assert_int_equal(client_call(client, &call, CHILD_ECHO), 0);
    assert_int_equal(call.reply_len, size);
    assert_memory_equal(call.reply, body, size);
}

static void all_sizes(struct client *client)
{
    static const size_t sizes[] = {
        0,
        1,
        100,
        4096,
        8192,
        100000,
        131071,
        131072,
        1 << 20,
        3 << 20,
        5000001,
        64 << 20,
    };

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        put_get(client, sizes[i], 1);
        put_get(client, sizes[i], 3);
    }
    for (size_t size = 0; size <= 4000; size += 500)
        echo(client, size);
}

static void test_socket_mode(void **state)
{
    struct child child;
    struct client client;

    (void)state;
    child_start(&child, 0);
    client_start(&client, &child.address, false, child_auth(false));
    all_sizes(&client);
    client_stop(&client);
    child_stop(&child);
}

static void test_address_mode(void **state)
{
    struct child child;
    struct client client;

    (void)state;
    child_start(&child, 0);
    client_start(&client, &child.address, true, child_auth(false));
    all_sizes(&client);
    client_stop(&client);
    child_stop(&child);
}

/* Transports whose message headers are too short for the bodies. */
static void test_short_headers(void **state)
{
    struct child child;
    struct client client;

    (void)state;
    /* more than UCX needs for the addresses of all interfaces: it does not check */
    setenv("UCX_TCP_TX_SEG_SIZE", "2048", 1);
    child_start(&child, 0);
    client_start(&client, &child.address, false, child_auth(false));
    unsetenv("UCX_TCP_TX_SEG_SIZE");
    for (size_t size = 0; size <= 4300; size += 100)
        echo(&client, size);
    put_get(&client, 1000, 1);
    put_get(&client, 1 << 20, 2);
    client_stop(&client);
    child_stop(&child);
}

static void test_wrong_credential(void **state)
{
    struct rpc_call call = {0};
    struct child child;
    struct client client;

    (void)state;
    child_start(&child, 0);
    client_start(&client, &child.address, false, child_auth(true));
    assert_int_equal(client_call(&client, &call, CHILD_ECHO), -EACCES);
    assert_true(call.is_transport);
    client_stop(&client);
    client_start(&client, &child.address, false, child_auth(false));
    echo(&client, 10);
    client_stop(&client);
    child_stop(&child);
}

/* An answer without taking the payload, small and large; the memory is free after. */
static void test_payload_not_taken(void **state)
{
    size_t sizes[] = {100, 1 << 20};
    struct child child;
    struct client client;

    (void)state;
    child_start(&child, 0);
    client_start(&client, &child.address, false, child_auth(false));
    for (int i = 0; i < 20; i++) {
        uint8_t *data = calloc(1, sizes[i % 2]);
        struct iovec iov = {.iov_base = data, .iov_len = sizes[i % 2]};
        struct rpc_call call = {.send = &iov, .n_send = 1};

        assert_int_equal(client_call(&client, &call, CHILD_DROP), -ENOSPC);
        assert_false(call.is_transport);
        free(data);
    }
    put_get(&client, 1 << 20, 1);
    client_stop(&client);
    child_stop(&child);
}

/* ---- peers that fail ---------------------------------------------------- */

static uint64_t ms_since(uint64_t start_ns)
{
    return (clock_now_ns() - start_ns) / CLOCK_NS_PER_MS;
}

/* A call that the server holds, with a payload it does not take. */
struct held_call {
    struct rpc_call call;
    struct iovec iov;
    bool is_done;
};

static void held_done(struct rpc_call *call)
{
    struct held_call *held = call->arg;

    held->is_done = true;
}

static void held_start(struct client *client, struct held_call *held, size_t size)
{
    *held = (struct held_call){
        .iov = {.iov_base = calloc(1, size), .iov_len = size},
        .call = {.opcode = CHILD_HOLD,
                 .send = &held->iov,
                 .n_send = 1,
                 .timeout_ms = 20000,
                 .done = held_done,
                 .arg = held},
    };
    assert_int_equal(rpc_call_start(client->peer, &held->call), 0);
}

/* Until done, or for the given time. */
static void progress_until(struct client *client, const bool *is_done, int timeout_ms)
{
    struct deadline deadline = deadline_after_ms((uint64_t)timeout_ms);

    while (!(is_done && *is_done) && !deadline_expired(deadline))
        if (rpc_progress(client->rpc) == 0)
            rpc_wait(client->rpc, deadline_remaining_ms(deadline));
}

static void peer_killed(bool use_worker_address)
{
    struct rpc_call call = {.timeout_ms = 2000};
    struct held_call small, large;
    struct child child;
    struct client client;
    uint64_t start;

    child_start(&child, 0);
    client_start(&client, &child.address, use_worker_address, child_auth(false));
    echo(&client, 1);
    held_start(&client, &small, 64);
    held_start(&client, &large, 16 << 20);
    progress_until(&client, NULL, 50);
    child_signal(&child, SIGKILL);
    start = clock_now_ns();
    progress_until(&client, &small.is_done, 10000);
    progress_until(&client, &large.is_done, 10000);
    assert_true(small.is_done && large.is_done);
    assert_true(ms_since(start) < 3000);
    assert_int_equal(small.call.status, -EHOSTDOWN);
    assert_int_equal(large.call.status, -EHOSTDOWN);
    assert_true(large.call.is_transport);
    free(small.iov.iov_base);
    free(large.iov.iov_base);
    /* and nobody there after it */
    start = clock_now_ns();
    assert_true(client_call(&client, &call, CHILD_ECHO) < 0);
    assert_true(call.is_transport && ms_since(start) < 3500);
    client_stop(&client);
    child_stop(&child);
}

static unsigned sockets_of(pid_t pid)
{
    char path[64], link[64];
    struct dirent *entry;
    unsigned n = 0;
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    dir = opendir(path);
    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        ssize_t len = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link));

        n += len > 7 && memcmp(link, "socket:", 7) == 0;
    }
    closedir(dir);
    return n;
}

/* Both sides give back the sockets of a connection that one of them has closed. */
static void closed(bool use_worker_address)
{
    struct child child;
    struct client client;
    unsigned own, server;

    child_start(&child, 0);
    client_start(&client, &child.address, use_worker_address, child_auth(false));
    own = sockets_of(getpid());
    server = sockets_of(child.pid);
    for (int i = 0; i < 3; i++) {
        struct deadline deadline = deadline_after_ms(5000);

        echo(&client, 100);
        assert_true(sockets_of(getpid()) > own);
        assert_true(sockets_of(child.pid) > server);
        assert_int_equal(rpc_peer_disconnect(client.peer), 0);
        while (sockets_of(getpid()) > own || sockets_of(child.pid) > server) {
            assert_false(deadline_expired(deadline));
            progress_until(&client, NULL, 5);
        }
    }
    client_stop(&client);
    child_stop(&child);
}

static void test_closed(void **state)
{
    (void)state;
    closed(false);
}

static void test_closed_address(void **state)
{
    (void)state;
    closed(true);
}

static void test_peer_killed(void **state)
{
    (void)state;
    peer_killed(false);
}

static void test_peer_killed_address(void **state)
{
    (void)state;
    peer_killed(true);
}

/* Calls to a stopped peer end by their deadline, and their memory is free then. */
static void test_peer_stopped(void **state)
{
    uint8_t *data = calloc(1, 4 << 20), range[8];
    struct iovec iov = {.iov_base = data, .iov_len = 4 << 20};
    struct rpc_call put = {
        .body = range,
        .body_len = child_range(range, 0, 4 << 20),
        .send = &iov,
        .n_send = 1,
        .timeout_ms = 400,
    };
    struct rpc_call small = {.timeout_ms = 300};
    struct child child;
    struct client client;
    uint64_t start;

    (void)state;
    child_start(&child, 0);
    client_start(&client, &child.address, false, child_auth(false));
    put_get(&client, 4 << 20, 1);
    child_signal(&child, SIGSTOP);
    start = clock_now_ns();
    assert_int_equal(client_call(&client, &small, CHILD_ECHO), -ETIMEDOUT);
    assert_int_equal(client_call(&client, &put, CHILD_PUT), -ETIMEDOUT);
    assert_true(put.is_transport);
    assert_true(ms_since(start) >= 700 && ms_since(start) < 2700);
    free(data);
    child_signal(&child, SIGCONT);
    put_get(&client, 1 << 20, 1);
    client_stop(&client);
    child_stop(&child);
}

/* A client that dies in the middle of things is no trouble to the others. */
static void test_clients_vanish(void **state)
{
    struct child child;
    struct client client, other;

    (void)state;
    child_start(&child, 0);
    client_start(&other, &child.address, false, child_auth(false));
    for (int i = 0; i < 5; i++) {
        struct held_call held;

        /* not by worker address: UCX before 1.14 aborts a server that can't answer */
        client_start(&client, &child.address, false, child_auth(false));
        held_start(&client, &held, 1 << 20);
        progress_until(&client, NULL, 10 * i);
        client_stop(&client);
        assert_true(held.is_done);
        assert_int_equal(held.call.status, -ECANCELED);
        free(held.iov.iov_base);
        put_get(&other, 200000, 1);
    }
    client_stop(&other);
    child_stop(&child);
}

static void test_many_clients(void **state)
{
    struct child child;

    (void)state;
    child_start(&child, 0);
    for (int i = 0; i < 200; i++) {
        struct client client;

        client_start(&client, &child.address, i % 4 == 3, child_auth(false));
        echo(&client, 100);
        if (i % 10 == 0)
            put_get(&client, 300000, 1);
        client_stop(&client);
    }
    child_stop(&child);
}

/* ---- addresses and ports ------------------------------------------------ */

static void test_port_again(void **state)
{
    struct child child, other;
    struct client client;
    uint16_t port;

    (void)state;
    child_start(&child, 0);
    port = ntohs(child.address.socket.sin_port);
    assert_int_not_equal(port, 0);
    client_start(&client, &child.address, false, child_auth(false));
    for (int i = 0; i < 4; i++) {
        echo(&client, 10);
        if (i % 2)
            child_signal(&child, SIGKILL);
        child_stop(&child);
        child_start(&child, port);
        assert_int_equal(ntohs(child.address.socket.sin_port), port);
        progress_until(
            &client, NULL, 100); /* the loss is known when the next call starts */
    }
    echo(&client, 10);
    client_stop(&client);
    /* a server of another process beside it */
    child_start(&other, 0);
    child_stop(&other);
    child_stop(&child);
}

static int listen_try(const char *address, uint16_t port, struct benchfs_error *err)
{
    static const struct rpc_server server = {0};
    struct rpc_config config = {
        .client = 5,
        .job = CHILD_JOB,
        .server = &server,
        .remote = &rpc_backend_ucx,
        .listen_address = address,
        .listen_port = port,
        .auth = child_auth(false),
    };
    struct rpc *rpc = NULL;
    int rc = rpc_create(&config, &rpc, err);

    rpc_destroy(rpc);
    return rc;
}

static void test_listen_errors(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct child child;
    char port[16];

    (void)state;
    child_start(&child, 0);
    snprintf(port, sizeof(port), "port %u", ntohs(child.address.socket.sin_port));
    assert_int_equal(
        listen_try("127.0.0.1", ntohs(child.address.socket.sin_port), &err),
        -EADDRINUSE);
    assert_non_null(strstr(err.text, "127.0.0.1"));
    assert_non_null(strstr(err.text, port));
    child_stop(&child);
    assert_int_equal(listen_try("192.0.2.1", 0, &err), -EADDRNOTAVAIL);
    assert_non_null(strstr(err.text, "192.0.2.1"));
    assert_int_equal(listen_try("localhost", 0, &err), -EINVAL);
    assert_non_null(strstr(err.text, "localhost"));
    assert_int_equal(listen_try("::1", 0, &err), 0);
}

static void test_nobody_listens(void **state)
{
    struct child_address address = {
        .socket = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
    };
    socklen_t len = sizeof(address.socket);
    struct rpc_call call = {0};
    struct client client;
    uint64_t start = clock_now_ns();
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    (void)state;
    /* a port that is taken, so that nobody else listens there meanwhile */
    assert_int_equal(bind(fd, (struct sockaddr *)&address.socket, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address.socket, &len), 0);
    client_start(&client, &address, false, child_auth(false));
    assert_int_equal(client_call(&client, &call, CHILD_ECHO), -ECONNREFUSED);
    assert_true(call.is_transport && ms_since(start) < 2000);
    client_stop(&client);
    close(fd);
}

/* Somebody who accepts but says nothing: the connect timeout. */
static void test_silent_listener(void **state)
{
    struct child_address address = {
        .socket = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
    };
    socklen_t len = sizeof(address.socket);
    struct rpc_call call = {.timeout_ms = 500};
    uint64_t n_connects;
    struct client client;
    uint64_t start = clock_now_ns();
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    (void)state;
    assert_int_equal(bind(fd, (struct sockaddr *)&address.socket, len), 0);
    assert_int_equal(listen(fd, 5), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address.socket, &len), 0);
    client_start(&client, &address, false, child_auth(false));
    assert_int_equal(client_call(&client, &call, CHILD_ECHO), -ETIMEDOUT);
    assert_true(ms_since(start) < 2000);
    /* nobody may come to go on with the connection */
    assert_int_equal(rpc_peer_state_get(client.peer, &n_connects), RPC_PEER_NONE);
    client_stop(&client);
    close(fd);
}

/* ---- numbers, shown only ------------------------------------------------ */

static void test_speed(void **state)
{
    const int n = 2000, n_large = 200;
    uint8_t *data = calloc(1, 1 << 20), range[8], body[64] = {0};
    struct iovec iov = {.iov_base = data, .iov_len = 1 << 20};
    struct child child;
    struct client client;
    uint64_t start, echo_ns, put_ns, get_ns;

    (void)state;
    child_start(&child, 0);
    client_start(&client, &child.address, false, child_auth(false));
    echo(&client, 64);
    start = clock_now_ns();
    for (int i = 0; i < n; i++) {
        struct rpc_call call = {.body = body, .body_len = sizeof(body)};

        assert_int_equal(client_call(&client, &call, CHILD_ECHO), 0);
    }
    echo_ns = (clock_now_ns() - start) / (uint64_t)n;
    child_range(range, 0, 1 << 20);
    start = clock_now_ns();
    for (int i = 0; i < n_large; i++) {
        struct rpc_call call = {
            .body = range, .body_len = 8, .send = &iov, .n_send = 1};

        assert_int_equal(client_call(&client, &call, CHILD_PUT), 0);
    }
    put_ns = (clock_now_ns() - start) / (uint64_t)n_large;
    start = clock_now_ns();
    for (int i = 0; i < n_large; i++) {
        struct rpc_call call = {
            .body = range, .body_len = 8, .recv = &iov, .n_recv = 1};

        assert_int_equal(client_call(&client, &call, CHILD_GET), 0);
    }
    get_ns = (clock_now_ns() - start) / (uint64_t)n_large;
    print_message("64 byte call and answer: %.1f us; 1 MiB, one after the other: "
                  "put %.0f MiB/s, get %.0f MiB/s\n",
                  (double)echo_ns / 1e3,
                  1e9 / (double)put_ns,
                  1e9 / (double)get_ns);
    client_stop(&client);
    child_stop(&child);
    free(data);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_socket_mode),
        cmocka_unit_test(test_address_mode),
        cmocka_unit_test(test_short_headers),
        cmocka_unit_test(test_wrong_credential),
        cmocka_unit_test(test_payload_not_taken),
        cmocka_unit_test(test_closed),
        cmocka_unit_test(test_closed_address),
        cmocka_unit_test(test_peer_killed),
        cmocka_unit_test(test_peer_killed_address),
        cmocka_unit_test(test_peer_stopped),
        cmocka_unit_test(test_clients_vanish),
        cmocka_unit_test(test_many_clients),
        cmocka_unit_test(test_port_again),
        cmocka_unit_test(test_listen_errors),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_silent_listener),
        cmocka_unit_test(test_speed),
    };
    int status = child_main(argc, argv);

    if (status >= 0)
        return status;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

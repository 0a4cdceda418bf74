/* SPDX-License-Identifier: Apache-2.0
 * The node-local route between processes: peers that are killed, other users, servers
 * that start again, clients that write nonsense into the shared memory. */
#include "local_route.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "proto/messages.h"
#include "proto/ops.h"
#include "transport/local/local.h"

#define NOBODY 65534

static void process_start(struct case_server *server)
{
    case_server_init(server, &local_route);
    case_server_start_process(server);
}

static void test_processes(void **state)
{
    struct case_server server;
    struct case_client client = {.patience_ms = 0};

    (void)state;
    process_start(&server);
    case_client_start(&client, &server, 1);
    case_put_get(&client, 100, 1);
    case_put_get(&client, (size_t)10 << 20, 3);
    case_put_get(&client, (size_t)64 << 20, 100);
    case_client_stop(&client);
    case_server_stop(&server);
}

/* ---- ends that die -------------------------------------------------------- */

struct outcome {
    bool is_done;
    int status;
    bool is_transport;
};

static void outcome_done(struct rpc_call *call)
{
    struct outcome *outcome = call->arg;

    *outcome = (struct outcome){
        .is_done = true, .status = call->status, .is_transport = call->is_transport};
}

static void outcome_wait(struct case_client *client, const struct outcome *outcome)
{
    while (!outcome->is_done) {
        if (rpc_progress(client->rpc) == 0)
            rpc_wait(client->rpc, -1);
    }
}

static void test_server_killed(void **state)
{
    static uint8_t data[1 << 20];
    struct case_server server;
    struct case_client client = {.patience_ms = 0};
    struct outcome outcomes[2] = {0};
    struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};
    struct rpc_call calls[2];
    struct rpc_call again = {0};
    uint64_t start;

    (void)state;
    process_start(&server);
    case_client_start(&client, &server, 1);
    (void)case_counters_get(&client);
    for (int i = 0; i < 2; i++) {
        calls[i] = (struct rpc_call){.opcode = i ? CASE_HOLD : CASE_HOLD_GET,
                                     .target = CASE_TARGET,
                                     .send = &iov,
                                     .n_send = i,
                                     .recv = &iov,
                                     .n_recv = !i,
                                     .done = outcome_done,
                                     .arg = &outcomes[i]};
        assert_int_equal(rpc_call_start(client.peer, &calls[i]), 0);
    }
    while (case_counters_get(&client).n_held < 2)
        continue;
    case_server_kill(&server);
    start = clock_now_ms();
    for (int i = 0; i < 2; i++) {
        outcome_wait(&client, &outcomes[i]);
        assert_int_equal(outcomes[i].status, -EHOSTDOWN);
        assert_true(outcomes[i].is_transport);
    }
    assert_in_range(clock_now_ms() - start, 0, 1000);
    assert_int_equal(case_call(&client, CASE_ECHO, &again), -ECONNREFUSED);

    /* The file of the dead one is in the way of the next. */
    case_client_stop(&client);
    case_server_start_process(&server);
    case_client_start(&client, &server, 1);
    (void)case_counters_get(&client);
    case_server_kill(&server);
    case_server_start_process(&server);
    /* Its first call may still hit the old connection; the one after does not. */
    if (case_call(&client, CASE_ECHO, &again))
        assert_int_equal(again.status, -EHOSTDOWN);
    (void)case_counters_get(&client);
    case_client_stop(&client);
    case_server_stop(&server);
}

static void client_killed_main(const struct case_server *server)
{
    static uint8_t data[1 << 20];
    struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};
    struct rpc_call call = {.recv = &iov, .n_recv = 1};
    struct case_client client = {.patience_ms = 0};
    pid_t parent = getpid();

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    case_client_start(&client, server, 55);
    if (fork() == 0) { /* has the socket too; the server must not wait for it */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent) /* else it was killed before */
            pause();
        _exit(0);
    }
    (void)case_call(&client, CASE_HOLD_GET, &call);
    _exit(0);
}

static void test_client_killed(void **state)
{
    struct deadline deadline = deadline_after_ms(10000);
    struct case_server server;
    struct case_client client = {.patience_ms = 0};
    struct case_counters counters;
    struct rpc_call release = {0};
    pid_t pid;

    (void)state;
    process_start(&server);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        client_killed_main(&server);
    case_client_start(&client, &server, 1);
    do
        counters = case_counters_get(&client);
    while (counters.n_held == 0 && !deadline_expired(deadline));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    do
        counters = case_counters_get(&client);
    while (counters.n_gone == 0 && !deadline_expired(deadline));
    assert_int_equal(counters.n_gone, 1);
    assert_int_equal(counters.last_gone, 55);
    /* A reply to somebody who is gone. */
    assert_int_equal(case_call(&client, CASE_RELEASE, &release), 0);
    (void)case_counters_get(&client);
    case_client_stop(&client);
    case_server_stop(&server);
}

static void test_no_server(void **state)
{
    struct case_server server;
    struct case_client client = {.patience_ms = 0};
    struct rpc_call call = {0};

    (void)state;
    case_server_init(&server, &local_route);
    case_client_start(&client, &server, 1);
    assert_int_equal(case_call(&client, CASE_ECHO, &call), -ECONNREFUSED);
    assert_true(call.is_transport);
    case_client_stop(&client);
    case_server_stop(&server);
}

static void test_path_in_use(void **state)
{
    struct case_server server;
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct rpc_config config = case_client_config(2);
    struct rpc_server callbacks = {0};
    struct rpc *rpc;
    struct stat st;

    (void)state;
    process_start(&server);
    assert_int_equal(stat(server.path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    config.local_path = server.path;
    config.server = &callbacks;
    assert_int_equal(rpc_create(&config, &rpc, &err), -EADDRINUSE);
    assert_non_null(strstr(err.text, server.path));
    assert_int_equal(stat(server.path, &st), 0);
    case_server_stop(&server);
}

/* ---- other users ---------------------------------------------------------- */

static int as_nobody(const struct case_server *server)
{
    struct rpc_call call = {0};
    struct case_client client = {.patience_ms = 0};
    int rc;

    if (setgid(NOBODY) || setuid(NOBODY))
        return -errno;
    case_client_start(&client, server, 66);
    rc = case_call(&client, CASE_ECHO, &call);
    case_client_stop(&client);
    return rc;
}

static void test_other_user(void **state)
{
    struct case_server server;
    int status;
    pid_t pid;

    (void)state;
    if (geteuid() != 0)
        skip();
    process_start(&server);
    /* Even if the permissions of the files fail us. */
    assert_int_equal(chmod(server.dir.path, 0777), 0);
    assert_int_equal(chmod(server.path, 0666), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(-as_nobody(&server));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EACCES);
    case_server_stop(&server);
}

/* Root is let in, and its memory, which the server can't reach, is not needed. */
static void test_root_client(void **state)
{
    static uint8_t data[1 << 20];
    struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};
    struct rpc_call held = {.recv = &iov, .n_recv = 1, .timeout_ms = 50};
    struct rpc_call release = {0};
    struct case_server server;
    struct case_client client = {.patience_ms = 0};

    (void)state;
    if (geteuid() != 0)
        skip();
    case_server_init(&server, &local_route);
    server.uid = NOBODY;
    case_server_start_process(&server);
    case_client_start(&client, &server, 1);
    for (int i = 0; i < 3; i++) {
        case_put_get(&client, 20000, 1);
        case_put_get(&client, (size_t)64 << 20, 2);
    }
    memset(data, 0x55, sizeof(data));
    assert_int_equal(case_call(&client, CASE_HOLD_GET, &held), -ETIMEDOUT);
    assert_int_equal(case_call(&client, CASE_RELEASE, &release), 0);
    assert_int_equal(data[0], 0x55);
    case_put_get(&client, (size_t)64 << 20, 2);
    case_client_stop(&client);
    case_server_stop(&server);
}

/* ---- hostile clients ------------------------------------------------------ */

struct hostile {
    int fd;
    struct local_region region;
    struct local_ring_out ring;
};

static void hostile_connect(struct hostile *hostile, const struct case_server *server)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    memset(hostile, 0, sizeof(*hostile));
    memcpy(address.sun_path, server->path, strlen(server->path) + 1);
    hostile->fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    assert_int_equal(connect(hostile->fd, (struct sockaddr *)&address, sizeof(address)),
                     0);
}

static void hostile_greet(struct hostile *hostile)
{
    struct local_hello hello = {.magic = LOCAL_MAGIC,
                                .version = LOCAL_VERSION,
                                .probe_address = (uintptr_t)&hello.probe_value,
                                .probe_value = 12345};
    struct local_welcome welcome;
    struct iovec iov = {.iov_base = &welcome, .iov_len = sizeof(welcome)};
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    int fd;

    assert_int_equal(send(hostile->fd, &hello, sizeof(hello), 0), sizeof(hello));
    assert_int_equal(recvmsg(hostile->fd, &message, 0), sizeof(welcome));
    assert_int_equal(welcome.status, 0);
    memcpy(&fd, CMSG_DATA(&control.head), sizeof(fd));
    assert_int_equal(local_region_map(&hostile->region, fd), 0);
    /* Nobody can take the memory away from under the server. */
    assert_int_equal(ftruncate(fd, 0), -1);
    close(fd);
    local_ring_out_init(&hostile->ring, &hostile->region, LOCAL_CLIENT);
}

static void hostile_ring(const struct hostile *hostile)
{
    (void)send(hostile->fd, "", 1, MSG_NOSIGNAL);
}

/* The server must close, and go on serving others. */
static void hostile_is_thrown_out(struct hostile *hostile, struct case_client *good)
{
    struct pollfd poll_fd = {.fd = hostile->fd, .events = POLLRDHUP};

    hostile_ring(hostile);
    assert_int_equal(poll(&poll_fd, 1, 5000), 1);
    assert_true(poll_fd.revents & (POLLHUP | POLLRDHUP));
    close(hostile->fd);
    local_region_unmap(&hostile->region);
    case_put_get(good, 50000, 1);
}

static void message_put(struct hostile *hostile,
                        struct local_record record,
                        const struct wire_header *header,
                        const void *rest,
                        size_t rest_len)
{
    uint8_t *place;

    if (record.size == 0)
        record.size = 4096;
    record.kind = record.kind ? record.kind : LOCAL_RECORD_MESSAGE;
    assert_int_equal(local_ring_reserve(&hostile->ring, 4096, &place), 0);
    memset(place, 0, 4096);
    memcpy(place, &record, sizeof(record));
    wire_header_encode(header, place + LOCAL_LINE);
    if (rest_len > 0)
        memcpy(place + LOCAL_LINE + WIRE_HEADER_SIZE, rest, rest_len);
    local_ring_publish(&hostile->ring, 4096);
}

static void hostile_hello(struct hostile *hostile, const struct case_server *server)
{
    uint8_t body[MSG_hello_request_MAX];
    struct msg_hello_request hello = {
        .kind = HELLO_CLIENT,
        .uid = (uint32_t)geteuid(),
        .job = {.data = CASE_JOB, .len = strlen(CASE_JOB)},
    };
    size_t len = msg_hello_request_encode(&hello, body, sizeof(body));
    struct wire_header header = {
        .opcode = OP_HELLO, .client = 9, .request = 1, .body_len = (uint32_t)len};
    struct local_record record = {.body_len = (uint32_t)len};
    struct local_ring_in in;
    struct deadline deadline = deadline_after_ms(5000);

    hostile_connect(hostile, server);
    hostile_greet(hostile);
    message_put(hostile, record, &header, body, len);
    hostile_ring(hostile);
    local_ring_in_init(&in, &hostile->region, LOCAL_CLIENT);
    while (!local_ring_has_record(&in))
        assert_false(deadline_expired(deadline));
}

static void test_hostile_greeting(void **state)
{
    struct case_server server;
    struct case_client good;
    struct hostile hostile;
    char junk[64] = "this is not a hello";

    (void)state;
    process_start(&server);
    case_client_start(&good, &server, 1);
    hostile_connect(&hostile, &server);
    assert_int_equal(send(hostile.fd, junk, sizeof(junk), 0), sizeof(junk));
    hostile_is_thrown_out(&hostile, &good);
    /* One that never says a word is closed after the connect timeout. */
    hostile_connect(&hostile, &server);
    struct pollfd poll_fd = {.fd = hostile.fd, .events = POLLRDHUP};
    assert_int_equal(poll(&poll_fd, 1, 5000), 1);
    close(hostile.fd);
    case_client_stop(&good);
    case_server_stop(&server);
}

static void test_hostile_positions(void **state)
{
    static const uint64_t tails[] = {1, 63, 2 * LOCAL_RING_SIZE, UINT64_MAX, 4096};
    struct case_server server;
    struct case_client good;
    struct hostile hostile;

    (void)state;
    process_start(&server);
    case_client_start(&good, &server, 1);
    for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
        hostile_hello(&hostile, &server);
        atomic_store(&hostile.region.control->sides[LOCAL_CLIENT].tail,
                     hostile.ring.tail + tails[i]);
        hostile_is_thrown_out(&hostile, &good);
    }
    /* The server's replies would go beyond what the reader claims to have read. */
    hostile_hello(&hostile, &server);
    atomic_store(&hostile.region.control->sides[LOCAL_CLIENT].head, UINT64_MAX / 2);
    for (int i = 0; i < 40; i++) {
        struct wire_header header = {
            .opcode = OP_CREATE, .client = 9, .request = 2, .body_len = 3000};
        struct local_record record = {.body_len = 3000};

        message_put(&hostile, record, &header, NULL, 0);
    }
    for (int i = 0; i < 100; i++)
        hostile_ring(&hostile);
    case_put_get(&good, 50000, 1);
    close(hostile.fd);
    local_region_unmap(&hostile.region);
    case_client_stop(&good);
    case_server_stop(&server);
}

static void test_hostile_messages(void **state)
{
    const struct wire_header create = {.opcode = OP_CREATE, .client = 9, .request = 2};
    const struct wire_header write = {
        .opcode = OP_WRITE, .client = 9, .request = 2, .payload_len = 100000};
    const struct wire_header big = {
        .opcode = OP_WRITE, .client = 9, .request = 2, .payload_len = 8000};
    const struct wire_header other = {.opcode = OP_CREATE, .client = 8, .request = 2};
    const struct wire_header long_body = {
        .opcode = OP_GETATTR, .client = 9, .request = 2, .body_len = 200};
    const struct wire_header hello = {.opcode = OP_HELLO, .client = 9, .request = 2};
    const struct local_span span = {.address = 4096, .length = 100000};
    const struct local_span beyond = {.address = LOCAL_BOUNCE_SIZE - 4096,
                                      .length = 100000};
    const struct local_span huge = {.address = 4096, .length = UINT64_MAX - 5};
    const struct {
        struct local_record record;
        const struct wire_header *header;
        const struct local_span *span;
    } cases[] = {
        {{.size = 32}, &create, NULL},
        {{.size = 1 << 30}, &create, NULL},
        {{.kind = 99}, &create, NULL},
        {{.body_len = 4095}, &create, NULL},
        {{.body_len = UINT32_MAX}, &create, NULL},
        {{.body_len = 10}, &create, NULL}, /* the header says 0 */
        {{.payload_len = 8000, .payload_mode = LOCAL_PAYLOAD_INLINE}, &big, NULL},
        {{.payload_len = 100000}, &write, NULL},
        {{.payload_len = 100000, .payload_mode = 77}, &write, NULL},
        {{.payload_len = 100000, .payload_mode = LOCAL_PAYLOAD_DIRECT, .n_payload = 1},
         &write,
         &span}, /* no gate */
        {{.payload_len = 100000,
          .payload_mode = LOCAL_PAYLOAD_DIRECT,
          .n_payload = 1,
          .gate = LOCAL_GATES,
          .gate_word = 5},
         &write,
         &span},
        {{.payload_len = 100000, .payload_mode = LOCAL_PAYLOAD_BOUNCE, .n_payload = 1},
         &write,
         &beyond},
        {{.payload_len = 100000, .payload_mode = LOCAL_PAYLOAD_BOUNCE, .n_payload = 1},
         &write,
         &huge},
        {{.n_payload = 60000}, &create, NULL},
        {{.n_space = 3}, &create, NULL},
        {{.body_len = 200}, &long_body, NULL},
        {{.size = 0}, &other, NULL},
        {{.size = 0}, &hello, NULL},
    };
    struct case_server server;
    struct case_client good;
    struct hostile hostile;

    (void)state;
    process_start(&server);
    case_client_start(&good, &server, 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        hostile_hello(&hostile, &server);
        message_put(&hostile,
                    cases[i].record,
                    cases[i].header,
                    cases[i].span,
                    cases[i].span ? sizeof(span) : 0);
        hostile_is_thrown_out(&hostile, &good);
    }
    /* Not the first word that may be said. */
    hostile_connect(&hostile, &server);
    hostile_greet(&hostile);
    message_put(&hostile, (struct local_record){0}, &create, NULL, 0);
    hostile_is_thrown_out(&hostile, &good);
    case_client_stop(&good);
    case_server_stop(&server);
}

/* An address that is not mapped: the request fails, the connection stays. */
static void test_bad_address(void **state)
{
    struct case_server server;
    struct case_client client = {.patience_ms = 0};
    uint8_t range[8];
    struct iovec iov = {.iov_base = (void *)4096, .iov_len = 1 << 20};
    struct rpc_call put = {.body = range,
                           .body_len = case_range(range, 0, 1 << 20),
                           .send = &iov,
                           .n_send = 1};
    struct rpc_call get = {.body = range, .body_len = 8, .recv = &iov, .n_recv = 1};

    (void)state;
    process_start(&server);
    case_client_start(&client, &server, 1);
    assert_int_equal(case_call(&client, CASE_PUT, &put), -EFAULT);
    assert_int_equal(case_call(&client, CASE_GET, &get), -EFAULT);
    case_put_get(&client, 1 << 20, 1);
    case_client_stop(&client);
    case_server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_processes),
        cmocka_unit_test(test_server_killed),
        cmocka_unit_test(test_client_killed),
        cmocka_unit_test(test_no_server),
        cmocka_unit_test(test_path_in_use),
        cmocka_unit_test(test_other_user),
        cmocka_unit_test(test_root_client),
        cmocka_unit_test(test_hostile_greeting),
        cmocka_unit_test(test_hostile_positions),
        cmocka_unit_test(test_hostile_messages),
        cmocka_unit_test(test_bad_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * The server process of the UCX tests, and clients to it. */
#include "rpc_ucx_child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "proto/messages.h"
#include "proto/ops.h"
#include "transport/auth_munge.h"
#include "transport/rpc_ucx.h"

#define CHILD_CONTROL_FD 3 /* pipe from the test: ends with it */
#define CHILD_REPORT_FD  4
#define CHILD_TIMEOUT_MS 20000

/* ---- authentication ----------------------------------------------------- */

static int auth_make(void *arg,
                     const void *challenge,
                     size_t len,
                     char *buf,
                     size_t cap,
                     struct benchfs_error *err)
{
    (void)err;
    assert_true(len > 0 && len <= cap);
    memcpy(buf, challenge, len);
    if (arg)
        buf[0] ^= 1;
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
    if (cred_len == len && memcmp(cred, challenge, len) == 0)
        return 0;
    return benchfs_error_set(err, EACCES, "wrong credential");
}

const struct rpc_auth *child_auth(bool is_wrong)
{
    static char wrong;
    static const struct rpc_auth auths[] = {
        {.make = auth_make, .check = auth_check},
        {.make = auth_make, .check = auth_check, .arg = &wrong},
    };

    return &auths[is_wrong];
}

/* ---- the server --------------------------------------------------------- */

struct server {
    uint8_t *memory; /* CHILD_MEMORY_MAX bytes */
};

struct put {
    struct rpc_request *request;
    struct iovec iov;
};

static void put_done(void *arg, int status)
{
    struct put *put = arg;

    rpc_request_reply(put->request,
                      status,
                      put->request->body,
                      put->request->header.body_len,
                      NULL,
                      0,
                      NULL,
                      NULL);
    free(put);
}

static void reply(struct rpc_request *request, int status, size_t body_len)
{
    rpc_request_reply(request, status, request->body, body_len, NULL, 0, NULL, NULL);
}

static void iov_free(void *arg, int status)
{
    (void)status;
    free(arg);
}

static void range_handle(struct server *server, struct rpc_request *request)
{
    struct wire_reader r = {.data = request->body, .length = request->header.body_len};
    uint32_t offset = wire_get_u32(&r), length = wire_get_u32(&r);
    struct put *put;

    if (r.failed || offset > CHILD_MEMORY_MAX || length > CHILD_MEMORY_MAX - offset) {
        reply(request, -EINVAL, 0);
        return;
    }
    put = calloc(1, sizeof(*put));
    assert_non_null(put);
    put->request = request;
    put->iov = (struct iovec){.iov_base = server->memory + offset, .iov_len = length};
    if (request->header.opcode == CHILD_GET)
        rpc_request_reply(request, 0, NULL, 0, &put->iov, 1, iov_free, put);
    else if (length == 0)
        put_done(put, 0);
    else
        rpc_request_pull(request, &put->iov, 1, put_done, put);
}

static void on_request(void *arg, struct rpc_request *request)
{
    switch ((enum child_op)request->header.opcode) {
    case CHILD_PUT:
    case CHILD_GET:
        range_handle(arg, request);
        return;
    case CHILD_ECHO:
        reply(request, 0, request->header.body_len);
        return;
    case CHILD_DROP:
        reply(request, -ENOSPC, request->header.body_len);
        return;
    case CHILD_HOLD:
        return;
    }
    reply(request, -EOPNOTSUPP, 0);
}

static void on_client_down(void *arg, uint64_t client, bool is_evicted)
{
    (void)arg;
    (void)client;
    (void)is_evicted;
}

static void report(const struct rpc *rpc)
{
    struct child_address address = {0};
    struct rpc_address own;

    assert_int_equal(rpc_address_get(rpc, &own), 0);
    assert_int_equal(own.socket_address_len, sizeof(address.socket));
    assert_true(own.worker_address_len <= sizeof(address.worker));
    memcpy(&address.socket, own.socket_address, sizeof(address.socket));
    memcpy(address.worker, own.worker_address, own.worker_address_len);
    address.worker_len = (uint32_t)own.worker_address_len;
    assert_int_equal(write(CHILD_REPORT_FD, &address, sizeof(address)),
                     sizeof(address));
    close(CHILD_REPORT_FD);
}

static void serve(struct rpc *rpc)
{
    struct pollfd fds[] = {
        {.fd = CHILD_CONTROL_FD, .events = POLLIN},
        {.fd = rpc_wait_fd(rpc), .events = POLLIN},
    };
    int timeout_ms;

    while (!(fds[0].revents & (POLLIN | POLLHUP))) {
        if (rpc_progress(rpc) > 0 || !rpc_wait_prepare(rpc, &timeout_ms))
            continue;
        poll(fds, 2, timeout_ms);
    }
}

int child_main(int argc, char **argv)
{
    struct server server = {.memory = calloc(1, CHILD_MEMORY_MAX)};
    struct rpc_server handler = {
        .on_request = on_request,
        .on_client_down = on_client_down,
        .arg = &server,
    };
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct rpc_config config = {
        .client = 1,
        .job = CHILD_JOB,
        .kind = HELLO_DAEMON,
        .request_timeout_ms = 10000,
        .connect_timeout_ms = 5000,
        .client_limit = 64,
        .server = &handler,
        .remote = &rpc_backend_ucx,
        .listen_address = "127.0.0.1",
        .auth = child_auth(false),
        .instance = 7,
    };
    const char *socket = getenv(CHILD_MUNGE_SOCKET);
    struct auth_munge *munge = NULL;
    struct rpc *rpc;
    int rc;

    if (argc != 3 || strcmp(argv[1], "--serve") != 0) {
        free(server.memory);
        return -1;
    }
    config.listen_port = (uint16_t)strtoul(argv[2], NULL, 10);
    if (socket) {
        assert_int_equal(auth_munge_create(socket, &munge, &err), 0);
        config.auth = auth_munge_rpc(munge);
    }
    rc = rpc_create(&config, &rpc, &err);
    if (rc < 0) {
        fprintf(stderr, "%s\n", err.text);
        goto out;
    }
    rpc_set_n_targets(rpc, 1);
    assert_int_equal(rpc_register_memory(rpc, server.memory, CHILD_MEMORY_MAX, &err),
                     0);
    report(rpc);
    serve(rpc);
    rpc_destroy(rpc);
out:
    auth_munge_destroy(munge);
    free(server.memory);
    return rc < 0;
}

/* ---- starting it -------------------------------------------------------- */

static void child_exec(int control, int report_fd, uint16_t port)
{
    char text[8];

    /* above the numbers wanted, so that neither is overwritten */
    control = fcntl(control, F_DUPFD, 10);
    report_fd = fcntl(report_fd, F_DUPFD, 10);
    dup2(control, CHILD_CONTROL_FD);
    dup2(report_fd, CHILD_REPORT_FD);
    close_range(CHILD_REPORT_FD + 1, ~0u, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(text, sizeof(text), "%u", port);
    execl("/proc/self/exe", "test_rpc_ucx", "--serve", text, (char *)NULL);
    _exit(127);
}

void child_start(struct child *child, uint16_t port)
{
    int control[2], report_fds[2];
    struct pollfd fd;

    assert_int_equal(pipe2(control, O_CLOEXEC), 0);
    assert_int_equal(pipe2(report_fds, O_CLOEXEC), 0);
    child->pid = fork();
    assert_true(child->pid >= 0);
    if (child->pid == 0)
        child_exec(control[0], report_fds[1], port);
    close(control[0]);
    close(report_fds[1]);
    child->control = control[1];
    fd = (struct pollfd){.fd = report_fds[0], .events = POLLIN};
    assert_int_equal(poll(&fd, 1, CHILD_TIMEOUT_MS), 1);
    assert_int_equal(read(fd.fd, &child->address, sizeof(child->address)),
                     sizeof(child->address));
    close(report_fds[0]);
}

void child_signal(const struct child *child, int signal)
{
    assert_int_equal(kill(child->pid, signal), 0);
}

void child_stop(struct child *child)
{
    struct deadline deadline = deadline_after_ms(5000);
    int status = 0;

    close(child->control);
    while (waitpid(child->pid, &status, WNOHANG) == 0) {
        if (deadline_expired(deadline)) {
            kill(child->pid, SIGKILL);
            waitpid(child->pid, &status, 0);
            break;
        }
        poll(NULL, 0, 5);
    }
    /* ended as told, or killed by the test */
    assert_true((WIFEXITED(status) && WEXITSTATUS(status) == 0)
                || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
}

/* ---- clients ------------------------------------------------------------ */

void client_start(struct client *client,
                  const struct child_address *address,
                  bool use_worker_address,
                  const struct rpc_auth *auth)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct rpc_config config = {
        .job = CHILD_JOB,
        .kind = HELLO_CLIENT,
        .request_timeout_ms = 10000,
        .connect_timeout_ms = 3000,
        .spin_us = 50,
        .remote = &rpc_backend_ucx,
        .auth = auth,
    };
    struct rpc_peer_config peer = {
        .name = "the child",
        .socket_address = &address->socket,
        .socket_address_len = sizeof(address->socket),
        .worker_address = address->worker,
        .worker_address_len = address->worker_len,
        .use_worker_address = use_worker_address,
    };

    assert_int_equal(random_u64(&config.client), 0);
    config.client |= 1;
    if (rpc_create(&config, &client->rpc, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(rpc_peer_create(client->rpc, &peer, &client->peer, &err), 0);
}

void client_stop(struct client *client)
{
    rpc_destroy(client->rpc);
}

size_t child_range(uint8_t *buf, uint32_t offset, uint32_t length)
{
    struct wire_writer w = {.data = buf, .capacity = 8};

    wire_put_u32(&w, offset);
    wire_put_u32(&w, length);
    return w.length;
}

static void call_done(struct rpc_call *call)
{
    (void)call;
}

int client_call(struct client *client, struct rpc_call *call, enum child_op op)
{
    call->opcode = (uint16_t)op;
    if (!call->done)
        call->done = call_done;
    return rpc_call_sync(client->peer, call);
}

/* SPDX-License-Identifier: Apache-2.0
 * The server of the cases, as a thread or a process, and the client's basics. */
#include "rpc_cases.h"

#include <assert.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "proto/messages.h"

#define HELD_MAX 512

/* The thread's or process's own. */
struct service {
    struct case_shared *shared;
    struct rpc *rpc;
    struct rpc_request *held[HELD_MAX];
    struct case_counters counters;
    struct rpc_server callbacks;
};

static void reply_text(struct rpc_request *request, int status)
{
    rpc_request_reply(
        request, status, request->body, request->header.body_len, NULL, 0, NULL, NULL);
}

static void put_pulled(void *arg, int status)
{
    reply_text(arg, status);
}

static void free_done(void *arg, int status)
{
    (void)status;
    free(arg);
}

static bool range_get(const struct rpc_request *request,
                      struct iovec *ret,
                      struct case_shared *shared)
{
    struct wire_reader r = {.data = request->body, .length = request->header.body_len};
    uint32_t offset = wire_get_u32(&r);
    uint32_t length = wire_get_u32(&r);

    *ret = (struct iovec){.iov_base = shared->memory + offset, .iov_len = length};
    return !r.failed && offset <= CASE_MEMORY_MAX && length <= CASE_MEMORY_MAX - offset;
}

static void release_all(struct service *service)
{
    for (uint64_t i = 0; i < service->counters.n_held; i++) {
        struct rpc_request *request = service->held[i];
        struct iovec iov = {.iov_len = request->header.reply_space};

        iov.iov_base = malloc(iov.iov_len + 1);
        memset(iov.iov_base, 0xAA, iov.iov_len);
        rpc_request_reply(
            request, 0, NULL, 0, &iov, iov.iov_len > 0, free_done, iov.iov_base);
    }
    service->counters.n_held = 0;
}

static void on_request(void *arg, struct rpc_request *request)
{
    struct service *service = arg;
    struct iovec iov;

    switch ((int)request->header.opcode) {
    case CASE_PUT:
        if (!range_get(request, &iov, service->shared)
            || iov.iov_len != request->header.payload_len)
            reply_text(request, -EINVAL);
        else if (iov.iov_len == 0)
            reply_text(request, 0);
        else
            rpc_request_pull(request, &iov, 1, put_pulled, request);
        return;
    case CASE_GET:
        if (!range_get(request, &iov, service->shared)
            || iov.iov_len > request->header.reply_space)
            reply_text(request, -EINVAL);
        else
            rpc_request_reply(request, 0, NULL, 0, &iov, 1, NULL, NULL);
        return;
    case CASE_HOLD:
    case CASE_HOLD_LAST:
    case CASE_HOLD_GET:
        assert(service->counters.n_held < HELD_MAX);
        service->held[service->counters.n_held++] = request;
        return;
    case CASE_RELEASE:
        release_all(service);
        reply_text(request, 0);
        return;
    case CASE_COUNTERS:
        rpc_stats_get(service->rpc, &service->counters.stats);
        rpc_request_reply(request,
                          0,
                          &service->counters,
                          sizeof(service->counters),
                          NULL,
                          0,
                          NULL,
                          NULL);
        return;
    default:
        reply_text(request, 0);
    }
}

static void on_client_down(void *arg, uint64_t client, bool is_evicted)
{
    struct service *service = arg;

    if (is_evicted)
        return;
    service->counters.n_gone++;
    service->counters.last_gone = client;
}

static bool has_open(void *arg, uint64_t client)
{
    (void)arg;
    return client >= CASE_CLIENT_WITH_OPEN;
}

static int service_create(struct service *service, const struct case_server *server)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct rpc_config config = {
        .client = 1000,
        .job = CASE_JOB,
        .kind = HELLO_DAEMON,
        .spin_us = 20,
        .connect_timeout_ms = 2000,
        .client_limit = server->client_limit,
        .server = &service->callbacks,
        .target = CASE_TARGET,
        .node = 3,
        .instance = 99,
    };
    struct rpc_address address;
    int rc;

    service->shared = server->shared;
    service->callbacks = (struct rpc_server){
        .on_request = on_request,
        .on_client_down = on_client_down,
        .has_open = has_open,
        .arg = service,
    };
    server->route->server_config(server, &config);
    rc = rpc_create(&config, &service->rpc, &err);
    if (rc) {
        fprintf(stderr, "server: %s\n", err.text);
        return rc;
    }
    rpc_set_n_targets(service->rpc, 11);
    if (rpc_address_get(service->rpc, &address) == 0) {
        assert(address.socket_address_len <= sizeof(server->shared->socket_address));
        memcpy(server->shared->socket_address,
               address.socket_address,
               address.socket_address_len);
        server->shared->socket_address_len = address.socket_address_len;
    }
    return 0;
}

static void service_run(struct service *service)
{
    while (!atomic_load(&service->shared->stop)) {
        if (rpc_progress(service->rpc) == 0)
            rpc_wait(service->rpc, -1);
    }
}

/* What is held is lost, as when it is killed. */
static void service_destroy(struct service *service)
{
    rpc_destroy(service->rpc);
    free(service);
}

static void *service_thread(void *arg)
{
    service_run(arg);
    return arg;
}

void case_server_init(struct case_server *server, const struct rpc_route *route)
{
    *server = (struct case_server){.route = route};
    unit_dir_create(&server->dir);
    snprintf(server->path, sizeof(server->path), "%s/shard-0.sock", server->dir.path);
    server->shared = mmap(NULL,
                          sizeof(*server->shared),
                          PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS,
                          -1,
                          0);
    assert_ptr_not_equal(server->shared, MAP_FAILED);
}

void case_server_start_thread(struct case_server *server)
{
    struct service *service = calloc(1, sizeof(*service));

    atomic_store(&server->shared->stop, false);
    assert_int_equal(service_create(service, server), 0);
    server->rpc = service->rpc;
    assert_int_equal(pthread_create(&server->thread, NULL, service_thread, service), 0);
}

/* A socket that nobody listens on. */
static void stale_socket_make(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    unlink(path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
}

void case_server_halt_thread(struct case_server *server)
{
    void *service;

    atomic_store(&server->shared->stop, true);
    rpc_wake(server->rpc);
    pthread_join(server->thread, &service);
    service_destroy(service);
    server->rpc = NULL;
    stale_socket_make(server->path);
}

static void process_main(const struct case_server *server)
{
    struct service *service = calloc(1, sizeof(*service));
    int rc = 0;

    if (server->uid
        && (chown(server->dir.path, server->uid, (gid_t)-1) || setgid(65534)
            || setuid(server->uid)))
        rc = -errno;
    if (!rc)
        rc = service_create(service, server);
    atomic_store(&server->shared->ready, rc ? rc : 1);
    if (!rc)
        service_run(service);
    _exit(0);
}

void case_server_start_process(struct case_server *server)
{
    struct deadline deadline = deadline_after_ms(10000);

    atomic_store(&server->shared->ready, 0);
    server->pid = fork();
    assert_true(server->pid >= 0);
    if (server->pid == 0)
        process_main(server);
    while (atomic_load(&server->shared->ready) == 0 && !deadline_expired(deadline))
        sched_yield();
    assert_int_equal(atomic_load(&server->shared->ready), 1);
}

void case_server_kill(struct case_server *server)
{
    kill(server->pid, SIGKILL);
    assert_int_equal(waitpid(server->pid, NULL, 0), server->pid);
    server->pid = 0;
    server->rpc = NULL;
}

void case_server_stop(struct case_server *server)
{
    if (server->pid > 0) {
        case_server_kill(server);
    } else if (server->rpc) {
        case_server_halt_thread(server);
    }
    munmap(server->shared, sizeof(*server->shared));
    unit_dir_remove(&server->dir);
}

/* ---- client --------------------------------------------------------------- */

struct rpc_config case_client_config(uint64_t id)
{
    return (struct rpc_config){.client = id,
                               .job = CASE_JOB,
                               .kind = HELLO_CLIENT,
                               .spin_us = 20,
                               .request_timeout_ms = 20000,
                               .connect_timeout_ms = 5000};
}

void case_client_start_config(struct case_client *client,
                              const struct case_server *server,
                              const struct rpc_config *config)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct rpc_config copy = *config;
    struct rpc_peer_config peer = {
        .target = CASE_TARGET, .name = "server", .patience_ms = client->patience_ms};

    server->route->client_config(&copy);
    assert_int_equal(rpc_create(&copy, &client->rpc, &err), 0);
    server->route->peer_config(server, &peer);
    assert_int_equal(rpc_peer_create(client->rpc, &peer, &client->peer, &err), 0);
}

void case_client_start(struct case_client *client,
                       const struct case_server *server,
                       uint64_t id)
{
    struct rpc_config config = case_client_config(id);

    case_client_start_config(client, server, &config);
}

void case_client_stop(struct case_client *client)
{
    rpc_destroy(client->rpc);
    client->rpc = NULL;
}

size_t case_range(uint8_t *buf, uint32_t offset, uint32_t length)
{
    struct wire_writer w = {.data = buf, .capacity = 8};

    wire_put_u32(&w, offset);
    wire_put_u32(&w, length);
    return w.length;
}

void case_fill(uint8_t *data, size_t size, uint32_t seed)
{
    for (size_t i = 0; i < size; i++) {
        seed = seed * 1664525 + 1013904223;
        data[i] = (uint8_t)(seed >> 24);
    }
}

int case_call(struct case_client *client, enum case_op op, struct rpc_call *call)
{
    call->opcode = (uint16_t)op;
    call->target = CASE_TARGET;
    return rpc_call_sync(client->peer, call);
}

struct case_counters case_counters_get(struct case_client *client)
{
    struct case_counters counters;
    struct rpc_call call = {0};

    assert_int_equal(case_call(client, CASE_COUNTERS, &call), 0);
    assert_int_equal(call.reply_len, sizeof(counters));
    memcpy(&counters, call.reply, sizeof(counters));
    return counters;
}

/* Cuts memory into `n` entries. */
static void cut(uint8_t *data, size_t size, int n, struct iovec *ret_iov)
{
    size_t piece = size / (size_t)n;

    for (int i = 0; i < n; i++) {
        size_t len = i + 1 < n ? piece : size - piece * (size_t)(n - 1);

        ret_iov[i] =
            (struct iovec){.iov_base = data + piece * (size_t)i, .iov_len = len};
    }
}

void case_put_get(struct case_client *client, size_t size, int n_iov)
{
    uint8_t *out = malloc(size + 1), *in = malloc(size + 1), range[8];
    struct iovec *send = calloc((size_t)n_iov, sizeof(*send));
    struct iovec *recv = calloc((size_t)n_iov, sizeof(*recv));
    struct rpc_call put = {.body = range,
                           .body_len = case_range(range, 0, (uint32_t)size),
                           .send = send,
                           .n_send = n_iov};
    struct rpc_call get = {.body = range, .body_len = 8, .recv = recv, .n_recv = n_iov};

    cut(out, size, n_iov, send);
    cut(in, size, n_iov, recv);
    case_fill(out, size, (uint32_t)size);
    memset(in, 0, size);
    assert_int_equal(case_call(client, CASE_PUT, &put), 0);
    assert_int_equal(put.reply_len, 8);
    assert_memory_equal(put.reply, range, 8);
    assert_int_equal(case_call(client, CASE_GET, &get), 0);
    assert_int_equal(get.received, size);
    assert_true(memcmp(in, out, size) == 0);
    free(send);
    free(recv);
    free(out);
    free(in);
}

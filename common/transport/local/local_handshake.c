/* SPDX-License-Identifier: Apache-2.0
 *
 * How two processes of a node meet: the client connects and says which word of its
 * memory the server may try to read; the server checks who it is (SO_PEERCRED), tries,
 * and sends the shared memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/random.h"
#include "transport/local/local.h"

#define ACCEPTS_PER_TURN 32
#define RETRY_NS         (2 * CLOCK_NS_PER_MS)
#define LISTEN_RETRY_NS  (10 * CLOCK_NS_PER_MS)

/* ---- the server's socket -------------------------------------------------- */

static int address_make(const char *path, struct sockaddr_un *ret)
{
    size_t len = strlen(path);

    if (len == 0 || len >= sizeof(ret->sun_path))
        return -ENAMETOOLONG;
    memset(ret, 0, sizeof(*ret));
    ret->sun_family = AF_UNIX;
    memcpy(ret->sun_path, path, len + 1);
    return 0;
}

static int socket_open(void)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    return fd < 0 ? -errno : fd;
}

/* Whether somebody listens there: a socket may be left over from a process that was
 * killed. */
static int check_unused(const struct sockaddr_un *address)
{
    int fd = socket_open();
    int rc = 0;

    if (fd < 0)
        return fd;
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0
        || (errno != ECONNREFUSED && errno != ENOENT))
        rc = -EADDRINUSE;
    close(fd);
    return rc;
}

/*
 * Binds and listens under another name first, which then replaces what was left over:
 * so clients that come back to a restarted server find either the old socket, that
 * refuses them, or the new one, but never none, which would tell them that the service
 * has ended.
 */
static int address_listen(int fd, const struct sockaddr_un *address)
{
    struct sockaddr_un fresh = *address;
    size_t len = strlen(address->sun_path);
    int rc = check_unused(address);

    if (rc)
        return rc;
    if (len + 1 >= sizeof(fresh.sun_path))
        return -ENAMETOOLONG;
    memcpy(fresh.sun_path + len, "~", 2);
    if (unlink(fresh.sun_path) && errno != ENOENT)
        return -errno;
    if (bind(fd, (const struct sockaddr *)&fresh, sizeof(fresh)))
        return -errno;
    if (listen(fd, SOMAXCONN) || rename(fresh.sun_path, address->sun_path)) {
        rc = -errno;
        unlink(fresh.sun_path);
    }
    return rc;
}

int local_listen(struct local_state *state, const char *path, struct benchfs_error *err)
{
    struct sockaddr_un address;
    int rc = address_make(path, &address);

    if (rc)
        return benchfs_error_set(err, rc, "socket %s: path too long", path);
    state->listen_fd = socket_open();
    if (state->listen_fd < 0) {
        rc = state->listen_fd;
        state->listen_fd = -1;
        return benchfs_error_set(err, rc, "socket %s: %s", path, strerror(-rc));
    }
    /* The mode of the socket becomes that of the file, so it is never open to others.
     */
    rc = fchmod(state->listen_fd, 0600) ? -errno : 0;
    if (!rc)
        rc = address_listen(state->listen_fd, &address);
    if (rc) {
        close(state->listen_fd); /* not ours to unlink */
        state->listen_fd = -1;
        return benchfs_error_set(err, rc, "socket %s: %s", path, strerror(-rc));
    }
    state->listener = (struct local_source){.kind = LOCAL_SOURCE_LISTENER};
    rc = local_watch(state, state->listen_fd, &state->listener);
    if (rc)
        return benchfs_error_set(err, rc, "socket %s: %s", path, strerror(-rc));
    state->is_listening = true;
    return 0;
}

/* Who is at the other end, and a descriptor that tells when that process has ended (the
 * socket may be kept open by a child of it). */
static int process_identify(struct local_connection *connection, uint32_t *ret_uid)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);
    int rc;

    if (getsockopt(connection->socket, SOL_SOCKET, SO_PEERCRED, &cred, &len))
        return -errno;
    connection->pid = cred.pid;
    *ret_uid = cred.uid;
    if (cred.pid <= 0 || cred.pid == getpid())
        return 0; /* of another pid namespace; or a thread of ours */
    connection->pid_fd = pidfd_open(cred.pid, 0);
    if (connection->pid_fd < 0)
        return errno == ESRCH                       ? -EHOSTDOWN
               : errno == EMFILE || errno == ENFILE ? -errno
                                                    : 0; /* old kernel: do without */
    rc = local_watch(connection->state, connection->pid_fd, &connection->pid_source);
    return rc;
}

static int welcome_send(struct local_connection *connection, int status, int region_fd)
{
    struct local_welcome welcome = {.magic = LOCAL_MAGIC,
                                    .version = LOCAL_VERSION,
                                    .status = status,
                                    .is_direct = connection->is_direct};
    struct iovec iov = {.iov_base = &welcome, .iov_len = sizeof(welcome)};
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

    if (region_fd >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.head), &region_fd, sizeof(int));
    }
    return sendmsg(connection->socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0
               ? -errno
               : 0;
}

/* The user itself, and root: hooks of the resource manager run as root. */
static int uid_check(uint32_t uid)
{
    return uid == (uint32_t)geteuid() || uid == 0 ? 0 : -EACCES;
}

/* Another client gives way, and this one comes again. */
static void shortage_check(struct local_state *state, int status)
{
    if (status == -EMFILE || status == -ENFILE)
        rpc_descriptors_exhausted(state->rpc);
}

static void accept_one(struct local_state *state, int fd)
{
    struct local_connection *connection = local_connection_new(state, LOCAL_SERVER);
    uint32_t uid = UINT32_MAX;
    int rc;

    if (!connection) {
        close(fd);
        return;
    }
    connection->socket = fd;
    rc = process_identify(connection, &uid);
    if (!rc)
        rc = uid_check(uid);
    if (!rc)
        rc = local_watch(state, fd, &connection->socket_source);
    if (!rc) {
        connection->rpc_connection =
            rpc_accept(state->rpc, &rpc_backend_local, connection, true, uid);
        rc = connection->rpc_connection ? 0 : -EUSERS;
        if (rc == 0)
            connection->rpc_connection->pid = (int)connection->pid;
    }
    if (rc) {
        log_debug("local: refused process %d: %d", (int)connection->pid, rc);
        shortage_check(state, rc);
        (void)welcome_send(connection, rc, -1);
        local_connection_free(connection);
        return;
    }
    list_push_back(&state->idle, &connection->link);
}

void local_accept(struct local_state *state)
{
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(state->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        int code = errno;

        if (fd >= 0) {
            accept_one(state, fd);
            continue;
        }
        if (code == EMFILE || code == ENFILE || code == ENOMEM || code == ENOBUFS) {
            /* The listener would stay readable and keep us awake. */
            int listen_fd = state->listen_fd;

            log_debug("local: accept: %s", strerror(code));
            shortage_check(state, -code);
            local_unwatch(state, &listen_fd);
            (void)rpc_timer_set(
                state->rpc, &state->listen_timer, clock_now_ns() + LISTEN_RETRY_NS);
        }
        return;
    }
}

static int hello_take(struct local_connection *connection)
{
    struct local_hello hello;
    uint64_t word = 0;
    ssize_t n =
        recv(connection->socket, &hello, sizeof(hello), MSG_DONTWAIT | MSG_TRUNC);
    int region_fd;
    int rc;

    if (n < 0)
        return errno == EAGAIN ? -EAGAIN : -EHOSTDOWN;
    if (n == 0)
        return -EHOSTDOWN;
    if (n != (ssize_t)sizeof(hello) || hello.magic != LOCAL_MAGIC)
        return -EPROTO;
    if (hello.version != LOCAL_VERSION) {
        (void)welcome_send(connection, -EPROTONOSUPPORT, -1);
        return -EPROTONOSUPPORT;
    }
    connection->is_direct =
        connection->pid > 0
        && local_memory_probe(connection->pid, hello.probe_address, &word) == 0
        && word == hello.probe_value;
    rc = local_region_create(&connection->region, &region_fd);
    if (rc) {
        shortage_check(connection->state, rc);
        (void)welcome_send(connection, rc, -1);
        return rc;
    }
    rc = welcome_send(connection, 0, region_fd);
    close(region_fd);
    if (!rc)
        local_connection_set_up(connection);
    return rc;
}

/* ---- the client ----------------------------------------------------------- */

static int hello_send(struct local_connection *connection)
{
    struct local_hello hello = {
        .magic = LOCAL_MAGIC,
        .version = LOCAL_VERSION,
        .probe_address = (uintptr_t)&connection->probe,
        .probe_value = connection->probe,
    };

    if (send(connection->socket, &hello, sizeof(hello), MSG_DONTWAIT | MSG_NOSIGNAL)
        == (ssize_t)sizeof(hello))
        return 0;
    return errno == EPIPE ? 0 : -errno; /* refused: its reason is there to be read */
}

/* Server's uid: root may talk to any, others to their own. */
static int server_check(uint32_t uid)
{
    return uid == (uint32_t)geteuid() || geteuid() == 0 ? 0 : -EACCES;
}

static int connect_try(struct local_connection *connection)
{
    struct local_state *state = connection->state;
    struct sockaddr_un address;
    uint32_t uid = UINT32_MAX;
    int rc = address_make(connection->path, &address);

    if (rc)
        return rc;
    if (connect(connection->socket, (struct sockaddr *)&address, sizeof(address))) {
        if (errno == EAGAIN) { /* the backlog is full */
            connection->phase = LOCAL_RETRYING;
            return rpc_timer_set(
                state->rpc, &connection->retry_timer, clock_now_ns() + RETRY_NS);
        }
        return -errno;
    }
    connection->phase = LOCAL_GREETING;
    rc = process_identify(connection, &uid);
    if (!rc)
        rc = server_check(uid);
    if (!rc)
        rc = hello_send(connection);
    if (!rc)
        rc = local_watch(state, connection->socket, &connection->socket_source);
    return rc;
}

static void connect_again(struct rpc_timer *timer)
{
    struct local_connection *connection =
        list_entry(timer, struct local_connection, retry_timer);
    int rc = connect_try(connection);

    if (rc)
        local_break(connection, rc);
}

int local_connect(void *arg,
                  struct rpc_connection *rpc_connection,
                  const struct rpc_peer_config *config)
{
    struct local_state *state = arg;
    struct local_connection *connection = local_connection_new(state, LOCAL_CLIENT);
    int rc = -ENOMEM;

    if (!connection)
        return rc;
    connection->path = config->local_path;
    connection->retry_timer.fire = connect_again;
    rc = random_u64(&connection->probe);
    if (rc)
        goto fail;
    rc = connection->socket = socket_open();
    if (rc < 0)
        goto fail;
    rc = connect_try(connection);
    if (rc)
        goto fail;
    connection->rpc_connection = rpc_connection;
    rpc_connection->transport = connection;
    list_push_back(&state->idle, &connection->link);
    return 0;
fail:
    rpc_timer_clear(state->rpc, &connection->retry_timer);
    local_connection_free(connection);
    return rc;
}

/* The descriptor that came with the message, -1: none. Closes what is too much. */
static int control_fd_take(struct msghdr *message)
{
    int ret = -1;

    for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head;
         head = CMSG_NXTHDR(message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; (i + 1) * sizeof(int) <= head->cmsg_len - CMSG_LEN(0); i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof(fd));
            if (ret < 0)
                ret = fd;
            else
                close(fd);
        }
    }
    return ret;
}

static int welcome_receive(struct local_connection *connection,
                           struct local_welcome *ret_welcome,
                           int *ret_fd)
{
    struct iovec iov = {.iov_base = ret_welcome, .iov_len = sizeof(*ret_welcome)};
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    ssize_t n = -1;

    for (int i = 0; i < 2; i++) {
        struct msghdr message = {.msg_iov = &iov,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof(control)};

        n = recvmsg(connection->socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n >= 0)
            *ret_fd = control_fd_take(&message);
        /* It closed with our hello unread; that error comes first, then its message. */
        if (n >= 0 || errno != ECONNRESET)
            break;
    }
    if (n < 0)
        return errno == EAGAIN ? -EAGAIN : -EHOSTDOWN;
    if (n == 0)
        return -EHOSTDOWN;
    if (n != (ssize_t)sizeof(*ret_welcome) || ret_welcome->magic != LOCAL_MAGIC)
        return -EPROTO;
    return 0;
}

static int welcome_take(struct local_connection *connection)
{
    struct local_welcome welcome;
    int fd = -1;
    int rc = welcome_receive(connection, &welcome, &fd);

    if (rc)
        goto end;
    rc = -EPROTO;
    if (welcome.status) {
        rc = welcome.status < 0 && welcome.status > -4096 ? welcome.status : -EPROTO;
        goto end;
    }
    if (welcome.version != LOCAL_VERSION || fd < 0)
        goto end;
    rc = local_region_map(&connection->region, fd);
    if (rc)
        goto end;
    connection->is_direct = welcome.is_direct;
    local_connection_set_up(connection);
    rpc_connection_up(connection->rpc_connection);
end:
    if (fd >= 0)
        close(fd);
    return rc;
}

void local_greet(struct local_connection *connection)
{
    int rc = connection->role == LOCAL_SERVER ? hello_take(connection)
                                              : welcome_take(connection);

    if (rc && rc != -EAGAIN)
        rpc_connection_lost(connection->rpc_connection, rc);
}

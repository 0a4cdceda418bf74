/* SPDX-License-Identifier: Apache-2.0
 *
 * The node-local backend: which connections are polled, which ring, when to sleep.
 *
 * While this end is awake it polls the rings of the connections that were busy lately;
 * the others ring their socket, as all do while it sleeps. So idle connections cost
 * nothing and busy ones no system calls.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "transport/local/local.h"

#define EVENTS_PER_TURN 64
/* Turns of polling without a message before a connection has to ring. */
#define IDLE_TURNS 2000u
/* The sockets are looked at every so many turns of polling. */
#define POLL_TURNS 32u

int local_watch(struct local_state *state, int fd, struct local_source *source)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = source};

    return epoll_ctl(state->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

void local_unwatch(struct local_state *state, int *fd)
{
    if (*fd < 0)
        return;
    /* A forked child may have the descriptor too, so that closing is not enough. */
    (void)epoll_ctl(state->epoll_fd, EPOLL_CTL_DEL, *fd, NULL);
    if (*fd != state->listen_fd)
        close(*fd);
    *fd = -1;
}

void local_activate(struct local_connection *connection)
{
    connection->idle_turns = 0;
    if (connection->is_active || connection->phase != LOCAL_UP)
        return;
    connection->is_active = true;
    atomic_store_explicit(&connection->own->sleeps, 0, memory_order_relaxed);
    list_remove(&connection->link);
    list_push_back(&connection->state->active, &connection->link);
}

void local_break(struct local_connection *connection, int status)
{
    if (connection->phase == LOCAL_DEAD || list_node_is_linked(&connection->break_link))
        return;
    connection->break_status = status;
    list_push_back(&connection->state->broken, &connection->break_link);
}

/* ---- life ----------------------------------------------------------------- */

static void listen_again(struct rpc_timer *timer)
{
    struct local_state *state = list_entry(timer, struct local_state, listen_timer);

    (void)local_watch(state, state->listen_fd, &state->listener);
}

static void revoke_again(struct rpc_timer *timer)
{
    local_revoking_check(list_entry(timer, struct local_state, revoke_timer));
}

static void dead_free(struct local_state *state)
{
    list_for_each(node, &state->dead)
    {
        struct local_connection *connection =
            list_entry(node, struct local_connection, link);

        if (connection->n_revoking > 0)
            continue;
        list_remove(node);
        local_connection_free(connection);
    }
}

static void local_destroy(void *arg)
{
    struct local_state *state = arg;
    const struct timespec pause = {.tv_nsec = CLOCK_NS_PER_MS};

    if (!state)
        return;
    /* Ends: each entry has a time at which it gives up. */
    while (!list_is_empty(&state->revoking)) {
        local_revoking_check(state);
        nanosleep(&pause, NULL);
    }
    rpc_timer_clear(state->rpc, &state->listen_timer);
    rpc_timer_clear(state->rpc, &state->revoke_timer);
    dead_free(state);
    if (state->is_listening)
        unlink(rpc_config_get(state->rpc)->local_path);
    if (state->listen_fd >= 0)
        close(state->listen_fd);
    if (state->epoll_fd >= 0)
        close(state->epoll_fd);
    free(state);
}

static int local_create(struct rpc *rpc, void **ret_state, struct benchfs_error *err)
{
    const char *path = rpc_config_get(rpc)->local_path;
    struct local_state *state = calloc(1, sizeof(*state));
    int rc = 0;

    if (!state)
        return benchfs_error_set(err, ENOMEM, "out of memory");
    state->rpc = rpc;
    state->listen_fd = -1;
    state->listen_timer.fire = listen_again;
    state->revoke_timer.fire = revoke_again;
    list_init(&state->active);
    list_init(&state->idle);
    list_init(&state->dead);
    list_init(&state->broken);
    list_init(&state->revoking);
    state->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (state->epoll_fd < 0)
        rc = benchfs_error_set(err, errno, "epoll: %m");
    else if (path)
        rc = local_listen(state, path, err);
    if (rc) {
        local_destroy(state);
        return rc;
    }
    *ret_state = state;
    return 0;
}

static int local_fd(void *arg)
{
    const struct local_state *state = arg;

    return state->epoll_fd;
}

/* ---- progress ------------------------------------------------------------- */

static void connection_hung_up(struct local_connection *connection)
{
    connection->is_hung_up = true;
    /* What it said before it left. */
    while (connection->phase == LOCAL_UP && connection->role == LOCAL_CLIENT
           && local_connection_progress(connection) > 0)
        continue;
    if (connection->phase != LOCAL_DEAD)
        rpc_connection_lost(connection->rpc_connection, -EHOSTDOWN);
}

/* Takes the rings; false: the other end has gone. */
static bool doorbell_take(const struct local_connection *connection)
{
    char bytes[8];
    ssize_t n;

    for (int i = 0; i < 16; i++) {
        n = recv(connection->socket, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (n <= 0)
            return n < 0 && (errno == EAGAIN || errno == EINTR);
    }
    return true;
}

static void event_handle(struct local_state *state, const struct epoll_event *event)
{
    const struct local_source *source = event->data.ptr;
    struct local_connection *connection = source->connection;

    if (source->kind == LOCAL_SOURCE_LISTENER) {
        local_accept(state);
    } else if (connection->phase == LOCAL_DEAD) {
        return; /* by an event before this one */
    } else if (source->kind == LOCAL_SOURCE_SOCKET
               && connection->phase == LOCAL_GREETING) {
        local_greet(connection);
    } else if (source->kind == LOCAL_SOURCE_SOCKET && doorbell_take(connection)) {
        local_activate(connection);
    } else {
        connection_hung_up(connection);
    }
}

static unsigned events_take(struct local_state *state)
{
    struct epoll_event events[EVENTS_PER_TURN];
    int n = epoll_wait(state->epoll_fd, events, EVENTS_PER_TURN, 0);

    state->polls = 0;
    for (int i = 0; i < n; i++)
        event_handle(state, &events[i]);
    return n > 0 ? (unsigned)n : 0;
}

/* Was quiet for long: from now on it rings. */
static void connection_deactivate(struct local_connection *connection)
{
    if (!local_connection_sleep(connection)) {
        atomic_store_explicit(&connection->own->sleeps, 0, memory_order_relaxed);
        return;
    }
    connection->is_active = false;
    list_remove(&connection->link);
    list_push_back(&connection->state->idle, &connection->link);
}

static unsigned active_progress(struct local_state *state)
{
    unsigned n = 0;

    list_for_each(node, &state->active)
    {
        struct local_connection *connection =
            list_entry(node, struct local_connection, link);
        unsigned done = local_connection_progress(connection);

        n += done;
        if (connection->phase != LOCAL_UP)
            continue;
        if (done > 0)
            connection->idle_turns = 0;
        else if (++connection->idle_turns > IDLE_TURNS && !local_is_stalled(connection)
                 && list_is_empty(&connection->pending)
                 && list_is_empty(&connection->buffered))
            connection_deactivate(connection);
    }
    return n;
}

static unsigned broken_report(struct local_state *state)
{
    struct list_node *node;
    unsigned n = 0;

    while ((node = list_pop_front(&state->broken))) {
        struct local_connection *connection =
            list_entry(node, struct local_connection, break_link);

        rpc_connection_lost(connection->rpc_connection, connection->break_status);
        n++;
    }
    return n;
}

static unsigned local_progress(void *arg)
{
    struct local_state *state = arg;
    unsigned n = 0;

    if (!list_is_empty(&state->dead))
        dead_free(state);
    n += broken_report(state);
    n += active_progress(state);
    if (list_is_empty(&state->active) || ++state->polls >= POLL_TURNS)
        n += events_take(state);
    return n;
}

static void local_disarm(void *arg)
{
    struct local_state *state = arg;

    list_for_each(node, &state->active)
    {
        struct local_connection *connection =
            list_entry(node, struct local_connection, link);

        atomic_store_explicit(&connection->own->sleeps, 0, memory_order_relaxed);
        atomic_store_explicit(&connection->own->wants_space, 0, memory_order_relaxed);
    }
    state->polls = POLL_TURNS; /* whoever rang is heard in the next turn */
}

static int local_arm(void *arg)
{
    struct local_state *state = arg;

    if (!list_is_empty(&state->broken))
        return -EBUSY;
    list_for_each(node, &state->active)
    {
        if (!local_connection_sleep(list_entry(node, struct local_connection, link))) {
            local_disarm(state);
            return -EBUSY;
        }
    }
    return 0;
}

const struct rpc_backend rpc_backend_local = {
    .name = "local",
    .request_size = sizeof(struct local_incoming),
    .create = local_create,
    .destroy = local_destroy,
    .progress = local_progress,
    .fd = local_fd,
    .arm = local_arm,
    .disarm = local_disarm,
    .connect = local_connect,
    .close = local_connection_close,
    .send = local_send,
    .release = local_release,
    .pull = local_pull,
    .finish = local_finish,
    .reply = local_reply,
    .notify = local_notify,
};

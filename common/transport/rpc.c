/* SPDX-License-Identifier: Apache-2.0
 *
 * The RPC layer's frame: an rpc and its backends, one turn of progress, sleeping.
 */
#include "transport/rpc.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "transport/rpc_core.h"

#define CLIENT_LIMIT_DEFAULT       1024u
#define REQUEST_TIMEOUT_MS_DEFAULT 30000u
#define CONNECT_TIMEOUT_MS_DEFAULT 5000u

/* ---- set-up ------------------------------------------------------------- */

static int string_copy(const char **string)
{
    if (!*string)
        return 0;
    *string = strdup(*string);
    return *string ? 0 : -ENOMEM;
}

static int config_copy(struct rpc *rpc, const struct rpc_config *config)
{
    struct rpc_config *copy = &rpc->config;
    int rc;

    *copy = *config;
    if (!copy->job)
        copy->job = "";
    rc = string_copy(&copy->job);
    if (string_copy(&copy->local_path))
        rc = -ENOMEM;
    if (string_copy(&copy->listen_address))
        rc = -ENOMEM;
    if (copy->client_limit == 0)
        copy->client_limit = CLIENT_LIMIT_DEFAULT;
    if (copy->request_timeout_ms == 0)
        copy->request_timeout_ms = REQUEST_TIMEOUT_MS_DEFAULT;
    if (copy->connect_timeout_ms == 0)
        copy->connect_timeout_ms = CONNECT_TIMEOUT_MS_DEFAULT;
    return rc;
}

static int epoll_add(const struct rpc *rpc, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};

    if (fd < 0)
        return 0;
    return epoll_ctl(rpc->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int backend_start(struct rpc *rpc,
                         const struct rpc_backend *backend,
                         struct benchfs_error *err)
{
    unsigned i = rpc->n_backends;
    int rc = backend->create(rpc, &rpc->states[i], err);

    if (rc)
        return rc;
    rpc->backends[i] = backend;
    rpc->n_backends++;
    rc = epoll_add(rpc, backend->fd(rpc->states[i]));
    if (rc)
        return benchfs_error_set(err, rc, "epoll for %s: %m", backend->name);
    return 0;
}

static int fds_open(struct rpc *rpc, struct benchfs_error *err)
{
    int rc;

    rpc->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (rpc->epoll_fd < 0)
        return benchfs_error_set(err, errno, "epoll: %m");
    rpc->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (rpc->wake_fd < 0)
        return benchfs_error_set(err, errno, "eventfd: %m");
    rc = epoll_add(rpc, rpc->wake_fd);
    return rc ? benchfs_error_set(err, rc, "epoll: %m") : 0;
}

static void lists_init(struct rpc *rpc)
{
    struct list *lists[] = {&rpc->peers,
                            &rpc->connections,
                            &rpc->accepted,
                            &rpc->releasing,
                            &rpc->requests,
                            &rpc->orphans,
                            &rpc->finished,
                            &rpc->delivered,
                            &rpc->gone,
                            &rpc->leaving};

    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        list_init(lists[i]);
    table_init(&rpc->clients);
}

int rpc_create(const struct rpc_config *config,
               struct rpc **ret,
               struct benchfs_error *err)
{
    struct rpc *rpc;
    int rc;

    if (config->client == 0)
        return benchfs_error_set(err, EINVAL, "client id 0");
    if (config->job && strlen(config->job) > WIRE_TEXT_MAX)
        return benchfs_error_set(err, EINVAL, "job id too long");
    rpc = calloc(1, sizeof(*rpc));
    if (!rpc)
        return benchfs_error_set(err, ENOMEM, "out of memory");
    rpc->epoll_fd = rpc->wake_fd = -1;
    lists_init(rpc);
    rc = config_copy(rpc, config);
    if (rc) {
        benchfs_error_set(err, ENOMEM, "out of memory");
        goto fail;
    }
    rc = fds_open(rpc, err);
    if (!rc)
        rc = backend_start(rpc, &rpc_backend_local, err);
    if (!rc && config->remote)
        rc = backend_start(rpc, config->remote, err);
    if (rc)
        goto fail;
    *ret = rpc;
    return 0;
fail:
    rpc_destroy(rpc);
    return rc;
}

static void connections_close(struct list *list)
{
    struct list_node *node;

    while ((node = list_front(list)))
        rpc_connection_lost(list_entry(node, struct rpc_connection, link), -ECANCELED);
}

void rpc_destroy(struct rpc *rpc)
{
    struct list_node *node;

    if (!rpc)
        return;
    rpc->is_destroying = true;
    while ((node = list_front(&rpc->peers)))
        rpc_peer_destroy(list_entry(node, struct rpc_peer, link));
    connections_close(&rpc->connections);
    connections_close(&rpc->accepted);
    while (rpc->n_backends > 0) {
        rpc->n_backends--;
        rpc->backends[rpc->n_backends]->destroy(rpc->states[rpc->n_backends]);
    }
    rpc_call_drain(rpc);
    rpc_server_drop_all(rpc);
    rpc_registry_fini(rpc);
    rpc_timers_fini(rpc);
    if (rpc->wake_fd >= 0)
        close(rpc->wake_fd);
    if (rpc->epoll_fd >= 0)
        close(rpc->epoll_fd);
    free((char *)rpc->config.job);
    free((char *)rpc->config.local_path);
    free((char *)rpc->config.listen_address);
    free(rpc);
}

const struct rpc_config *rpc_config_get(const struct rpc *rpc)
{
    return &rpc->config;
}

void *rpc_backend_state(const struct rpc *rpc, const struct rpc_backend *backend)
{
    for (unsigned i = 0; i < rpc->n_backends; i++) {
        if (rpc->backends[i] == backend)
            return rpc->states[i];
    }
    return NULL;
}

int rpc_address_get(const struct rpc *rpc, struct rpc_address *ret)
{
    for (unsigned i = 0; i < rpc->n_backends; i++) {
        if (rpc->backends[i]->address_get)
            return rpc->backends[i]->address_get(rpc->states[i], ret);
    }
    return -ENOENT;
}

void rpc_set_n_targets(struct rpc *rpc, uint32_t n_targets)
{
    rpc->n_targets = n_targets;
}

int rpc_register_memory(struct rpc *rpc,
                        void *base,
                        size_t size,
                        struct benchfs_error *err)
{
    int rc = 0;

    for (unsigned i = 0; i < rpc->n_backends && !rc; i++) {
        if (rpc->backends[i]->register_memory)
            rc = rpc->backends[i]->register_memory(rpc->states[i], base, size, err);
    }
    return rc;
}

void rpc_stats_get(const struct rpc *rpc, struct rpc_stats *ret)
{
    *ret = rpc->stats;
}

/* ---- progress ----------------------------------------------------------- */

static void rpc_disarm(struct rpc *rpc)
{
    if (!rpc->is_armed)
        return;
    rpc->is_armed = false;
    for (unsigned i = 0; i < rpc->n_backends; i++) {
        if (rpc->backends[i]->disarm)
            rpc->backends[i]->disarm(rpc->states[i]);
    }
}

static unsigned backends_progress(struct rpc *rpc)
{
    unsigned n = 0;

    for (unsigned i = 0; i < rpc->n_backends; i++)
        n += rpc->backends[i]->progress(rpc->states[i]);
    return n;
}

/* The writer writes first and sets the flag after, so that no count stays in the fd
 * with the flag clear for good. */
static unsigned wake_take(struct rpc *rpc)
{
    uint64_t count;

    if (!atomic_load_explicit(&rpc->is_woken, memory_order_relaxed))
        return 0;
    atomic_store(&rpc->is_woken, false);
    return read(rpc->wake_fd, &count, sizeof(count)) > 0;
}

static bool has_callbacks(const struct rpc *rpc)
{
    return !list_is_empty(&rpc->finished) || !list_is_empty(&rpc->delivered)
           || !list_is_empty(&rpc->gone) || !list_is_empty(&rpc->leaving)
           || rpc->has_unconnected;
}

unsigned rpc_progress(struct rpc *rpc)
{
    unsigned n;

    rpc_disarm(rpc);
    n = wake_take(rpc);
    n += backends_progress(rpc);
    n += rpc_timers_run(rpc);
    if (!has_callbacks(rpc))
        return n;
    n += rpc_client_drain(rpc);
    n += rpc_registry_drain(rpc);
    n += rpc_server_drain(rpc);
    n += rpc_call_drain(rpc);
    return n;
}

static bool rpc_is_busy(const struct rpc *rpc)
{
    return has_callbacks(rpc)
           || atomic_load_explicit(&rpc->is_woken, memory_order_relaxed);
}

/* Milliseconds from now until `when_ns`, rounded up, at most `limit_ms` (-1: none). */
static int timeout_until(uint64_t when_ns, int limit_ms)
{
    struct deadline deadline = {.at_ns = when_ns};
    int ms;

    if (when_ns == UINT64_MAX)
        return limit_ms;
    ms = deadline_remaining_ms(deadline);
    return limit_ms >= 0 && limit_ms < ms ? limit_ms : ms;
}

bool rpc_wait_prepare(struct rpc *rpc, int *ret_timeout_ms)
{
    unsigned i;

    if (rpc_is_busy(rpc))
        return false;
    for (i = 0; i < rpc->n_backends; i++) {
        if (rpc->backends[i]->arm(rpc->states[i]))
            break;
    }
    rpc->is_armed = true;
    if (i < rpc->n_backends || rpc_is_busy(rpc)) {
        rpc_disarm(rpc);
        return false;
    }
    *ret_timeout_ms = timeout_until(rpc_timers_next_ns(rpc), -1);
    if (*ret_timeout_ms == 0) {
        rpc_disarm(rpc);
        return false;
    }
    return true;
}

static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* True: there is something to do. */
static bool rpc_spin(struct rpc *rpc, uint64_t until_ns)
{
    do {
        if (backends_progress(rpc) > 0 || rpc_is_busy(rpc))
            return true;
        cpu_relax();
    } while (clock_now_ns() < until_ns);
    return false;
}

void rpc_wait(struct rpc *rpc, int timeout_ms)
{
    uint64_t now = clock_now_ns();
    uint64_t limit_ns =
        timeout_ms < 0 ? UINT64_MAX : now + (uint64_t)timeout_ms * CLOCK_NS_PER_MS;
    uint64_t spin_ns = now + (uint64_t)rpc->config.spin_us * 1000;
    struct epoll_event events[RPC_BACKENDS_MAX + 1];
    int wait_ms;

    rpc_disarm(rpc);
    if (spin_ns > limit_ns)
        spin_ns = limit_ns;
    if (spin_ns > rpc_timers_next_ns(rpc))
        spin_ns = rpc_timers_next_ns(rpc);
    if (rpc_is_busy(rpc) || (spin_ns > now && rpc_spin(rpc, spin_ns)))
        return;
    if (timeout_ms == 0 || !rpc_wait_prepare(rpc, &wait_ms))
        return;
    if (limit_ns < rpc_timers_next_ns(rpc))
        wait_ms = timeout_until(limit_ns, -1);
    if (epoll_wait(rpc->epoll_fd, events, RPC_BACKENDS_MAX + 1, wait_ms) > 0
        || limit_ns > clock_now_ns())
        rpc->stats.wakeups++;
    rpc_disarm(rpc);
}

bool rpc_is_settled(struct rpc *rpc)
{
    for (unsigned i = 0; i < rpc->n_backends; i++) {
        if (rpc->backends[i]->is_settled
            && !rpc->backends[i]->is_settled(rpc->states[i]))
            return false;
    }
    return true;
}

int rpc_watch_fd(struct rpc *rpc, int fd)
{
    return epoll_add(rpc, fd);
}

int rpc_wait_fd(const struct rpc *rpc)
{
    return rpc->epoll_fd;
}

void rpc_wake(struct rpc *rpc)
{
    uint64_t one = 1;

    /* EAGAIN: the counter is full, so the fd is readable anyway. */
    if (write(rpc->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
        return;
    atomic_store(&rpc->is_woken, true);
}

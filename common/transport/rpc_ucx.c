/* SPDX-License-Identifier: Apache-2.0
 *
 * The UCX backend: context and worker of an rpc, the listener, progress and sleeping.
 */
#include "transport/rpc_ucx.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "transport/rpc_ucx_address.h"
#include "transport/rpc_ucx_device.h"
#include "transport/rpc_ucx_internal.h"

/* UCX is asked again while it has something, this often at most. */
#define PROGRESS_ROUNDS 32
#define DEVICES_MAX     4096

struct ucx_region {
    struct list_node node;
    ucp_mem_h handle;
};

static int ucx_error(struct benchfs_error *err, const char *what, ucs_status_t status)
{
    return benchfs_error_set(
        err, ucx_errno(status), "UCX: %s: %s", what, ucs_status_string(status));
}

/* ---- set-up */

struct ucx_setting {
    const char *variable; /* what the user may have set */
    const char *name;     /* what ucp_config_modify() calls it */
    const char *value;
};

static void
settings_apply(ucp_config_t *config, const struct ucx_setting *settings, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ucs_status_t status;

        if (getenv(settings[i].variable))
            continue;
        status = ucp_config_modify(config, settings[i].name, settings[i].value);
        if (status != UCS_OK)
            log_debug("ucx: cannot set %s: %s",
                      settings[i].variable,
                      ucs_status_string(status));
    }
}

/* Our defaults, where the environment says nothing. */
static void config_defaults(const struct ucx_state *state, ucp_config_t *config)
{
    const struct rpc_config *rpc = rpc_config_get(state->rpc);
    bool uses_ipv6 =
        rpc->listen_address ? strchr(rpc->listen_address, ':') != NULL : rpc->uses_ipv6;
    static const struct ucx_setting common[] = {
        {"UCX_CM_REUSEADDR", "CM_REUSEADDR", "y"},
        {"UCX_KEEPALIVE_INTERVAL", "KEEPALIVE_INTERVAL", "5s"},
    };
    static const struct ucx_setting tcp[] = {
        {"UCX_TCP_KEEPIDLE", "KEEPIDLE", "2s"},
        {"UCX_TCP_KEEPINTVL", "KEEPINTVL", "1s"},
        {"UCX_TCP_KEEPCNT", "KEEPCNT", "3"},
        /* by worker address it would block, for minutes if nobody is there */
        {"UCX_TCP_CONN_NB", "CONN_NB", "y"},
    };
    /* Else a device that has both gives its IPv4 address to connections over IPv6, and
     * UCX 1.13 writes beyond the room for that. */
    static const struct ucx_setting tcp_ipv6[] = {
        {"UCX_TCP_AF_PRIO", "AF_PRIO", "inet6,inet"},
    };
    const char *transports = getenv("UCX_TLS");

    settings_apply(config, common, sizeof(common) / sizeof(common[0]));
    /* UCX warns of settings that no transport in use knows */
    if (!transports || strcmp(transports, "all") == 0
        || (transports[0] != '^' && strstr(transports, "tcp"))) {
        settings_apply(config, tcp, sizeof(tcp) / sizeof(tcp[0]));
        if (uses_ipv6)
            settings_apply(config, tcp_ipv6, 1);
    }
}

/* A worker address names all devices of its worker; were loopback among them, nodes
 * would take each other's for their own. */
static void config_devices(const struct ucx_state *state, ucp_config_t *config)
{
    const char *address = rpc_config_get(state->rpc)->listen_address;
    char devices[DEVICES_MAX];
    struct ucx_setting setting = {"UCX_NET_DEVICES", "NET_DEVICES", devices};
    int rc;

    if (!address || ucx_address_is_loopback(address))
        return;
    rc = ucx_device_list(devices, sizeof(devices));
    if (rc == 0)
        settings_apply(config, &setting, 1);
    else
        log_debug("ucx: no list of devices: %s", strerror(-rc));
}

static int context_create(struct ucx_state *state, struct benchfs_error *err)
{
    ucp_params_t params = {
        .field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_NAME,
        .features = UCP_FEATURE_AM | UCP_FEATURE_WAKEUP,
        .name = "benchfs",
    };
    ucp_config_t *config;
    ucs_status_t status = ucp_config_read(NULL, NULL, &config);

    if (status != UCS_OK)
        return ucx_error(err, "cannot read its configuration", status);
    config_defaults(state, config);
    config_devices(state, config);
    status = ucp_init(&params, config, &state->context);
    ucp_config_release(config);
    if (status != UCS_OK) {
        state->context = NULL;
        return ucx_error(err, "cannot initialise", status);
    }
    return 0;
}

static int worker_create(struct ucx_state *state, struct benchfs_error *err)
{
    ucp_worker_params_t params = {
        .field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE,
        .thread_mode = UCS_THREAD_MODE_SERIALIZED,
    };
    ucp_worker_attr_t attr = {.field_mask = UCP_WORKER_ATTR_FIELD_MAX_AM_HEADER};
    ucs_status_t status = ucp_worker_create(state->context, &params, &state->worker);

    if (status != UCS_OK) {
        state->worker = NULL;
        return ucx_error(err, "cannot create a worker", status);
    }
    status = ucp_worker_query(state->worker, &attr);
    if (status == UCS_OK)
        status = ucp_worker_get_efd(state->worker, &state->fd);
    if (status == UCS_OK)
        status =
            ucp_worker_get_address(state->worker, &state->address, &state->address_len);
    if (status != UCS_OK)
        return ucx_error(err, "cannot set up the worker", status);
    state->header_max = attr.max_am_header;
    if (state->header_max < UCX_HEAD_SIZE)
        return benchfs_error_set(err,
                                 EOPNOTSUPP,
                                 "UCX: no transport takes message headers of %u bytes",
                                 UCX_HEAD_SIZE);
    return 0;
}

static int handlers_set(struct ucx_state *state, struct benchfs_error *err)
{
    static const struct {
        enum ucx_am_id id;
        ucp_am_recv_callback_t callback;
    } handlers[] = {
        {UCX_AM_CONNECT, ucx_message_connect},
        {UCX_AM_ACCEPT, ucx_message_accept},
        {UCX_AM_MESSAGE, ucx_message_message},
        {UCX_AM_CLOSE, ucx_message_close},
    };

    for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
        ucp_am_handler_param_t param = {
            .field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_CB
                          | UCP_AM_HANDLER_PARAM_FIELD_ARG,
            .id = handlers[i].id,
            .cb = handlers[i].callback,
            .arg = state,
        };
        ucs_status_t status = ucp_worker_set_am_recv_handler(state->worker, &param);

        if (status != UCS_OK)
            return ucx_error(err, "cannot set a message handler", status);
    }
    return 0;
}

static void on_conn_request(ucp_conn_request_h request, void *arg)
{
    struct ucx_state *state = arg;
    struct ucx_connect_request *item = malloc(sizeof(*item));

    if (!item) {
        ucp_listener_reject(state->listener, request);
        return;
    }
    item->request = request;
    list_push_back(&state->requests, &item->node);
}

static int listener_create(struct ucx_state *state, struct benchfs_error *err)
{
    const struct rpc_config *config = rpc_config_get(state->rpc);
    struct sockaddr_storage address;
    ucp_listener_params_t params = {
        .field_mask =
            UCP_LISTENER_PARAM_FIELD_SOCK_ADDR | UCP_LISTENER_PARAM_FIELD_CONN_HANDLER,
        .sockaddr.addr = (const struct sockaddr *)&address,
        .conn_handler = {.cb = on_conn_request, .arg = state},
    };
    ucp_listener_attr_t attr = {.field_mask = UCP_LISTENER_ATTR_FIELD_SOCKADDR};
    ucs_status_t status;
    int rc;

    rc = ucx_address_parse(config->listen_address,
                           config->listen_port,
                           &address,
                           &params.sockaddr.addrlen,
                           err);
    if (rc == 0)
        rc = ucx_address_probe(&address, params.sockaddr.addrlen, err);
    if (rc < 0)
        return rc;
    status = ucp_listener_create(state->worker, &params, &state->listener);
    if (status != UCS_OK) {
        state->listener = NULL;
        return benchfs_error_set(err,
                                 ucx_errno(status),
                                 "cannot listen on %s port %u: UCX: %s",
                                 config->listen_address,
                                 config->listen_port,
                                 ucs_status_string(status));
    }
    status = ucp_listener_query(state->listener, &attr);
    if (status != UCS_OK)
        return ucx_error(err, "cannot tell the listener's port", status);
    state->socket_address = attr.sockaddr;
    state->socket_address_len = params.sockaddr.addrlen;
    return 0;
}

static void state_free(struct ucx_state *state)
{
    struct list_node *node;

    if (state->listener)
        ucp_listener_destroy(state->listener);
    if (state->address)
        ucp_worker_release_address(state->worker, state->address);
    if (state->worker)
        ucp_worker_destroy(state->worker);
    /* what did not end in time has ended now: nothing works on its memory any more */
    while ((node = list_pop_front(&state->pending))) {
        struct ucx_op *op = list_entry(node, struct ucx_op, node);

        op->status = -ECANCELED;
        ucx_op_finish(op);
    }
    while ((node = list_pop_front(&state->regions))) {
        struct ucx_region *region = list_entry(node, struct ucx_region, node);

        ucp_mem_unmap(state->context, region->handle);
        free(region);
    }
    if (state->context)
        ucp_cleanup(state->context);
    table_fini(&state->keys);
    free(state);
}

static int ucx_create(struct rpc *rpc, void **ret_state, struct benchfs_error *err)
{
    struct ucx_state *state = calloc(1, sizeof(*state));
    int rc;

    if (!state)
        return benchfs_error_set(err, ENOMEM, "UCX: out of memory");
    state->rpc = rpc;
    table_init(&state->keys);
    list_init(&state->links);
    list_init(&state->requests);
    list_init(&state->inbox);
    list_init(&state->pending);
    list_init(&state->done);
    list_init(&state->failed);
    list_init(&state->regions);
    rc = context_create(state, err);
    if (rc == 0)
        rc = worker_create(state, err);
    if (rc == 0)
        rc = handlers_set(state, err);
    if (rc == 0 && rpc_config_get(rpc)->listen_address)
        rc = listener_create(state, err);
    if (rc < 0)
        goto fail;
    *ret_state = state;
    return 0;
fail:
    state_free(state);
    return rc;
}

/* ---- progress */

static unsigned requests_handle(struct ucx_state *state)
{
    struct list_node *node;
    unsigned n = 0;

    while ((node = list_pop_front(&state->requests))) {
        struct ucx_connect_request *item =
            list_entry(node, struct ucx_connect_request, node);

        ucx_link_accept(state, item->request);
        free(item);
        n++;
    }
    return n;
}

static unsigned done_handle(struct ucx_state *state)
{
    struct list_node *node;
    unsigned n = 0;

    while ((node = list_pop_front(&state->done))) {
        ucx_op_finish(list_entry(node, struct ucx_op, node));
        n++;
    }
    return n;
}

/* After the messages: what arrived before the connection broke still counts. */
static unsigned failed_handle(struct ucx_state *state)
{
    struct list_node *node;
    unsigned n = 0;

    while ((node = list_pop_front(&state->failed))) {
        struct ucx_link *link = list_entry(node, struct ucx_link, failed_node);

        rpc_connection_lost(link->connection, link->status);
        n++;
    }
    return n;
}

static unsigned ucx_progress(void *arg)
{
    struct ucx_state *state = arg;
    unsigned n = 0;

    for (int i = 0; i < PROGRESS_ROUNDS; i++) {
        unsigned events = ucp_worker_progress(state->worker);

        if (events == 0)
            break;
        n += events;
    }
    n += requests_handle(state);
    n += ucx_message_handle_all(state);
    n += done_handle(state);
    n += failed_handle(state);
    return n;
}

static int ucx_fd(void *arg)
{
    const struct ucx_state *state = arg;

    return state->fd;
}

static int ucx_arm(void *arg)
{
    struct ucx_state *state = arg;

    if (!list_is_empty(&state->requests) || !list_is_empty(&state->inbox)
        || !list_is_empty(&state->done) || !list_is_empty(&state->failed))
        return -EBUSY;
    return ucp_worker_arm(state->worker) == UCS_OK ? 0 : -EBUSY;
}

/* Waits, within reason, for what is under way on links that are closed. */
static void links_drain(struct ucx_state *state)
{
    struct deadline deadline = deadline_after_ms(UCX_DESTROY_TIMEOUT_MS);
    struct pollfd poll_fd = {.fd = state->fd, .events = POLLIN};

    while (!list_is_empty(&state->links) && !deadline_expired(deadline)) {
        uint64_t now = clock_now_ns();

        if (ucx_progress(state) > 0 || ucx_arm(state) < 0)
            continue;
        list_for_each(node, &state->links)
        {
            struct ucx_link *link = list_entry(node, struct ucx_link, node);

            if (link->timer.index && link->timer.when_ns <= now)
                ucx_link_abort(link);
        }
        poll(&poll_fd, 1, 10);
    }
}

/* UCX takes down a closed endpoint's sockets while the worker makes progress; a flush
 * of the worker comes after that. */
static bool ucx_is_settled(void *arg)
{
    const ucp_request_param_t param = {0};
    struct ucx_state *state = arg;

    list_for_each(node, &state->links)
    {
        if (list_entry(node, struct ucx_link, node)->is_closed)
            return false;
    }
    if (!state->settling)
        state->settling = ucp_worker_flush_nbx(state->worker, &param);
    if (!UCS_PTR_IS_PTR(state->settling)) {
        state->settling = NULL; /* at once, or it can't be told */
        return true;
    }
    if (ucp_request_check_status(state->settling) == UCS_INPROGRESS)
        return false;
    ucp_request_free(state->settling);
    state->settling = NULL;
    return true;
}

static void ucx_destroy(void *arg)
{
    struct ucx_state *state = arg;
    struct list_node *node;

    if (!state)
        return;
    links_drain(state);
    if (state->settling)
        ucp_request_free(state->settling);
    while ((node = list_pop_front(&state->requests))) {
        struct ucx_connect_request *item =
            list_entry(node, struct ucx_connect_request, node);

        ucp_listener_reject(state->listener, item->request);
        free(item);
    }
    while ((node = list_pop_front(&state->inbox)))
        ucx_message_free(list_entry(node, struct ucx_message, node));
    list_for_each(link_node, &state->links)
        ucx_link_abort(list_entry(link_node, struct ucx_link, node));
    links_drain(state);
    if (!list_is_empty(&state->links))
        log_debug("ucx: operations did not end in time");
    state_free(state);
}

/* ---- the rest */

static int ucx_address_get(void *arg, struct rpc_address *ret)
{
    const struct ucx_state *state = arg;

    ret->socket_address = state->socket_address_len ? &state->socket_address : NULL;
    ret->socket_address_len = state->socket_address_len;
    ret->worker_address = state->address;
    ret->worker_address_len = state->address_len;
    return 0;
}

/* UCX 1.13 takes no memory handle with active messages; the mapping fills the
 * registration caches that they look in. */
static int
ucx_register_memory(void *arg, void *base, size_t size, struct benchfs_error *err)
{
    struct ucx_state *state = arg;
    ucp_mem_map_params_t params = {
        .field_mask = UCP_MEM_MAP_PARAM_FIELD_ADDRESS | UCP_MEM_MAP_PARAM_FIELD_LENGTH
                      | UCP_MEM_MAP_PARAM_FIELD_FLAGS,
        .address = base,
        .length = size,
        .flags = UCP_MEM_MAP_NONBLOCK, /* pages are not taken before they are used */
    };
    struct ucx_region *region = calloc(1, sizeof(*region));
    ucs_status_t status;

    if (!region)
        return benchfs_error_set(err, ENOMEM, "UCX: out of memory");
    status = ucp_mem_map(state->context, &params, &region->handle);
    if (status != UCS_OK) {
        free(region);
        return ucx_error(err, "cannot register memory", status);
    }
    list_push_back(&state->regions, &region->node);
    return 0;
}

const struct rpc_backend rpc_backend_ucx = {
    .name = "ucx",
    .request_size = sizeof(struct ucx_incoming),
    .create = ucx_create,
    .destroy = ucx_destroy,
    .progress = ucx_progress,
    .fd = ucx_fd,
    .arm = ucx_arm,
    .address_get = ucx_address_get,
    .register_memory = ucx_register_memory,
    .connect = ucx_link_connect,
    .close = ucx_link_close,
    .is_settled = ucx_is_settled,
    .send = ucx_call_send,
    .release = ucx_call_release,
    .pull = ucx_request_pull,
    .discard = ucx_request_discard,
    .reply = ucx_request_reply,
    .notify = ucx_request_notify,
};

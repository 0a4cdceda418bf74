/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections of the UCX backend: endpoints to and from a listener or by worker
 * address, the handshake that exchanges keys, failures, closing.
 *
 * A key is a random number by which a link is addressed in each message: UCX's own
 * endpoint ids are small numbers that any peer could put into its messages. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/random.h"
#include "transport/rpc_ucx.h"
#include "transport/rpc_ucx_internal.h"

static void link_on_error(void *arg, ucp_ep_h ep, ucs_status_t status)
{
    struct ucx_link *link = arg;

    (void)ep;
    log_debug("ucx: connection lost: %s", ucs_status_string(status));
    ucx_link_fail(link, ucx_errno(status));
}

/* A link with a key of its own, in the state's lists. */
static struct ucx_link *link_create(struct ucx_state *state, bool is_server)
{
    struct ucx_link *link = calloc(1, sizeof(*link));

    if (!link)
        return NULL;
    link->state = state;
    link->is_server = is_server;
    list_node_init(&link->failed_node);
    if (random_u64(&link->key) < 0 || table_put(&state->keys, link->key, link) < 0) {
        free(link);
        return NULL;
    }
    list_push_back(&state->links, &link->node);
    return link;
}

static void link_free(struct ucx_link *link)
{
    table_remove(&link->state->keys, link->key);
    list_remove(&link->node);
    list_remove(&link->failed_node);
    rpc_timer_clear(link->state->rpc, &link->timer);
    if (link->connection)
        rpc_connection_put(link->connection);
    free(link);
}

static int link_ep_create(struct ucx_link *link, ucp_ep_params_t *params)
{
    ucs_status_t status;

    params->field_mask |=
        UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE | UCP_EP_PARAM_FIELD_ERR_HANDLER;
    params->err_mode = UCP_ERR_HANDLING_MODE_PEER;
    params->err_handler.cb = link_on_error;
    params->err_handler.arg = link;
    status = ucp_ep_create(link->state->worker, params, &link->ep);
    if (status != UCS_OK) {
        log_debug("ucx: cannot create endpoint: %s", ucs_status_string(status));
        link->ep = NULL;
    }
    return ucx_errno(status);
}

/* ---- handshake */

static void handshake_put(struct wire_writer *w, uint64_t client_key)
{
    wire_put_u32(w, UCX_HANDSHAKE_MAGIC);
    wire_put_u32(w, UCX_HANDSHAKE_VERSION);
    wire_put_u64(w, client_key);
}

static int handshake_get(struct wire_reader *r, uint64_t *ret_client_key)
{
    if (wire_get_u32(r) != UCX_HANDSHAKE_MAGIC)
        return -EPROTO;
    if (wire_get_u32(r) != UCX_HANDSHAKE_VERSION)
        return -EPROTONOSUPPORT;
    *ret_client_key = wire_get_u64(r);
    return r->failed ? -EPROTO : 0;
}

static int connect_send(struct ucx_link *link, bool with_address)
{
    struct ucx_state *state = link->state;
    size_t data_len = with_address ? state->address_len : 0;
    struct ucx_packet *packet = ucx_packet_create(UCX_CONNECT_SIZE + data_len);
    struct wire_writer w;
    int status;

    if (!packet)
        return -ENOMEM;
    w = (struct wire_writer){.data = packet->bytes, .capacity = UCX_CONNECT_SIZE};
    handshake_put(&w, link->key);
    if (with_address)
        memcpy(packet->bytes + UCX_CONNECT_SIZE, state->address, data_len);
    packet->id = UCX_AM_CONNECT;
    packet->head_len = UCX_CONNECT_SIZE;
    packet->data_len = data_len;
    status = ucx_packet_send(packet, link);
    return status < 0 ? status : 0;
}

static void accept_send(struct ucx_link *link)
{
    struct ucx_packet *packet = ucx_packet_create(UCX_ACCEPT_SIZE);
    struct wire_writer w;
    int status;

    if (!packet) {
        ucx_link_fail(link, -ENOMEM);
        return;
    }
    w = (struct wire_writer){.data = packet->bytes, .capacity = UCX_ACCEPT_SIZE};
    handshake_put(&w, link->remote_key);
    wire_put_u64(&w, link->key);
    packet->id = UCX_AM_ACCEPT;
    packet->head_len = UCX_ACCEPT_SIZE;
    status = ucx_packet_send(packet, link);
    if (status < 0)
        ucx_link_fail(link, status);
}

/* ---- client */

static int connect_params(const struct rpc_peer_config *config, ucp_ep_params_t *params)
{
    if (config->use_worker_address) {
        if (!config->worker_address || config->worker_address_len == 0)
            return -EADDRNOTAVAIL;
        params->field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS;
        params->address = config->worker_address;
        return 0;
    }
    if (!config->socket_address || config->socket_address_len == 0)
        return -EADDRNOTAVAIL;
    params->field_mask = UCP_EP_PARAM_FIELD_SOCK_ADDR | UCP_EP_PARAM_FIELD_FLAGS;
    params->flags = UCP_EP_PARAMS_FLAGS_CLIENT_SERVER;
    params->sockaddr.addr = config->socket_address;
    params->sockaddr.addrlen = (socklen_t)config->socket_address_len;
    return 0;
}

int ucx_link_connect(void *arg,
                     struct rpc_connection *connection,
                     const struct rpc_peer_config *config)
{
    struct ucx_state *state = arg;
    ucp_ep_params_t params = {0};
    struct ucx_link *link;
    int status = connect_params(config, &params);

    if (status < 0)
        return status;
    link = link_create(state, false);
    if (!link)
        return -ENOMEM;
    link->is_by_address = config->use_worker_address;
    status = link_ep_create(link, &params);
    if (status == 0)
        status = connect_send(link, link->is_by_address);
    if (status < 0) {
        link->is_closed = true;
        ucx_link_abort(link);
        return status;
    }
    link->connection = connection;
    connection->transport = link;
    return 0;
}

void ucx_link_on_accept(struct ucx_state *state, const struct ucx_message *message)
{
    struct wire_reader r = {.data = message->head, .length = message->head_len};
    struct ucx_link *link;
    uint64_t key;

    if (message->data_len != 0 || handshake_get(&r, &key) < 0)
        return; /* whose it is cannot be told: the connect timeout ends it */
    link = table_get(&state->keys, key);
    if (!link || link->is_server || link->is_up || link->is_failed)
        return;
    link->remote_key = wire_get_u64(&r);
    if (wire_reader_finish(&r) < 0) {
        ucx_link_fail(link, -EPROTO);
        return;
    }
    link->is_up = true;
    rpc_connection_up(link->connection);
}

/* ---- server */

/* The core's connection for a new link; on failure the link is freed. */
static int link_offer(struct ucx_link *link)
{
    link->connection =
        rpc_accept(link->state->rpc, &rpc_backend_ucx, link, false, (uint32_t)-1);
    if (link->connection)
        return 0;
    link_free(link);
    return -ECONNREFUSED;
}

void ucx_link_accept(struct ucx_state *state, ucp_conn_request_h request)
{
    struct ucx_link *link = link_create(state, true);
    ucp_ep_params_t params = {
        .field_mask = UCP_EP_PARAM_FIELD_CONN_REQUEST,
        .conn_request = request,
    };
    int status;

    if (!link || link_offer(link) < 0) {
        ucp_listener_reject(state->listener, request);
        return;
    }
    status = link_ep_create(link, &params); /* consumes the request, also on failure */
    if (status < 0) {
        rpc_descriptors_exhausted(state->rpc);
        ucx_link_fail(link, status);
    }
}

/* The listener's link that a CONNECT came on, or a new one to the worker address. */
static struct ucx_link *connect_find(struct ucx_state *state,
                                     const struct ucx_message *message)
{
    ucp_ep_params_t params = {
        .field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS,
        .address = (const ucp_address_t *)message->data,
    };
    struct ucx_link *link;
    int status;

    list_for_each(node, &state->links)
    {
        link = list_entry(node, struct ucx_link, node);
        /* Two workers that connect to each other's addresses at once may share an
         * endpoint of UCX: then this is not about our own connection to the peer. */
        if (link->ep && link->ep == message->reply_ep && link->is_server)
            return link->is_up ? NULL : link;
    }
    if (message->data_len == 0 || message->is_late
        || message->data_len > UCX_ADDRESS_MAX)
        return NULL;
    link = link_create(state, true);
    if (!link || link_offer(link) < 0)
        return NULL;
    link->is_by_address = true;
    status = link_ep_create(link, &params);
    if (status < 0) {
        ucx_link_fail(link, status);
        return NULL;
    }
    return link;
}

void ucx_link_on_connect(struct ucx_state *state, const struct ucx_message *message)
{
    struct wire_reader r = {.data = message->head, .length = message->head_len};
    struct ucx_link *link;
    uint64_t key;

    if (!rpc_config_get(state->rpc)->server || handshake_get(&r, &key) < 0
        || wire_reader_finish(&r) < 0)
        return; /* a listener's link that stays silent is ended by the core's timer */
    link = connect_find(state, message);
    if (!link || link->is_closed || link->is_failed)
        return;
    link->remote_key = key;
    link->is_up = true;
    accept_send(link);
}

/* ---- failing and closing */

void ucx_link_fail(struct ucx_link *link, int status)
{
    if (link->is_failed || link->is_closed)
        return;
    link->is_failed = true;
    link->status = status;
    list_push_back(&link->state->failed, &link->failed_node);
}

/* UCX tells of the end of an endpoint to a listener, but not of one by worker address:
 * the other side would keep its own, and with it the socket of both. */
static void close_send(struct ucx_link *link)
{
    struct ucx_packet *packet = ucx_packet_create(UCX_KEY_SIZE);
    struct wire_writer w;

    if (!packet)
        return; /* it finds out when it next sends something */
    w = (struct wire_writer){.data = packet->bytes, .capacity = UCX_KEY_SIZE};
    wire_put_u64(&w, link->remote_key);
    packet->id = UCX_AM_CLOSE;
    packet->head_len = UCX_KEY_SIZE;
    (void)ucx_packet_send(packet, link);
}

void ucx_link_on_close(struct ucx_state *state, const struct ucx_message *message)
{
    struct wire_reader r = {.data = message->head, .length = message->head_len};
    struct ucx_link *link = table_get(&state->keys, wire_get_u64(&r));

    if (link && link->is_up)
        ucx_link_fail(link, -ECONNRESET);
}

void ucx_link_settle(struct ucx_link *link)
{
    if (link->is_closed && !link->ep && link->n_ops == 0)
        link_free(link);
}

static void close_finished(struct ucx_op *op)
{
    (void)op; /* ucx_op_finish() settles the link */
}

void ucx_link_abort(struct ucx_link *link)
{
    ucp_ep_h ep = link->ep;
    ucp_request_param_t param;

    if (ep) {
        rpc_timer_clear(link->state->rpc, &link->timer);
        link->ep = NULL;
        ucx_op_init(&link->close_op, link, close_finished, &param);
        param.cb.send = ucx_op_sent;
        param.op_attr_mask |= UCP_OP_ATTR_FIELD_FLAGS;
        param.flags = UCP_EP_CLOSE_FLAG_FORCE;
        ucx_op_started(&link->close_op, ucp_ep_close_nbx(ep, &param));
    }
    ucx_link_settle(link);
}

static void flush_finished(struct ucx_op *op)
{
    ucx_link_abort(op->link);
}

static void flush_timed_out(struct rpc_timer *timer)
{
    ucx_link_abort(list_entry((void *)timer, struct ucx_link, timer));
}

/* Lets what was sent go out before the endpoint is closed. */
static void link_flush(struct ucx_link *link)
{
    ucp_request_param_t param;

    ucx_op_init(&link->flush_op, link, flush_finished, &param);
    param.cb.send = ucx_op_sent;
    link->timer.fire = flush_timed_out;
    if (!ucx_op_started(&link->flush_op, ucp_ep_flush_nbx(link->ep, &param))
        || rpc_timer_set(
               link->state->rpc, &link->timer, clock_now_ns() + UCX_FLUSH_TIMEOUT_NS)
               < 0)
        ucx_link_abort(link);
}

void ucx_link_close(struct rpc_connection *connection)
{
    struct ucx_link *link = connection->transport;

    link->is_closed = true;
    table_remove(&link->state->keys, link->key);
    list_remove(&link->failed_node);
    if (!link->is_up || link->is_failed || link->n_memory_ops > 0) {
        ucx_link_abort(link);
        return;
    }
    if (link->is_by_address)
        close_send(link);
    link_flush(link);
}

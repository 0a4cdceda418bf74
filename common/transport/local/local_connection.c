/* SPDX-License-Identifier: Apache-2.0
 *
 * One node-local connection, what is the same at both ends: rings, doorbell, closing.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/local/local.h"

/* Messages per turn and connection, so that one peer does not starve the others. */
#define TURN_MESSAGES 64u

struct local_connection *local_connection_new(struct local_state *state,
                                              enum local_role role)
{
    struct local_connection *connection = calloc(1, sizeof(*connection));

    if (!connection)
        return NULL;
    connection->state = state;
    connection->role = role;
    connection->phase = LOCAL_GREETING;
    connection->socket = connection->pid_fd = -1;
    connection->socket_source =
        (struct local_source){.kind = LOCAL_SOURCE_SOCKET, .connection = connection};
    connection->pid_source =
        (struct local_source){.kind = LOCAL_SOURCE_PROCESS, .connection = connection};
    list_node_init(&connection->link);
    list_node_init(&connection->break_link);
    list_init(&connection->pending);
    list_init(&connection->zombies);
    list_init(&connection->buffered);
    for (unsigned i = 0; i < LOCAL_GATES; i++)
        connection->free_gates[i] = (uint16_t)i;
    connection->n_free_gates = LOCAL_GATES;
    return connection;
}

static void connection_fds_close(struct local_connection *connection)
{
    local_unwatch(connection->state, &connection->socket);
    local_unwatch(connection->state, &connection->pid_fd);
}

void local_connection_free(struct local_connection *connection)
{
    if (!connection)
        return;
    connection_fds_close(connection);
    local_zombies_free(connection);
    local_buffered_free(connection);
    local_region_unmap(&connection->region);
    free(connection);
}

void local_connection_set_up(struct local_connection *connection)
{
    struct local_control *control = connection->region.control;

    local_ring_out_init(&connection->out, &connection->region, connection->role);
    local_ring_in_init(&connection->in, &connection->region, connection->role);
    connection->own = &control->sides[connection->role];
    connection->other = &control->sides[!connection->role];
    connection->phase = LOCAL_UP;
    local_activate(connection);
}

void local_connection_close(struct rpc_connection *rpc_connection)
{
    struct local_connection *connection = rpc_connection->transport;
    struct local_state *state = connection->state;

    /* Best effort for a last reply or goodbye. */
    if (connection->phase == LOCAL_UP && connection->role == LOCAL_SERVER)
        (void)local_buffered_flush(connection);
    rpc_timer_clear(state->rpc, &connection->retry_timer);
    connection->phase = LOCAL_DEAD;
    connection->rpc_connection = NULL;
    list_remove(&connection->break_link);
    connection_fds_close(connection);
    list_remove(&connection->link);
    list_push_back(&state->dead, &connection->link);
    rpc_connection_put(rpc_connection);
}

void local_connection_ring(struct local_connection *connection, _Atomic uint32_t *flag)
{
    const char byte = 0;

    if (!atomic_load(flag) || !atomic_exchange(flag, 0))
        return;
    /* Full socket: there are unread rings, that will do. Gone: the hang-up tells. */
    (void)send(connection->socket, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static int message_take(struct local_connection *connection,
                        const struct local_record *record,
                        const uint8_t *place)
{
    uint64_t need =
        LOCAL_LINE + WIRE_HEADER_SIZE
        + (uint64_t)(record->n_payload + record->n_space) * sizeof(struct local_span)
        + record->body_len;

    if (record->body_len > WIRE_BODY_MAX || record->n_payload > LOCAL_SPANS_MAX
        || record->n_space > LOCAL_SPANS_MAX || record->payload_len > WIRE_PAYLOAD_MAX)
        return -EPROTO;
    if (record->payload_mode == LOCAL_PAYLOAD_INLINE) {
        if (record->payload_len > LOCAL_INLINE_MAX)
            return -EPROTO;
        need += record->payload_len;
    }
    if (need > record->size)
        return -EPROTO;
    if (connection->role == LOCAL_SERVER)
        return local_request_take(connection, record, place);
    return local_reply_take(connection, record, place);
}

static unsigned messages_take(struct local_connection *connection)
{
    unsigned n = 0;
    int rc = 0;

    while (n < TURN_MESSAGES && connection->phase == LOCAL_UP
           && !local_is_stalled(connection)) {
        struct local_record record;
        const uint8_t *place;

        rc = local_ring_next(&connection->in, &record, &place);
        if (rc <= 0)
            break;
        rc = message_take(connection, &record, place);
        if (rc)
            break;
        local_ring_skip(&connection->in, &record);
        n++;
    }
    if (connection->phase != LOCAL_UP)
        return n;
    if (n > 0) {
        local_ring_give_back(&connection->in);
        local_connection_ring(connection, &connection->other->wants_space);
    }
    if (rc < 0)
        rpc_connection_lost(connection->rpc_connection, rc);
    return n;
}

unsigned local_connection_progress(struct local_connection *connection)
{
    unsigned n = 0;

    if (!list_is_empty(&connection->pending))
        n += local_pending_flush(connection);
    if (!list_is_empty(&connection->buffered))
        n += local_buffered_flush(connection);
    return n + messages_take(connection);
}

bool local_connection_sleep(struct local_connection *connection)
{
    bool has_waiting =
        !list_is_empty(&connection->pending) || !list_is_empty(&connection->buffered);

    atomic_store(&connection->own->sleeps, 1);
    /* What waits for something else goes on with an answer, which rings. */
    if (has_waiting && connection->is_full) {
        atomic_store(&connection->own->wants_space, 1);
        if (connection->out.head != atomic_load(connection->out.shared_head))
            return false;
    }
    return local_is_stalled(connection) || !local_ring_has_record(&connection->in);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The pool: which peers the engine is connected with, and closing those connections.
 */
#include "base/clock.h"
#include "client/engine_impl.h"

#define CLOSING_MS_MAX 1000u
#define QUIET_MS       20

uint32_t
engine_connections(struct engine *engine, struct engine_connection *list, uint32_t max)
{
    uint32_t n = 0;

    engine_visit_begin(engine);
    for (uint32_t i = 0; i < engine->n_peers; i++) {
        struct engine_connection connection = {.peer = i};

        if (!engine->peers[i])
            continue;
        connection.is_local = rpc_peer_is_local(engine->peers[i]);
        connection.state = rpc_peer_state_get(engine->peers[i], &connection.n_connects);
        if (connection.state == RPC_PEER_NONE && connection.n_connects == 0)
            continue;
        if (n < max)
            list[n] = connection;
        n++;
    }
    engine_visit_end(engine);
    return n;
}

/* Until what was closed has given back its descriptors. Those of connections by worker
 * address go when the other side has closed too, which nobody can ask UCX about: that
 * is when nothing has happened for a moment. */
static void closing_wait(struct engine *engine, bool is_by_address)
{
    struct deadline deadline = deadline_after_ms(CLOSING_MS_MAX);
    struct deadline quiet = deadline_after_ms(is_by_address ? QUIET_MS : 0);
    struct rpc *rpc = engine->rpcs[RPC_REMOTE];

    while (rpc && !(rpc_is_settled(rpc) && deadline_expired(quiet))
           && !deadline_expired(deadline)) {
        if (engine_drive(engine) == 0)
            rpc_wait(rpc, 10);
        else if (is_by_address)
            quiet = deadline_after_ms(QUIET_MS);
    }
}

uint32_t engine_disconnect(struct engine *engine)
{
    bool is_by_address = false;
    uint32_t n = 0;

    engine_visit_begin(engine);
    for (uint32_t i = 0; i < engine->n_peers; i++) {
        struct rpc_peer *peer = engine->peers[i];
        uint64_t n_connects;

        if (!peer || rpc_peer_is_local(peer)
            || rpc_peer_state_get(peer, &n_connects) != RPC_PEER_CONNECTED)
            continue;
        is_by_address = is_by_address || rpc_peer_is_by_address(peer);
        n += rpc_peer_disconnect(peer) == 0;
    }
    closing_wait(engine, is_by_address);
    engine_visit_end(engine);
    return n;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The pool: which peers the engine is connected with, and closing those connections.
 */
#include "base/clock.h"
#include "client/engine_impl.h"

#define CLOSING_MS_MAX 1000u

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

/* Until what was closed has given back its descriptors. */
static void closing_wait(struct engine *engine)
{
    struct deadline deadline = deadline_after_ms(CLOSING_MS_MAX);
    struct rpc *rpc = engine->rpcs[RPC_REMOTE];

    while (rpc && !rpc_is_settled(rpc) && !deadline_expired(deadline)) {
        if (engine_drive(engine) == 0)
            rpc_wait(rpc, 10);
    }
}

uint32_t engine_disconnect(struct engine *engine)
{
    uint32_t n = 0;

    engine_visit_begin(engine);
    for (uint32_t i = 0; i < engine->n_peers; i++) {
        struct rpc_peer *peer = engine->peers[i];
        uint64_t n_connects;

        if (peer && !rpc_peer_is_local(peer)
            && rpc_peer_state_get(peer, &n_connects) == RPC_PEER_CONNECTED)
            n += rpc_peer_disconnect(peer) == 0;
    }
    closing_wait(engine);
    engine_visit_end(engine);
    return n;
}

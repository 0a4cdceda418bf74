/* SPDX-License-Identifier: Apache-2.0
 *
 * State shared by the files of the core (rpc*.c). Backends don't see it.
 */
#ifndef BENCHFS_TRANSPORT_RPC_CORE_H
#define BENCHFS_TRANSPORT_RPC_CORE_H

#include <stdatomic.h>

#include "base/table.h"
#include "transport/rpc_internal.h"

#define RPC_CALL_BUCKETS 1024u
#define RPC_BACKENDS_MAX 2

struct rpc {
    struct rpc_config config; /* strings are copies */
    const struct rpc_backend *backends[RPC_BACKENDS_MAX];
    void *states[RPC_BACKENDS_MAX]; /* NULL: failed to be created */
    unsigned n_backends;
    int epoll_fd;
    int wake_fd;
    atomic_bool is_woken; /* set after wake_fd was written */
    bool is_armed;
    bool is_destroying;
    bool is_impatient;    /* no call waits for a connection any more */
    bool has_unconnected; /* a peer may have queued calls and no connection */

    struct rpc_timer **timers; /* heap, from 1 */
    size_t n_timers;
    size_t timers_capacity;

    uint64_t last_request;
    uint32_t n_targets;
    struct list peers;
    struct list connections; /* client side */
    struct list accepted;    /* server side, least recently used first */
    unsigned n_accepted;
    unsigned n_ready_clients; /* accepted, READY, not daemons */
    struct table clients;     /* id -> struct rpc_client */

    struct rpc_outgoing *calls[RPC_CALL_BUCKETS];
    struct list releasing; /* ended, the backend still has their memory */
    struct list requests;  /* incoming, all that are not in `delivered` */
    struct list orphans;   /* of them, ORDERED ones without a connection */

    /* What the next drain hands to callbacks. */
    struct list finished;  /* outgoing */
    struct list delivered; /* incoming */
    struct list gone;      /* clients */
    struct list leaving;   /* connections whose server said goodbye (client_link) */

    struct rpc_stats stats;
};

struct rpc_client {
    uint64_t id;
    struct list connections; /* READY ones, by client_link */
    struct list_node link;   /* in gone */
    bool is_evicted;
};

struct rpc_peer {
    struct rpc *rpc;
    struct list_node link;
    struct rpc_peer_config config;     /* copies */
    struct rpc_connection *connection; /* NULL: none */
    struct list queue;                 /* outgoing, waiting for READY */
    uint64_t n_connects;               /* that got READY */
    bool has_info;
    struct rpc_peer_info info;
    /* without a connection, and calls wait for one */
    struct rpc_timer retry_timer; /* set: the next try is not due yet */
    uint64_t down_since_ns;       /* 0: it is up, or was never tried */
    unsigned backoff_ms;
    int failure; /* of the last try */
    /* patience has ended: calls fail at once with this, until a probe succeeds */
    int lost;
    uint64_t probe_at_ns;     /* not before */
    bool is_abandoning;       /* its try to connect is being cut short */
    uint64_t silent_since_ns; /* its connection was closed for its silence; 0 */
};

void *rpc_backend_state(const struct rpc *rpc, const struct rpc_backend *backend);

/* rpc_timer.c */
/* Fires what is due; number fired. */
unsigned rpc_timers_run(struct rpc *rpc);
/* When the next one is due, UINT64_MAX: none. */
uint64_t rpc_timers_next_ns(const struct rpc *rpc);
void rpc_timers_fini(struct rpc *rpc);

/* rpc_connection.c */
struct rpc_connection *
rpc_connection_new(struct rpc *rpc, const struct rpc_backend *backend, bool is_local);

/* rpc_client.c */
/* Queued calls of the peer end, or those sent go to the queue, as the status says. */
void rpc_client_connection_closed(struct rpc_connection *connection,
                                  int status,
                                  bool was_ready);
/* Follows the servers' goodbyes: closes, connects again for what is queued. */
unsigned rpc_client_drain(struct rpc *rpc);
void rpc_client_connect(struct rpc_peer *peer);
void rpc_client_queue_fail(struct rpc_peer *peer, int status);

/* rpc_reconnect.c */
#define PROBE_WAIT_NS (300 * CLOCK_NS_PER_MS)
void rpc_reconnect_init(struct rpc_peer *peer);
/* A connection, or the try to get one, ended with status. True: calls wait for another,
 * which is planned. */
bool rpc_reconnect_plan(struct rpc_peer *peer, int status, bool was_ready);
/* The peer has a connection, or its calls have ended. */
void rpc_reconnect_reset(struct rpc_peer *peer);
/* The peer has a connection. */
void rpc_reconnect_up(struct rpc_peer *peer);
/* A call to a peer that is lost: looks now and then whether it is back. True: the call
 * may wait for that, for PROBE_WAIT_NS. A server's calls never do: it sees a connection
 * come about anyway. */
bool rpc_reconnect_probe(struct rpc_peer *peer);
/* A call has waited in vain. A client's try to connect ends with the last call that
 * wants it: who drives it may never come back, and an unfinished one has UCX's own
 * thread turn without end. */
void rpc_reconnect_abandon(struct rpc_peer *peer);
/* A call on it has waited in vain: a connection that was silent all the time is closed.
 */
void rpc_connection_suspect(struct rpc_connection *connection, uint64_t since_ns);
bool rpc_reconnect_is_due(const struct rpc_peer *peer);
bool rpc_outgoing_may_resend(const struct rpc_outgoing *out);

/* rpc_call.c */
/* Makes the outgoing of a call and sends or queues it: connection NULL means queue.
 * is_probe: to a peer that is lost. */
int rpc_outgoing_start(struct rpc *rpc,
                       struct rpc_peer *peer,
                       struct rpc_connection *connection,
                       bool is_probe,
                       struct rpc_call *call);
/* Ends it (from any state); its done runs with the next drain. */
void rpc_outgoing_end(struct rpc_outgoing *out, int status, bool is_transport);
/* Sends a queued one on the peer's READY connection. */
void rpc_outgoing_send(struct rpc_outgoing *out, struct rpc_connection *connection);
/* Takes a sent one back into its peer's queue. */
void rpc_outgoing_requeue(struct rpc_outgoing *out);
bool rpc_outgoing_is_answered(const struct rpc_outgoing *out);
/* Runs the done callbacks of ended calls; their number. */
unsigned rpc_call_drain(struct rpc *rpc);

/* rpc_registry.c */
/* The connection is about to be READY: closes those it takes the place of, counts it
 * under its client id, evicts others. -EAGAIN: what came over the former is under way.
 */
int rpc_registry_add(struct rpc_connection *connection, uint64_t id);
struct rpc_origin rpc_connection_origin(const struct rpc_connection *connection);
void rpc_registry_remove(struct rpc_connection *connection);
unsigned rpc_registry_drain(struct rpc *rpc);
void rpc_registry_fini(struct rpc *rpc);

/* rpc_server.c */
void rpc_server_connection_closed(struct rpc_connection *connection);
unsigned rpc_server_drain(struct rpc *rpc);
void rpc_server_drop_all(struct rpc *rpc);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * One request/reply layer over all routes (UCX, node-local shared memory).
 *
 * A struct rpc belongs to one thread at a time: a shard's thread, or whoever holds the
 * client's lock. Nothing here blocks except rpc_wait() and rpc_call_sync(). Callbacks
 * of calls and of the server run from rpc_progress(), those of pulls and replies also
 * from rpc_wait(); they must not call those two, nor rpc_destroy(). rpc_wake() may be
 * called from any thread. The child of a fork must not touch its parent's rpc, not even
 * to destroy it.
 *
 * Every started call gets exactly one done callback, within its deadline plus a second,
 * whatever happens to the peer; every request handed to the server gets exactly one
 * reply.
 */
#ifndef BENCHFS_TRANSPORT_RPC_H
#define BENCHFS_TRANSPORT_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/error.h"
#include "base/list.h"
#include "proto/wire.h"

struct rpc;
struct rpc_peer;
struct rpc_connection;
struct rpc_backend; /* rpc_backend_local (no UCX) and rpc_backend_ucx */

/* ---- server side -------------------------------------------------------- */

/*
 * A request that came in and passed the transport's checks (header sane, connection
 * authenticated, opcode known, body and payload within the op's limits). Valid until
 * rpc_request_reply().
 */
struct rpc_request {
    struct list_node link; /* free for the server's use */
    struct wire_header header;
    const uint8_t *body;               /* header.body_len bytes, owned by the request */
    struct rpc_connection *connection; /* NULL once the connection is gone */
    bool is_local;
    void *arg; /* free for the server's use */
};

/* status: 0 or -errno of the transfer. */
typedef void (*rpc_transfer_done)(void *arg, int status);

/*
 * Moves the request's payload (header.payload_len bytes, exactly the iovec's total)
 * into the server's memory, at most once, before the reply. `done` may run before this
 * returns (local route, eager messages) or later from rpc_progress(). The memory must
 * stay valid until then.
 */
void rpc_request_pull(struct rpc_request *request,
                      const struct iovec *iov,
                      int n_iov,
                      rpc_transfer_done done,
                      void *arg);

/*
 * Answers and frees the request. `body` is copied. The payload memory must stay valid
 * until `done` ran (done may be NULL when n_iov is 0). A payload larger than
 * header.reply_space is a programming error (assert). Replying to a connection that is
 * gone is fine: done runs with -ENOTCONN. An unpulled payload is discarded.
 */
void rpc_request_reply(struct rpc_request *request,
                       int status,
                       const void *body,
                       size_t body_len,
                       const struct iovec *iov,
                       int n_iov,
                       rpc_transfer_done done,
                       void *arg);

/* What is known of a client when it has connected. */
struct rpc_client_info {
    uint64_t id;
    uint8_t kind; /* enum hello_kind */
    bool is_local;
    uint32_t node;   /* RPC_NODE_UNKNOWN */
    uint32_t target; /* a daemon's own */
    int pid;         /* local: of the process; 0: not known */
};

#define RPC_NODE_UNKNOWN UINT32_MAX

struct rpc_server {
    /* Takes over `request`. */
    void (*on_request)(void *arg, struct rpc_request *request);
    /* A client has got a connection, beside others or as its first (id as in HELLO).
     * May be NULL. */
    void (*on_client_up)(void *arg, const struct rpc_client_info *client);
    /* A client's last connection to this rpc has gone. is_evicted: the server wanted
     * it. That does not mean that the client is: it connects again when it has
     * something to say. */
    void (*on_client_down)(void *arg, uint64_t client, bool is_evicted);
    /* Whether a client has something open here: those without make room first. May be
     * NULL: none has. */
    bool (*has_open)(void *arg, uint64_t client);
    void *arg;
};

/* What HELLO said of the other side; the connection must not be NULL. */
uint64_t rpc_connection_client(const struct rpc_connection *connection);
uint8_t rpc_connection_kind(const struct rpc_connection *connection); /* hello_kind */
uint32_t rpc_connection_uid(const struct rpc_connection *connection);

/* Server: when the client last said something (clock_now_ns()), over a connection that
 * is still there; 0: it has none. */
uint64_t rpc_client_heard_ns(const struct rpc *rpc, uint64_t id);
/* Closes its connections: nobody is thought to be behind them. on_client_down follows.
 * Not from a callback. */
void rpc_client_close(struct rpc *rpc, uint64_t id);

/* ---- set-up ------------------------------------------------------------- */

/* How the two sides prove who they are on routes that cross nodes. Implemented with
 * MUNGE by transport/auth_munge.h; NULL in rpc_config: remote routes are not offered at
 * all. */
struct rpc_auth {
    /* Makes a credential over `challenge`; returns its length or -errno. */
    int (*make)(void *arg,
                const void *challenge,
                size_t len,
                char *buf,
                size_t cap,
                struct benchfs_error *err);
    /* 0 if the credential is fresh, by `uid`, and over this challenge; else -EACCES. */
    int (*check)(void *arg,
                 const char *cred,
                 size_t cred_len,
                 const void *challenge,
                 size_t len,
                 uint32_t uid,
                 struct benchfs_error *err);
    void *arg;
};

/* Strings are copied; server, remote and auth must outlive the rpc. 0 means the default
 * for the timeouts (30 s, 5 s) and client_limit (1024). */
struct rpc_config {
    uint64_t client;             /* own client id, not 0 */
    const char *job;             /* job id text, goes into HELLO and is compared */
    uint8_t kind;                /* enum hello_kind this side announces */
    unsigned request_timeout_ms; /* default of calls */
    unsigned connect_timeout_ms;
    unsigned spin_us;      /* rpc_wait spins that long before it sleeps */
    unsigned client_limit; /* server: more idle ones than this are evicted; daemons'
                              don't count */
    const struct rpc_server *server; /* NULL: client only */
    /* local route: Unix socket to listen on (server), NULL: none */
    const char *local_path;
    /* UCX route; NULL: no UCX. See rpc_ucx.h. listen_address: numeric IP the listener
     * binds to, port 0 = dynamic; NULL: no listener (pure client). */
    const struct rpc_backend *remote;
    bool
        uses_ipv6; /* the peers have IPv6 addresses; a server: listen_address says it */
    const char *listen_address;
    uint16_t listen_port;
    const struct rpc_auth *auth;
    /* what a server tells in HELLO; a client: its node, or RPC_NODE_UNKNOWN */
    uint32_t target;
    uint32_t node;
    uint64_t instance;
};

int rpc_create(const struct rpc_config *config,
               struct rpc **ret,
               struct benchfs_error *err);
/* Ends all calls in progress with -ECANCELED (their done callbacks run), closes
 * everything and frees the peers. Requests that were not replied to are gone with it,
 * as is a reply's memory no longer used. NULL is fine. */
void rpc_destroy(struct rpc *rpc);

/* Own remote addresses, for the endpoint table; pointers live as long as rpc. */
struct rpc_address {
    const void *socket_address; /* struct sockaddr_in or _in6 */
    size_t socket_address_len;
    const void *worker_address;
    size_t worker_address_len;
};
int rpc_address_get(const struct rpc *rpc, struct rpc_address *ret);
/* Known only after the bootstrap; told to clients by HELLO. */
void rpc_set_n_targets(struct rpc *rpc, uint32_t n_targets);

/* Memory that payloads come from or go to often (an arena); lets RDMA register it once.
 */
int rpc_register_memory(struct rpc *rpc,
                        void *base,
                        size_t size,
                        struct benchfs_error *err);

/* ---- progress ----------------------------------------------------------- */

/* Handles what is there, never blocks; the number of events handled (0: nothing to do).
 */
unsigned rpc_progress(struct rpc *rpc);
/* Spins, then sleeps until there is something to do, a deadline of a call, rpc_wake(),
 * or the timeout (-1: none). Handles nothing itself. */
void rpc_wait(struct rpc *rpc, int timeout_ms);
/* rpc_wait() in two halves for callers that must drop a lock in between: prepare
 * returns true when the caller may poll the fd (readable = call rpc_progress), for at
 * most *ret_timeout_ms (-1: for ever), false when there is something to do already. */
bool rpc_wait_prepare(struct rpc *rpc, int *ret_timeout_ms);
int rpc_wait_fd(const struct rpc *rpc);
/* Makes rpc_wait() return, or the fd readable. Any thread; rpc must live until it has
 * returned (join before rpc_destroy()). */
void rpc_wake(struct rpc *rpc);

/* ---- client side -------------------------------------------------------- */

#define RPC_TARGET_ANY UINT32_MAX

struct rpc_peer_config {
    /* Whom we mean: another one there fails calls with -ESTALE. RPC_TARGET_ANY: we take
     * whoever answers (rpc_peer_info_get() says who). */
    uint32_t target;
    const char *name;       /* for messages: "node n2 shard 0 (10.1.2.3:4567)" */
    const char *local_path; /* Unix socket, when the peer is on this host; else NULL */
    const void *socket_address; /* else one of these two */
    size_t socket_address_len;
    const void *worker_address; /* used when connection mode is `address` */
    size_t worker_address_len;
    bool use_worker_address;
    /* How long the peer may be without a connection before its calls end. Until then
     * they wait, and are sent again over the next connection, each within its own
     * deadline. After that it is lost: calls fail at once with -EHOSTDOWN
     * (-ECONNREFUSED: of this host), while it is tried once a second or so whether it
     * is back. A peer on another host that says nothing for as long, with a call under
     * way, has no connection. 0: calls end with their connection. */
    unsigned patience_ms;
    bool is_logged; /* warns when the peer is lost */
};

/* No network traffic yet: connects with the first call, again after a failure. */
int rpc_peer_create(struct rpc *rpc,
                    const struct rpc_peer_config *config,
                    struct rpc_peer **ret,
                    struct benchfs_error *err);
/* Its calls end with -ECANCELED: done runs with the next rpc_progress(). */
void rpc_peer_destroy(struct rpc_peer *peer);

/* What the peer's last HELLO said; NULL before the first. Valid until the next connect
 * (any rpc_progress()). A changed instance: the daemon has been restarted. */
struct rpc_peer_info {
    uint32_t target;
    uint32_t n_targets; /* 0: the daemon does not know yet */
    uint32_t node;
    uint64_t instance;
};
const struct rpc_peer_info *rpc_peer_info_get(const struct rpc_peer *peer);
enum rpc_peer_state {
    RPC_PEER_NONE,       /* no connection, and nobody wants one */
    RPC_PEER_CONNECTING, /* or about to try again */
    RPC_PEER_CONNECTED,
    RPC_PEER_LOST,
};
/* *ret_connects: how often it has been connected. */
enum rpc_peer_state rpc_peer_state_get(const struct rpc_peer *peer,
                                       uint64_t *ret_connects);
/* See patience_ms. */
bool rpc_peer_is_lost(const struct rpc_peer *peer);
/* Over a Unix socket, and not the network. */
bool rpc_peer_is_local(const struct rpc_peer *peer);
/* By UCX worker address, and not by the listener. */
bool rpc_peer_is_by_address(const struct rpc_peer *peer);
/* Closes the peer's connection; the next call makes another. Not from a callback. 0,
 * also when there is none; -EBUSY: a call is under way. */
int rpc_peer_disconnect(struct rpc_peer *peer);

struct rpc_call {
    /* set by the caller, unchanged until done */
    uint16_t opcode;
    uint32_t target;   /* may be another than the peer's own: it forwards */
    uint64_t client;   /* 0: the rpc's own id (a daemon forwarding sets the original) */
    uint64_t sequence; /* request number; 0: a new one is made. Set by a retry (the
                        * number of the first try, see `request`) and by a daemon
                        * that forwards (the original's) */
    uint16_t slot;     /* of an op with OP_ONCE, see transport/rpc_slots.h; 0: none */
    bool
        asks_only; /* of one sent before: if that was not done, -ENODATA, and no more */
    const void *body; /* copied by rpc_call_start */
    size_t body_len;
    const struct iovec *send; /* request payload; iovec array and memory stay valid */
    int n_send;
    const struct iovec *recv; /* space for the reply's payload */
    int n_recv;
    unsigned timeout_ms; /* 0: the rpc's default */
    bool is_once; /* ends with its connection, or if there is none to be had: so do all
                   * calls of ops with OP_NO_RESEND */
    bool is_patient;                     /* waits for a peer that is lost */
    void (*done)(struct rpc_call *call); /* may free or reuse the call */
    void *arg;
    /* set before done */
    int status;        /* 0, the peer's -errno, or the transport's: see is_transport */
    bool is_transport; /* the failure is the connection's, not an answer:
                        * -ETIMEDOUT, -EHOSTDOWN (peer gone), -ECONNREFUSED,
                        * -EACCES (not authorised), -EPROTO, -ECANCELED */
    uint8_t reply[WIRE_BODY_MAX];
    size_t reply_len;
    size_t received;  /* bytes of reply payload */
    uint64_t sent_ns; /* clock_now_ns(): when it last went out; 0: never */
    uint64_t request; /* number it went out with; set by rpc_call_start */
    /* private */
    struct rpc_outgoing *outgoing;
};

/*
 * Starts a call. 0: done will run exactly once, from rpc_progress(), never from here.
 * On -errno it never runs. After done the payload memory is no longer touched, also
 * when the call ended by its deadline.
 */
int rpc_call_start(struct rpc_peer *peer, struct rpc_call *call);

/* Whether another try may go better than one that ended so; the first may still be
 * under way. */
bool rpc_status_is_transient(int status);

/* Starts and progresses until done; for single-threaded users (plugin, CLI, tests). */
int rpc_call_sync(struct rpc_peer *peer, struct rpc_call *call);

/* Whether closed connections are gone, with their descriptors. If not, it takes some
 * rpc_progress(). */
bool rpc_is_settled(struct rpc *rpc);

/* rpc_wait() also ends when `fd` is readable, which is the caller's to read. Closing it
 * ends that. 0 or -errno. */
int rpc_watch_fd(struct rpc *rpc, int fd);

/* From now on calls end with their connection, whatever the peers' patience; those that
 * wait for one end with the next rpc_progress(). For a server that is about to end. */
void rpc_give_up_waiting(struct rpc *rpc);

/* ---- counters ----------------------------------------------------------- */
struct rpc_stats {
    uint64_t requests_in, replies_out, calls_out, bytes_in, bytes_out;
    uint64_t connects, disconnects, evictions, refused, connections_now, wakeups;
    uint64_t reuses; /* requests that came over a connection that had brought others */
};
void rpc_stats_get(const struct rpc *rpc, struct rpc_stats *ret);

#endif

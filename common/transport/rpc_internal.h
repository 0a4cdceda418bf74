/* SPDX-License-Identifier: Apache-2.0
 *
 * What the core of the RPC layer and its backends (local/, rpc_ucx.c) know of each
 * other. The core has request ids, deadlines, HELLO and AUTH, the op checks, the
 * registry of clients; a backend moves messages and payloads and tells when a peer is
 * gone.
 */
#ifndef BENCHFS_TRANSPORT_RPC_INTERNAL_H
#define BENCHFS_TRANSPORT_RPC_INTERNAL_H

#include "base/clock.h"
#include "base/list.h"
#include "transport/rpc.h"

/* ---- timers: one heap per rpc ------------------------------------------- */

struct rpc_timer {
    uint64_t when_ns; /* clock_now_ns() */
    size_t index;     /* place in the heap, from 1; 0: not set */
    void (*fire)(struct rpc_timer *timer);
};

/* Sets or moves it; fires once, from rpc_progress(). -ENOMEM on growth only. */
int rpc_timer_set(struct rpc *rpc, struct rpc_timer *timer, uint64_t when_ns);
void rpc_timer_clear(struct rpc *rpc, struct rpc_timer *timer);

/* ---- connections -------------------------------------------------------- */

enum rpc_connection_state {
    RPC_CONNECTING, /* client: backend has not said rpc_connection_up() */
    RPC_HELLO_SENT, /* client */
    RPC_AUTH_SENT,  /* client */
    RPC_NEW,        /* server: nothing but HELLO is taken */
    RPC_CHALLENGED, /* server: nothing but AUTH is taken */
    RPC_READY,      /* both */
    RPC_CLOSING,    /* server: a last message goes out, nothing is taken */
    RPC_CLOSED,     /* backend->close() was called */
};

/*
 * One connection of either side, made by the core. Freed by the core with
 * rpc_connection_put(); the backend holds one reference from connect()/rpc_accept()
 * until it has finished closing (it may need that long after close()).
 */
struct rpc_connection {
    struct rpc *rpc;
    const struct rpc_backend *backend;
    void *transport;       /* the backend's own */
    struct rpc_peer *peer; /* client side; NULL on the server's */
    enum rpc_connection_state state;
    unsigned references;
    uint32_t uid; /* server: of the other side, once proven */
    bool is_local;
    int pid;                      /* server, local: of the other side's process; 0 */
    uint8_t kind;                 /* server: enum hello_kind from HELLO */
    uint32_t node, client_target; /* server: from HELLO */
    uint8_t nonce[32];            /* server: what AUTH must be over */
    uint64_t client_id;           /* server: from HELLO */
    struct rpc_client *client;    /* server: registry entry, from READY on */
    struct list_node link;        /* rpc's list; a server's in order of use (LRU) */
    struct list_node client_link;
    struct list calls;    /* client: struct rpc_outgoing sent, not ended */
    struct list requests; /* server: struct rpc_incoming not yet replied */
    unsigned n_requests;
    bool has_served;        /* server: a request has come */
    struct rpc_timer timer; /* connect, authentication or goodbye timeout */
    struct rpc_call *hello; /* client: HELLO, then AUTH */
    uint64_t heard_ns;      /* when the last message came, or it got READY */
    bool is_evicted;        /* server: said goodbye to make room */
    bool is_leaving;        /* client: the server said goodbye */
};

/* ---- messages in progress ----------------------------------------------- */

/* A call in progress, client side (HELLO and AUTH are calls too). */
struct rpc_outgoing {
    struct list_node link; /* the core's */
    struct rpc_call *call; /* send and recv: the payload's memory */
    struct rpc *rpc;
    struct rpc_peer *peer;             /* NULL: destroyed */
    struct rpc_connection *connection; /* NULL: queued, or its connection was closed */
    struct rpc_timer timer;
    uint64_t sent_ns;
    struct rpc_outgoing *hash_next;
    uint64_t client, request; /* with the connection: key of the reply */
    uint64_t send_size;       /* bytes of call->send */
    uint64_t recv_size;       /* bytes of call->recv */
    int status;
    uint8_t state; /* the core's, as are the next four */
    bool is_once;
    uint8_t n_sends;
    bool is_transport;
    bool is_unsent; /* the peer has not looked at it: goes out again */
    bool is_probe;  /* to a peer that is lost: waits for the connection a moment only */
    uint64_t until_ns; /* its deadline, whatever the timer is set to */
    uint16_t opcode;
    void *transport; /* the backend's own, NULL before send() */
    size_t len;
    /* Header and body as they go out: len bytes; valid until release() said true or
     * rpc_outgoing_released(). */
    uint8_t bytes[];
};

/* Who a request came from, whatever connection. A daemon that was restarted has another
 * id, and takes the place of the one before it. */
struct rpc_origin {
    uint64_t client;
    uint32_t target; /* of a daemon; UINT32_MAX */
};

/* A request at the server, from rpc_incoming_new() until its reply is done. */
struct rpc_incoming {
    struct rpc_request request;       /* first member; request.connection NULL: gone */
    struct list_node link;            /* the core's lists */
    struct list_node connection_link; /* or in the rpc's orphans */
    struct rpc *rpc;
    const struct rpc_backend *backend;
    struct rpc_origin origin;
    uint8_t state; /* the core's */
    int refuse;    /* errno to answer at once with */
    rpc_transfer_done pull_done;
    void *pull_arg;
    uint64_t reply_size; /* bytes of payload in the reply */
    rpc_transfer_done reply_done;
    void *reply_arg;
    void *transport; /* backend->request_size zeroed bytes for the backend's use */
};

/* ---- the backend -------------------------------------------------------- */

/*
 * All functions run on the rpc's thread. Except for pull() and reply(), which may
 * complete at once, none of them calls back into the core: what there is to tell is
 * told from progress() (and, what releases memory, from destroy()). `state` is what
 * create() made. From inside the functions of the last part the core calls nothing but
 * send() (in rpc_connection_up), release(), close() and discard() of that connection:
 * server and done callbacks run when the backends' progress() have returned. Only the
 * done callbacks of pull and reply run at once, and may call reply() or send().
 */
struct rpc_backend {
    const char *name;
    size_t request_size; /* room in each rpc_incoming, see transport */

    /* Reads what it needs with rpc_config_get(); starts the listener if asked for. */
    int (*create)(struct rpc *rpc, void **ret_state, struct benchfs_error *err);
    /* After the core closed all connections. Must end with nothing held: releases all
     * outgoing and completes pulls and replies that are still under way. */
    void (*destroy)(void *state);

    /* Handles what is there, never blocks; number of events. */
    unsigned (*progress)(void *state);
    /* Level-triggered for the rpc's epoll (EPOLLIN), -1: none. */
    int (*fd)(void *state);
    /* 0: nothing pending, and the fd gets readable when something comes; -EBUSY: call
     * progress() first. */
    int (*arm)(void *state);
    /* NULL, or called when the core goes on after arm() returned 0. */
    void (*disarm)(void *state);

    /* NULL: has no addresses. */
    int (*address_get)(void *state, struct rpc_address *ret);
    int (*register_memory)(void *state,
                           void *base,
                           size_t size,
                           struct benchfs_error *err);

    /* Client: starts connecting, sets connection->transport. Later, from progress():
     * rpc_connection_up() or rpc_connection_lost(). The config is valid as long as the
     * peer; with worker address 'up' may be told with the next progress(). */
    int (*connect)(void *state,
                   struct rpc_connection *connection,
                   const struct rpc_peer_config *config);
    /* Both sides; exactly once per connection, maybe from inside rpc_connection_lost().
     * No more callbacks for this connection but the completions of what was under way
     * (rpc_outgoing_released, rpc_request_pulled, rpc_request_replied), which come
     * soon. Messages already given to send() or reply() and completed are still
     * delivered. Drops the backend's reference when it is finished with it. */
    void (*close)(struct rpc_connection *connection);
    /* Whether all that has been closed is gone, with its descriptors; to be asked again
     * after progress(). NULL: always. */
    bool (*is_settled)(void *state);

    /* Client: sends out->bytes and the payload call->send.
     * Never blocks: queues if it must. -errno: nothing was started, release() is not
     * called. */
    int (*send)(struct rpc_connection *connection, struct rpc_outgoing *out);
    /* Client: the call ends (answered, deadline, connection closed); exactly once per
     * sent outgoing, before close(). Stop using the call's memory and out. True:
     * nothing uses it any more. False: rpc_outgoing_released() follows, within a
     * second. */
    bool (*release)(struct rpc_outgoing *out);

    /* Server: fetch the payload (header.payload_len bytes, > 0); ends with
     * rpc_request_pulled(). At most once per request, not after close(). */
    void (*pull)(struct rpc_incoming *in, const struct iovec *iov, int n_iov);
    /* Server: the payload of a request will not be pulled, or its connection is closed:
     * free what is in in->transport. Exactly once per request with a payload that was
     * not pulled; before reply(). May be NULL. */
    void (*discard)(struct rpc_incoming *in);
    /* Server: the request is about to be freed; exactly once, last of all, also after
     * close() (then what is in in->transport must not be reached through the
     * connection). May be NULL. */
    void (*finish)(struct rpc_incoming *in);
    /* Server: send the reply; ends with rpc_request_replied(), after which neither iov
     * memory nor `in` is used. `header` and `body` are only valid during the call. Not
     * after close(). */
    void (*reply)(struct rpc_incoming *in,
                  const struct wire_header *header,
                  const void *body,
                  const struct iovec *iov,
                  int n_iov);
    /* Server: a one-way message without payload, best effort. */
    void (*notify)(struct rpc_connection *connection, const struct wire_header *header);
};

extern const struct rpc_backend rpc_backend_local;

/* ---- what backends call ------------------------------------------------- */

const struct rpc_config *rpc_config_get(const struct rpc *rpc);

/* Server: somebody connected. `uid`: proven by the route, or UINT32_MAX (then AUTH is
 * asked for). Takes a reference for the backend. NULL: no memory, or refused; drop it.
 */
struct rpc_connection *rpc_accept(struct rpc *rpc,
                                  const struct rpc_backend *backend,
                                  void *transport,
                                  bool is_local,
                                  uint32_t uid);
/* Server: there are no descriptors for another connection: makes room. */
void rpc_descriptors_exhausted(struct rpc *rpc);
void rpc_connection_put(struct rpc_connection *connection);

/* Client: the route is there; the core sends HELLO (send() is called from inside). */
void rpc_connection_up(struct rpc_connection *connection);
/* Both: it is gone (-EHOSTDOWN), was refused (-ECONNREFUSED), broke the protocol
 * (-EPROTO), … The core ends its calls and calls close() before this returns. No effect
 * when it is closed already. */
void rpc_connection_lost(struct rpc_connection *connection, int status);

/*
 * Server: a message came in. `head`: WIRE_HEADER_SIZE bytes, `body`: body_len bytes;
 * both are checked and copied, may be freed after. The caller states how much payload
 * the route has for it (compared with the header). NULL: refused, the payload is to be
 * dropped (the connection may have been closed, look at connection->state). Else fill
 * in->transport, then rpc_incoming_deliver().
 */
struct rpc_incoming *rpc_incoming_new(struct rpc_connection *connection,
                                      const uint8_t *head,
                                      const uint8_t *body,
                                      size_t body_len,
                                      uint64_t payload_len);
/* Queues it for the core's own or the server's handler; not used by progress() after.
 */
void rpc_incoming_deliver(struct rpc_incoming *in);
void rpc_request_pulled(struct rpc_incoming *in, int status);
void rpc_request_replied(struct rpc_incoming *in, int status);

/*
 * Client: a reply came in; arguments as above. Returns the call it belongs to, for the
 * backend to bring the payload into call->recv (payload_len bytes, checked to fit; may
 * be 0) and then say rpc_reply_end(); NULL: drop it (late, unknown, a notice to the
 * core, or refused: the connection may have been closed).
 */
struct rpc_outgoing *rpc_reply_begin(struct rpc_connection *connection,
                                     const uint8_t *head,
                                     const uint8_t *body,
                                     size_t body_len,
                                     uint64_t payload_len);
/* status: 0 or -errno of the payload's transfer. Calls release(); `out` is not to be
 * used after unless release() said false. */
void rpc_reply_end(struct rpc_outgoing *out, int status);
void rpc_outgoing_released(struct rpc_outgoing *out);

#endif

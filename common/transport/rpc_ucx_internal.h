/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the UCX backend share: rpc_ucx.c (worker, listener, progress),
 * rpc_ucx_link.c (connections), rpc_ucx_message.c (messages in and out), rpc_ucx_call.c
 * (the client's side), rpc_ucx_request.c (the server's), rpc_ucx_op.c (operations under
 * way, UCX status). Callbacks of UCX only put things on
 * the lists of struct ucx_state; ucx_progress() handles them after UCX has returned.
 */
#ifndef BENCHFS_TRANSPORT_RPC_UCX_INTERNAL_H
#define BENCHFS_TRANSPORT_RPC_UCX_INTERNAL_H

#include <sys/socket.h>

#include <ucp/api/ucp.h>

#include "base/list.h"
#include "base/table.h"
#include "transport/rpc_internal.h"

/* Active message ids. From 0 on without a gap: UCX 1.13 leaves those below and between
 * uninitialised, and crashes when a peer uses one. */
enum ucx_am_id {
    UCX_AM_CONNECT = 0, /* client to server: key, worker address or nothing */
    UCX_AM_ACCEPT = 1,  /* server to client: the keys of both */
    UCX_AM_MESSAGE = 2, /* key, wire header, body; the payload is the data */
    UCX_AM_CLOSE = 3,   /* key; the last one on a link by worker address */
};

#define UCX_HANDSHAKE_MAGIC   0x55534642u /* "BFSU" */
#define UCX_HANDSHAKE_VERSION 2u
#define UCX_CONNECT_SIZE      16u    /* magic, version, client's key */
#define UCX_ACCEPT_SIZE       24u    /* magic, version, client's key, server's key */
#define UCX_ADDRESS_MAX       16384u /* a worker address; some hundred bytes each device */
#define UCX_KEY_SIZE          8u
#define UCX_HEAD_SIZE         (UCX_KEY_SIZE + WIRE_HEADER_SIZE)

/*
 * Payloads from this size on go by rendezvous, whatever UCX would choose: straight into
 * their place, and no memory of the receiver is taken before it asks. Below, UCX
 * chooses. On TCP over loopback eager has the better latency up to 256 KiB, rendezvous
 * the better bandwidth from 128 KiB on.
 */
#define UCX_RENDEZVOUS_MIN (128u << 10)

#define UCX_FLUSH_TIMEOUT_NS (500 * CLOCK_NS_PER_MS) /* of an orderly close */
#define UCX_RELEASE_TIMEOUT_NS                                                         \
    (500 * CLOCK_NS_PER_MS) /* memory of an answered call                              \
                             */
#define UCX_DESTROY_TIMEOUT_MS 1000

struct ucx_link;
struct ucx_message;

struct ucx_state {
    struct rpc *rpc;
    ucp_context_h context;
    ucp_worker_h worker;
    ucp_listener_h listener; /* NULL: none */
    ucp_address_t *address;
    size_t address_len;
    struct sockaddr_storage socket_address;
    size_t socket_address_len; /* 0: no listener */
    int fd;
    size_t header_max;    /* longest header of an active message */
    struct table keys;    /* key -> struct ucx_link, of links not closed */
    struct list links;    /* all, until freed */
    struct list requests; /* struct ucx_connect_request: the listener's */
    struct list inbox;    /* struct ucx_message, in order of arrival */
    struct list pending;  /* struct ucx_op: UCX works on it */
    struct list done;     /* struct ucx_op: completed, to be finished */
    struct list failed;   /* struct ucx_link: to be reported */
    struct list regions;  /* struct ucx_region */
    void *settling;       /* the worker's flush, see ucx_is_settled(); NULL */
};

/* ---- operations: anything UCX completes later */

struct ucx_op {
    struct list_node node; /* state->pending or ->done */
    struct ucx_link *link;
    void (*finish)(struct ucx_op *op); /* from ucx_progress(); may free op */
    ucp_dt_iov_t *iov;                 /* NULL, or the datatype's array, owned */
    int status;                        /* 0 or -errno once completed */
    bool is_pending;                   /* until finish() is called */
    bool has_memory; /* works on memory of the caller: cancelled by a close */
};

/* Of any UCX status, 0 or -errno. */
int ucx_errno(ucs_status_t status);

/* Prepares `op` and the parameters for a ucp_*_nbx() function, whose callback member
 * (param->cb) is set by the caller to ucx_op_sent or ucx_op_received. */
void ucx_op_init(struct ucx_op *op,
                 struct ucx_link *link,
                 void (*finish)(struct ucx_op *),
                 ucp_request_param_t *ret_param);
/* Describes memory: one entry as contiguous, several as a list. 0 or -ENOMEM. */
int ucx_op_memory(struct ucx_op *op,
                  const struct iovec *iov,
                  int n_iov,
                  ucp_request_param_t *param,
                  void **ret_buffer,
                  size_t *ret_count);
/*
 * Takes what the ucp_*_nbx() function returned: the one place where NULL (completed),
 * an error and a pending request are told apart. True: pending, finish() will be
 * called. False: over at once, op->status says how, finish() will not be called.
 */
bool ucx_op_started(struct ucx_op *op, ucs_status_ptr_t result);
void ucx_op_sent(void *request, ucs_status_t status, void *arg);
void ucx_op_received(void *request, ucs_status_t status, size_t length, void *arg);
/* Finishes a completed operation taken from state->done. */
void ucx_op_finish(struct ucx_op *op);

/* ---- links: the transport of a struct rpc_connection */

struct ucx_link {
    struct list_node node;        /* state->links */
    struct list_node failed_node; /* state->failed */
    struct ucx_state *state;
    struct rpc_connection *connection; /* a reference, NULL: none yet */
    ucp_ep_h ep;                       /* NULL: none yet, or closed */
    uint64_t key;                      /* random; who sends us a message must know it */
    uint64_t remote_key;               /* what the other side wants to see */
    unsigned n_ops;                    /* pending */
    unsigned n_memory_ops;
    int status; /* why it failed */
    bool is_server;
    bool is_by_address;     /* by worker addresses, not by the listener */
    bool is_up;             /* the handshake is over */
    bool is_closed;         /* the core called close() */
    bool is_failed;         /* on state->failed, or was */
    struct ucx_op flush_op; /* an orderly close: this first */
    struct ucx_op close_op;
    struct rpc_timer timer; /* of the flush */
};

struct ucx_connect_request {
    struct list_node node;
    ucp_conn_request_h request;
};

int ucx_link_connect(void *arg,
                     struct rpc_connection *connection,
                     const struct rpc_peer_config *config);
/* A connection of the listener; consumes the UCX request. */
void ucx_link_accept(struct ucx_state *state, ucp_conn_request_h request);
void ucx_link_close(struct rpc_connection *connection);
/* Closes at once: what is under way ends with an error, soon. */
void ucx_link_abort(struct ucx_link *link);
/* Has the loss told to the core from the next ucx_progress(); the first status wins. */
void ucx_link_fail(struct ucx_link *link, int status);
/* Frees a link that is closed and has nothing under way any more. */
void ucx_link_settle(struct ucx_link *link);
/* Handshake messages, from the inbox. */
void ucx_link_on_connect(struct ucx_state *state, const struct ucx_message *message);
void ucx_link_on_accept(struct ucx_state *state, const struct ucx_message *message);
/* The other side has closed the link. */
void ucx_link_on_close(struct ucx_state *state, const struct ucx_message *message);

/* ---- messages */

/* An active message that came in; owns its data. */
struct ucx_message {
    struct list_node node; /* state->inbox */
    struct ucx_state *state;
    uint8_t id;        /* enum ucx_am_id */
    bool is_late;      /* rendezvous: the data has to be fetched */
    void *held;        /* UCX's data, to be released; NULL: copied or none */
    ucp_ep_h reply_ep; /* CONNECT only; to compare, it may be closed meanwhile */
    size_t head_len;
    size_t data_len;
    const uint8_t *data; /* NULL when late */
    uint8_t head[];
};

/* Puts a copy on the inbox, or drops it. The handler of all ids; arg: ucx_state. */
ucs_status_t ucx_message_connect(void *arg,
                                 const void *head,
                                 size_t head_len,
                                 void *data,
                                 size_t len,
                                 const ucp_am_recv_param_t *param);
ucs_status_t ucx_message_accept(void *arg,
                                const void *head,
                                size_t head_len,
                                void *data,
                                size_t len,
                                const ucp_am_recv_param_t *param);
ucs_status_t ucx_message_message(void *arg,
                                 const void *head,
                                 size_t head_len,
                                 void *data,
                                 size_t len,
                                 const ucp_am_recv_param_t *param);
ucs_status_t ucx_message_close(void *arg,
                               const void *head,
                               size_t head_len,
                               void *data,
                               size_t len,
                               const ucp_am_recv_param_t *param);
/* Releases its data too. NULL is fine. */
void ucx_message_free(struct ucx_message *message);
/* Handles what is in the inbox. */
unsigned ucx_message_handle_all(struct ucx_state *state);

/* ---- packets: messages going out */

struct ucx_packet {
    struct ucx_op op;
    void *owner; /* told by `done`; NULL: nobody, frees itself */
    void (*done)(void *owner, int status);
    enum ucx_am_id id;
    size_t head_len;         /* of bytes[]: the active message's header */
    size_t data_len;         /* of bytes[] after that: its data, when iov is NULL */
    const struct iovec *iov; /* the caller's memory */
    int n_iov;
    size_t size; /* data bytes in all */
    uint8_t bytes[];
};

/* A packet with room for `size` bytes of its own; NULL: no memory. */
struct ucx_packet *ucx_packet_create(size_t size);
/*
 * Sends and owns the packet from here on. 1: under way, packet->done is called from
 * ucx_progress() and until then memory of the caller (has_memory) is in use; 0: sent;
 * -errno: was not sent.
 */
int ucx_packet_send(struct ucx_packet *packet, struct ucx_link *link);

/* A message of the RPC layer; `bytes` of a packet are its key, head and body. */
struct ucx_packet *ucx_packet_build(struct ucx_link *link,
                                    const uint8_t *head,
                                    const void *body,
                                    size_t body_len,
                                    const struct iovec *iov,
                                    int n_iov,
                                    size_t size);

/* ---- calls and requests */

/* A struct ucx_message taken apart; points into it. */
struct ucx_parts {
    const uint8_t *head; /* WIRE_HEADER_SIZE bytes */
    const uint8_t *body;
    size_t body_len;
    const uint8_t *payload; /* NULL when late */
    size_t payload_len;
};

/* rpc_incoming.transport */
struct ucx_incoming {
    struct ucx_link *link;
    struct rpc_incoming *in;
    struct ucx_message *message; /* holds a payload not pulled yet */
    const uint8_t *payload;      /* within it, unless late */
    struct ucx_op pull;
    struct rpc_timer timer; /* of the transfer that is under way */
};

/* Both take over the message. */
void ucx_call_handle(struct ucx_link *link,
                     struct ucx_message *message,
                     const struct ucx_parts *parts);
void ucx_request_handle(struct ucx_link *link,
                        struct ucx_message *message,
                        const struct ucx_parts *parts);

/* Functions of struct rpc_backend. */
int ucx_call_send(struct rpc_connection *connection, struct rpc_outgoing *out);
bool ucx_call_release(struct rpc_outgoing *out);
void ucx_request_pull(struct rpc_incoming *in, const struct iovec *iov, int n_iov);
void ucx_request_discard(struct rpc_incoming *in);
void ucx_request_reply(struct rpc_incoming *in,
                       const struct wire_header *header,
                       const void *body,
                       const struct iovec *iov,
                       int n_iov);
void ucx_request_notify(struct rpc_connection *connection,
                        const struct wire_header *header);

#endif

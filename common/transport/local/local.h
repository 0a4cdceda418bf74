/* SPDX-License-Identifier: Apache-2.0
 *
 * The node-local backend's state, shared by its files. One Unix SEQPACKET socket per
 * connection: it carries the handshake, then single bytes as a doorbell for an end that
 * sleeps, and its hang-up tells that the other end is gone.
 */
#ifndef BENCHFS_TRANSPORT_LOCAL_LOCAL_H
#define BENCHFS_TRANSPORT_LOCAL_LOCAL_H

#include <string.h>
#include <sys/types.h>

#include "transport/local/local_ring.h"
#include "transport/rpc_internal.h"

#define LOCAL_BOUNCE_UNITS (LOCAL_BOUNCE_SIZE / LOCAL_BOUNCE_UNIT)

/* Client to server. Both messages stay on the node, between builds of one version. */
struct local_hello {
    uint32_t magic, version;
    uint64_t probe_address, probe_value;
};

/* Server to client, with the memory's descriptor when status is 0. */
struct local_welcome {
    uint32_t magic, version;
    int32_t status;
    uint32_t is_direct;
};

enum local_source_kind {
    LOCAL_SOURCE_LISTENER,
    LOCAL_SOURCE_SOCKET,
    LOCAL_SOURCE_PROCESS, /* pidfd: readable when the other process has ended */
};

/* What an epoll event points to. */
struct local_source {
    enum local_source_kind kind;
    struct local_connection *connection;
};

struct local_state {
    struct rpc *rpc;
    int epoll_fd;
    int listen_fd; /* -1: no server */
    bool is_listening;
    struct local_source listener;
    struct rpc_timer listen_timer; /* looks again after we ran out of descriptors */
    struct list active;            /* connections whose rings are polled */
    struct list idle;              /* all others; they ring */
    struct list dead;              /* closed; freed by the next progress() */
    struct list broken; /* to be reported as lost by progress() (break_link) */
    struct list
        revoking; /* local_outgoing whose memory the server is using right now */
    struct rpc_timer revoke_timer;
    unsigned polls; /* turns since the epoll was looked at */
};

enum local_phase {
    LOCAL_RETRYING, /* client: the listener's backlog was full */
    LOCAL_GREETING, /* the handshake is under way */
    LOCAL_UP,
    LOCAL_DEAD,
};

struct local_connection {
    struct local_state *state;
    struct rpc_connection *rpc_connection;
    enum local_role role;
    enum local_phase phase;
    struct list_node link; /* in active, idle or dead */
    bool is_active;
    unsigned idle_turns;
    struct list_node break_link; /* in state->broken */
    int break_status;

    int socket;
    int pid_fd; /* -1: none */
    pid_t pid;  /* of the other end */
    struct local_source socket_source, pid_source;

    struct local_region region;
    struct local_ring_out out;
    struct local_ring_in in;
    struct local_side *own, *other;
    bool is_direct;  /* the server can reach the client's memory */
    bool is_full;    /* what waits to go out waits for space in the ring */
    bool is_hung_up; /* the other end has closed, so it touches nothing any more */

    /* client */
    struct rpc_timer retry_timer;
    const char *path;
    uint64_t probe;      /* what the server reads to find out if it can */
    struct list pending; /* local_outgoing, not in the ring yet */
    struct list zombies; /* ended, but their bounce space is still the server's */
    unsigned n_revoking;
    uint64_t generation;
    uint16_t free_gates[LOCAL_GATES];
    unsigned n_free_gates;
    uint64_t bounce_used[LOCAL_BOUNCE_UNITS / 64];
    unsigned n_bounce_used, bounce_peak;

    /* server */
    struct list buffered; /* local_buffered: replies the ring has no room for */
    unsigned n_buffered;
};

/* A piece of the bounce area, in units. */
struct local_bounce {
    unsigned first;
    unsigned count;
};

/* Of a struct rpc_outgoing. */
struct local_outgoing {
    struct list_node link; /* in pending, zombies or revoking */
    struct local_connection *connection;
    struct rpc_outgoing *out;
    uint64_t client, request;
    uint64_t gate_word; /* 0: has no gate */
    uint64_t give_up_ns;
    struct local_bounce send, space;
    uint16_t gate;
    uint8_t payload_mode, space_mode;
    bool is_sent, is_answered;
};

/* Of a struct rpc_incoming: in->transport. */
struct local_incoming {
    struct iovec *spans; /* payload's, then space's; one allocation with `inlined` */
    const uint8_t *inlined;
    uint64_t space_len;
    uint16_t n_payload, n_space;
    uint16_t gate;
    uint64_t gate_word;
    uint8_t payload_mode, space_mode;
};

struct local_buffered {
    struct list_node link;
    size_t size;
    _Alignas(16) uint8_t record[];
};

/* local.c */
void local_activate(struct local_connection *connection);
/* Has progress() say that the connection is lost. */
void local_break(struct local_connection *connection, int status);
int local_watch(struct local_state *state, int fd, struct local_source *source);
void local_unwatch(struct local_state *state, int *fd);

/* local_connection.c */
struct local_connection *local_connection_new(struct local_state *state,
                                              enum local_role role);
/* Frees descriptors and memory of one that is in no list. NULL is fine. */
void local_connection_free(struct local_connection *connection);
void local_connection_set_up(struct local_connection *connection);
void local_connection_close(struct rpc_connection *rpc_connection);
/* Sends what waits and takes what came; number of messages. */
unsigned local_connection_progress(struct local_connection *connection);
/* Rings if the other end sleeps. */
void local_connection_ring(struct local_connection *connection, _Atomic uint32_t *flag);
/* Says that this end is about to sleep; false when there is something to do. */
bool local_connection_sleep(struct local_connection *connection);

/* local_handshake.c */
int local_listen(struct local_state *state,
                 const char *path,
                 struct benchfs_error *err);
void local_accept(struct local_state *state);
int local_connect(void *arg,
                  struct rpc_connection *rpc_connection,
                  const struct rpc_peer_config *config);
/* The socket is readable before LOCAL_UP. */
void local_greet(struct local_connection *connection);

/* local_client.c: requests out, replies in */
int local_send(struct rpc_connection *rpc_connection, struct rpc_outgoing *out);
bool local_release(struct rpc_outgoing *out);
/* 0 or -EPROTO. */
int local_reply_take(struct local_connection *connection,
                     const struct local_record *record,
                     const uint8_t *place);
unsigned local_pending_flush(struct local_connection *connection);
void local_revoking_check(struct local_state *state);
void local_zombies_free(struct local_connection *connection);

/* local_server.c: requests in, replies out */
int local_request_take(struct local_connection *connection,
                       const struct local_record *record,
                       const uint8_t *place);
void local_pull(struct rpc_incoming *in, const struct iovec *iov, int n_iov);
void local_reply(struct rpc_incoming *in,
                 const struct wire_header *header,
                 const void *body,
                 const struct iovec *iov,
                 int n_iov);
void local_notify(struct rpc_connection *rpc_connection,
                  const struct wire_header *header);
void local_finish(struct rpc_incoming *in);
unsigned local_buffered_flush(struct local_connection *connection);
void local_buffered_free(struct local_connection *connection);
/* Too much is under way to take more from this client. */
bool local_is_stalled(const struct local_connection *connection);

/* local_memory.c */
/* Moves `size` bytes between own memory and the other process's. */
int local_memory_move(const struct local_connection *connection,
                      bool is_read,
                      const struct iovec *own,
                      size_t n_own,
                      const struct local_incoming *incoming,
                      size_t size);
/* An address as it came over; may be one in another process. */
static inline void *local_address(uint64_t address)
{
    uintptr_t number = (uintptr_t)address;
    void *pointer;

    memcpy(&pointer, &number, sizeof(pointer));
    return pointer;
}

/* Whether the process lets us read its memory: reads a word. 0 or -errno. */
int local_memory_probe(pid_t pid, uint64_t address, uint64_t *ret_value);
/* -EAGAIN: no room now. Size 0 takes nothing. */
int local_bounce_take(struct local_connection *connection,
                      size_t size,
                      struct local_bounce *ret);
void local_bounce_give(struct local_connection *connection,
                       struct local_bounce *bounce);

#endif

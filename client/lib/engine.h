/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls from many threads over the single-threaded struct rpc, without a thread of its
 * own: whoever waits for an answer drives the connections, for itself and for others.
 */
#ifndef BENCHFS_CLIENT_ENGINE_H
#define BENCHFS_CLIENT_ENGINE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "transport/rpc.h"

struct engine;
struct engine_set;

/* One call of a set. Filled by the user: rpc (the part rpc.h leaves to the caller, but
 * done and sequence) and peer. Its result is in rpc.status, rpc.reply and so on. */
struct engine_call {
    struct rpc_call rpc;
    struct engine_set *set;
    uint32_t peer; /* index of the engine's peers */
    /* After a transient failure its number and slot stay its own, so that it can be
     * sent again as the same request: `repeats`, set by whoever starts it again. */
    bool keeps_slot, repeats;
    struct list_node link;
};

/*
 * Calls that are started together and waited for together, by one thread. Lives until
 * engine_wait() returned, or engine_test() said true.
 *
 * `next` (may be NULL) runs when a call has ended, on whatever thread drives the engine
 * then: it takes the result and either fills the call anew, which starts it again, and
 * returns true, or returns false. It must not block nor use the engine.
 */
struct engine_set {
    bool (*next)(struct engine_set *set, struct engine_call *call);
    /* private */
    struct engine *engine;
    struct list calls;
    struct list_node post_link; /* in the engine's posted list */
    struct list_node wait_link; /* in its waiting list */
    unsigned pending;           /* calls not ended; the driver's */
    bool is_done;               /* under the engine's lock */
    pthread_cond_t changed;
};

void engine_set_init(struct engine_set *set,
                     bool (*next)(struct engine_set *set, struct engine_call *call));
void engine_set_add(struct engine_set *set, struct engine_call *call);

/* How to reach a peer; strings and addresses live as long as the engine. */
struct engine_config {
    unsigned spin_us; /* a waiting thread polls that long before it sleeps */
    /* Fills `config` for peer number `peer` and says which rpc it belongs to. */
    int (*peer_config)(void *arg,
                       uint32_t peer,
                       struct rpc_peer_config *config,
                       bool *ret_is_remote);
    /* Makes the rpc of remote peers, when the first of them is called. */
    int (*remote_create)(void *arg, struct rpc **ret);
    void *arg;
};

/* Takes over `local` and destroys it with the engine; not on failure. */
int engine_create(const struct engine_config *config,
                  struct rpc *local,
                  struct engine **ret);
/* Calls still in progress end with -ECANCELED; no thread may be inside. NULL is fine.
 */
void engine_destroy(struct engine *engine);

/* Only while no other thread uses the engine; peers that exist are dropped. hold_ns:
 * see engine_is_held(). */
int engine_set_peers(struct engine *engine, uint32_t n_peers, uint64_t hold_ns);

/* What the peer said when it was connected last; -ENOTCONN: never was. Only while no
 * other thread uses the engine. */
int engine_peer_info(const struct engine *engine,
                     uint32_t peer,
                     struct rpc_peer_info *ret);

/*
 * Whether the peer has heard of this client all the time since `gaps` was what
 * engine_gaps() said: it has answered a request that was sent less than hold_ns ago,
 * and one that was sent less than that before each that it answered. Any thread.
 */
bool engine_is_held(const struct engine *engine, uint32_t peer, uint64_t gaps);
uint64_t engine_gaps(const struct engine *engine, uint32_t peer);

/* Any thread. The calls make progress while any thread waits or tests. */
void engine_start(struct engine *engine, struct engine_set *set);
void engine_wait(struct engine *engine, struct engine_set *set);
/* Drives the connections once, if nobody else does; whether the set has ended. */
bool engine_test(struct engine *engine, struct engine_set *set);

/* Starts and waits; cheaper than the two. */
void engine_run(struct engine *engine, struct engine_set *set);

/* ---- the pool: a connection for each peer, made with its first call and kept ---- */

struct engine_connection {
    uint32_t peer;
    bool is_local;
    enum rpc_peer_state state;
    uint64_t n_connects;
};
/* Those that are, or have been, made; the first `max` of them into `list`. Returns how
 * many there are. Any thread. */
uint32_t
engine_connections(struct engine *engine, struct engine_connection *list, uint32_t max);
/* Closes those to other nodes over which no call is under way; returns how many. The
 * next call makes them again. Any thread. */
uint32_t engine_disconnect(struct engine *engine);

struct engine_stats {
    uint64_t sets;       /* started */
    uint64_t sleeps;     /* a thread slept on the descriptors */
    uint64_t hand_overs; /* a thread was woken to drive instead of one that left */
    uint64_t rides;      /* a thread slept while another drove for it */
};
void engine_stats_get(struct engine *engine, struct engine_stats *ret);

#endif

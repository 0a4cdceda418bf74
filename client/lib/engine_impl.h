/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine's own: what engine.c and engine_pool.c share.
 */
#ifndef BENCHFS_CLIENT_ENGINE_IMPL_H
#define BENCHFS_CLIENT_ENGINE_IMPL_H

#include <stdatomic.h>

#include "client/engine.h"

enum { RPC_LOCAL, RPC_REMOTE, RPC_COUNT };

/* See engine_is_held(); only the owner writes. */
struct engine_hold {
    atomic_uint_fast64_t answered_ns; /* when the latest answered request was sent */
    atomic_uint_fast64_t gaps;
};

struct engine {
    struct engine_config config;
    pthread_mutex_t lock;
    atomic_bool has_posted;        /* hint for a look at `posted` without the lock */
    atomic_uint_fast64_t sequence; /* one for both rpcs: they share the client id */
    int wake_fd;                   /* eventfd; read by the sleeper only */
    /* under the lock */
    struct list posted;  /* sets to be started */
    struct list waiting; /* sets whose threads sleep on `changed` */
    bool is_owned;
    unsigned n_visitors; /* threads that want the right, and not to wait for a call */
    pthread_cond_t given_back;
    struct engine_set *sleeper; /* its thread is in poll() */
    unsigned sleeper_rpcs;      /* how many rpcs it polls */
    uint64_t sleeper_until_ns;
    struct engine_stats stats;
    /* the owner's */
    struct rpc *rpcs[RPC_COUNT];
    struct rpc_peer **peers;
    struct rpc_slots **slots;  /* by target, made when first needed */
    uint32_t n_peers;          /* and targets */
    struct engine_hold *holds; /* by peer */
    uint64_t hold_ns;
};

/* As the owner: lets the rpcs go on. How much they have done. */
unsigned engine_drive(struct engine *engine);

/* Between these the rpcs are this thread's, without the lock. */
void engine_visit_begin(struct engine *engine);
void engine_visit_end(struct engine *engine);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls from one target to others, made from fibers as if they blocked. They leave
 * after the commit of the batch, so that what the caller changed before is stored by
 * then.
 */
#ifndef BENCHFS_DAEMON_PEER_H
#define BENCHFS_DAEMON_PEER_H

#include "daemon/op.h"

struct peer_call {
    struct rpc_call rpc;
    struct list_node link; /* in shard->calls */
    struct op *op;
    uint32_t target;
    bool has_slot;     /* of this shard's own, to be given back */
    unsigned *pending; /* of the set this call belongs to */
};

/* One call from a fiber; never to the own target. 0 or -errno, then reply is valid. */
int peer_call(struct op *op,
              uint32_t target,
              uint16_t opcode,
              const void *body,
              size_t body_len,
              struct peer_call *call);

/* As peer_call(), with the reply's payload into *recv, whose length becomes that of
 * what came. */
int peer_call_receive(struct op *op,
                      uint32_t target,
                      uint16_t opcode,
                      const void *body,
                      size_t body_len,
                      struct iovec *recv,
                      struct peer_call *call);

/*
 * The same request to `n` targets at once; the own target must not be among them.
 * `calls` has n elements; each has its status afterwards. Returns the first failure or
 * 0.
 */
int peer_call_many(struct op *op,
                   const uint32_t *targets,
                   unsigned n,
                   uint16_t opcode,
                   const void *body,
                   size_t body_len,
                   struct peer_call *calls);

/* peer_call_many() to every other target; *ret_calls (n_targets - 1 elements,
 * malloc'ed) is the caller's to free, also on failure (it may be NULL). */
int peer_call_others(struct op *op,
                     uint16_t opcode,
                     const void *body,
                     size_t body_len,
                     struct peer_call **ret_calls);

/* The first failure of calls that have ended, but for those to peers that are lost:
 * where an answer without them is better than none. 0 or -errno. */
int peer_calls_reachable(struct op *op, const struct peer_call *calls, unsigned n);

/* Starts what the batch has queued; after the commit. */
void peer_calls_flush(struct shard *shard);

/* Handler of a request for another target: passes it on, and the answer back. */
int op_forward(struct op *op);

#endif

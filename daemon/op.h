/* SPDX-License-Identifier: Apache-2.0
 *
 * One operation in progress: a request and the reply that is being made, or work of the
 * shard's own (request NULL). Handlers are rows of the op table.
 */
#ifndef BENCHFS_DAEMON_OP_H
#define BENCHFS_DAEMON_OP_H

#include <stdint.h>

#include "daemon/shard.h"
#include "proto/messages.h"

/* What a handler answers besides 0 and -errno. */
enum op_result {
    OP_PENDING = 1,     /* it will call op_finish() */
    OP_PARKED = 2,      /* it waits for a key; the handler runs again from the start */
    OP_NEEDS_FIBER = 3, /* it has to call other targets: run it again, in a fiber */
};

struct op {
    struct task task;
    struct list_node link; /* in shard->outgoing */
    struct shard *shard;
    struct rpc_request *request; /* NULL: the shard's own work */
    int (*handler)(struct op *op);
    struct fiber *fiber;       /* NULL outside of fibers */
    uint64_t lock_owner;       /* for keylocks taken on the op's behalf */
    void *arg;                 /* of the shard's own work */
    int commit_status;         /* see op_commit() */
    uint64_t sync_number;      /* of the sync it waits for, 0: none; daemon/sync.h */
    bool is_decided;           /* committed, whatever becomes of later batches */
    bool is_recorded;          /* its answer is in the store: it has succeeded */
    bool is_once;              /* its answer is stored, see daemon/replay.h */
    struct rpc_request *again; /* the same request, sent again meanwhile */

    int status;
    size_t body_len;
    struct iovec *payload; /* malloc'ed array, freed with the op */
    int n_payload;
    void *payload_memory; /* malloc'ed memory the payload may point to; freed as well */
    uint64_t pin;         /* key held shared until the payload is sent, 0: none */
    void *transfer;       /* what a data handler keeps while the payload moves */
    uint8_t body[WIRE_BODY_MAX];
};

struct op_row {
    int (*handler)(struct op *op);
};
extern const struct op_row op_table[OP_COUNT];

/* Takes over the request and runs its handler. */
void op_start(struct shard *shard, struct rpc_request *request);
/* Runs handler(op) with op->arg = arg in a fiber; for work that nobody waits for. */
int op_spawn(struct shard *shard, int (*handler)(struct op *op), void *arg);
/* Queues the reply; the op is gone after the commit. Exactly once per op. */
void op_finish(struct op *op, int status);
/* Sends the replies of a batch whose commit gave commit_status, and frees the ops. */
void op_flush(struct shard *shard, int commit_status);

/* Queues behind a held key; returns OP_PARKED. In a fiber: waits, then returns 0. */
int op_wait_key(struct op *op, uint64_t key);
/* Takes a key exclusively, waiting in a fiber; 0, -ENOMEM or OP_PARKED. */
int op_lock_key(struct op *op, uint64_t key);
void op_unlock_key(struct op *op, uint64_t key);
/* 0 if nobody else has the key, else as op_wait_key(). */
int op_check_key(struct op *op, uint64_t key);
/* As op_check_key(), for an owner elsewhere. */
int op_check_key_of(struct op *op, uint64_t key, uint64_t owner);
/* Takes a key together with others, as op_lock_key(). */
int op_share_key(struct op *op, uint64_t key);
/* In a fiber. */
void op_sleep(struct op *op, unsigned ms);

/* Sets the reply's body from an encoder's result; 0. */
static inline int op_body(struct op *op, size_t len)
{
    op->body_len = len;
    return 0;
}

/* Decodes the request's body into *msg or makes the handler return -EPROTO. */
#define OP_DECODE(op, name, msg)                                                       \
    do {                                                                               \
        if (msg_##name##_decode(                                                       \
                (msg), (op)->request->body, (op)->request->header.body_len))           \
            return -EPROTO;                                                            \
    } while (0)

/* Encodes *msg as the reply's body. */
#define OP_REPLY(op, name, msg)                                                        \
    op_body((op), msg_##name##_encode((msg), (op)->body, sizeof((op)->body)))

#endif

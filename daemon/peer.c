/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/peer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/session.h"
#include "transport/rpc_slots.h"

/* A slot of this shard's, unless the request is a client's or the caller has given one.
 */
static int slot_take(struct peer_call *call)
{
    int rc;

    if (call->rpc.client || call->rpc.slot)
        return 0;
    rc = rpc_slot_assign(
        &call->op->shard->slots[call->target], call->rpc.opcode, &call->rpc.slot);
    call->has_slot = call->rpc.slot != 0;
    return rc;
}

static void call_done(struct rpc_call *rpc)
{
    struct peer_call *call = rpc->arg;

    if (call->has_slot)
        rpc_slot_give(call->op->shard->slots[call->target], rpc->slot);
    if (--*call->pending == 0)
        shard_task_add(call->op->shard, &call->op->task);
}

static void
call_queue(struct peer_call *call, struct op *op, uint32_t target, unsigned *pending)
{
    assert(op->fiber && target != op->shard->target && target < op->shard->n_targets);
    call->op = op;
    call->target = target;
    call->has_slot = false;
    call->pending = pending;
    call->rpc.target = target;
    call->rpc.done = call_done;
    call->rpc.arg = call;
    list_push_back(&op->shard->calls, &call->link);
    ++*pending;
}

void peer_calls_flush(struct shard *shard)
{
    struct list_node *node;

    while ((node = list_pop_front(&shard->calls))) {
        struct peer_call *call = list_entry(node, struct peer_call, link);
        int rc = slot_take(call);

        if (rc == 0)
            rc = rpc_call_start(shard->peers[call->target], &call->rpc);
        if (rc) {
            call->rpc.status = rc;
            call->rpc.is_transport = true;
            call_done(&call->rpc);
        }
    }
}

int peer_call_many(struct op *op,
                   const uint32_t *targets,
                   unsigned n,
                   uint16_t opcode,
                   const void *body,
                   size_t body_len,
                   struct peer_call *calls)
{
    unsigned pending = 0;
    int rc = 0;

    for (unsigned i = 0; i < n; i++) {
        calls[i].rpc = (struct rpc_call){
            .opcode = opcode,
            .body = body,
            .body_len = body_len,
            .is_once = opcode == OP_PING, /* asks who is there now */
            /* disks have the time that the client gives them */
            .timeout_ms = opcode == OP_STORE_SYNC ? op->request->header.timeout_ms : 0,
        };
        call_queue(&calls[i], op, targets[i], &pending);
    }
    if (pending > 0)
        fiber_yield(op->shard->fibers);
    for (unsigned i = 0; i < n && rc == 0; i++)
        rc = calls[i].rpc.status;
    return rc;
}

int peer_call(struct op *op,
              uint32_t target,
              uint16_t opcode,
              const void *body,
              size_t body_len,
              struct peer_call *call)
{
    return peer_call_many(op, &target, 1, opcode, body, body_len, call);
}

int peer_call_receive(struct op *op,
                      uint32_t target,
                      uint16_t opcode,
                      const void *body,
                      size_t body_len,
                      struct iovec *recv,
                      struct peer_call *call)
{
    unsigned pending = 0;

    call->rpc = (struct rpc_call){
        .opcode = opcode,
        .body = body,
        .body_len = body_len,
        .recv = recv,
        .n_recv = 1,
    };
    call_queue(call, op, target, &pending);
    fiber_yield(op->shard->fibers);
    if (call->rpc.status == 0)
        recv->iov_len = call->rpc.received;
    return call->rpc.status;
}

int peer_call_others(struct op *op,
                     uint16_t opcode,
                     const void *body,
                     size_t body_len,
                     struct peer_call **ret_calls)
{
    struct shard *shard = op->shard;
    unsigned n = 0;
    uint32_t *targets;
    int rc = -ENOMEM;

    *ret_calls = NULL;
    if (shard->n_targets <= 1)
        return 0;
    targets = calloc(shard->n_targets, sizeof(*targets));
    *ret_calls = calloc(shard->n_targets - 1, sizeof(**ret_calls));
    if (!targets || !*ret_calls)
        goto out;
    for (uint32_t t = 0; t < shard->n_targets; t++) {
        if (t != shard->target)
            targets[n++] = t;
    }
    rc = peer_call_many(op, targets, n, opcode, body, body_len, *ret_calls);

out:
    free(targets);
    return rc;
}

int peer_calls_reachable(struct op *op, const struct peer_call *calls, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (calls[i].rpc.status && !rpc_peer_is_lost(op->shard->peers[calls[i].target]))
            return calls[i].rpc.status;
    }
    return 0;
}

/* ---- forwarding */

static void forward_pulled(void *arg, int status)
{
    struct op *op = arg;

    op->status = status;
    shard_task_add(op->shard, &op->task);
}

/* Brings the request's payload into a buffer of ours. */
static int forward_pull(struct op *op, struct iovec *ret_iov)
{
    size_t len = op->request->header.payload_len;

    ret_iov->iov_base = malloc(len);
    ret_iov->iov_len = len;
    if (!ret_iov->iov_base)
        return -ENOMEM;
    rpc_request_pull(op->request, ret_iov, 1, forward_pulled, op);
    fiber_yield(op->shard->fibers);
    return op->status;
}

static int forward_call(struct op *op, struct iovec *send, struct iovec *recv)
{
    const struct wire_header *header = &op->request->header;
    struct peer_call *call = calloc(1, sizeof(*call));
    unsigned pending = 0;
    int rc;

    if (!call)
        return -ENOMEM;
    call->rpc = (struct rpc_call){
        .opcode = header->opcode,
        .client = header->client,
        .sequence = header->request,
        .slot = header->slot,
        .asks_only = header->asks_only,
        .body = op->request->body,
        .body_len = header->body_len,
        .send = send,
        .n_send = send->iov_len > 0,
        .recv = recv,
        .n_recv = recv->iov_len > 0,
        .timeout_ms = header->timeout_ms,
    };
    call_queue(call, op, header->target, &pending);
    fiber_yield(op->shard->fibers);
    rc = call->rpc.status;
    if (rc == 0) {
        memcpy(op->body, call->rpc.reply, call->rpc.reply_len);
        op->body_len = call->rpc.reply_len;
        recv->iov_len = call->rpc.received;
    }
    free(call);
    return rc;
}

int op_forward(struct op *op)
{
    const struct wire_header *header = &op->request->header;
    struct shard *shard = op->shard;
    struct iovec send = {NULL, 0};
    struct iovec *recv;
    int rc;

    if (header->target >= shard->n_targets)
        return shard->n_targets == 0 ? -EAGAIN : -EINVAL;
    if (!op->request->is_local)
        return -EINVAL; /* only clients of this node may ask for that */
    if (!op->fiber)
        return OP_NEEDS_FIBER;
    rc = session_note_forward(shard, header->client);
    if (rc)
        return rc;
    if (header->payload_len > 0) {
        rc = forward_pull(op, &send);
        if (rc)
            goto out;
    }
    recv = calloc(1, sizeof(*recv));
    op->payload = recv;
    rc = -ENOMEM;
    if (!recv)
        goto out;
    if (header->reply_space > 0) {
        op->payload_memory = malloc(header->reply_space);
        if (!op->payload_memory)
            goto out;
        *recv = (struct iovec){op->payload_memory, header->reply_space};
    }
    rc = forward_call(op, &send, recv);
    op->n_payload = rc == 0 && recv->iov_len > 0;

out:
    free(send.iov_base);
    return rc;
}

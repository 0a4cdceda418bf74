/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/op.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "daemon/ops/ops.h"
#include "daemon/peer.h"
#include "daemon/replay.h"
#include "daemon/session.h"

static void op_run(struct op *op);

static void op_task_run(struct task *task)
{
    op_run(list_entry(task, struct op, task));
}

static void fiber_waiter_wake(struct shard *shard);

static void op_fiber_resume(struct task *task)
{
    struct op *op = list_entry(task, struct op, task);
    struct shard *shard = op->shard;

    fiber_resume(shard->fibers, op->fiber);
    fiber_waiter_wake(shard);
}

static void op_fiber_main(void *arg)
{
    struct op *op = arg;
    int rc;

    op->fiber = fiber_current(op->shard->fibers);
    op->task.run = op_fiber_resume;
    rc = op->handler(op);
    op->fiber = NULL;
    op->task.run = op_task_run;
    if (rc != OP_PENDING)
        op_finish(op, rc);
}

static void op_fiber_task_run(struct task *task);

/* Requests of other daemons go before those of clients: the fibers that all others wait
 * for must not wait for theirs. */
static bool may_start_fiber(const struct op *op)
{
    const struct op_info *info =
        op->request ? op_find(op->request->header.opcode) : NULL;

    return (info && (info->flags & OP_PEER))
           || fiber_pool_active(op->shard->fibers) < SHARD_CLIENT_FIBERS;
}

/* A fiber may have ended: lets the first of those that wait for one try again. */
static void fiber_waiter_wake(struct shard *shard)
{
    struct list_node *waiting = list_front(&shard->fiber_waiters);

    if (waiting && fiber_pool_active(shard->fibers) < SHARD_CLIENT_FIBERS) {
        list_remove(waiting);
        list_push_back(&shard->ready, waiting);
    }
}

static void op_start_fiber(struct op *op)
{
    struct shard *shard = op->shard;
    int rc =
        may_start_fiber(op) ? fiber_start(shard->fibers, op_fiber_main, op) : -EAGAIN;

    if (rc == -EAGAIN) {
        op->task.run = op_fiber_task_run;
        list_push_back(&shard->fiber_waiters, &op->task.link);
        return;
    }
    if (rc)
        op_finish(op, rc);
    fiber_waiter_wake(shard);
}

static void op_fiber_task_run(struct task *task)
{
    op_start_fiber(list_entry(task, struct op, task));
}

static void op_run(struct op *op)
{
    int rc = op->handler(op);

    if (rc == OP_NEEDS_FIBER) {
        op->task.run = op_fiber_task_run;
        op_start_fiber(op);
    } else if (rc <= 0) {
        op_finish(op, rc);
    }
}

static struct op *op_make(struct shard *shard, struct rpc_request *request)
{
    struct op *op = malloc(sizeof(*op));

    if (!op)
        return NULL;
    /* all but the body, which is large and written before it is read */
    memset(op, 0, offsetof(struct op, body));
    op->shard = shard;
    op->request = request;
    list_node_init(&op->task.link);
    list_node_init(&op->link);
    op->task.run = op_task_run;
    op->lock_owner = hash_u64(shard->client ^ hash_u64(++shard->lock_sequence)) | 1;
    return op;
}

static void op_destroy(struct op *op)
{
    free(op->payload);
    free(op->payload_memory);
    free(op);
}

static int op_unknown(struct op *op)
{
    (void)op;
    return -ENOSYS;
}

void op_start(struct shard *shard, struct rpc_request *request)
{
    uint16_t opcode = request->header.opcode;
    struct op *op;
    int rc;

    if (replay_take(shard, request))
        return;
    op = op_make(shard, request);
    rc = op ? replay_start(op) : -ENOMEM;
    if (rc) {
        free(op);
        rpc_request_reply(request, rc, NULL, 0, NULL, 0, NULL, NULL);
        return;
    }
    atomic_fetch_add_explicit(&shard->op_counts[opcode], 1, memory_order_relaxed);
    if (request->header.target != shard->target
        && !(op_find(opcode)->flags & OP_ANY_TARGET))
        op->handler = op_forward;
    else
        op->handler = op_table[opcode].handler ? op_table[opcode].handler : op_unknown;
    op_run(op);
}

int op_spawn(struct shard *shard, int (*handler)(struct op *op), void *arg)
{
    struct op *op = op_make(shard, NULL);

    if (!op)
        return -ENOMEM;
    op->handler = handler;
    op->arg = arg;
    op->task.run = op_fiber_task_run;
    shard_task_add(shard, &op->task);
    return 0;
}

void op_finish(struct op *op, int status)
{
    op->status = status;
    if (op->request && status == 0)
        op->status = replay_record(op);
    list_push_back(&op->shard->outgoing, &op->link);
}

static void op_reply_sent(void *arg, int status)
{
    struct op *op = arg;

    (void)status; /* the client has gone, or asks again */
    if (op->pin)
        keylock_unshare(&op->shard->locks, op->pin);
    op_destroy(op);
}

static void op_reply(struct op *op, int commit_status)
{
    const struct op_info *info = op_find(op->request->header.opcode);

    if (commit_status && !op->is_decided && op->status == 0
        && (info->flags & OP_CHANGES))
        op->status = commit_status;
    if (op->status) {
        op->n_payload = 0;
        op->body_len = 0;
    }
    replay_end(op);
    rpc_request_reply(op->request,
                      op->status,
                      op->body,
                      op->body_len,
                      op->payload,
                      op->n_payload,
                      op_reply_sent,
                      op);
}

void op_flush(struct shard *shard, int commit_status)
{
    struct list_node *node;

    while ((node = list_pop_front(&shard->outgoing))) {
        struct op *op = list_entry(node, struct op, link);

        if (op->request)
            op_reply(op, commit_status);
        else
            op_destroy(op);
    }
}

int op_wait_key(struct op *op, uint64_t key)
{
    keylock_wait(&op->shard->locks, key, &op->task.link);
    if (!op->fiber)
        return OP_PARKED;
    fiber_yield(op->shard->fibers);
    return 0;
}

int op_lock_key(struct op *op, uint64_t key)
{
    for (;;) {
        int rc = keylock_lock(&op->shard->locks, key, op->lock_owner);

        if (rc != -EBUSY)
            return rc;
        rc = op_wait_key(op, key);
        if (rc)
            return rc;
    }
}

void op_unlock_key(struct op *op, uint64_t key)
{
    keylock_unlock(&op->shard->locks, key, op->lock_owner);
}

int op_check_key(struct op *op, uint64_t key)
{
    return op_check_key_of(op, key, op->lock_owner);
}

int op_check_key_of(struct op *op, uint64_t key, uint64_t owner)
{
    while (keylock_is_locked(&op->shard->locks, key, owner)) {
        int rc = op_wait_key(op, key);

        if (rc)
            return rc;
    }
    return 0;
}

int op_share_key(struct op *op, uint64_t key)
{
    for (;;) {
        int rc = keylock_share(&op->shard->locks, key);

        if (rc != -EBUSY)
            return rc;
        rc = op_wait_key(op, key);
        if (rc)
            return rc;
    }
}

struct sleeper {
    struct shard_timer timer;
    struct op *op;
};

static void sleeper_wake(struct shard_timer *timer)
{
    struct op *op = list_entry(timer, struct sleeper, timer)->op;

    shard_task_add(op->shard, &op->task);
}

void op_sleep(struct op *op, unsigned ms)
{
    struct sleeper sleeper = {.op = op};

    shard_timer_init(&sleeper.timer, sleeper_wake);
    shard_timer_set(
        &op->shard->timers, &sleeper.timer, clock_now_ns() + ms * CLOCK_NS_PER_MS);
    fiber_yield(op->shard->fibers);
}

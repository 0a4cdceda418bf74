/* SPDX-License-Identifier: Apache-2.0
 *
 * Staging: requests of those who want something copied, and of the workers that copy.
 */
#include <errno.h>
#include <stdlib.h>

#include "daemon/ops/ops.h"
#include "daemon/service.h"
#include "daemon/stage_host.h"

static struct stage_host *stage_host_of(const struct op *op)
{
    return op->shard->service ? service_stage(op->shard->service) : NULL;
}

static void payload_pulled(void *arg, int status)
{
    struct op *op = arg;

    op->status = status;
    shard_task_add(op->shard, &op->task);
}

/* Brings the request's payload into memory of ours. In a fiber. */
static int payload_pull(struct op *op, void **ret)
{
    struct iovec iov = {.iov_len = op->request->header.payload_len};

    iov.iov_base = malloc(iov.iov_len + 1);
    if (!iov.iov_base)
        return -ENOMEM;
    if (iov.iov_len > 0) {
        rpc_request_pull(op->request, &iov, 1, payload_pulled, op);
        fiber_yield(op->shard->fibers);
        if (op->status) {
            free(iov.iov_base);
            return op->status;
        }
    }
    *ret = iov.iov_base;
    return 0;
}

int op_stage_start(struct op *op)
{
    struct stage_host *host = stage_host_of(op);
    struct msg_stage_start_request m;
    struct msg_stage_start_reply reply;
    size_t len = op->request->header.payload_len;
    void *payload;
    int rc;

    OP_DECODE(op, stage_start_request, &m);
    if (!host)
        return -EINVAL;
    if (len > STAGE_START_MAX)
        return -E2BIG;
    if (!op->fiber)
        return OP_NEEDS_FIBER;
    rc = payload_pull(op, &payload);
    if (rc)
        return rc;
    rc = stage_host_start(host, &m, payload, len, &reply.stage);
    free(payload);
    return rc ? rc : OP_REPLY(op, stage_start_reply, &reply);
}

int op_stage_wait(struct op *op)
{
    struct stage_host *host = stage_host_of(op);
    struct msg_stage_wait_request m;

    OP_DECODE(op, stage_wait_request, &m);
    return host ? stage_host_wait(host, op, &m) : -EINVAL;
}

int op_stage_pull(struct op *op)
{
    struct stage_host *host = stage_host_of(op);
    struct msg_stage_pull_request m;

    OP_DECODE(op, stage_pull_request, &m);
    return host ? stage_host_pull(host, op, &m) : -EINVAL;
}

int op_stage_done(struct op *op)
{
    struct stage_host *host = stage_host_of(op);
    struct msg_stage_done_request m;
    struct msg_stage_done_reply reply;
    size_t len = op->request->header.payload_len;
    void *payload;
    int rc;

    OP_DECODE(op, stage_done_request, &m);
    if (!host)
        return -EINVAL;
    if (len > STAGE_DONE_MAX)
        return -E2BIG;
    if (len > 0 && !op->fiber)
        return OP_NEEDS_FIBER;
    rc = payload_pull(op, &payload);
    if (rc)
        return rc;
    rc = stage_host_done(host, &m, payload, len);
    free(payload);
    if (rc)
        return rc;
    reply.is_full = stage_host_is_full(host);
    return OP_REPLY(op, stage_done_reply, &reply);
}

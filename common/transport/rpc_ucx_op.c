/* SPDX-License-Identifier: Apache-2.0
 *
 * Operations of UCX under way, and its status codes: the one place that tells "done",
 * "failed" and "pending" apart and converts to errno. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "transport/rpc_ucx_internal.h"

static const struct {
    ucs_status_t status;
    int error;
} status_errors[] = {
    {UCS_OK, 0},
    {UCS_INPROGRESS, EINPROGRESS},
    {UCS_ERR_NO_MEMORY, ENOMEM},
    {UCS_ERR_NO_RESOURCE, ENOBUFS},
    {UCS_ERR_INVALID_PARAM, EINVAL},
    {UCS_ERR_INVALID_ADDR, EADDRNOTAVAIL},
    {UCS_ERR_NO_DEVICE, ENODEV},
    {UCS_ERR_BUSY, EADDRINUSE},
    {UCS_ERR_UNSUPPORTED, EOPNOTSUPP},
    {UCS_ERR_NOT_IMPLEMENTED, EOPNOTSUPP},
    {UCS_ERR_EXCEEDS_LIMIT, EMFILE},
    {UCS_ERR_MESSAGE_TRUNCATED, EPROTO},
    {UCS_ERR_CANCELED, ECANCELED},
    {UCS_ERR_TIMED_OUT, ETIMEDOUT},
    /* nobody listens, or nobody who wants us */
    {UCS_ERR_NOT_CONNECTED, ECONNREFUSED},
    {UCS_ERR_REJECTED, ECONNREFUSED},
    /* the peer, its host or the way to it is gone */
    {UCS_ERR_UNREACHABLE, EHOSTDOWN},
    {UCS_ERR_CONNECTION_RESET, EHOSTDOWN},
    {UCS_ERR_ENDPOINT_TIMEOUT, EHOSTDOWN},
    {UCS_ERR_NO_PROGRESS, EHOSTDOWN},
};

int ucx_errno(ucs_status_t status)
{
    for (size_t i = 0; i < sizeof(status_errors) / sizeof(status_errors[0]); i++)
        if (status_errors[i].status == status)
            return -status_errors[i].error;
    if (UCS_IS_LINK_ERROR(status) || UCS_IS_ENDPOINT_ERROR(status))
        return -EHOSTDOWN;
    return -EIO;
}

void ucx_op_init(struct ucx_op *op,
                 struct ucx_link *link,
                 void (*finish)(struct ucx_op *),
                 ucp_request_param_t *ret_param)
{
    *op = (struct ucx_op){.link = link, .finish = finish};
    list_node_init(&op->node);
    *ret_param = (ucp_request_param_t){
        .op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA,
        .user_data = op,
    };
}

int ucx_op_memory(struct ucx_op *op,
                  const struct iovec *iov,
                  int n_iov,
                  ucp_request_param_t *param,
                  void **ret_buffer,
                  size_t *ret_count)
{
    const struct iovec *single = NULL;
    size_t count = 0;

    for (int i = 0; i < n_iov; i++) {
        if (iov[i].iov_len == 0)
            continue;
        single = &iov[i];
        count++;
    }
    if (count <= 1) {
        /* not as a list of one: only contiguous memory goes without copies everywhere
         */
        *ret_buffer = single ? single->iov_base : NULL;
        *ret_count = single ? single->iov_len : 0;
        return 0;
    }
    op->iov = calloc(count, sizeof(*op->iov));
    if (!op->iov)
        return -ENOMEM;
    count = 0;
    for (int i = 0; i < n_iov; i++) {
        if (iov[i].iov_len == 0)
            continue;
        op->iov[count].buffer = iov[i].iov_base;
        op->iov[count++].length = iov[i].iov_len;
    }
    param->op_attr_mask |= UCP_OP_ATTR_FIELD_DATATYPE;
    param->datatype = ucp_dt_make_iov();
    *ret_buffer = op->iov;
    *ret_count = count;
    return 0;
}

bool ucx_op_started(struct ucx_op *op, ucs_status_ptr_t result)
{
    if (UCS_PTR_IS_PTR(result)) {
        op->is_pending = true;
        op->link->n_ops++;
        list_push_back(&op->link->state->pending, &op->node);
        op->link->n_memory_ops += op->has_memory;
        return true;
    }
    free(op->iov);
    op->iov = NULL;
    op->status = result ? ucx_errno(UCS_PTR_STATUS(result)) : 0;
    return false;
}

static void op_completed(struct ucx_op *op, void *request, ucs_status_t status)
{
    op->status = ucx_errno(status);
    ucp_request_free(request);
    list_remove(&op->node);
    list_push_back(&op->link->state->done, &op->node);
}

void ucx_op_sent(void *request, ucs_status_t status, void *arg)
{
    op_completed(arg, request, status);
}

void ucx_op_received(void *request, ucs_status_t status, size_t length, void *arg)
{
    (void)length; /* the sender's RTS said it, and it was compared then */
    op_completed(arg, request, status);
}

void ucx_op_finish(struct ucx_op *op)
{
    struct ucx_link *link = op->link;

    assert(op->is_pending);
    op->is_pending = false;
    free(op->iov);
    op->iov = NULL;
    link->n_memory_ops -= op->has_memory;
    op->finish(op); /* the link stays: this operation still counts */
    link->n_ops--;
    ucx_link_settle(link);
}

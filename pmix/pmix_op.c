/* SPDX-License-Identifier: Apache-2.0 */
#include "pmix/pmix_op.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct pmix_op {
    atomic_int references; /* the caller's and the completion's */
    int event_fd;
    int status; /* valid once event_fd is readable */
};

struct pmix_op *pmix_op_create(void)
{
    struct pmix_op *op = calloc(1, sizeof(*op));

    if (!op)
        return NULL;
    atomic_init(&op->references, 2);
    op->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (op->event_fd < 0) {
        free(op);
        return NULL;
    }
    return op;
}

static void pmix_op_release(struct pmix_op *op)
{
    if (atomic_fetch_sub(&op->references, 1) > 1)
        return;
    close(op->event_fd);
    free(op);
}

void pmix_op_complete(struct pmix_op *op, int status)
{
    op->status = status;
    /* can't fail: the counter is far from its end */
    (void)eventfd_write(op->event_fd, 1);
    pmix_op_release(op);
}

void pmix_op_cancel(struct pmix_op *op)
{
    pmix_op_release(op);
}

static int poll_wait(void *arg, int fd, struct deadline deadline)
{
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    int n;

    (void)arg;
    do
        n = poll(&poller, 1, deadline_remaining_ms(deadline));
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return n == 0 ? -ETIMEDOUT : 0;
}

int pmix_op_wait(struct pmix_op *op,
                 pmix_wait_fn wait,
                 void *arg,
                 struct deadline deadline,
                 int *ret_status)
{
    eventfd_t count;
    int rc = (wait ? wait : poll_wait)(arg, op->event_fd, deadline);

    if (rc == 0 && eventfd_read(op->event_fd, &count) < 0)
        rc = -errno;
    if (rc == 0)
        *ret_status = op->status;
    pmix_op_release(op);
    return rc;
}

/* SPDX-License-Identifier: Apache-2.0
 * Bootstrap of the tasks of a Slurm step, by PMIx. */
#include "pmix/pmix_service.h"
#include "supervisor/bootstrap_impl.h"

static int exchange(struct bootstrap *bootstrap,
                    const void *mine,
                    size_t len,
                    struct bytes *ret,
                    struct deadline deadline,
                    struct benchfs_error *err)
{
    return pmix_service_exchange(bootstrap->state, mine, len, ret, deadline, err);
}

static int barrier(struct bootstrap *bootstrap,
                   struct deadline deadline,
                   struct benchfs_error *err)
{
    return pmix_service_barrier(bootstrap->state, deadline, err);
}

static void pmix_close(struct bootstrap *bootstrap)
{
    pmix_service_destroy(bootstrap->state);
}

static const struct bootstrap_impl impl = {
    .exchange = exchange,
    .barrier = barrier,
    .close = pmix_close,
};

int bootstrap_pmix_open(struct bootstrap *bootstrap,
                        struct deadline deadline,
                        struct benchfs_error *err)
{
    struct pmix_service *service;
    int rc = pmix_service_create(
        bootstrap->wait, bootstrap->wait_arg, deadline, &service, err);

    if (rc)
        return rc;
    bootstrap->impl = &impl;
    bootstrap->state = service;
    bootstrap->rank = pmix_service_rank(service);
    bootstrap->size = pmix_service_size(service);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "pmix/pmix_service.h"

#include <errno.h>
#include <pmix.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pmix/pmix_status.h"

/* Of a PMIx_Get whose answer lies on this node already; PMIx counts in seconds. */
#define GET_TIMEOUT_S 5

struct pmix_service {
    pmix_wait_fn wait;
    void *wait_arg;
    pmix_proc_t self;
    uint32_t size;
    unsigned round; /* exchanges so far: each has a key of its own */
};

bool pmix_service_is_offered(void)
{
    return getenv("PMIX_NAMESPACE") && getenv("PMIX_RANK");
}

static int fail(struct benchfs_error *err, const char *what, pmix_status_t status)
{
    return benchfs_error_set(
        err, -pmix_status_to_errno(status), "%s: %s", what, PMIx_Error_string(status));
}

/* ---- init: blocking in PMIx, so it gets a thread, and we a deadline --------- */

struct init {
    struct pmix_op *op;
    pmix_proc_t self; /* valid on success */
};

static void *init_main(void *arg)
{
    struct init *init = arg;

    pmix_op_complete(init->op, PMIx_Init(&init->self, NULL, 0));
    return NULL;
}

static int init_run(struct pmix_service *service,
                    struct deadline deadline,
                    struct benchfs_error *err)
{
    struct init *init = calloc(1, sizeof(*init));
    pthread_t thread;
    int rc, status;

    if (init)
        init->op = pmix_op_create();
    if (!init || !init->op) {
        free(init);
        return benchfs_error_set(err, ENOMEM, "PMIx_Init: out of memory");
    }
    rc = pthread_create(&thread, NULL, init_main, init);
    if (rc) {
        pmix_op_cancel(init->op);
        pmix_op_cancel(init->op);
        free(init);
        return benchfs_error_set(err, rc, "PMIx_Init: %s", strerror(rc));
    }
    rc = pmix_op_wait(init->op, service->wait, service->wait_arg, deadline, &status);
    if (rc) {
        /* PMIx may still write to it, so it stays */
        pthread_detach(thread);
        return benchfs_error_set(err, -rc, "PMIx_Init: no answer from Slurm's PMIx");
    }
    pthread_join(thread, NULL);
    service->self = init->self;
    free(init);
    return status == PMIX_SUCCESS ? 0 : fail(err, "PMIx_Init", status);
}

static int get(const pmix_proc_t *proc,
               const char *key,
               pmix_value_t **ret,
               struct benchfs_error *err)
{
    int timeout_s = GET_TIMEOUT_S;
    bool is_immediate = true;
    pmix_info_t info[2];
    pmix_status_t status;

    PMIX_INFO_LOAD(&info[0], PMIX_TIMEOUT, &timeout_s, PMIX_INT);
    PMIX_INFO_LOAD(&info[1], PMIX_IMMEDIATE, &is_immediate, PMIX_BOOL);
    *ret = NULL;
    status = PMIx_Get(proc, key, info, 2, ret);
    if (status == PMIX_SUCCESS && !*ret)
        status = PMIX_ERR_NOT_FOUND;
    if (status == PMIX_SUCCESS)
        return 0;
    fail(err, "PMIx_Get", status);
    benchfs_error_append(err, " (key %s, rank %u)", key, proc->rank);
    return pmix_status_to_errno(status);
}

static int size_get(struct pmix_service *service, struct benchfs_error *err)
{
    pmix_proc_t all = service->self;
    pmix_value_t *value;
    int rc;

    all.rank = PMIX_RANK_WILDCARD;
    rc = get(&all, PMIX_JOB_SIZE, &value, err);
    if (rc)
        return rc;
    if (value->type == PMIX_UINT32)
        service->size = value->data.uint32;
    PMIX_VALUE_RELEASE(value);
    if (service->size <= service->self.rank)
        return benchfs_error_set(err, EPROTO, "PMIx: no usable job size");
    return 0;
}

int pmix_service_create(pmix_wait_fn wait,
                        void *wait_arg,
                        struct deadline deadline,
                        struct pmix_service **ret,
                        struct benchfs_error *err)
{
    struct pmix_service *service = calloc(1, sizeof(*service));
    int rc;

    if (!service)
        return benchfs_error_set(err, ENOMEM, "no memory for PMIx");
    service->wait = wait;
    service->wait_arg = wait_arg;
    rc = init_run(service, deadline, err);
    if (rc) {
        free(service);
        return rc;
    }
    rc = size_get(service, err);
    if (rc) {
        pmix_service_destroy(service);
        return rc;
    }
    *ret = service;
    return 0;
}

void pmix_service_destroy(struct pmix_service *service)
{
    if (!service)
        return;
    (void)PMIx_Finalize(NULL, 0);
    free(service);
}

uint32_t pmix_service_rank(const struct pmix_service *service)
{
    return service->self.rank;
}

uint32_t pmix_service_size(const struct pmix_service *service)
{
    return service->size;
}

/* ---- fence ------------------------------------------------------------------ */

/* Lives until PMIx is done with it, which may be after we gave up. */
struct fence {
    struct pmix_op *op;
    pmix_proc_t all;
    pmix_info_t info;
};

static void fence_done(pmix_status_t status, void *arg)
{
    struct fence *fence = arg;

    pmix_op_complete(fence->op, status);
    free(fence);
}

/* No PMIX_TIMEOUT here: it is the server that would time out, and with 4.2.2 it then
 * still gets, and uses, the answer of Slurm's plugin. The deadline is ours alone. */
static int fence_run(struct pmix_service *service,
                     struct deadline deadline,
                     struct benchfs_error *err)
{
    struct fence *fence = calloc(1, sizeof(*fence));
    struct pmix_op *op = fence ? pmix_op_create() : NULL;
    bool collect = true;
    int rc, status;

    if (!op) {
        free(fence);
        return benchfs_error_set(err, ENOMEM, "PMIx_Fence: out of memory");
    }
    fence->op = op;
    fence->all = service->self;
    fence->all.rank = PMIX_RANK_WILDCARD;
    /* Also for a mere barrier: without it, Slurm's PMIx waits for the ranks of this
     * node only (seen with Slurm 22.05.8 and PMIx 4.2.2). */
    PMIX_INFO_LOAD(&fence->info, PMIX_COLLECT_DATA, &collect, PMIX_BOOL);
    status = PMIx_Fence_nb(&fence->all, 1, &fence->info, 1, fence_done, fence);
    if (status != PMIX_SUCCESS) {
        /* it is done already, or never began: the callback does not run */
        pmix_op_complete(op, status);
        free(fence);
    }
    rc = pmix_op_wait(op, service->wait, service->wait_arg, deadline, &status);
    if (rc == -ETIMEDOUT)
        return benchfs_error_set(
            err, ETIMEDOUT, "PMIx_Fence: not all daemons came in time");
    if (rc)
        return benchfs_error_set(err, -rc, "PMIx_Fence: %s", strerror(-rc));
    rc = pmix_status_to_errno(status);
    return rc ? fail(err, "PMIx_Fence", status) : 0;
}

int pmix_service_barrier(struct pmix_service *service,
                         struct deadline deadline,
                         struct benchfs_error *err)
{
    return fence_run(service, deadline, err);
}

/* ---- exchange --------------------------------------------------------------- */

static int put(const char *key, const void *mine, size_t len, struct benchfs_error *err)
{
    pmix_value_t value = {.type = PMIX_BYTE_OBJECT};
    pmix_status_t status;

    value.data.bo.bytes = (char *)mine;
    value.data.bo.size = len;
    status = PMIx_Put(PMIX_GLOBAL, key, &value);
    if (status != PMIX_SUCCESS)
        return fail(err, "PMIx_Put", status);
    status = PMIx_Commit();
    return status == PMIX_SUCCESS ? 0 : fail(err, "PMIx_Commit", status);
}

static int rank_get(const struct pmix_service *service,
                    uint32_t rank,
                    const char *key,
                    struct bytes *ret,
                    struct benchfs_error *err)
{
    pmix_proc_t proc = service->self;
    pmix_value_t *value;
    int rc;

    proc.rank = rank;
    rc = get(&proc, key, &value, err);
    if (rc)
        return rc;
    if (value->type != PMIX_BYTE_OBJECT
        || value->data.bo.size > PMIX_SERVICE_RECORD_MAX)
        rc = benchfs_error_set(err, EPROTO, "PMIx: bad value of rank %u", rank);
    else
        rc = bytes_append(ret, value->data.bo.bytes, value->data.bo.size);
    PMIX_VALUE_RELEASE(value);
    return rc;
}

int pmix_service_exchange(struct pmix_service *service,
                          const void *mine,
                          size_t len,
                          struct bytes *ret,
                          struct deadline deadline,
                          struct benchfs_error *err)
{
    char key[64];
    int rc;

    if (len == 0 || len > PMIX_SERVICE_RECORD_MAX)
        return benchfs_error_set(err, EMSGSIZE, "PMIx: record of %zu bytes", len);
    snprintf(key, sizeof(key), "benchfs.round.%u", service->round++);
    rc = put(key, mine, len, err);
    if (rc == 0)
        rc = fence_run(service, deadline, err);
    for (uint32_t rank = 0; rc == 0 && rank < service->size; rank++)
        rc = rank_get(service, rank, key, &ret[rank], err);
    return rc;
}

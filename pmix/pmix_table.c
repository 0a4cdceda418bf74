/* SPDX-License-Identifier: Apache-2.0
 * A program takes the endpoint table from the service's namespace. */
#include <errno.h>
#include <pmix.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pmix/pmix_service.h"
#include "pmix/pmix_status.h"

#define NAMESPACE_PREFIX "benchfs."
#define TABLE_KEY        "benchfs.endpoints"

static int initialise(bool may_init, struct benchfs_error *err)
{
    pmix_status_t status;
    pmix_proc_t self;

    if (!may_init) {
        if (PMIx_Initialized())
            return 0;
        return benchfs_error_set(
            err, ENOTCONN, "PMIx is not initialised in this process");
    }
    if (!pmix_service_is_offered())
        return benchfs_error_set(err, ENOTCONN, "not started by a PMIx server");
    status = PMIx_Init(&self, NULL, 0);
    if (status != PMIX_SUCCESS)
        return benchfs_error_set(err,
                                 -pmix_status_to_errno(status),
                                 "PMIx_Init: %s",
                                 PMIx_Error_string(status));
    return 0;
}

static int value_copy(const pmix_value_t *value,
                      void **ret_blob,
                      size_t *ret_len,
                      struct benchfs_error *err)
{
    void *blob;

    if (value->type != PMIX_BYTE_OBJECT || !value->data.bo.bytes)
        return benchfs_error_set(
            err, EPROTO, "PMIx: %s is not a byte object", TABLE_KEY);
    blob = malloc(value->data.bo.size);
    if (!blob)
        return benchfs_error_set(err, ENOMEM, "no memory for the endpoint table");
    memcpy(blob, value->data.bo.bytes, value->data.bo.size);
    *ret_blob = blob;
    *ret_len = value->data.bo.size;
    return 0;
}

int pmix_service_table_get(const char *job,
                           bool may_init,
                           unsigned timeout_ms,
                           void **ret_blob,
                           size_t *ret_len,
                           struct benchfs_error *err)
{
    /* PMIx counts in seconds, and 0 is forever */
    int timeout_s = (int)(timeout_ms / 1000) + 1;
    bool is_immediate = true;
    pmix_info_t info[2];
    pmix_value_t *value = NULL;
    pmix_status_t status;
    pmix_proc_t service;
    int rc, length;

    PMIX_PROC_CONSTRUCT(&service);
    service.rank = PMIX_RANK_WILDCARD;
    length =
        snprintf(service.nspace, sizeof(service.nspace), "%s%s", NAMESPACE_PREFIX, job);
    if (length < 0 || (size_t)length >= sizeof(service.nspace))
        return benchfs_error_set(err, EINVAL, "job id too long: %s", job);
    rc = initialise(may_init, err);
    if (rc)
        return rc;
    PMIX_INFO_LOAD(&info[0], PMIX_TIMEOUT, &timeout_s, PMIX_INT);
    PMIX_INFO_LOAD(&info[1], PMIX_IMMEDIATE, &is_immediate, PMIX_BOOL);
    status = PMIx_Get(&service, TABLE_KEY, info, 2, &value);
    if (status == PMIX_SUCCESS && value) {
        rc = value_copy(value, ret_blob, ret_len, err);
    } else {
        rc = status == PMIX_SUCCESS ? -ENOENT : pmix_status_to_errno(status);
        benchfs_error_set(err,
                          -rc,
                          "PMIx: no %s in namespace %s: %s",
                          TABLE_KEY,
                          service.nspace,
                          PMIx_Error_string(status));
    }
    if (value)
        PMIX_VALUE_RELEASE(value);
    if (rc && may_init)
        pmix_service_table_release();
    return rc;
}

void pmix_service_table_release(void)
{
    (void)PMIx_Finalize(NULL, 0);
}

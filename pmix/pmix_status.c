/* SPDX-License-Identifier: Apache-2.0 */
#include "pmix/pmix_status.h"

#include <errno.h>
#include <pmix_common.h>
#include <stddef.h>

static const struct {
    pmix_status_t status;
    int code;
} codes[] = {
    {PMIX_SUCCESS, 0},
    {PMIX_OPERATION_SUCCEEDED, 0},
    {PMIX_ERR_TIMEOUT, ETIMEDOUT},
    {PMIX_ERR_NOT_FOUND, ENOENT},
    {PMIX_ERR_NOT_SUPPORTED, EOPNOTSUPP},
    {PMIX_ERR_UNREACH, EHOSTUNREACH},
    {PMIX_ERR_LOST_CONNECTION, ECONNRESET},
    {PMIX_ERR_NO_PERMISSIONS, EACCES},
    {PMIX_ERR_NOMEM, ENOMEM},
    {PMIX_ERR_OUT_OF_RESOURCE, ENOMEM},
    {PMIX_ERR_BAD_PARAM, EINVAL},
    {PMIX_ERR_TYPE_MISMATCH, EPROTO},
    {PMIX_ERR_INIT, ENOTCONN},
    {PMIX_ERR_INVALID_NAMESPACE, ENOENT},
};

int pmix_status_to_errno(int status)
{
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (codes[i].status == status)
            return -codes[i].code;
    }
    return -EIO;
}

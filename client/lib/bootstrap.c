/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a program's endpoint table comes by PMIx. Only a program that is an MPI or
 * PMIx one may do so: PMIx_Init in anything else breaks a later MPI_Init.
 */
#include <errno.h>
#include <stdlib.h>

#include "client/api.h"

#ifdef BENCHFS_HAVE_PMIX
#include "pmix/pmix_service.h"

#define TIMEOUT_MS_DEFAULT 10000u

int api_table_get(const struct benchfs_options *options,
                  void **ret,
                  size_t *ret_len,
                  bool *ret_must_release,
                  struct benchfs_error *err)
{
    const char *job = getenv("SLURM_JOB_ID");
    bool is_forced = options->pmix == BENCHFS_PMIX_ALWAYS;
    unsigned timeout_ms =
        options->timeout_ms ? options->timeout_ms : TIMEOUT_MS_DEFAULT;
    int status;

    *ret = NULL;
    *ret_must_release = false;
    if (options->pmix == BENCHFS_PMIX_NEVER)
        return 0;
    if (!job)
        return is_forced ? benchfs_error_set(err, ENOENT, "SLURM_JOB_ID is not set")
                         : 0;
    status = pmix_service_table_get(job, is_forced, timeout_ms, ret, ret_len, err);
    if (status == 0) {
        *ret_must_release = is_forced;
        return 0;
    }
    *ret = NULL;
    /* Not a PMIx program, or a service of another kind: the daemon has the table too.
     */
    return is_forced ? status : 0;
}

void api_table_release(void)
{
    pmix_service_table_release();
}

#else

int api_table_get(const struct benchfs_options *options,
                  void **ret,
                  size_t *ret_len,
                  bool *ret_must_release,
                  struct benchfs_error *err)
{
    *ret = NULL;
    *ret_len = 0;
    *ret_must_release = false;
    if (options->pmix == BENCHFS_PMIX_ALWAYS)
        return benchfs_error_set(err, ENOTSUP, "built without PMIx");
    return 0;
}

void api_table_release(void)
{
}

#endif

/* SPDX-License-Identifier: Apache-2.0
 * The service's PMIx namespace in slurmstepd's PMIx server: the tasks' way to the
 * endpoint table. */
#ifndef BENCHFS_SPANK_NAMESPACE_H
#define BENCHFS_SPANK_NAMESPACE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define NAMESPACE_KEY_ENDPOINTS "benchfs.endpoints"

/* Registers "benchfs.<job>" with the encoded table under NAMESPACE_KEY_ENDPOINTS, and
 * the number of targets as PMIX_JOB_SIZE. Waits for it at most timeout_ms. -ENOSYS when
 * this process has no PMIx server (--mpi=none), which is fine: others ask the node's
 * daemon. */
int namespace_register(const char *job,
                       const void *table,
                       size_t size,
                       uint32_t n_targets,
                       unsigned timeout_ms,
                       struct benchfs_error *err);

#endif

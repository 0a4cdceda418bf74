/* SPDX-License-Identifier: Apache-2.0
 * From the nodes' endpoint records to the service's endpoint table. */
#ifndef BENCHFS_SUPERVISOR_ENDPOINTS_H
#define BENCHFS_SUPERVISOR_ENDPOINTS_H

#include "base/bytes.h"
#include "base/error.h"
#include "config/config.h"
#include "supervisor/round.h"

/* Decodes one record per node, each of n_shards endpoints, and appends the encoded
 * table, targets numbered node by node. 0 or -errno. */
int endpoints_table_build(const struct benchfs_config *config,
                          const char *job,
                          uint32_t n_shards,
                          const struct round_result *records,
                          struct bytes *out,
                          struct benchfs_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/endpoints.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/endpoint_table.h"
#include "proto/placement.h"

/* Moves one node's endpoints behind those of the nodes before it. */
static int node_add(struct endpoint_table *table,
                    uint32_t node,
                    uint32_t n_shards,
                    const struct round_record *record,
                    struct benchfs_error *err)
{
    struct endpoint *endpoints;
    uint32_t n;
    int rc = endpoint_record_decode(&endpoints, &n, record->data, record->len, err);

    if (rc)
        return rc;
    if (n != n_shards)
        rc = benchfs_error_set(
            err, EPROTO, "node %u has %u shards, not %u", node, n, n_shards);
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        if (endpoints[i].node != node || endpoints[i].shard != i)
            rc = benchfs_error_set(
                err, EPROTO, "node %u published another's endpoint", node);
    }
    if (rc) {
        endpoint_list_free(endpoints, n);
        return rc;
    }
    memcpy(&table->endpoints[table->n_endpoints], endpoints, n * sizeof(*endpoints));
    table->n_endpoints += n;
    free(endpoints); /* what they own lives on in the table */
    return 0;
}

int endpoints_table_build(const struct benchfs_config *config,
                          const char *job,
                          uint32_t n_shards,
                          const struct round_result *records,
                          struct bytes *out,
                          struct benchfs_error *err)
{
    struct endpoint_table table = {
        .uid = geteuid(),
        .gid = getegid(),
        .n_nodes = records->n,
        .chunk_size = (uint32_t)config->chunk_size_bytes,
        .connection_mode = config->connection_mode == CONFIG_CONNECTION_ADDRESS
                               ? CONNECTION_ADDRESS
                               : CONNECTION_SOCKET,
        .request_timeout_ms = (uint32_t)config->request_timeout_ms,
        .connect_timeout_ms = (uint32_t)config->connect_timeout_ms,
    };
    uint64_t n_targets = (uint64_t)records->n * n_shards;
    int rc = 0;

    if (n_targets > PLACEMENT_TARGETS_MAX)
        return benchfs_error_set(err,
                                 E2BIG,
                                 "%u nodes of %u shards: more than %u targets",
                                 records->n,
                                 n_shards,
                                 PLACEMENT_TARGETS_MAX);
    strncpy(table.job, job, sizeof(table.job) - 1);
    table.endpoints = calloc(n_targets, sizeof(*table.endpoints));
    if (!table.endpoints)
        return benchfs_error_set(err, ENOMEM, "no memory for the endpoint table");
    for (uint32_t node = 0; rc == 0 && node < records->n; node++)
        rc = node_add(&table, node, n_shards, &records->records[node], err);
    if (rc == 0) {
        rc = endpoint_table_encode(&table, out);
        if (rc)
            benchfs_error_set(err, -rc, "endpoint table: %s", strerror(-rc));
    }
    endpoint_table_fini(&table);
    return rc;
}

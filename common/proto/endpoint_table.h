/* SPDX-License-Identifier: Apache-2.0
 *
 * The endpoint table: every target of a service and how to reach it. Daemons publish
 * their node's part as a record, and everybody else gets the whole as one blob.
 */
#ifndef BENCHFS_PROTO_ENDPOINT_TABLE_H
#define BENCHFS_PROTO_ENDPOINT_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

#define ENDPOINT_ADDRESS_MAX 4095u /* bytes of a worker address */
#define ENDPOINT_SOCKET_MAX  128u  /* bytes of a struct sockaddr_in or _in6 */
#define ENDPOINT_PATH_MAX    100u  /* bytes of a Unix socket path */
#define ENDPOINT_HOST_MAX    255u

struct endpoint {
    uint32_t node;           /* 0 .. n_nodes - 1 */
    uint32_t shard;          /* on its node */
    uint64_t instance;       /* changes when the daemon was restarted */
    uint64_t host;           /* equal: same host, the local route works */
    char *host_name;         /* NUL-terminated, owned */
    char *local_path;        /* Unix socket, NUL-terminated, owned */
    uint8_t *socket_address; /* struct sockaddr_in or _in6; owned; NULL without UCX */
    uint16_t socket_address_len;
    uint8_t *worker_address; /* owned; NULL without UCX */
    uint16_t worker_address_len;
};

struct endpoint_table {
    char job[64]; /* NUL-terminated */
    uint32_t uid; /* the service's user */
    uint32_t gid;
    uint32_t n_nodes;
    uint32_t chunk_size;     /* default of new files, bytes */
    uint8_t connection_mode; /* enum connection_mode */
    uint32_t request_timeout_ms;
    uint32_t connect_timeout_ms;
    uint32_t n_endpoints;       /* = number of targets; endpoint i is target i */
    struct endpoint *endpoints; /* owned */
};

enum connection_mode {
    CONNECTION_SOCKET = 0,
    CONNECTION_ADDRESS = 1,
};

void endpoint_table_fini(struct endpoint_table *table);

/* Appends the encoding. 0, -ENOMEM, -EMSGSIZE (over the buffer's limit). */
int endpoint_table_encode(const struct endpoint_table *table, struct bytes *out);
/* Makes a table that owns its memory. -EPROTO, -EPROTONOSUPPORT (version), -ENOMEM. */
int endpoint_table_decode(struct endpoint_table *ret,
                          const void *data,
                          size_t len,
                          struct benchfs_error *err);

/* One node's endpoints, as a daemon publishes them. */
int endpoint_record_encode(const struct endpoint *endpoints,
                           uint32_t n,
                           struct bytes *out);
int endpoint_record_decode(struct endpoint **ret_endpoints,
                           uint32_t *ret_n,
                           const void *data,
                           size_t len,
                           struct benchfs_error *err);
void endpoint_list_free(struct endpoint *endpoints, uint32_t n);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The server process of a node: its shards, and the line to the supervisor that started
 * it. Starts in steps (records out, table in, connected), runs until told to stop.
 */
#ifndef BENCHFS_DAEMON_SERVER_H
#define BENCHFS_DAEMON_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "config/config.h"
#include "proto/endpoint_table.h"

struct shard;

struct server_config {
    const struct benchfs_config *settings;
    const char *job;
    uint32_t node;
    uint32_t n_nodes;
    uint32_t n_shards;          /* of this node; the same on all */
    uint64_t host;              /* equal on daemons that share a host */
    uint64_t instance;          /* of this daemon; changes with a restart */
    const char *run_dir;        /* of this job and node: the sockets go here */
    const char *store_dir;      /* of this job and node: shard-<k>/ go here */
    uint64_t capacity_bytes;    /* of this node */
    const char *listen_address; /* numeric IP for remote clients; NULL: local only */
    /* NULL, or this takes the place of a server that has died, whose shards listened on
     * these ports: "4711,4712" */
    const char *restart_ports;
    int control_fd;
};

/* Shared by the shards; nothing changes once they run, but what is atomic. */
struct server {
    struct server_config config;
    struct endpoint_table table;
    struct bytes table_blob; /* its encoding, as handed to clients */
    struct shard **shards;
    uint32_t n_shards;
    int64_t started_ns; /* CLOCK_REALTIME */
};

/* Runs the process's whole life; its exit status. */
int server_run(const struct server_config *config);

/* From a shard: has the supervisor end the service on this node. has_lost: results were
 * not staged out; whoever started the service is told. */
void server_shutdown_request(struct server *server, bool has_lost);

#endif

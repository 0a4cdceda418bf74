/* SPDX-License-Identifier: Apache-2.0
 * A server and cases for the RPC layer that run the same over any route: what a route
 * has to provide is a struct rpc_route. */
#ifndef BENCHFS_TEST_RPC_CASES_H
#define BENCHFS_TEST_RPC_CASES_H

#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>

#include "transport/rpc.h"

#define CASE_JOB        "42"
#define CASE_MEMORY_MAX (64u << 20)
#define CASE_TARGET     7
#define CASE_CLIENT_WITH_OPEN                                                          \
    500u /* ids from here on: the server finds something open */

struct case_server;

struct rpc_route {
    const char *name;
    /* Fill in what the route needs in a server's or client's configuration. */
    void (*server_config)(const struct case_server *server, struct rpc_config *config);
    void (*client_config)(struct rpc_config *config);
    /* Called when server->is_ready; the address is in server->socket_address. */
    void (*peer_config)(const struct case_server *server,
                        struct rpc_peer_config *config);
};

/* Shared by the test and the server's thread or process. */
struct case_shared {
    atomic_int ready; /* 1: serves; < 0: could not start */
    atomic_bool stop;
    char socket_address[128];
    size_t socket_address_len;
    uint8_t memory[CASE_MEMORY_MAX];
};

struct case_server {
    const struct rpc_route *route;
    struct unit_dir dir;
    char path[sizeof(UNIT_DIR_TEMPLATE) + 16];
    unsigned client_limit; /* 0: default */
    uid_t uid;             /* process only: becomes this one first; 0: stays */
    struct case_shared *shared;
    struct rpc *rpc; /* thread only */
    pthread_t thread;
    pid_t pid; /* 0: a thread */
};

/* Before start: makes directory and shared memory. */
void case_server_init(struct case_server *server, const struct rpc_route *route);
void case_server_start_thread(struct case_server *server);
/* Ends the thread and its rpc, and leaves what a killed process leaves; it can be
 * started again, at the same address. */
void case_server_halt_thread(struct case_server *server);
/* Forks: no struct rpc may exist in the caller. */
void case_server_start_process(struct case_server *server);
void case_server_kill(struct case_server *server);
/* Ends it and removes everything; also after kill. */
void case_server_stop(struct case_server *server);

struct case_client {
    struct rpc *rpc;
    struct rpc_peer *peer;
    unsigned patience_ms; /* set before start */
};

void case_client_start(struct case_client *client,
                       const struct case_server *server,
                       uint64_t id);
void case_client_start_config(struct case_client *client,
                              const struct case_server *server,
                              const struct rpc_config *config);
void case_client_stop(struct case_client *client);
struct rpc_config case_client_config(uint64_t id);

/*
 * What the server does. PUT takes the payload into its memory at an offset, GET gives
 * bytes of it (body: case_range()); ECHO gives the body back; DROP answers without
 * taking the payload; HOLD and its like answer with 0xAA in all reply space, when
 * RELEASE comes; COUNTERS gives struct case_counters.
 */
enum case_op {
    CASE_ECHO = 13,      /* CREATE */
    CASE_DROP = 24,      /* SETXATTR */
    CASE_GET = 30,       /* READ */
    CASE_PUT = 31,       /* WRITE */
    CASE_PEER_ONLY = 51, /* CHUNK_END */
    CASE_HOLD = 70,      /* STAGE_START */
    CASE_HOLD_LAST = 38, /* COPY */
    CASE_HOLD_GET = 80,  /* STATUS */
    CASE_RELEASE = 83,   /* SHUTDOWN */
    CASE_COUNTERS = 81,  /* STATS */
};

struct case_counters {
    uint64_t n_gone, last_gone, n_held;
    struct rpc_stats stats;
};

size_t case_range(uint8_t *buf, uint32_t offset, uint32_t length);
void case_fill(uint8_t *data, size_t size, uint32_t seed);
/* Synchronous; opcode and target are set here. */
int case_call(struct case_client *client, enum case_op op, struct rpc_call *call);
struct case_counters case_counters_get(struct case_client *client);
/* Puts `size` bytes in n_iov pieces and gets them back. */
void case_put_get(struct case_client *client, size_t size, int n_iov);

/* Runs all common cases; the number that failed. */
int rpc_cases_run(const struct rpc_route *route);

#endif

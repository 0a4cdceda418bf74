/* SPDX-License-Identifier: Apache-2.0
 * The fake service's own: its state, shared by fake_service.c (targets, threads, what
 * tests do to it) and fake_ops.c (what it does with requests). */
#ifndef BENCHFS_TEST_FAKE_SERVICE_IMPL_H
#define BENCHFS_TEST_FAKE_SERVICE_IMPL_H

#include <pthread.h>

#include "base/list.h"
#include "fake_service.h"
#include "proto/endpoint_table.h"
#include "proto/messages.h"
#include "proto/ops.h"
#include "transport/rpc.h"

#define NODES_MAX  512
#define CHUNKS_MAX 256

struct node {
    struct wire_attr attr;
    uint64_t cookie;
    bool is_linked;
    char name[WIRE_NAME_MAX + 1];
    char *text;
    uint8_t *data; /* FAKE_CHUNK_SIZE each */
    uint32_t ends[CHUNKS_MAX];
};

struct target {
    struct fake_service *service;
    uint32_t number;
    char path[128];
    struct rpc *rpc;
    struct rpc_server server;
    pthread_t thread;
    struct list slow;
    struct list held;
};

struct fake_service {
    struct target targets[FAKE_TARGETS];
    struct endpoint_table table;
    uint32_t n_own;
    const struct rpc_backend *remote; /* of the other node's targets, or NULL */
    const struct rpc_auth *auth;
    atomic_bool is_stopping;
    atomic_uint counts[OP_COUNT];
    pthread_mutex_t lock;
    int n_opens;
    unsigned lost_opcode, n_to_lose;
    unsigned held_opcode;
    uint64_t epoch;
    bool is_lost_done;
    uint64_t lost_request; /* that was done, and had no answer */
    uint64_t last_seq;
    unsigned n_nodes;
    struct node nodes[NODES_MAX];
};

/* With the lock. NULL: there is none. */
struct node *fake_node_find(struct fake_service *service, uint64_t ino);
/* With the lock: of that name; NULL. */
struct node *
fake_node_named(struct fake_service *service, uint64_t parent, struct wire_text name);
/* With the lock: a new inode, without a name. */
struct node *fake_node_new(struct fake_service *service, uint64_t ino, uint32_t mode);
/* Answers a request without a payload. */
void fake_reply(struct rpc_request *request, int status, const void *body, size_t len);
#define REPLY(request, name, msg)                                                      \
    do {                                                                               \
        uint8_t reply_body[WIRE_BODY_MAX];                                             \
        fake_reply((request),                                                          \
                   0,                                                                  \
                   reply_body,                                                         \
                   msg_##name##_encode((msg), reply_body, sizeof(reply_body)));        \
    } while (0)
/* With the attributes; NULL: -ENOENT. */
void fake_reply_attr(struct rpc_request *request, const struct node *node);
/* The endpoint table, as any target has it. */
void fake_op_table(struct target *target, struct rpc_request *request);
/* With the lock: does what a request of this target asks for. */
void fake_request_run(struct target *target, struct rpc_request *request);

#endif

/* SPDX-License-Identifier: Apache-2.0
 * For tests of the UCX route: a server in a process of its own, which is the test
 * program run again, so that it can be killed and stopped; and a client to it. */
#ifndef BENCHFS_TEST_RPC_UCX_CHILD_H
#define BENCHFS_TEST_RPC_UCX_CHILD_H

#include "unit.h"

#include <netinet/in.h>
#include <sys/types.h>

#include "transport/rpc.h"

#define CHILD_JOB        "42"
#define CHILD_MEMORY_MAX (64u << 20)
/* Environment of the child: munged's socket; unset: authenticates with child_auth(). */
#define CHILD_MUNGE_SOCKET "TEST_CHILD_MUNGE_SOCKET"

/* What the child tells when it listens. */
struct child_address {
    struct sockaddr_in socket;
    uint32_t worker_len;
    char worker[16384];
};

struct child {
    pid_t pid;
    int control; /* closing it ends the child */
    struct child_address address;
};

/* An rpc_auth whose credential is the challenge itself; `is_wrong` makes bad ones. */
const struct rpc_auth *child_auth(bool is_wrong);

/* The server's half of main(): returns the exit status when argv says that this is the
 * child, else -1. */
int child_main(int argc, char **argv);

/* Starts a server on 127.0.0.1:port (0: any). */
void child_start(struct child *child, uint16_t port);
/* Ends it (it may be dead already) and reaps it. */
void child_stop(struct child *child);
void child_signal(const struct child *child, int signal);

struct client {
    struct rpc *rpc;
    struct rpc_peer *peer;
};

void client_start(struct client *client,
                  const struct child_address *address,
                  bool use_worker_address,
                  const struct rpc_auth *auth);
void client_stop(struct client *client);

/*
 * Calls of the server. PUT takes the payload into its memory at an offset and answers
 * with its first body bytes; GET gives bytes of the memory; ECHO gives the body back;
 * DROP answers without taking the payload; HOLD never answers.
 */
enum child_op {
    CHILD_PUT = 31,  /* WRITE */
    CHILD_GET = 30,  /* READ */
    CHILD_ECHO = 13, /* CREATE: the longest body */
    CHILD_DROP = 24, /* SETXATTR */
    CHILD_HOLD = 70, /* STAGE_START */
};

/* The call's body for PUT and GET: offset and length. Returns its length. */
size_t child_range(uint8_t *buf, uint32_t offset, uint32_t length);

/* Synchronous; the call's status. The rest of `call` may be set by the caller. */
int client_call(struct client *client, struct rpc_call *call, enum child_op op);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * A shard: one thread with one RPC instance, one store and everything that belongs to
 * one target. It handles requests in batches, one store transaction per batch; replies
 * and calls to other targets leave after the commit.
 */
#ifndef BENCHFS_DAEMON_SHARD_H
#define BENCHFS_DAEMON_SHARD_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/list.h"
#include "base/table.h"
#include "daemon/epoch.h"
#include "daemon/fiber.h"
#include "daemon/keylock.h"
#include "daemon/timer.h"
#include "proto/endpoint_table.h"
#include "proto/ops.h"
#include "store/store.h"
#include "transport/rpc.h"

struct rpc_slots;
struct server;
struct service;
struct sync;

/* Operations of clients that wait for other targets; and with those that other daemons
 * wait for. */
#define SHARD_CLIENT_FIBERS 256
#define SHARD_FIBERS        2048

/* Something to run in the shard's thread; a member of what it is about. */
struct task {
    struct list_node link;
    void (*run)(struct task *task);
};

/* A client as this shard knows it: who it is, and what it has open here, to be let go
 * when it is gone. Most of it survives a restart, see daemon/session_store.h. */
struct session {
    uint64_t client;
    uint8_t kind;         /* enum hello_kind; 0: it has not been connected here */
    uint32_t node;        /* RPC_NODE_UNKNOWN: it comes through another daemon */
    uint32_t peer_target; /* a daemon's own */
    int pid;              /* of a process of this node; 0: not known */
    uint64_t pid_start;   /* see proc_start_time() */
    bool is_local;
    bool is_connected;
    bool is_stored;       /* the store knows who it is */
    bool has_forwarded;   /* requests of it went on to other targets */
    struct table opens;   /* inode -> struct store_open */
    struct table replies; /* slot -> number of the last request stored for it */

    struct list_node watch_link; /* in shard->watched: daemon/watch.h */
    uint64_t down_since_ns;      /* it was last heard of; without a connection */
    uint64_t check_at_ns;
    unsigned check_interval_ms;
};

/* An inode homed here that somebody has open. */
struct open_inode {
    uint64_t ino;
    unsigned n_opens;
    unsigned n_writers; /* of these, with OPEN_WRITE */
    /* of these, without OPEN_APPEND: ends known only to chunks */
    unsigned n_free_writers;
};

struct shard {
    struct server *server;
    uint32_t target;
    unsigned index;  /* on this node */
    uint64_t client; /* own client id, as a peer of others */

    struct auth_munge *munge; /* NULL: local route only */
    struct rpc *rpc;
    struct rpc_server rpc_server; /* what rpc calls */
    struct store *store;
    struct fiber_pool *fibers;
    struct keylock locks;
    struct epoch epoch;
    struct table sessions;    /* client -> struct session */
    struct table open_inodes; /* ino -> struct open_inode */
    struct table lock_files;  /* ino -> struct lock_file */
    struct table running;     /* ops to be applied once, see daemon/replay.h */
    struct rpc_peer **peers;  /* by target, n_targets; NULL for the own one */
    struct rpc_slots **slots; /* own ones at others, by target, made when needed */
    uint32_t n_targets;       /* 0 until the endpoint table is known */
    uint32_t chunk_size;      /* default of new files */

    struct list incoming;      /* struct rpc_request: not looked at yet */
    struct list ready;         /* struct task: to run in this batch */
    struct list outgoing;      /* struct op: finished, reply after the commit */
    struct list calls;         /* struct peer_call: to start after the commit */
    struct list fiber_waiters; /* struct task: ops that wait for a fiber */
    struct list timers;        /* struct shard_timer, the earliest first */
    uint64_t n_returns;      /* clients whose connection was gone, and that came back */
    struct list watched;     /* struct session: daemon/watch.h */
    uint64_t *node_heard_ns; /* by node, as far as the watch has asked; n_nodes */
    struct shard_timer watch_timer;
    bool is_watching;
    struct table claims; /* owner -> claims, see daemon/claim.h */
    struct shard_timer claim_timer;
    bool is_checking_claims;
    struct table coordinated; /* owner -> what it runs over several targets */
    struct list late_intents; /* struct intent: to be tried again */
    struct shard_timer intent_timer;
    bool has_late_orphans;
    struct shard_timer trim_timer;
    struct sync *sync;      /* NULL: the store is not durable; daemon/sync.h */
    struct list committing; /* struct op: fibers that wait for the commit */
    uint64_t lock_sequence;
    struct service *service; /* target 0 only: the state of the whole service */

    _Atomic uint64_t op_counts[OP_COUNT];
    pthread_t thread;
    bool is_running; /* the thread exists */
    sem_t peers_checked;
    struct benchfs_error peers_error; /* code 0: every peer answered */
    atomic_bool stop;
};

struct shard_config {
    struct server *server;
    uint32_t target;
    unsigned index;
    struct rpc_config rpc; /* all but server, client and auth */
    struct store_config store;
    uint32_t chunk_size;
    bool is_restarted; /* clients know one before it */
};

/* Lists, tables and locks of a zeroed shard: shard_create() begins with it, and tests
 * of a shard's parts. */
void shard_tables_init(struct shard *shard);
/* Opens the store, starts to listen; no thread yet. */
int shard_create(const struct shard_config *config,
                 struct shard **ret,
                 struct benchfs_error *err);
/* Gives it the table: peers are made, n_targets is known. Before shard_start(). */
int shard_table_set(struct shard *shard,
                    const struct endpoint_table *table,
                    struct benchfs_error *err);
int shard_start(struct shard *shard, struct benchfs_error *err);
/* After shard_start(): waits until every other target has answered. -errno names the
 * one that did not. */
int shard_peers_check(struct shard *shard,
                      unsigned timeout_ms,
                      struct benchfs_error *err);
/* Any thread: asks it to end after the current batch. */
void shard_stop(struct shard *shard);
void shard_join(struct shard *shard);
/* After shard_join(). NULL is fine. */
void shard_destroy(struct shard *shard);

/* Puts a task into the running or next batch. The shard's own thread only. */
void shard_task_add(struct shard *shard, struct task *task);

/* CLOCK_REALTIME in nanoseconds, as the file system's times have it. */
int64_t shard_now_ns(void);

#endif

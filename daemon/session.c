/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/session.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/proc.h"
#include "daemon/claim.h"
#include "daemon/lock_table.h"
#include "daemon/ops/ops.h"
#include "daemon/peer.h"
#include "daemon/server.h"
#include "daemon/service.h"
#include "daemon/session_store.h"
#include "daemon/stage_host.h"
#include "daemon/watch.h"

static uint32_t *kind_of(struct store_open *open, uint32_t flags)
{
    if (!(flags & OPEN_WRITE))
        return &open->n_readers;
    return flags & OPEN_APPEND ? &open->n_appenders : &open->n_free_writers;
}

static bool is_unused(const struct store_open *open)
{
    return open->n_readers + open->n_appenders + open->n_free_writers == 0;
}

struct session *session_get(struct shard *shard, uint64_t client)
{
    struct session *session = table_get(&shard->sessions, client);

    if (session)
        return session;
    session = calloc(1, sizeof(*session));
    if (!session)
        return NULL;
    session->client = client;
    session->node = RPC_NODE_UNKNOWN;
    session->peer_target = UINT32_MAX;
    list_node_init(&session->watch_link);
    table_init(&session->opens);
    table_init(&session->replies);
    if (table_put(&shard->sessions, client, session)) {
        free(session);
        return NULL;
    }
    return session;
}

static void session_free(struct session *session)
{
    struct store_open *open;
    size_t cursor = 0;

    watch_forget(session);
    while ((open = table_next(&session->opens, &cursor, NULL)))
        free(open);
    table_fini(&session->opens);
    table_fini(&session->replies); /* its values are numbers */
    free(session);
}

/* The value for a key, zeroed and put when it is absent. NULL: no memory. */
static void *table_get_new(struct table *table, uint64_t key, size_t size)
{
    void *value = table_get(table, key);

    if (value)
        return value;
    value = calloc(1, size);
    if (value && table_put(table, key, value)) {
        free(value);
        return NULL;
    }
    return value;
}

static void
inode_count(struct open_inode *inode, uint64_t ino, const struct store_open *more)
{
    inode->ino = ino;
    inode->n_opens += more->n_readers + more->n_appenders + more->n_free_writers;
    inode->n_writers += more->n_appenders + more->n_free_writers;
    inode->n_free_writers += more->n_free_writers;
}

int session_open_restore(struct shard *shard,
                         uint64_t client,
                         uint64_t ino,
                         const struct store_open *open)
{
    struct session *session = session_get(shard, client);
    struct store_open *mine;
    struct open_inode *inode;

    if (!session)
        return -ENOMEM;
    mine = table_get_new(&session->opens, ino, sizeof(*mine));
    inode = table_get_new(&shard->open_inodes, ino, sizeof(*inode));
    if (!mine || !inode) {
        if (inode && inode->n_opens == 0)
            free(table_remove(&shard->open_inodes, ino));
        return -ENOMEM;
    }
    inode_count(inode, ino, open);
    mine->n_readers += open->n_readers;
    mine->n_appenders += open->n_appenders;
    mine->n_free_writers += open->n_free_writers;
    return 0;
}

bool session_has_open(const struct shard *shard, uint64_t client)
{
    const struct session *session = table_get(&shard->sessions, client);

    return session && table_count(&session->opens) > 0;
}

bool session_is_open(const struct shard *shard,
                     uint64_t client,
                     uint64_t ino,
                     uint32_t flags)
{
    const struct session *session = table_get(&shard->sessions, client);
    struct store_open *mine = session ? table_get(&session->opens, ino) : NULL;

    return mine && *kind_of(mine, flags) > 0;
}

int session_open(struct shard *shard, uint64_t client, uint64_t ino, uint32_t flags)
{
    struct store_open one = {0}, stored = {0};
    const struct store_open *mine;
    struct session *session = session_get(shard, client);
    int rc = session ? session_store_client(shard, session) : -ENOMEM;

    if (rc)
        return rc;
    mine = table_get(&session->opens, ino);
    if (mine)
        stored = *mine;
    ++*kind_of(&stored, flags);
    rc = session_store_open(shard, session, ino, &stored);
    if (rc)
        return rc;
    ++*kind_of(&one, flags);
    rc = session_open_restore(shard, client, ino, &one);
    if (rc == 0)
        watch_add_connected(shard, session);
    return rc;
}

int session_close(struct shard *shard, uint64_t client, uint64_t ino, uint32_t flags)
{
    struct session *session = table_get(&shard->sessions, client);
    struct store_open *mine = session ? table_get(&session->opens, ino) : NULL;
    int rc;

    if (!mine || *kind_of(mine, flags) == 0)
        return -EBADF;
    --*kind_of(mine, flags);
    rc = session_store_open(shard, session, ino, mine);
    if (is_unused(mine))
        free(table_remove(&session->opens, ino));
    session_inode_drop(shard, ino, flags);
    return rc;
}

void session_inode_drop(struct shard *shard, uint64_t ino, uint32_t flags)
{
    struct open_inode *inode = table_get(&shard->open_inodes, ino);

    assert(inode && inode->n_opens > 0);
    inode->n_opens--;
    inode->n_writers -= (flags & OPEN_WRITE) != 0;
    inode->n_free_writers -= (flags & OPEN_WRITE) && !(flags & OPEN_APPEND);
    if (inode->n_opens == 0)
        free(table_remove(&shard->open_inodes, ino));
}

const struct open_inode *session_inode(const struct shard *shard, uint64_t ino)
{
    return table_get(&shard->open_inodes, ino);
}

int session_note_forward(struct shard *shard, uint64_t client)
{
    struct session *session = session_get(shard, client);

    if (!session)
        return -ENOMEM;
    if (session->has_forwarded)
        return 0;
    session->has_forwarded = true;
    session->is_stored = false; /* not with this */
    return session_store_client(shard, session);
}

int session_note_state(struct shard *shard, uint64_t client)
{
    struct session *session = session_get(shard, client);

    return session ? session_store_client(shard, session) : -ENOMEM;
}

uint64_t session_reply_get(const struct shard *shard, uint64_t client, uint16_t slot)
{
    const struct session *session = table_get(&shard->sessions, client);

    return session ? (uintptr_t)table_get(&session->replies, slot) : 0;
}

int session_reply_set(struct shard *shard,
                      uint64_t client,
                      uint16_t slot,
                      uint64_t request)
{
    struct session *session = session_get(shard, client);

    _Static_assert(sizeof(void *) >= sizeof(request), "a number as a table's value");
    if (!session)
        return -ENOMEM;
    table_remove(&session->replies, slot);
    return table_put(&session->replies, slot, (void *)(uintptr_t)request);
}

/* In a fiber: the other targets may have something of the client. */
static void others_tell(struct op *op, uint64_t client)
{
    struct msg_client_request gone = {.client = client};
    struct peer_call *calls;
    uint8_t body[MSG_client_request_MAX];
    size_t len = msg_client_request_encode(&gone, body, sizeof(body));
    int rc = peer_call_others(op, OP_CLIENT_GONE, body, len, &calls);

    if (calls)
        rc = peer_calls_reachable(op, calls, op->shard->n_targets - 1);
    if (rc)
        log_warn("client %016llx has gone, and not all targets could be told: %s",
                 (unsigned long long)client,
                 strerror(-rc));
    free(calls);
}

/* In a fiber: brings sizes up to date, then closes the way the client would have. */
static int session_end(struct op *op)
{
    const struct store_open none = {0};
    struct session *session = op->arg;
    struct shard *shard = op->shard;
    struct store_open *open;
    size_t cursor = 0;
    uint64_t ino;

    while ((open = table_next(&session->opens, &cursor, &ino))) {
        inode_close_all(
            op, ino, open->n_readers, open->n_appenders, open->n_free_writers);
        (void)session_store_open(shard, session, ino, &none);
    }
    lock_table_client_gone(shard, session->client);
    if (session->has_forwarded && shard->n_targets > 1)
        others_tell(op, session->client);
    session_store_remove(shard, session);
    session_free(session);
    return 0;
}

void session_client_gone(struct shard *shard, uint64_t client)
{
    struct session *session = table_remove(&shard->sessions, client);

    if (shard->service)
        stage_host_client_gone(service_stage(shard->service), client);
    if (!session)
        return;
    watch_forget(session);
    if (op_spawn(shard, session_end, session)) {
        log_error("client %016llx: no memory to close its files",
                  (unsigned long long)client);
        session_free(session);
    }
}

/* ---- connections */

/* A daemon that was restarted is another client; what the one before it held here, it
 * does not know of. */
static void predecessors_end(struct shard *shard, const struct rpc_client_info *info)
{
    struct session *session;
    size_t cursor = 0;
    uint64_t client;

    while ((session = table_next(&shard->sessions, &cursor, &client))) {
        if (session->kind == HELLO_DAEMON && session->peer_target == info->target
            && client != info->id)
            session_client_gone(shard, client);
    }
    claim_check_soon(shard, info->target);
}

/* Another daemon may ask whether it lives, also after our restart. */
static int client_store(struct op *op)
{
    uint64_t client = *(uint64_t *)op->arg;
    struct session *session = table_get(&op->shard->sessions, client);

    free(op->arg);
    return session ? session_store_client(op->shard, session) : 0;
}

static void client_store_spawn(struct shard *shard, uint64_t client)
{
    uint64_t *arg = malloc(sizeof(*arg));

    if (!arg)
        return;
    *arg = client;
    if (op_spawn(shard, client_store, arg))
        free(arg);
}

void session_connected(struct shard *shard, const struct rpc_client_info *info)
{
    struct session *session = session_get(shard, info->id);

    if (!session)
        return; /* no memory: it has no state here until there is some */
    watch_forget(session);
    shard->n_returns += session->kind != 0 && !session->is_connected;
    session->is_connected = true;
    session->down_since_ns = 0;
    session->kind = info->kind;
    session->is_local = info->is_local;
    session->node = info->is_local ? shard->server->config.node : info->node;
    session->peer_target = info->target;
    if (info->is_local && info->pid > 0
        && proc_start_time(info->pid, &session->pid_start) == 0)
        session->pid = info->pid;
    if (table_count(&session->opens) > 0)
        watch_add_connected(shard, session);
    /* it may have had a directory renamed while this target could not be reached */
    if (info->kind == HELLO_DAEMON)
        epoch_raise(&shard->epoch);
    if (info->kind == HELLO_DAEMON)
        predecessors_end(shard, info);
    else if (info->is_local && info->kind == HELLO_CLIENT && shard->index == 0
             && !session->is_stored)
        client_store_spawn(shard, info->id);
}

static bool has_state(const struct session *session)
{
    return table_count(&session->opens) + table_count(&session->replies) > 0
           || session->is_stored;
}

void session_disconnected(struct shard *shard, uint64_t client, bool is_evicted)
{
    struct session *session = table_get(&shard->sessions, client);

    if (!session)
        return;
    session->is_connected = false;
    watch_forget(session);
    /* a process of this node hangs up when it ends, and not before */
    if ((session->is_local && !is_evicted) || !has_state(session))
        session_client_gone(shard, client);
    else
        watch_add(shard, session);
}

void session_fini(struct shard *shard)
{
    struct open_inode *inode;
    struct session *session;
    size_t cursor = 0;

    while ((session = table_next(&shard->sessions, &cursor, NULL)))
        session_free(session);
    table_fini(&shard->sessions);
    cursor = 0;
    while ((inode = table_next(&shard->open_inodes, &cursor, NULL)))
        free(inode);
    table_fini(&shard->open_inodes);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/session.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "daemon/ops/ops.h"
#include "daemon/peer.h"
#include "daemon/replay.h"
#include "daemon/service.h"
#include "daemon/stage_host.h"

/* One client's opens of one inode, by kind. */
struct session_open {
    unsigned n_readers;
    unsigned n_appenders;
    unsigned n_free_writers;
};

struct session_lock {
    struct list_node link;
    uint64_t key;
    uint64_t owner;
};

static unsigned *kind_of(struct session_open *open, uint32_t flags)
{
    if (!(flags & OPEN_WRITE))
        return &open->n_readers;
    return flags & OPEN_APPEND ? &open->n_appenders : &open->n_free_writers;
}

static bool is_unused(const struct session_open *open)
{
    return open->n_readers + open->n_appenders + open->n_free_writers == 0;
}

static struct session *session_get(struct shard *shard, uint64_t client)
{
    struct session *session = table_get(&shard->sessions, client);

    if (session)
        return session;
    session = calloc(1, sizeof(*session));
    if (!session)
        return NULL;
    session->client = client;
    table_init(&session->opens);
    list_init(&session->remote_locks);
    table_init(&session->replies);
    if (table_put(&shard->sessions, client, session)) {
        free(session);
        return NULL;
    }
    return session;
}

static void session_free(struct session *session)
{
    struct session_open *open;
    struct list_node *node;
    size_t cursor = 0;

    while ((open = table_next(&session->opens, &cursor, NULL)))
        free(open);
    table_fini(&session->opens);
    table_fini(&session->replies); /* its values are numbers */
    while ((node = list_pop_front(&session->remote_locks)))
        free(list_entry(node, struct session_lock, link));
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

int session_open(struct shard *shard, uint64_t client, uint64_t ino, uint32_t flags)
{
    struct session *session = session_get(shard, client);
    struct session_open *mine;
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
    inode->ino = ino;
    inode->n_opens++;
    inode->n_writers += (flags & OPEN_WRITE) != 0;
    inode->n_free_writers += (flags & OPEN_WRITE) && !(flags & OPEN_APPEND);
    ++*kind_of(mine, flags);
    return 0;
}

int session_close(struct shard *shard, uint64_t client, uint64_t ino, uint32_t flags)
{
    struct session *session = table_get(&shard->sessions, client);
    struct session_open *mine = session ? table_get(&session->opens, ino) : NULL;

    if (!mine || *kind_of(mine, flags) == 0)
        return -EBADF;
    --*kind_of(mine, flags);
    if (is_unused(mine))
        free(table_remove(&session->opens, ino));
    session_inode_drop(shard, ino, flags);
    return 0;
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
    session->has_forwarded = true;
    return 0;
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

int session_lock_add(struct shard *shard, uint64_t client, uint64_t key, uint64_t owner)
{
    struct session *session = session_get(shard, client);
    struct session_lock *lock = malloc(sizeof(*lock));

    if (!session || !lock) {
        free(lock);
        return -ENOMEM;
    }
    lock->key = key;
    lock->owner = owner;
    list_push_back(&session->remote_locks, &lock->link);
    return 0;
}

void session_lock_remove(struct shard *shard,
                         uint64_t client,
                         uint64_t key,
                         uint64_t owner)
{
    struct session *session = table_get(&shard->sessions, client);

    if (!session)
        return;
    list_for_each(node, &session->remote_locks)
    {
        struct session_lock *lock = list_entry(node, struct session_lock, link);

        if (lock->key == key && lock->owner == owner) {
            list_remove(&lock->link);
            free(lock);
            return;
        }
    }
}

/* In a fiber: brings sizes up to date, then closes the way the client would have. */
static int session_end(struct op *op)
{
    struct session *session = op->arg;
    struct shard *shard = op->shard;
    struct session_open *open;
    struct list_node *node;
    size_t cursor = 0;
    uint64_t ino;

    while ((open = table_next(&session->opens, &cursor, &ino)))
        inode_close_all(
            op, ino, open->n_readers, open->n_appenders, open->n_free_writers);
    if (table_count(&session->replies) > 0)
        replay_client_gone(shard, session->client);
    while ((node = list_pop_front(&session->remote_locks))) {
        struct session_lock *lock = list_entry(node, struct session_lock, link);

        keylock_unlock(&shard->locks, lock->key, lock->owner);
        free(lock);
    }
    if (session->has_forwarded && shard->n_targets > 1) {
        struct msg_client_request gone = {.client = session->client};
        struct peer_call *calls;
        uint8_t body[MSG_client_request_MAX];

        peer_call_others(op,
                         OP_CLIENT_GONE,
                         body,
                         msg_client_request_encode(&gone, body, sizeof(body)),
                         &calls);
        free(calls);
    }
    session_free(session);
    return 0;
}

void session_client_gone(struct shard *shard, uint64_t client)
{
    struct session *session = table_remove(&shard->sessions, client);

    if (shard->service)
        stage_host_client_gone(service_stage(shard->service), client);
    if (session && op_spawn(shard, session_end, session)) {
        log_error("client %016llx: no memory to close its files",
                  (unsigned long long)client);
        session_free(session);
    }
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

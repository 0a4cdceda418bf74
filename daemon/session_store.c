/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/session_store.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "daemon/replay.h"
#include "daemon/watch.h"

int session_store_client(struct shard *shard, struct session *session)
{
    struct store_client what = {
        .node = session->node,
        .pid = (uint32_t)session->pid,
        .pid_start = session->pid_start,
        .has_forwarded = session->has_forwarded,
    };
    int rc;

    /* daemons come back as other clients */
    if (session->is_stored || session->kind == HELLO_DAEMON)
        return 0;
    rc = store_client_put(shard->store, session->client, &what);
    session->is_stored = rc == 0;
    return rc;
}

int session_store_open(struct shard *shard,
                       const struct session *session,
                       uint64_t ino,
                       const struct store_open *open)
{
    return store_open_put(shard->store, session->client, ino, open);
}

void session_store_remove(struct shard *shard, const struct session *session)
{
    int rc = 0;

    if (table_count(&session->replies) > 0)
        replay_client_gone(shard, session->client);
    if (session->is_stored)
        rc = store_client_remove(shard->store, session->client);
    if (rc)
        log_error("client %016llx: can't remove it from the store: %s",
                  (unsigned long long)session->client,
                  strerror(-rc));
}

static int client_load(void *arg, uint64_t client, const struct store_client *what)
{
    struct shard *shard = arg;
    struct session *session = session_get(shard, client);

    if (!session)
        return -ENOMEM;
    session->kind = HELLO_CLIENT;
    session->node = what->node;
    session->pid = (int)what->pid;
    session->pid_start = what->pid_start;
    session->has_forwarded = what->has_forwarded;
    session->is_stored = true;
    /* one whose node is not known comes through another daemon, which tells its end */
    if (session->node != RPC_NODE_UNKNOWN)
        watch_add(shard, session);
    return 0;
}

static int
open_load(void *arg, uint64_t client, uint64_t ino, const struct store_open *what)
{
    return session_open_restore(arg, client, ino, what);
}

int session_store_load(struct shard *shard)
{
    int rc = store_client_scan(shard->store, client_load, shard);

    if (rc == 0)
        rc = store_open_scan(shard->store, open_load, shard);
    return rc ? rc : replay_load(shard);
}

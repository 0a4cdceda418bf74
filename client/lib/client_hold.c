/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether the home of an open inode still holds it open for this client.
 *
 * A home that has not been able to reach a client, nor its node's daemon, for a while
 * gives it up (CLIENT_LEASE_TIMEOUTS): what the client had open is closed, its locks
 * are another's. The client may live on behind a broken link. So it begins nothing that
 * could end after that: if the home has not answered for so long, or had not meanwhile,
 * it is asked first.
 * (Leases as of Gray and Cheriton, SOSP 1989; the time runs from when a request that
 * was answered had been sent, so clocks need not agree.)
 */
#include <errno.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "client/client_internal.h"

/* Of the request timeout: clocks do not run alike, and threads wait for their turn. */
#define MARGIN_DIVISOR 8u

uint64_t client_hold_ns(const struct client *client)
{
    uint64_t timeout_ms = client->table.request_timeout_ms;
    uint64_t lease_ms = CLIENT_LEASE_TIMEOUTS * timeout_ms;
    uint64_t used_ms = client->timeout_ms + timeout_ms / MARGIN_DIVISOR;

    return lease_ms > used_ms ? (lease_ms - used_ms) * CLOCK_NS_PER_MS : 0;
}

static uint32_t home_peer(const struct client_inode *inode)
{
    return client_route_peer(inode->client, placement_home(inode->ino));
}

static int home_ask(struct client_inode *inode, enum client_open_kind kind)
{
    struct msg_open_request msg = {.ino = inode->ino, .flags = client_open_flags(kind)};
    struct client_call call;
    int status;

    client_call_fill(inode->client,
                     &call,
                     OP_OPEN_CHECK,
                     placement_home(inode->ino),
                     open_request,
                     &msg);
    status = client_call_run(inode->client, &call);
    if (status == 0)
        client_inode_held(inode);
    if (status != -EBADF)
        return status;
    client_inode_lose(inode);
    return -EIO;
}

void client_inode_held(struct client_inode *inode)
{
    atomic_store(&inode->gaps, engine_gaps(inode->client->engine, home_peer(inode)));
}

int client_inode_check(struct client_inode *inode, enum client_open_kind kind)
{
    if (atomic_load_explicit(&inode->is_lost, memory_order_relaxed))
        return -EIO;
    if (engine_is_held(inode->client->engine,
                       home_peer(inode),
                       atomic_load_explicit(&inode->gaps, memory_order_relaxed)))
        return 0;
    return home_ask(inode, kind);
}

int client_file_check(const struct client_file *file)
{
    return client_inode_check(file->inode, client_open_kind(file->flags));
}

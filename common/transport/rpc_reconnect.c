/* SPDX-License-Identifier: Apache-2.0
 *
 * A peer without a connection: whether its calls wait for another one, when the next
 * try is due (exponential backoff with jitter), and when patience ends.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "base/log.h"
#include "transport/rpc_core.h"

#define BACKOFF_MIN_MS 4u
#define BACKOFF_MAX_MS 500u
/* A call that has been sent so often, and never answered, may be what ends the
 * connection. */
#define SENDS_MAX 64u
/* A call is sent a moment after its deadline is set. */
#define SUSPECT_SLACK_MS  10u
#define PROBE_INTERVAL_NS CLOCK_NS_PER_SEC

/* Whether another try may go better than one that ended so. What is not a matter of
 * time (who we are, what we speak, who is there) does not. */
bool rpc_status_is_transient(int status)
{
    switch (status) {
    case -EHOSTDOWN:
    case -ECONNREFUSED:
    case -ECONNRESET:
    case -ECONNABORTED:
    case -ETIMEDOUT:
    case -ENETUNREACH:
    case -ENETDOWN:
    case -ESHUTDOWN:
    case -ENOTCONN:
    case -EPIPE:
    case -EAGAIN:
    case -EMFILE:
    case -ENFILE:
    case -ENOBUFS:
    case -EIO:
        return true;
    default:
        return false;
    }
}

static void retry_fire(struct rpc_timer *timer)
{
    struct rpc_peer *peer = list_entry(timer, struct rpc_peer, retry_timer);

    if (!peer->connection && !list_is_empty(&peer->queue))
        rpc_client_connect(peer);
}

/* Half to all of the backoff: many clients of a server that comes back spread out. */
static uint64_t backoff_ns(struct rpc_peer *peer)
{
    uint64_t span_ns = peer->backoff_ms * CLOCK_NS_PER_MS;

    return span_ns / 2 + hash_u64(clock_now_ns() ^ (uintptr_t)peer) % (span_ns / 2);
}

/* When, on the clock that people read. */
static void time_text(uint64_t at_ns, char *ret, size_t size)
{
    time_t at = time(NULL) - (time_t)((clock_now_ns() - at_ns) / CLOCK_NS_PER_SEC);
    struct tm tm;

    if (!localtime_r(&at, &tm) || strftime(ret, size, "%F %T", &tm) == 0)
        ret[0] = '\0';
}

static void lost_set(struct rpc_peer *peer, int status)
{
    char since[64];

    if (peer->lost == 0 && peer->config.is_logged) {
        time_text(peer->down_since_ns, since, sizeof(since));
        log_warn(
            "%s has not been reached since %s (%s); what it holds is not available "
            "until it is back",
            peer->config.name,
            since,
            strerror(-status));
    }
    /* on this host it would be there: the service has ended */
    peer->lost = peer->config.local_path ? -ECONNREFUSED : -EHOSTDOWN;
    peer->probe_at_ns = clock_now_ns() + PROBE_INTERVAL_NS;
}

bool rpc_reconnect_plan(struct rpc_peer *peer, int status, bool was_ready)
{
    uint64_t now_ns = clock_now_ns();
    uint64_t patience_ns = peer->config.patience_ms * CLOCK_NS_PER_MS;

    if (patience_ns == 0 || peer->rpc->is_destroying || peer->rpc->is_impatient
        || !rpc_status_is_transient(status))
        goto give_up;
    if (was_ready || peer->down_since_ns == 0) {
        peer->down_since_ns = peer->silent_since_ns ? peer->silent_since_ns : now_ns;
        peer->silent_since_ns = 0;
        peer->backoff_ms = peer->lost ? BACKOFF_MAX_MS : BACKOFF_MIN_MS;
    }
    peer->failure = status;
    /* one that was cut short has not said much */
    if (peer->is_abandoning)
        patience_ns += (uint64_t)peer->rpc->config.connect_timeout_ms * CLOCK_NS_PER_MS;
    /* a restarted server has the same port, but another worker address */
    if (peer->config.socket_address_len > 0)
        peer->config.use_worker_address = false;
    if (!was_ready && now_ns - peer->down_since_ns >= patience_ns) {
        lost_set(peer, status);
        goto give_up;
    }
    if (rpc_timer_set(peer->rpc, &peer->retry_timer, now_ns + backoff_ns(peer)))
        goto give_up;
    peer->backoff_ms *= 2;
    if (peer->backoff_ms > BACKOFF_MAX_MS)
        peer->backoff_ms = BACKOFF_MAX_MS;
    return true;
give_up:
    rpc_reconnect_reset(peer);
    return false;
}

void rpc_reconnect_reset(struct rpc_peer *peer)
{
    rpc_timer_clear(peer->rpc, &peer->retry_timer);
    peer->down_since_ns = 0;
    peer->failure = 0;
}

void rpc_reconnect_up(struct rpc_peer *peer)
{
    if (peer->lost && peer->config.is_logged)
        log_warn("%s is back", peer->config.name);
    peer->lost = 0;
    rpc_reconnect_reset(peer);
}

/* A server goes on with it; nobody may come back to a client's. */
static bool has_driver(const struct rpc_peer *peer)
{
    return peer->rpc->config.server != NULL;
}

bool rpc_reconnect_probe(struct rpc_peer *peer)
{
    if (peer->connection || clock_now_ns() < peer->probe_at_ns)
        return false;
    peer->probe_at_ns = clock_now_ns() + PROBE_INTERVAL_NS;
    rpc_client_connect(peer);
    return peer->connection && !has_driver(peer);
}

void rpc_reconnect_abandon(struct rpc_peer *peer)
{
    if (peer->connection && peer->connection->state != RPC_READY && !has_driver(peer)
        && list_is_empty(&peer->queue)) {
        peer->is_abandoning = true;
        rpc_connection_lost(peer->connection, -ETIMEDOUT);
        peer->is_abandoning = false;
    }
}

void rpc_connection_suspect(struct rpc_connection *connection, uint64_t since_ns)
{
    struct rpc_peer *peer = connection->peer;
    uint64_t waited_ms = (clock_now_ns() - since_ns) / CLOCK_NS_PER_MS;

    /* a local one is closed by the kernel, when the other process ends */
    if (!peer || connection->is_local || connection->state != RPC_READY
        || connection->heard_ns > since_ns
        || waited_ms + SUSPECT_SLACK_MS < peer->config.patience_ms)
        return;
    peer->silent_since_ns = connection->heard_ns;
    rpc_connection_lost(connection, -ETIMEDOUT);
}

void rpc_reconnect_init(struct rpc_peer *peer)
{
    peer->retry_timer.fire = retry_fire;
}

bool rpc_reconnect_is_due(const struct rpc_peer *peer)
{
    return peer->retry_timer.index == 0;
}

bool rpc_outgoing_may_resend(const struct rpc_outgoing *out)
{
    return out->peer && !out->is_once && out->n_sends < SENDS_MAX;
}

/* What ends here is only what waits for a connection. */
void rpc_give_up_waiting(struct rpc *rpc)
{
    rpc->is_impatient = true;
    list_for_each(node, &rpc->peers)
    {
        struct rpc_peer *peer = list_entry(node, struct rpc_peer, link);

        if (!peer->connection && peer->failure) {
            rpc_client_queue_fail(peer, peer->failure);
            rpc_reconnect_reset(peer);
        }
    }
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Who drives. The right to touch the rpcs (is_owned) is held by at most one thread and
 * passed under the lock; the lock itself is never held while the rpcs work. A thread
 * with unfinished calls takes the right when it is free, polls for spin_us, then arms
 * the descriptors, gives the right back and sleeps in poll() as the one `sleeper`.
 * While it sleeps another thread may take the right (no wake-up needed), must arm again
 * before it leaves, and wakes the sleeper only for the sleeper's own sake.
 *
 * Invariant when the lock is free: if a thread sleeps on its condition, then the right
 * is held, or there is a sleeper on armed descriptors (or it has been woken), or the
 * first waiting thread has been signalled.
 */
#include "client/engine_impl.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/proc.h"
#include "transport/rpc_slots.h"

void engine_set_init(struct engine_set *set,
                     bool (*next)(struct engine_set *set, struct engine_call *call))
{
    *set = (struct engine_set){.next = next, .changed = PTHREAD_COND_INITIALIZER};
    list_init(&set->calls);
    list_node_init(&set->post_link);
    list_node_init(&set->wait_link);
}

void engine_set_add(struct engine_set *set, struct engine_call *call)
{
    call->set = set;
    list_push_back(&set->calls, &call->link);
    set->pending++;
}

/* ---- set-up ---------------------------------------------------------- */

int engine_create(const struct engine_config *config,
                  struct rpc *local,
                  struct engine **ret)
{
    struct engine *engine = calloc(1, sizeof(*engine));
    int status;

    if (!engine)
        return -ENOMEM;
    engine->config = *config;
    pthread_mutex_init(&engine->lock, NULL);
    pthread_cond_init(&engine->given_back, NULL);
    list_init(&engine->posted);
    list_init(&engine->waiting);
    atomic_init(&engine->has_posted, false);
    /* Above the numbers that an rpc makes itself (HELLO, AUTH). */
    atomic_init(&engine->sequence, UINT64_C(1) << 32);
    engine->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (engine->wake_fd < 0) {
        status = -errno;
        goto fail;
    }
    engine->rpcs[RPC_LOCAL] = local;
    *ret = engine;
    return 0;
fail:
    engine_destroy(engine);
    return status;
}

static void peers_drop(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->n_peers; i++)
        rpc_peer_destroy(engine->peers[i]);
    for (uint32_t i = 0; engine->slots && i < engine->n_peers; i++)
        free(engine->slots[i]);
    free(engine->peers);
    free(engine->slots);
    free(engine->holds);
    engine->holds = NULL;
    engine->peers = NULL;
    engine->slots = NULL;
    engine->n_peers = 0;
}

void engine_destroy(struct engine *engine)
{
    if (!engine)
        return;
    peers_drop(engine);
    for (unsigned i = 0; i < RPC_COUNT; i++)
        rpc_destroy(engine->rpcs[i]);
    proc_fd_close(&engine->wake_fd);
    pthread_cond_destroy(&engine->given_back);
    pthread_mutex_destroy(&engine->lock);
    free(engine);
}

int engine_set_peers(struct engine *engine, uint32_t n_peers, uint64_t hold_ns)
{
    size_t n = n_peers ? n_peers : 1;
    struct rpc_peer **peers = calloc(n, sizeof(struct rpc_peer *));
    struct rpc_slots **slots = calloc(n, sizeof(struct rpc_slots *));
    struct engine_hold *holds = calloc(n, sizeof(*holds));

    if (!peers || !slots || !holds) {
        free(peers);
        free(slots);
        free(holds);
        return -ENOMEM;
    }
    peers_drop(engine);
    engine->holds = holds;
    engine->hold_ns = hold_ns;
    engine->peers = peers;
    engine->slots = slots;
    engine->n_peers = n_peers;
    return 0;
}

int engine_peer_info(const struct engine *engine,
                     uint32_t peer,
                     struct rpc_peer_info *ret)
{
    const struct rpc_peer_info *info = NULL;

    if (peer < engine->n_peers && engine->peers[peer])
        info = rpc_peer_info_get(engine->peers[peer]);
    if (!info)
        return -ENOTCONN;
    *ret = *info;
    return 0;
}

bool engine_is_held(const struct engine *engine, uint32_t peer, uint64_t gaps)
{
    const struct engine_hold *hold;
    uint64_t answered_ns;

    if (peer >= engine->n_peers)
        return false;
    hold = &engine->holds[peer];
    answered_ns = atomic_load_explicit(&hold->answered_ns, memory_order_acquire);
    return clock_now_ns() - answered_ns < engine->hold_ns
           && atomic_load_explicit(&hold->gaps, memory_order_relaxed) == gaps;
}

uint64_t engine_gaps(const struct engine *engine, uint32_t peer)
{
    return peer < engine->n_peers
               ? atomic_load_explicit(&engine->holds[peer].gaps, memory_order_relaxed)
               : 0;
}

/* ---- calls: all of this as the owner --------------------------------- */

static void hold_note(struct engine *engine, const struct engine_call *call)
{
    struct engine_hold *hold;
    uint64_t answered_ns;

    if (call->rpc.is_transport || call->peer >= engine->n_peers)
        return;
    hold = &engine->holds[call->peer];
    answered_ns = atomic_load_explicit(&hold->answered_ns, memory_order_relaxed);
    if (call->rpc.sent_ns <= answered_ns)
        return;
    if (answered_ns > 0 && call->rpc.sent_ns - answered_ns >= engine->hold_ns)
        atomic_fetch_add_explicit(&hold->gaps, 1, memory_order_relaxed);
    /* who sees this sees the gap before it */
    atomic_store_explicit(&hold->answered_ns, call->rpc.sent_ns, memory_order_release);
}

static int peer_get(struct engine *engine, uint32_t number, struct rpc_peer **ret)
{
    struct rpc_peer_config config = {0};
    bool is_remote = false;
    unsigned which;
    int status;

    if (number >= engine->n_peers)
        return -ESTALE;
    if (!engine->peers[number]) {
        status =
            engine->config.peer_config(engine->config.arg, number, &config, &is_remote);
        if (status < 0)
            return status;
        which = is_remote ? RPC_REMOTE : RPC_LOCAL;
        if (!engine->rpcs[which]) {
            status =
                engine->config.remote_create(engine->config.arg, &engine->rpcs[which]);
            if (status < 0)
                return status;
        }
        status =
            rpc_peer_create(engine->rpcs[which], &config, &engine->peers[number], NULL);
        if (status < 0)
            return status;
    }
    *ret = engine->peers[number];
    return 0;
}

static void sleeper_wake(struct engine *engine)
{
    uint64_t one = 1;

    /* Fails only when the counter is full, and then it is readable. */
    if (write(engine->wake_fd, &one, sizeof(one)) < 0)
        return;
}

/* After this the set may be gone. */
static void set_finish(struct engine *engine, struct engine_set *set)
{
    pthread_mutex_lock(&engine->lock);
    set->is_done = true;
    if (engine->sleeper == set)
        sleeper_wake(engine);
    else
        pthread_cond_signal(&set->changed);
    pthread_mutex_unlock(&engine->lock);
}

static int slot_take(struct engine *engine, struct rpc_call *rpc)
{
    rpc->slot = 0;
    if (rpc->target >= engine->n_peers)
        return 0;
    return rpc_slot_assign(&engine->slots[rpc->target], rpc->opcode, &rpc->slot);
}

static void slot_give(struct engine *engine, struct rpc_call *rpc)
{
    if (rpc->slot && rpc->target < engine->n_peers) /* the engine's end drops them */
        rpc_slot_give(engine->slots[rpc->target], rpc->slot);
    rpc->slot = 0;
}

static void call_done(struct rpc_call *rpc_call);

static int call_start(struct engine *engine, struct engine_call *call)
{
    struct rpc_peer *peer;
    int status = peer_get(engine, call->peer, &peer);

    if (status < 0)
        return status;
    call->rpc.done = call_done;
    if (!call->repeats) {
        call->rpc.sequence =
            atomic_fetch_add_explicit(&engine->sequence, 1, memory_order_relaxed);
        status = slot_take(engine, &call->rpc);
        if (status < 0)
            return status;
    }
    status = rpc_call_start(peer, &call->rpc);
    if (status < 0)
        slot_give(engine, &call->rpc);
    return status;
}

/* Starts the call; one that can't be started has ended, so its successor is. */
static void call_run(struct engine *engine, struct engine_call *call)
{
    struct engine_set *set = call->set;
    int status;

    do {
        status = call_start(engine, call);
        if (status == 0)
            return;
        call->rpc.status = status;
        call->rpc.is_transport = true;
        call->rpc.reply_len = 0;
        call->rpc.received = 0;
    } while (set->next && set->next(set, call));
    if (--set->pending == 0)
        set_finish(engine, set);
}

static void call_done(struct rpc_call *rpc_call)
{
    struct engine_call *call = list_entry(rpc_call, struct engine_call, rpc);
    struct engine_set *set = call->set;

    hold_note(set->engine, call);
    if (!call->keeps_slot || !rpc_status_is_transient(rpc_call->status))
        slot_give(set->engine, rpc_call);
    if (set->next && set->next(set, call))
        call_run(set->engine, call);
    else if (--set->pending == 0)
        set_finish(set->engine, set);
}

static void set_start(struct engine *engine, struct engine_set *set)
{
    struct list calls = LIST_INIT(calls);
    struct list_node *node;

    /* The set is over, and may be gone, with the last of its calls. */
    list_splice_back(&calls, &set->calls);
    while ((node = list_pop_front(&calls)))
        call_run(engine, list_entry(node, struct engine_call, link));
}

static void posted_start(struct engine *engine)
{
    struct list sets = LIST_INIT(sets);
    struct list_node *node;

    if (!atomic_load_explicit(&engine->has_posted, memory_order_relaxed))
        return;
    pthread_mutex_lock(&engine->lock);
    list_splice_back(&sets, &engine->posted);
    atomic_store_explicit(&engine->has_posted, false, memory_order_relaxed);
    pthread_mutex_unlock(&engine->lock);
    while ((node = list_pop_front(&sets)))
        set_start(engine, list_entry(node, struct engine_set, post_link));
}

unsigned engine_drive(struct engine *engine)
{
    unsigned n = 0;

    posted_start(engine);
    for (unsigned i = 0; i < RPC_COUNT; i++) {
        if (engine->rpcs[i])
            n += rpc_progress(engine->rpcs[i]);
    }
    return n;
}

/* False: there is something to do. *ret_until_ns: when drive() must run at the latest.
 */
static bool arm(struct engine *engine, uint64_t *ret_until_ns)
{
    uint64_t until_ns = UINT64_MAX;

    for (unsigned i = 0; i < RPC_COUNT; i++) {
        int timeout_ms = -1;

        if (!engine->rpcs[i])
            continue;
        if (!rpc_wait_prepare(engine->rpcs[i], &timeout_ms))
            return false;
        if (timeout_ms >= 0) {
            struct deadline deadline = deadline_after_ms((uint64_t)timeout_ms);

            if (deadline.at_ns < until_ns)
                until_ns = deadline.at_ns;
        }
    }
    *ret_until_ns = until_ns;
    return true;
}

static unsigned rpc_count(const struct engine *engine)
{
    return engine->rpcs[RPC_REMOTE] ? 2 : 1;
}

/* ---- taking and giving back the right to drive ----------------------- */

/* With the lock. Somebody has to drive who is not driving now. */
static void successor_call(struct engine *engine)
{
    struct list_node *node = list_front(&engine->waiting);

    if (node) {
        engine->stats.hand_overs++;
        pthread_cond_signal(&list_entry(node, struct engine_set, wait_link)->changed);
    }
}

/*
 * With the lock, as the owner: gives the right back. `is_armed`: the caller armed after
 * its last engine_drive(), until `until_ns`.
 */
static void release(struct engine *engine, bool is_armed, uint64_t until_ns)
{
    const uint64_t slack_ns = 2 * CLOCK_NS_PER_MS;

    if (engine->n_visitors > 0)
        pthread_cond_signal(&engine->given_back);
    if (!engine->sleeper) {
        engine->is_owned = false;
        return;
    }
    if (!is_armed)
        is_armed = arm(engine, &until_ns);
    if (!is_armed || engine->sleeper_rpcs < rpc_count(engine)
        || (until_ns < engine->sleeper_until_ns
            && engine->sleeper_until_ns - until_ns > slack_ns))
        sleeper_wake(engine);
    engine->is_owned = false;
}

/* As the owner, without the lock. Drives until the set has ended (true), or nothing
 * happened for the spin time and everything is armed (false). */
static bool spin(struct engine *engine, struct engine_set *set, uint64_t *ret_until_ns)
{
    uint64_t spin_ns = (uint64_t)engine->config.spin_us * 1000;
    uint64_t end_ns = clock_now_ns() + spin_ns;

    for (;;) {
        unsigned n = engine_drive(engine);

        if (set->pending == 0)
            return true;
        if (n > 0)
            end_ns = clock_now_ns() + spin_ns;
        else if (clock_now_ns() >= end_ns && arm(engine, ret_until_ns))
            return false;
    }
}

/* With the lock, not owning, everything armed: sleeps until something comes. */
static void
sleep_polling(struct engine *engine, struct engine_set *set, uint64_t until_ns)
{
    struct deadline deadline = {.at_ns = until_ns};
    struct pollfd fds[RPC_COUNT + 1] = {{.fd = engine->wake_fd, .events = POLLIN}};
    unsigned n_rpcs = rpc_count(engine);
    uint64_t count;

    for (unsigned i = 0; i < n_rpcs; i++)
        fds[i + 1] =
            (struct pollfd){.fd = rpc_wait_fd(engine->rpcs[i]), .events = POLLIN};
    engine->sleeper = set;
    engine->sleeper_rpcs = n_rpcs;
    engine->sleeper_until_ns = until_ns;
    engine->stats.sleeps++;
    pthread_mutex_unlock(&engine->lock);
    poll(
        fds, n_rpcs + 1, until_ns == UINT64_MAX ? -1 : deadline_remaining_ms(deadline));
    pthread_mutex_lock(&engine->lock);
    if (read(engine->wake_fd, &count, sizeof(count)) < 0)
        count = 0; /* not woken by another thread */
    engine->sleeper = NULL;
}

/* With the lock: until the set has ended, or its thread is asked to drive. */
static void ride(struct engine *engine, struct engine_set *set)
{
    engine->stats.rides++;
    list_push_back(&engine->waiting, &set->wait_link);
    pthread_cond_wait(&set->changed, &engine->lock);
    list_remove(&set->wait_link);
}

/* ---- interface ------------------------------------------------------- */

/* False: there is nothing to do. */
static bool post(struct engine *engine, struct engine_set *set)
{
    set->engine = engine;
    if (set->pending == 0) {
        set->is_done = true;
        return false;
    }
    pthread_mutex_lock(&engine->lock);
    engine->stats.sets++;
    list_push_back(&engine->posted, &set->post_link);
    atomic_store_explicit(&engine->has_posted, true, memory_order_relaxed);
    pthread_mutex_unlock(&engine->lock);
    return true;
}

/* With the lock: starts what nobody else would start soon. */
static void posted_flush(struct engine *engine)
{
    while (!engine->is_owned && !list_is_empty(&engine->posted)) {
        engine->is_owned = true;
        pthread_mutex_unlock(&engine->lock);
        engine_drive(engine);
        pthread_mutex_lock(&engine->lock);
        release(engine, false, 0);
    }
    if (!engine->is_owned && !engine->sleeper)
        successor_call(engine);
}

void engine_start(struct engine *engine, struct engine_set *set)
{
    if (!post(engine, set))
        return;
    pthread_mutex_lock(&engine->lock);
    posted_flush(engine);
    pthread_mutex_unlock(&engine->lock);
}

void engine_wait(struct engine *engine, struct engine_set *set)
{
    uint64_t until_ns = 0;
    bool is_idle = false;

    pthread_mutex_lock(&engine->lock);
    while (!set->is_done) {
        if (engine->is_owned || (is_idle && engine->sleeper)) {
            ride(engine, set);
            is_idle = false;
        } else if (is_idle) {
            sleep_polling(engine, set, until_ns);
            is_idle = false;
        } else {
            engine->is_owned = true;
            pthread_mutex_unlock(&engine->lock);
            is_idle = !spin(engine, set, &until_ns);
            pthread_mutex_lock(&engine->lock);
            release(engine, is_idle, until_ns);
            if (!list_is_empty(&engine->posted))
                is_idle = false;
        }
    }
    posted_flush(engine);
    pthread_mutex_unlock(&engine->lock);
}

bool engine_test(struct engine *engine, struct engine_set *set)
{
    bool is_done;

    pthread_mutex_lock(&engine->lock);
    if (!set->is_done && !engine->is_owned) {
        engine->is_owned = true;
        pthread_mutex_unlock(&engine->lock);
        engine_drive(engine);
        pthread_mutex_lock(&engine->lock);
        release(engine, false, 0);
        if (!engine->sleeper)
            successor_call(engine);
    }
    is_done = set->is_done;
    pthread_mutex_unlock(&engine->lock);
    return is_done;
}

void engine_run(struct engine *engine, struct engine_set *set)
{
    if (post(engine, set))
        engine_wait(engine, set);
}

/* ---- visits */

void engine_visit_begin(struct engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    engine->n_visitors++;
    while (engine->is_owned)
        pthread_cond_wait(&engine->given_back, &engine->lock);
    engine->n_visitors--;
    engine->is_owned = true;
    pthread_mutex_unlock(&engine->lock);
}

void engine_visit_end(struct engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    release(engine, false, 0);
    posted_flush(engine);
    pthread_mutex_unlock(&engine->lock);
}

void engine_stats_get(struct engine *engine, struct engine_stats *ret)
{
    pthread_mutex_lock(&engine->lock);
    *ret = engine->stats;
    pthread_mutex_unlock(&engine->lock);
}

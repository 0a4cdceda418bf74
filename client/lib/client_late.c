/* SPDX-License-Identifier: Apache-2.0
 *
 * What is left to do after a request that ended without an answer: it may still be
 * done, much later, by a daemon that was stopped or cut off.
 *
 * A write that may still come must not come after the file was closed or cut: its bytes
 * would lie behind the end, or belong to nothing. So the file is closed in the
 * background, after each target in doubt has answered a SETTLE. A close without
 * an answer is sent again under its number until it is answered. An open without one is
 * asked after, and closed if it was made. All of this goes on while the client makes
 * other calls; when the client ends, the daemons close what it had open.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/client_internal.h"

/* Of a call's deadline each. */
#define LATE_TRIES 64u

enum late_step { LATE_OPEN, LATE_SETTLE, LATE_CLOSE, LATE_OVER };

struct client_late {
    struct engine_set set;
    struct list_node link; /* in the client's list */
    struct client *client;
    struct client_inode *inode; /* a reference; LATE_OPEN has none */
    enum client_open_kind kind;
    struct client_report report;
    enum late_step step;
    unsigned n_tries;
    struct client_doubts doubts; /* targets to be settled */
    struct client_call call;
};

bool client_status_is_doubtful(int status)
{
    return status == -ECANCELED || rpc_status_is_transient(status);
}

/* ---- doubts ---------------------------------------------------------- */

void client_inode_doubt(struct client_inode *inode, uint32_t target, uint64_t end)
{
    struct client_doubts *doubts = &inode->doubts;

    pthread_mutex_lock(&inode->report_lock);
    /* the home asks the chunks */
    if (end > inode->report.end)
        inode->report = (struct client_report){.end = end,
                                               .cuts = CLIENT_CUTS_UNKNOWN,
                                               .mtime_ns = inode->report.mtime_ns};
    inode->n_reports++;
    doubts->n_ever++;
    for (unsigned i = 0; i < doubts->n; i++) {
        if (doubts->doubt[i].target == target) {
            doubts->doubt[i].number = doubts->n_ever;
            goto out;
        }
    }
    if (doubts->n < CLIENT_DOUBTS_MAX)
        doubts->doubt[doubts->n++] =
            (struct client_doubt){.target = target, .number = doubts->n_ever};
out:
    pthread_mutex_unlock(&inode->report_lock);
}

static struct client_doubts doubts_get(struct client_inode *inode)
{
    struct client_doubts doubts;

    pthread_mutex_lock(&inode->report_lock);
    doubts = inode->doubts;
    pthread_mutex_unlock(&inode->report_lock);
    return doubts;
}

/* One that is younger stays. */
static void doubt_end(struct client_inode *inode, struct client_doubt settled)
{
    struct client_doubts *doubts = &inode->doubts;

    pthread_mutex_lock(&inode->report_lock);
    for (unsigned i = 0; i < doubts->n; i++) {
        if (doubts->doubt[i].target == settled.target
            && doubts->doubt[i].number == settled.number) {
            doubts->doubt[i] = doubts->doubt[--doubts->n];
            break;
        }
    }
    pthread_mutex_unlock(&inode->report_lock);
}

bool client_inode_is_doubtful(struct client_inode *inode)
{
    bool is_doubtful;

    pthread_mutex_lock(&inode->report_lock);
    is_doubtful = inode->doubts.n > 0;
    pthread_mutex_unlock(&inode->report_lock);
    return is_doubtful;
}

static void
settle_fill(struct client_inode *inode, struct client_call *call, uint32_t target)
{
    struct msg_inode_request msg = {.ino = inode->ino};

    client_call_fill(inode->client, call, OP_SETTLE, target, inode_request, &msg);
}

static int doubts_settle(struct client_inode *inode)
{
    struct client_doubts doubts = doubts_get(inode);
    struct client_call call;
    int status = 0;

    for (unsigned i = 0; i < doubts.n && status == 0; i++) {
        settle_fill(inode, &call, doubts.doubt[i].target);
        status = client_call_run(inode->client, &call);
        if (status == 0)
            doubt_end(inode, doubts.doubt[i]);
    }
    return status;
}

int client_inode_settle(struct client_inode *inode)
{
    return client_inode_is_doubtful(inode) ? doubts_settle(inode) : 0;
}

/* ---- in the background ----------------------------------------------- */

/* Whether the call that has ended is to be sent again. */
static bool late_repeats(struct client_late *late)
{
    struct engine_call *call = &late->call.call;

    if (call->rpc.status == -ECANCELED || !rpc_status_is_transient(call->rpc.status)
        || ++late->n_tries >= LATE_TRIES)
        return false;
    call->repeats = true;
    return true;
}

static void close_fill(struct client_late *late)
{
    client_close_fill(late->inode, &late->call, late->kind, late->report);
    late->step = LATE_CLOSE;
}

static bool open_ended(struct client_late *late)
{
    const struct rpc_call *rpc = &late->call.call.rpc;
    struct msg_attr_reply reply;
    uint64_t ino = 0;

    late->step = LATE_OVER;
    if (rpc->status == 0
        && msg_attr_reply_decode(&reply, rpc->reply, rpc->reply_len) == 0)
        ino = reply.attr.ino;
    if (ino)
        late->inode = client_inode_get(late->client, ino);
    if (!late->inode)
        return false;
    close_fill(late);
    return true;
}

static bool settle_ended(struct client_late *late)
{
    struct client_doubts *doubts = &late->doubts;

    if (late->call.call.rpc.status == 0)
        doubt_end(late->inode, doubts->doubt[doubts->n - 1]);
    if (--doubts->n == 0) {
        close_fill(late);
        return true;
    }
    settle_fill(late->inode, &late->call, doubts->doubt[doubts->n - 1].target);
    return true;
}

/* Fills the call for what comes after it; false: nothing does. */
static bool step_ended(struct client_late *late)
{
    switch (late->step) {
    case LATE_OPEN:
        return open_ended(late);
    case LATE_SETTLE:
        return settle_ended(late);
    case LATE_CLOSE:
    case LATE_OVER:
        break;
    }
    return false;
}

static bool late_next(struct engine_set *set, struct engine_call *call)
{
    struct client_late *late = list_entry(set, struct client_late, set);

    if (call->rpc.status == -ECANCELED)
        return false; /* the client ends */
    if (late_repeats(late))
        return true;
    if (!step_ended(late))
        return false;
    call->rpc.is_patient = true;
    return true;
}

static void late_free(struct client_late *late)
{
    if (late->inode)
        client_inode_put(late->inode);
    free(late);
}

static struct client_late *late_new(struct client *client, enum client_open_kind kind)
{
    struct client_late *late = calloc(1, sizeof(*late));

    if (!late)
        return NULL;
    late->client = client;
    late->kind = kind;
    list_node_init(&late->link);
    engine_set_init(&late->set, late_next);
    return late;
}

/* Takes it over. */
static void late_start(struct client_late *late)
{
    struct client *client = late->client;

    late->call.call.rpc.is_patient = true;
    engine_set_add(&late->set, &late->call.call);
    engine_start(client->engine, &late->set);
    pthread_mutex_lock(&client->inodes_lock);
    list_push_back(&client->lates, &late->link);
    atomic_fetch_add_explicit(&client->n_lates, 1, memory_order_relaxed);
    pthread_mutex_unlock(&client->inodes_lock);
}

/* The call as it went out, with its number and slot. */
static void call_take(struct client_late *late, const struct client_call *call)
{
    late->call = *call;
    late->call.call.rpc.body = late->call.body;
    late->call.call.repeats = true;
}

void client_open_late(struct client *client,
                      const struct client_call *call,
                      enum client_open_kind kind)
{
    struct client_late *late = late_new(client, kind);

    if (!late)
        return;
    late->step = LATE_OPEN;
    call_take(late, call);
    late->call.call.rpc.asks_only = true;
    late_start(late);
}

void client_close_late(struct client_inode *inode,
                       enum client_open_kind kind,
                       const struct client_call *call,
                       struct client_report report)
{
    struct client_late *late = late_new(inode->client, kind);

    if (!late)
        return;
    late->inode = client_inode_get(inode->client, inode->ino);
    if (!late->inode) {
        late_free(late);
        return;
    }
    late->report = report;
    late->doubts = doubts_get(inode);
    if (call) {
        late->step = LATE_CLOSE;
        call_take(late, call);
    } else if (late->doubts.n > 0) {
        late->step = LATE_SETTLE;
        settle_fill(inode, &late->call, late->doubts.doubt[late->doubts.n - 1].target);
    } else {
        close_fill(late);
    }
    late_start(late);
}

void client_late_look(struct client *client)
{
    struct list all = LIST_INIT(all);
    struct list_node *node;
    struct list open = LIST_INIT(open);

    if (atomic_load_explicit(&client->n_lates, memory_order_relaxed) == 0)
        return;
    pthread_mutex_lock(&client->inodes_lock);
    list_splice_back(&all, &client->lates);
    pthread_mutex_unlock(&client->inodes_lock);
    while ((node = list_pop_front(&all))) {
        struct client_late *late = list_entry(node, struct client_late, link);

        if (engine_test(client->engine, &late->set)) {
            late_free(late);
            atomic_fetch_sub_explicit(&client->n_lates, 1, memory_order_relaxed);
        } else {
            list_push_back(&open, &late->link);
        }
    }
    pthread_mutex_lock(&client->inodes_lock);
    list_splice_back(&client->lates, &open);
    pthread_mutex_unlock(&client->inodes_lock);
}

void client_late_fini(struct client *client)
{
    struct list_node *node;

    while ((node = list_pop_front(&client->lates)))
        late_free(list_entry(node, struct client_late, link));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/intent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "daemon/ops/ops.h"
#include "daemon/peer.h"
#include "daemon/replay.h"

#define KEYS_MAX   4u
#define HEAD_SIZE  (8u + 8u + 8u + 1u + KEYS_MAX * 8u)
#define ALL_OTHERS UINT32_MAX
/* After a failure, which has taken the time of a request already. */
#define RETRY_MS 1000u
/* At once, of those that were late. */
#define RESUME_MAX 64u

struct intent {
    struct list_node link; /* in shard->late_intents */
    struct shard *shard;
    uint64_t owner;
    uint64_t ino, size; /* ino 0: no size to be set */
    int64_t time_ns;
    uint8_t n_keys;
    uint64_t keys[KEYS_MAX];
    bool has_failed, was_reported;
    uint8_t *steps;
    size_t steps_len, steps_capacity;
};

/* ---- what is under way */

int coordinate_begin(struct op *op)
{
    return table_put(&op->shard->coordinated, op->lock_owner, op);
}

void coordinate_end(struct op *op)
{
    table_remove(&op->shard->coordinated, op->lock_owner);
}

bool is_coordinated(const struct shard *shard, uint64_t owner)
{
    return table_get(&shard->coordinated, owner) != NULL;
}

int op_commit(struct op *op)
{
    list_push_back(&op->shard->committing, &op->task.link);
    fiber_yield(op->shard->fibers);
    return op->commit_status;
}

/* ---- making one */

struct intent *intent_create(struct op *op)
{
    struct intent *intent = calloc(1, sizeof(*intent));

    if (!intent)
        return NULL;
    list_node_init(&intent->link);
    intent->shard = op->shard;
    intent->owner = op->lock_owner;
    return intent;
}

void intent_destroy(struct intent *intent)
{
    if (!intent)
        return;
    list_remove(&intent->link);
    free(intent->steps);
    free(intent);
}

void intent_key(struct intent *intent, uint64_t key)
{
    if (intent->n_keys == KEYS_MAX)
        intent->has_failed = true;
    else
        intent->keys[intent->n_keys++] = key;
}

static struct wire_writer steps_writer(struct intent *intent, size_t more)
{
    size_t need = intent->steps_len + more;

    if (need > intent->steps_capacity) {
        uint8_t *steps = realloc(intent->steps, need);

        if (!steps) {
            intent->has_failed = true;
            return (struct wire_writer){.failed = true};
        }
        intent->steps = steps;
        intent->steps_capacity = need;
    }
    return (struct wire_writer){.data = intent->steps,
                                .capacity = intent->steps_capacity,
                                .length = intent->steps_len};
}

static void step_add(struct intent *intent,
                     const uint32_t *targets,
                     uint32_t n,
                     uint16_t opcode,
                     const void *body,
                     size_t body_len)
{
    size_t n_listed = n == ALL_OTHERS ? 0 : n;
    struct wire_writer w = steps_writer(intent, 2 + 4 + 4 * n_listed + 2 + body_len);

    wire_put_u16(&w, opcode);
    wire_put_u32(&w, n);
    for (size_t i = 0; i < n_listed; i++)
        wire_put_u32(&w, targets[i]);
    wire_put_text(&w, (struct wire_text){body, (uint16_t)body_len});
    if (w.failed)
        intent->has_failed = true;
    else
        intent->steps_len = w.length;
}

void intent_step(struct intent *intent,
                 const uint32_t *targets,
                 unsigned n,
                 uint16_t opcode,
                 const void *body,
                 size_t body_len)
{
    step_add(intent, targets, n, opcode, body, body_len);
}

void intent_step_others(struct intent *intent,
                        uint16_t opcode,
                        const void *body,
                        size_t body_len)
{
    if (intent->shard->n_targets > 1)
        step_add(intent, NULL, ALL_OTHERS, opcode, body, body_len);
}

void intent_size(struct intent *intent, uint64_t ino, uint64_t size, int64_t now)
{
    intent->ino = ino;
    intent->size = size;
    intent->time_ns = now;
}

/* ---- in the store */

static int intent_store(struct intent *intent)
{
    size_t len = HEAD_SIZE + intent->steps_len;
    uint8_t *body = malloc(len);
    struct wire_writer w = {.data = body, .capacity = len};
    int rc;

    if (!body)
        return -ENOMEM;
    wire_put_u64(&w, intent->ino);
    wire_put_u64(&w, intent->size);
    wire_put_i64(&w, intent->time_ns);
    wire_put_u8(&w, intent->n_keys);
    for (unsigned i = 0; i < KEYS_MAX; i++)
        wire_put_u64(&w, intent->keys[i]);
    if (intent->steps_len > 0)
        memcpy(body + HEAD_SIZE, intent->steps, intent->steps_len);
    rc = store_intent_put(intent->shard->store, intent->owner, body, len);
    free(body);
    return rc;
}

/* All is done by this target alone, in the transaction. */
static bool is_empty(const struct intent *intent)
{
    return intent->steps_len == 0 && intent->ino == 0;
}

int intent_commit(struct op *op, struct intent *intent, bool is_answered)
{
    struct shard *shard = op->shard;
    int rc = intent->has_failed ? -ENOMEM : 0;

    if (rc == 0 && !is_empty(intent))
        rc = intent_store(intent);
    if (rc == 0 && is_answered && op->request)
        rc = replay_record(op);
    if (rc)
        store_txn_fail(shard->store, rc); /* with the changes that go with it */
    /* nothing of it leaves this target: it may end with its batch, as any other */
    if (rc == 0 && is_empty(intent) && shard->n_targets == 1) {
        table_remove(&shard->coordinated, intent->owner);
        return 0;
    }
    rc = op_commit(op);
    if (rc) {
        intent_destroy(intent);
        return rc;
    }
    FAULT_POINT("intent-stored");
    op->is_decided = is_answered;
    table_remove(&shard->coordinated, intent->owner);
    /* the entry is there already, or there is room for it */
    if (table_put(&shard->coordinated, intent->owner, intent))
        log_error("no memory to keep an operation under way");
    return 0;
}

static int load_one(void *arg, uint64_t owner, const void *body, size_t len)
{
    struct wire_reader r = {.data = body, .length = len};
    struct shard *shard = arg;
    struct intent *intent = calloc(1, sizeof(*intent));

    if (!intent)
        return -ENOMEM;
    list_node_init(&intent->link);
    intent->shard = shard;
    intent->owner = owner;
    intent->ino = wire_get_u64(&r);
    intent->size = wire_get_u64(&r);
    intent->time_ns = wire_get_i64(&r);
    intent->n_keys = wire_get_u8(&r);
    for (unsigned i = 0; i < KEYS_MAX; i++)
        intent->keys[i] = wire_get_u64(&r);
    if (r.failed || intent->n_keys > KEYS_MAX) {
        intent_destroy(intent);
        return -EUCLEAN;
    }
    intent->steps_len = intent->steps_capacity = len - HEAD_SIZE;
    intent->steps = malloc(intent->steps_len + 1);
    if (!intent->steps || table_put(&shard->coordinated, owner, intent)) {
        intent_destroy(intent);
        return -ENOMEM;
    }
    memcpy(intent->steps, (const uint8_t *)body + HEAD_SIZE, intent->steps_len);
    list_push_back(&shard->late_intents, &intent->link);
    for (unsigned i = 0; i < intent->n_keys; i++) {
        int rc = keylock_lock(&shard->locks, intent->keys[i], owner);

        if (rc)
            return rc == -EBUSY ? -EUCLEAN : rc;
    }
    return 0;
}

int intent_load(struct shard *shard)
{
    return store_intent_scan(shard->store, load_one, shard);
}

/* ---- doing it */

/* These say that there is nothing left to do: what is to be changed is gone. */
static bool is_done(int status)
{
    return status == 0 || status == -ENOENT || status == -ESTALE;
}

static int step_call(struct op *op,
                     const uint32_t *targets,
                     uint32_t n,
                     uint16_t opcode,
                     struct wire_text body)
{
    struct peer_call *calls = NULL;
    int rc = 0;

    if (n == ALL_OTHERS) {
        n = op->shard->n_targets - 1;
        (void)peer_call_others(op, opcode, body.data, body.len, &calls);
    } else {
        calls = calloc(n + 1, sizeof(*calls));
        if (calls)
            (void)peer_call_many(op, targets, n, opcode, body.data, body.len, calls);
    }
    if (!calls)
        return n > 0 ? -ENOMEM : 0;
    for (uint32_t i = 0; i < n && rc == 0; i++) {
        if (!is_done(calls[i].rpc.status))
            rc = calls[i].rpc.status;
    }
    free(calls);
    return rc;
}

static int step_run(struct op *op, struct wire_reader *r)
{
    uint32_t n_targets = op->shard->n_targets;
    uint16_t opcode = wire_get_u16(r);
    uint32_t n = wire_get_u32(r);
    uint32_t *targets = NULL;
    struct wire_text body;
    int rc;

    if (n != ALL_OTHERS) {
        targets = n < n_targets ? calloc(n + 1, sizeof(*targets)) : NULL;
        if (!targets)
            return n < n_targets ? -ENOMEM : -EUCLEAN;
        for (uint32_t i = 0; i < n; i++) {
            targets[i] = wire_get_u32(r);
            if (targets[i] >= n_targets || targets[i] == op->shard->target)
                r->failed = true;
        }
    }
    body = wire_get_text(r, UINT16_MAX);
    rc = r->failed ? -EUCLEAN : step_call(op, targets, n, opcode, body);
    free(targets);
    return rc;
}

static int steps_run(struct op *op, struct intent *intent)
{
    struct wire_reader r = {.data = intent->steps, .length = intent->steps_len};
    int rc = 0;

    while (rc == 0 && r.position < r.length) {
        rc = step_run(op, &r);
        FAULT_POINT("intent-step");
    }
    return rc;
}

/* The last change, and the intent is no more. */
static int intent_close(struct op *op, struct intent *intent)
{
    struct store *store = op->shard->store;
    int rc = 0;

    if (intent->ino)
        rc = inode_size_set(op->shard, intent->ino, intent->size, intent->time_ns);
    if (is_done(rc))
        rc = store_intent_remove(store, intent->owner);
    if (rc)
        store_txn_fail(store, rc);
    return op_commit(op);
}

static void retry_arm(struct shard *shard)
{
    if (!list_node_is_linked(&shard->intent_timer.link))
        shard_timer_set(&shard->timers,
                        &shard->intent_timer,
                        clock_now_ns() + RETRY_MS * CLOCK_NS_PER_MS);
}

void orphans_later(struct shard *shard)
{
    shard->has_late_orphans = true;
    retry_arm(shard);
}

static void retry_later(struct intent *intent, int status)
{
    struct shard *shard = intent->shard;

    if (!intent->was_reported && list_is_empty(&shard->late_intents))
        log_warn("target %u: an operation over several targets is not finished: %s; it "
                 "goes on when they answer",
                 shard->target,
                 strerror(-status));
    intent->was_reported = true;
    list_push_back(&shard->late_intents, &intent->link);
    retry_arm(shard);
}

int intent_run(struct op *op, struct intent *intent)
{
    struct shard *shard = op->shard;
    int rc = steps_run(op, intent);

    if (rc == 0 && !is_empty(intent))
        rc = intent_close(op, intent);
    if (rc) {
        retry_later(intent, rc);
        return rc;
    }
    FAULT_POINT("intent-closed");
    table_remove(&shard->coordinated, intent->owner);
    for (unsigned i = 0; i < intent->n_keys; i++)
        keylock_unlock(&shard->locks, intent->keys[i], intent->owner);
    intent_destroy(intent);
    return 0;
}

/* ---- what it is about */

static int step_survey(uint16_t opcode,
                       struct wire_text body,
                       int (*inode)(void *arg, uint64_t ino),
                       int (*entry)(void *arg, uint64_t dir, struct wire_text name),
                       void *arg)
{
    const uint8_t *bytes = (const uint8_t *)body.data;
    struct msg_dentry_apply_request apply;
    struct msg_chunk_truncate_request cut;
    struct msg_inode_moved_request moved;
    struct msg_inode_link_request link;
    int rc = 0;

    switch (opcode) {
    case OP_INODE_LINK:
        rc = msg_inode_link_request_decode(&link, bytes, body.len);
        return rc ? -EUCLEAN : inode(arg, link.ino);
    case OP_INODE_MOVED:
        rc = msg_inode_moved_request_decode(&moved, bytes, body.len);
        return rc ? -EUCLEAN : inode(arg, moved.ino);
    case OP_CHUNK_TRUNCATE:
        rc = msg_chunk_truncate_request_decode(&cut, bytes, body.len);
        return rc ? -EUCLEAN : inode(arg, cut.ino);
    case OP_DENTRY_APPLY:
        if (msg_dentry_apply_request_decode(&apply, bytes, body.len))
            return -EUCLEAN;
        rc = inode(arg, apply.ino);
        return rc ? rc : entry(arg, apply.parent, apply.name);
    default:
        return 0;
    }
}

int intent_survey(const void *body,
                  size_t len,
                  int (*inode)(void *arg, uint64_t ino),
                  int (*entry)(void *arg, uint64_t dir, struct wire_text name),
                  void *arg)
{
    struct wire_reader r = {.data = body, .length = len};
    int rc = 0;

    (void)wire_get_bytes(&r, HEAD_SIZE);
    while (rc == 0 && !r.failed && r.position < r.length) {
        uint16_t opcode = wire_get_u16(&r);
        uint32_t n = wire_get_u32(&r);
        struct wire_text step;

        for (uint32_t i = 0; n != ALL_OTHERS && i < n && !r.failed; i++)
            (void)wire_get_u32(&r);
        step = wire_get_text(&r, UINT16_MAX);
        if (!r.failed)
            rc = step_survey(opcode, step, inode, entry, arg);
    }
    return r.failed ? -EUCLEAN : rc;
}

/* ---- what is late */

static int resume_one(struct op *op)
{
    (void)intent_run(op, op->arg);
    return 0;
}

void intent_resume(struct shard *shard)
{
    struct list_node *node;

    if (atomic_load(&shard->stop))
        return;
    if (shard->has_late_orphans && op_spawn(shard, inode_orphans_delete, NULL) == 0)
        shard->has_late_orphans = false;
    for (unsigned i = 0; i < RESUME_MAX; i++) {
        node = list_pop_front(&shard->late_intents);
        if (!node)
            return;
        if (op_spawn(shard, resume_one, list_entry(node, struct intent, link))) {
            list_push_back(&shard->late_intents, node);
            break;
        }
    }
    if (!list_is_empty(&shard->late_intents))
        retry_arm(shard);
}

static void on_timer(struct shard_timer *timer)
{
    intent_resume(list_entry(timer, struct shard, intent_timer));
}

void intent_init(struct shard *shard)
{
    table_init(&shard->coordinated);
    list_init(&shard->late_intents);
    list_init(&shard->committing);
    shard_timer_init(&shard->intent_timer, on_timer);
}

void intent_fini(struct shard *shard)
{
    struct list_node *node;

    while ((node = list_front(&shard->late_intents)))
        intent_destroy(list_entry(node, struct intent, link));
    table_fini(&shard->coordinated);
}

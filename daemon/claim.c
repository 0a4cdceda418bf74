/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/claim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "daemon/ops/ops.h"
#include "daemon/peer.h"

/* How old claims get before their coordinator is asked, and how often it is. */
#define CHECK_MS  2000u
#define ASK_MAX   256u
#define OWNER_LEN 8u

struct claim {
    struct list_node link;
    struct store_claim what;
};

/* One operation's claims here. */
struct claim_set {
    uint32_t target;
    uint64_t owner;
    uint64_t since_ns;
    struct list claims; /* struct claim */
};

static void timer_arm(struct shard *shard)
{
    if (table_count(&shard->claims) > 0
        && !list_node_is_linked(&shard->claim_timer.link))
        shard_timer_set(&shard->timers,
                        &shard->claim_timer,
                        clock_now_ns() + CHECK_MS * CLOCK_NS_PER_MS);
}

static struct claim_set *set_get(struct shard *shard, uint32_t target, uint64_t owner)
{
    struct claim_set *set = table_get(&shard->claims, owner);

    if (set)
        return set;
    set = malloc(sizeof(*set));
    if (!set)
        return NULL;
    *set = (struct claim_set){target, owner, clock_now_ns(), {{NULL, NULL}}};
    list_init(&set->claims);
    if (table_put(&shard->claims, owner, set)) {
        free(set);
        return NULL;
    }
    timer_arm(shard);
    return set;
}

static int set_add(struct shard *shard, const struct store_claim *what)
{
    struct claim_set *set = set_get(shard, what->target, what->owner);
    struct claim *claim = set ? malloc(sizeof(*claim)) : NULL;

    if (!claim)
        return -ENOMEM;
    claim->what = *what;
    list_push_back(&set->claims, &claim->link);
    return 0;
}

static const struct claim *set_find(const struct shard *shard,
                                    const struct store_claim *what)
{
    const struct claim_set *set = table_get(&shard->claims, what->owner);

    if (!set)
        return NULL;
    list_for_each(node, &set->claims)
    {
        const struct claim *claim = list_entry(node, struct claim, link);

        if (claim->what.kind == what->kind && claim->what.id == what->id)
            return claim;
    }
    return NULL;
}

/* ---- taking */

int claim_get(struct shard *shard, const struct store_claim *claim)
{
    return store_claim_get(shard->store, claim);
}

int claim_put(struct shard *shard, const struct store_claim *claim)
{
    int rc = store_claim_put(shard->store, claim);

    if (rc == 0 && !set_find(shard, claim))
        rc = set_add(shard, claim);
    return rc;
}

static void locks_drop(struct shard *shard, const struct store_claim *claim)
{
    if (claim->kind == CLAIM_LOCK) {
        keylock_unlock(&shard->locks, claim->id, claim->owner);
        if (claim->dir)
            keylock_unshare(&shard->locks, keylock_key_dir(claim->dir));
    } else if (claim->kind == CLAIM_DIR) {
        keylock_unlock(&shard->locks, keylock_key_dir(claim->id), claim->owner);
    }
}

/* 0 or -EBUSY: *ret_key is the one to wait for. */
static int
locks_take(struct shard *shard, const struct store_claim *claim, uint64_t *ret_key)
{
    uint64_t key = claim->kind == CLAIM_DIR ? keylock_key_dir(claim->id) : claim->id;
    int rc = keylock_lock(&shard->locks, key, claim->owner);

    *ret_key = key;
    if (rc || claim->kind == CLAIM_DIR || !claim->dir)
        return rc;
    *ret_key = keylock_key_dir(claim->dir);
    rc = keylock_share(&shard->locks, *ret_key);
    if (rc)
        keylock_unlock(&shard->locks, key, claim->owner);
    return rc;
}

/* After its locks: stores it, or lets go of them. */
static int claim_keep(struct shard *shard, const struct store_claim *claim)
{
    int rc = claim_put(shard, claim);

    if (rc)
        locks_drop(shard, claim);
    return rc;
}

int claim_lock(struct shard *shard, const struct store_claim *claim, uint64_t *ret_key)
{
    int rc;

    if (set_find(shard, claim))
        return 0;
    rc = locks_take(shard, claim, ret_key);
    if (rc == 0)
        rc = claim_keep(shard, claim);
    FAULT_POINT("claim-taken");
    return rc;
}

int claim_dir(struct shard *shard, const struct store_claim *claim)
{
    struct store_dirpart part;
    uint64_t key;
    int rc;

    if (set_find(shard, claim))
        return 0;
    rc = locks_take(shard, claim, &key);
    if (rc)
        return rc == -EBUSY ? -EAGAIN : rc;
    rc = store_dirpart_get(shard->store, claim->id, &part);
    if (rc == 0 && part.n_entries > 0)
        rc = -ENOTEMPTY;
    if (rc) {
        locks_drop(shard, claim);
        return rc;
    }
    return claim_keep(shard, claim);
}

/* ---- the end */

static int claim_apply_end(struct op *op, const struct store_claim *claim, bool commit)
{
    struct shard *shard = op->shard;
    int rc = claim_get(shard, claim); /* the store knows what was done */

    if (rc)
        return rc == -ENOENT ? 0 : rc;
    rc = store_claim_remove(shard->store, claim);
    if (rc == 0 && claim->kind == CLAIM_DIR && commit)
        rc = store_dirpart_seal(shard->store, claim->id, true);
    if (rc == 0 && claim->kind == CLAIM_LINK && !commit)
        rc = inode_link_undo(op, claim->id);
    return rc;
}

static void claim_free(struct shard *shard, struct claim *claim)
{
    locks_drop(shard, &claim->what);
    list_remove(&claim->link);
    free(claim);
}

static void set_free(struct shard *shard, struct claim_set *set)
{
    struct list_node *node;

    while ((node = list_front(&set->claims)))
        claim_free(shard, list_entry(node, struct claim, link));
    free(set);
}

/* What was done is remembered until the coordinator does not know the operation any
 * more: as long as it does, it may ask for it again. */
static bool is_kept(const struct claim *claim, enum claim_outcome outcome)
{
    return outcome != CLAIM_FORGOTTEN && claim->what.kind == CLAIM_DONE;
}

static int
set_apply_end(struct op *op, struct claim_set *set, enum claim_outcome outcome)
{
    list_for_each(node, &set->claims)
    {
        struct claim *claim = list_entry(node, struct claim, link);
        int rc = 0;

        if (!is_kept(claim, outcome))
            rc = claim_apply_end(op, &claim->what, outcome == CLAIM_COMMITTED);
        if (rc)
            return rc;
    }
    return 0;
}

int claim_end(struct op *op,
              uint32_t target,
              uint64_t owner,
              enum claim_outcome outcome)
{
    struct shard *shard = op->shard;
    struct claim_set *set = table_get(&shard->claims, owner);
    int rc;

    if (!set)
        return 0; /* asked again */
    if (set->target != target)
        return -EINVAL;
    rc = set_apply_end(op, set, outcome);
    if (rc) {
        store_txn_fail(shard->store, rc); /* all of it or nothing */
        return rc;
    }
    FAULT_POINT("claims-ended");
    list_for_each(node, &set->claims)
    {
        struct claim *claim = list_entry(node, struct claim, link);

        if (!is_kept(claim, outcome))
            claim_free(shard, claim);
    }
    if (list_is_empty(&set->claims)) {
        table_remove(&shard->claims, owner);
        free(set);
    }
    return 0;
}

/* ---- asking */

struct question {
    uint32_t target;
    unsigned n;
    uint64_t owners[ASK_MAX];
};

/* Old claims of the lowest target above `after`. */
static bool question_next(struct shard *shard, uint64_t after, struct question *ret)
{
    uint64_t until = clock_now_ns() - CHECK_MS * CLOCK_NS_PER_MS / 2;
    struct claim_set *set;
    size_t cursor = 0;

    ret->target = UINT32_MAX;
    ret->n = 0;
    while ((set = table_next(&shard->claims, &cursor, NULL))) {
        if (set->target < after || set->since_ns > until || set->target > ret->target)
            continue;
        if (set->target < ret->target) {
            ret->target = set->target;
            ret->n = 0;
        }
        if (ret->n < ASK_MAX)
            ret->owners[ret->n++] = set->owner;
    }
    return ret->n > 0;
}

static int
question_ask(struct op *op, const struct question *question, uint8_t *ret_under_way)
{
    struct peer_call *call = malloc(sizeof(*call));
    uint8_t owners[ASK_MAX * OWNER_LEN], body[MSG_claim_check_request_MAX];
    struct wire_writer writer = {.data = owners, .capacity = sizeof(owners)};
    struct msg_claim_check_request request;
    struct msg_claim_check_reply reply;
    int rc;

    if (!call)
        return -ENOMEM;
    for (unsigned i = 0; i < question->n; i++)
        wire_put_u64(&writer, question->owners[i]);
    request.owners = (struct wire_text){(const char *)owners, (uint16_t)writer.length};
    rc = peer_call(op,
                   question->target,
                   OP_CLAIM_CHECK,
                   body,
                   msg_claim_check_request_encode(&request, body, sizeof(body)),
                   call);
    if (rc == 0)
        rc = msg_claim_check_reply_decode(&reply, call->rpc.reply, call->rpc.reply_len);
    if (rc == 0 && reply.under_way.len != question->n)
        rc = -EPROTO;
    if (rc == 0)
        memcpy(ret_under_way, reply.under_way.data, question->n);
    free(call);
    return rc;
}

/* Ends what is not under way any more; what is, or can't be ended, is left alone for a
 * while. */
static void
answer_take(struct op *op, const struct question *question, const uint8_t *under_way)
{
    for (unsigned i = 0; i < question->n; i++) {
        uint64_t owner = question->owners[i];
        struct claim_set *set;

        if (!under_way[i])
            (void)claim_end(op, question->target, owner, CLAIM_FORGOTTEN);
        set = table_get(&op->shard->claims, owner);
        if (set)
            set->since_ns = clock_now_ns();
    }
}

/* In a fiber: asks each coordinator about its claims that have got old. */
static int claims_check(struct op *op)
{
    struct shard *shard = op->shard;
    struct question *question = malloc(sizeof(*question));
    uint8_t under_way[ASK_MAX];
    uint64_t after = 0;

    while (question && question_next(shard, after, question)) {
        int rc = question_ask(op, question, under_way);

        if (rc == 0)
            answer_take(op, question, under_way);
        if (rc || question->n < ASK_MAX)
            after = (uint64_t)question->target + 1;
    }
    free(question);
    shard->is_checking_claims = false;
    timer_arm(shard);
    return 0;
}

static void on_timer(struct shard_timer *timer)
{
    struct shard *shard = list_entry(timer, struct shard, claim_timer);

    if (shard->is_checking_claims || atomic_load(&shard->stop))
        return;
    if (op_spawn(shard, claims_check, NULL) == 0)
        shard->is_checking_claims = true;
    else
        timer_arm(shard);
}

void claim_check_soon(struct shard *shard, uint32_t target)
{
    bool has_any = false;
    struct claim_set *set;
    size_t cursor = 0;

    while ((set = table_next(&shard->claims, &cursor, NULL))) {
        if (set->target == target) {
            set->since_ns = 0;
            has_any = true;
        }
    }
    if (has_any)
        shard_timer_set(&shard->timers, &shard->claim_timer, clock_now_ns());
}

/* ---- life */

static int load_one(void *arg, const struct store_claim *claim)
{
    struct shard *shard = arg;
    uint64_t key;
    int rc = 0;

    if (claim->kind == CLAIM_LOCK || claim->kind == CLAIM_DIR)
        rc = locks_take(shard, claim, &key);
    if (rc == -EBUSY)
        rc = -EUCLEAN;
    if (rc == 0) {
        rc = set_add(shard, claim);
        if (rc)
            locks_drop(shard, claim);
    }
    return rc;
}

int claim_load(struct shard *shard)
{
    return store_claim_scan(shard->store, load_one, shard);
}

void claim_init(struct shard *shard)
{
    table_init(&shard->claims);
    shard_timer_init(&shard->claim_timer, on_timer);
}

void claim_fini(struct shard *shard)
{
    struct claim_set *set;
    size_t cursor = 0;

    while ((set = table_next(&shard->claims, &cursor, NULL)))
        set_free(shard, set);
    table_fini(&shard->claims);
}

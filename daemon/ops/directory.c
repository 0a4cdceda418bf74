/* SPDX-License-Identifier: Apache-2.0
 *
 * Directories as a whole. Entries are spread over targets by their names' hash; a
 * directory's home knows which targets may have any, its members, so that attributes,
 * listing and removal ask these and no others. A target asks to become a member before
 * it makes its first entry.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fault_point.h"
#include "daemon/intent.h"
#include "daemon/ops/ops.h"
#include "daemon/peer.h"
#include "daemon/replay.h"
#include "proto/placement.h"

/* ---- members */

static int member_take(void *arg, uint32_t target)
{
    struct dir_members *members = arg;

    if (members->n == members->capacity) {
        unsigned capacity = members->capacity ? members->capacity * 2 : 16;
        uint32_t *targets =
            realloc(members->targets, capacity * sizeof(*members->targets));

        if (!targets)
            return -ENOMEM;
        members->targets = targets;
        members->capacity = capacity;
    }
    members->targets[members->n++] = target;
    return 0;
}

void directory_members_fini(struct dir_members *members)
{
    free(members->targets);
    *members = (struct dir_members){.targets = NULL};
}

bool directory_members_have(const struct dir_members *members, uint32_t target)
{
    for (unsigned i = 0; i < members->n; i++) {
        if (members->targets[i] == target)
            return true;
    }
    return false;
}

int directory_members_get(struct shard *shard, uint64_t dir, struct dir_members *ret)
{
    int rc;

    *ret = (struct dir_members){.targets = NULL};
    rc = store_dirmember_scan(shard->store, dir, member_take, ret);
    if (rc)
        directory_members_fini(ret);
    return rc;
}

/* The other way round: members of an answer, without this target and `home`. */
static int members_decode(struct shard *shard,
                          const struct msg_dir_members_reply *reply,
                          uint32_t home,
                          struct dir_members *ret)
{
    for (uint32_t target = 0; target < shard->n_targets; target++) {
        bool is_in = reply->is_all
                     || (target / 8 < reply->targets.len
                         && reply->targets.data[target / 8] & (1 << target % 8));
        int rc = 0;

        if (is_in && target != shard->target && target != home)
            rc = member_take(ret, target);
        if (rc)
            return rc;
    }
    return 0;
}

int directory_members_reply(struct op *op, uint64_t dir)
{
    uint8_t map[WIRE_TEXT_MAX] = {0};
    struct msg_dir_members_reply reply = {.is_all = 0};
    struct dir_members members;
    int rc = directory_members_get(op->shard, dir, &members);

    if (rc)
        return rc;
    for (unsigned i = 0; i < members.n; i++) {
        uint32_t target = members.targets[i];

        if (target / 8 >= sizeof(map)) {
            reply.is_all = 1;
            continue;
        }
        map[target / 8] |= (uint8_t)(1 << target % 8);
        reply.targets.len = (uint16_t)(target / 8 + 1); /* they go upwards */
    }
    reply.targets.data = (const char *)map;
    directory_members_fini(&members);
    return OP_REPLY(op, dir_members_reply, &reply);
}

int op_dir_members(struct op *op)
{
    struct msg_inode_request m;
    struct store_inode inode;
    int rc;

    OP_DECODE(op, inode_request, &m);
    rc = store_inode_get(op->shard->store, m.ino, &inode);
    if (rc)
        return rc;
    return S_ISDIR(inode.mode) ? directory_members_reply(op, m.ino) : -ENOTDIR;
}

/* At the home: not while it is being decided whether the directory stays. */
int op_dir_member(struct op *op)
{
    struct shard *shard = op->shard;
    struct msg_dir_member_request m;
    struct store_inode inode;
    int rc;

    OP_DECODE(op, dir_member_request, &m);
    if (m.target >= shard->n_targets)
        return -EINVAL;
    rc = op_check_key(op, keylock_key_dir(m.dir));
    if (rc == 0)
        rc = store_inode_get(shard->store, m.dir, &inode);
    if (rc)
        return rc;
    if (!S_ISDIR(inode.mode) || inode.nlink == 0)
        return -ENOENT;
    return store_dirmember_add(shard->store, m.dir, m.target);
}

int directory_part_ensure(struct op *op, uint64_t dir)
{
    struct shard *shard = op->shard;
    struct msg_dir_member_request request = {.dir = dir, .target = shard->target};
    uint8_t body[MSG_dir_member_request_MAX];
    uint32_t home = placement_home(dir);
    struct store_dirpart part;
    struct peer_call *call;
    int rc;

    if (home == shard->target)
        return 0;
    if (home >= shard->n_targets)
        return -ESTALE;
    rc = store_dirpart_get(shard->store, dir, &part);
    if (rc || part.is_member)
        return rc;
    if (!op->fiber)
        return OP_NEEDS_FIBER;
    call = malloc(sizeof(*call));
    if (!call)
        return -ENOMEM;
    rc = peer_call(op,
                   home,
                   OP_DIR_MEMBER,
                   body,
                   msg_dir_member_request_encode(&request, body, sizeof(body)),
                   call);
    free(call);
    return rc ? rc : store_dirpart_member_set(shard->store, dir);
}

int directory_insert_check(struct op *op, uint64_t dir)
{
    struct store_dirpart part;
    int rc = store_dirpart_get(op->shard->store, dir, &part);

    if (rc == 0 && part.is_sealed)
        rc = -ENOENT;
    return rc ? rc : store_room_check(op->shard->store, INSERT_CHANGES);
}

/* ---- sealing */

bool is_cut_off(int status)
{
    return status == -ETIMEDOUT || status == -EHOSTDOWN || status == -ENOTCONN;
}

static size_t
seal_encode(struct op *op, uint64_t dir, uint8_t body[MSG_dir_seal_request_MAX])
{
    struct msg_dir_seal_request request = {
        .coordinator = op->shard->target, .owner = op->lock_owner, .dir = dir};

    return msg_dir_seal_request_encode(&request, body, MSG_dir_seal_request_MAX);
}

/* This target's part; no new member after this, if it is the home. */
static int seal_here(struct op *op, uint64_t dir)
{
    struct shard *shard = op->shard;
    struct store_dirpart part;
    int rc = keylock_lock(&shard->locks, keylock_key_dir(dir), op->lock_owner);

    if (rc)
        return rc == -EBUSY ? -EAGAIN : rc;
    rc = store_dirpart_get(shard->store, dir, &part);
    if (rc == 0 && part.n_entries > 0)
        rc = -ENOTEMPTY;
    if (rc)
        op_unlock_key(op, keylock_key_dir(dir));
    return rc;
}

/* The home's part; *ret are the other members, the home first. */
static int seal_home(struct op *op, uint64_t dir, struct dir_members *ret)
{
    uint8_t body[MSG_dir_seal_request_MAX];
    uint32_t home = placement_home(dir);
    struct msg_dir_members_reply reply;
    struct peer_call *call;
    int rc;

    if (home == op->shard->target)
        return directory_members_get(op->shard, dir, ret);
    if (home >= op->shard->n_targets)
        return -ESTALE;
    call = malloc(sizeof(*call));
    if (!call)
        return -ENOMEM;
    /* first: it may get a claim also if the answer is lost */
    rc = member_take(ret, home);
    if (rc == 0)
        rc = peer_call(op, home, OP_DIR_SEAL, body, seal_encode(op, dir, body), call);
    if (rc == 0)
        rc = msg_dir_members_reply_decode(&reply, call->rpc.reply, call->rpc.reply_len);
    if (rc == 0)
        rc = members_decode(op->shard, &reply, home, ret);
    free(call);
    return rc;
}

/* Those that seal_home() has not asked yet: it comes first, if it is elsewhere. */
static int seal_members(struct op *op, uint64_t dir, const struct dir_members *members)
{
    unsigned n_asked = placement_home(dir) != op->shard->target;
    unsigned n = members->n - n_asked;
    uint8_t body[MSG_dir_seal_request_MAX];
    size_t len = seal_encode(op, dir, body);
    struct peer_call *calls;
    int rc;

    if (n == 0)
        return 0;
    calls = calloc(n, sizeof(*calls));
    if (!calls)
        return -ENOMEM;
    rc = peer_call_many(
        op, members->targets + n_asked, n, OP_DIR_SEAL, body, len, calls);
    /* -ENOTEMPTY says more than whatever another target answered */
    for (unsigned i = 0; rc && i < n; i++) {
        if (calls[i].rpc.status == -ENOTEMPTY)
            rc = -ENOTEMPTY;
    }
    free(calls);
    return rc;
}

int directory_seal(struct op *op, uint64_t dir, struct dir_members *ret)
{
    int rc;

    *ret = (struct dir_members){.targets = NULL};
    rc = seal_here(op, dir);
    if (rc)
        return rc;
    rc = seal_home(op, dir, ret);
    if (rc == 0)
        rc = seal_members(op, dir, ret);
    if (rc == 0)
        return 0;
    if (is_cut_off(rc))
        ret->n = 0; /* who does not hear of it asks */
    directory_unseal(op, dir, ret);
    return rc;
}

static size_t
claim_end_encode(struct op *op, bool commit, uint8_t body[MSG_claim_end_request_MAX])
{
    struct msg_claim_end_request request = {
        .coordinator = op->shard->target, .owner = op->lock_owner, .commit = commit};

    return msg_claim_end_request_encode(&request, body, MSG_claim_end_request_MAX);
}

void directory_unseal(struct op *op, uint64_t dir, struct dir_members *members)
{
    claims_abort(op, members->targets, members->n);
    op_unlock_key(op, keylock_key_dir(dir));
    directory_members_fini(members);
}

void claims_abort(struct op *op, const uint32_t *targets, unsigned n)
{
    uint8_t body[MSG_claim_end_request_MAX];
    size_t len = claim_end_encode(op, false, body);
    struct peer_call *calls = n > 0 ? calloc(n, sizeof(*calls)) : NULL;

    if (calls) /* else they ask */
        (void)peer_call_many(op, targets, n, OP_CLAIM_END, body, len, calls);
    free(calls);
}

void intent_claims_end(struct op *op,
                       struct intent *intent,
                       const uint32_t *targets,
                       unsigned n)
{
    uint8_t body[MSG_claim_end_request_MAX];

    if (n > 0)
        intent_step(
            intent, targets, n, OP_CLAIM_END, body, claim_end_encode(op, true, body));
}

/* ---- rmdir */

static int dentry_remove(struct shard *shard, const struct msg_dentry_request *m)
{
    return store_dentry_remove(
        shard->store, m->parent, m->name.data, m->name.len, shard_now_ns());
}

/* The directory is sealed; its name goes, and the inode. Gives the keys back. */
static int rmdir_commit(struct op *op,
                        const struct msg_dentry_request *m,
                        uint64_t ino,
                        struct dir_members *members,
                        uint64_t key)
{
    struct shard *shard = op->shard;
    struct intent *intent = intent_create(op);
    bool is_home = placement_home(ino) == shard->target;
    struct store_inode inode;
    int rc = intent ? dentry_remove(shard, m) : -ENOMEM;

    if (rc)
        goto fail;
    rc = store_dirpart_seal(shard->store, ino, true);
    if (rc == 0 && is_home)
        rc = inode_link_drop_note(shard, ino, &inode);
    if (rc)
        store_txn_fail(shard->store, rc);
    intent_key(intent, key);
    intent_key(intent, keylock_key_dir(ino));
    if (!is_home)
        intent_link_drop(op, intent, ino);
    intent_claims_end(op, intent, members->targets, members->n);
    rc = intent_commit(op, intent, true);
    intent = rc ? NULL : intent;
    if (rc)
        goto fail;
    directory_members_fini(members);
    (void)intent_run(op, intent);
    if (is_home)
        (void)inode_dropped(op, &inode);
    return 0;

fail:
    intent_destroy(intent);
    directory_unseal(op, ino, members);
    op_unlock_key(op, key);
    return rc;
}

static int rmdir_try(struct op *op, const struct msg_dentry_request *m)
{
    uint64_t key = keylock_key_dentry(m->parent, m->name.data, m->name.len);
    struct store_dentry dentry;
    struct dir_members members;
    int rc = op_lock_key(op, key);

    if (rc)
        return rc;
    rc = store_dentry_get(
        op->shard->store, m->parent, m->name.data, m->name.len, &dentry);
    if (rc == 0 && dentry.type != S_IFDIR)
        rc = -ENOTDIR;
    if (rc == 0)
        rc = directory_seal(op, dentry.ino, &members);
    if (rc) {
        op_unlock_key(op, key);
        return rc;
    }
    FAULT_POINT("rmdir-sealed");
    return rmdir_commit(op, m, dentry.ino, &members, key);
}

int op_rmdir(struct op *op)
{
    struct msg_dentry_request m;
    unsigned tries = 0;
    int rc;

    OP_DECODE(op, dentry_request, &m);
    if (!op->fiber)
        return OP_NEEDS_FIBER;
    rc = coordinate_begin(op);
    if (rc)
        return rc;
    do {
        rc = rmdir_try(op, &m);
    } while (op_try_again(op, &tries, &rc));
    if (rc)
        coordinate_end(op);
    return rc;
}

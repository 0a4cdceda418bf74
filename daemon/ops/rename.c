/* SPDX-License-Identifier: Apache-2.0
 *
 * RENAME, run by the target of the old name. Both dentries are locked, in the order of
 * (target, key) so that two renames can't wait for each other; directories also take
 * the namespace lock of target 0, under which alone the tree changes its shape. All
 * that can fail comes before the first change; what others have to change is an intent.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fault_point.h"
#include "daemon/intent.h"
#include "daemon/ops/ops.h"
#include "daemon/peer.h"
#include "proto/placement.h"

#define RENAME_FLAG_NOREPLACE 1u /* values of Linux, which are also the protocol's */
#define RENAME_FLAG_EXCHANGE  2u
#define DEPTH_MAX             4096 /* of a directory, when looking for loops */
/* Entries and inodes it may change at a target. */
#define RENAME_CHANGES 8u

struct rename {
    struct msg_rename_request m;
    uint64_t from_key, to_key;
    uint32_t to_target;
    bool has_namespace, has_from, has_to, has_to_dir, has_sealed;
    struct store_dentry from, to; /* ino 0: there is none */
    struct dir_members sealed;    /* of the directory that is replaced */
};

/* ---- locks */

/* A call about this operation, to another target. */
static int call(struct op *op,
                uint32_t target,
                uint16_t opcode,
                const void *body,
                size_t len,
                struct peer_call **ret)
{
    struct peer_call *made = malloc(sizeof(*made));
    int rc = made ? peer_call(op, target, opcode, body, len, made) : -ENOMEM;

    if (rc == 0 && ret)
        *ret = made;
    else
        free(made);
    return rc;
}

static int dentry_get_or_none(struct shard *shard,
                              uint64_t parent,
                              struct wire_text name,
                              struct store_dentry *ret)
{
    int rc = store_dentry_get(shard->store, parent, name.data, name.len, ret);

    if (rc == -ENOENT) {
        ret->ino = 0;
        return 0;
    }
    return rc;
}

static int lock_from(struct op *op, struct rename *r)
{
    int rc = op_lock_key(op, r->from_key);

    if (rc == 0)
        r->has_from = true;
    return rc;
}

static int lock_to_elsewhere(struct op *op, struct rename *r)
{
    struct msg_dentry_lock_request request = {
        .coordinator = op->shard->target,
        .owner = op->lock_owner,
        .parent = r->m.new_parent,
        .name = r->m.new_name,
    };
    uint8_t body[MSG_dentry_lock_request_MAX];
    size_t len = msg_dentry_lock_request_encode(&request, body, sizeof(body));
    struct msg_lookup_reply reply;
    struct peer_call *made;
    int rc = call(op, r->to_target, OP_DENTRY_LOCK, body, len, &made);

    if (rc)
        return rc;
    rc = msg_lookup_reply_decode(&reply, made->rpc.reply, made->rpc.reply_len);
    free(made);
    if (rc == 0)
        r->to = (struct store_dentry){.ino = reply.ino, .type = reply.type};
    return rc;
}

static int lock_to_here(struct op *op, struct rename *r)
{
    int rc = op_lock_key(op, r->to_key);

    if (rc)
        return rc;
    r->has_to = true;
    rc = op_share_key(op, keylock_key_dir(r->m.new_parent));
    if (rc == 0)
        r->has_to_dir = true;
    return rc;
}

static int lock_to(struct op *op, struct rename *r)
{
    if (r->to_target == op->shard->target)
        return lock_to_here(op, r);
    r->has_to = true; /* also if it can't be told that it was locked */
    return lock_to_elsewhere(op, r);
}

static int lock_both(struct op *op, struct rename *r)
{
    uint32_t self = op->shard->target;
    bool from_first =
        self < r->to_target || (self == r->to_target && r->from_key <= r->to_key);
    int rc = from_first ? lock_from(op, r) : lock_to(op, r);

    if (rc == 0)
        rc = from_first ? lock_to(op, r) : lock_from(op, r);
    if (rc)
        return rc;
    rc = dentry_get_or_none(op->shard, r->m.parent, r->m.name, &r->from);
    if (rc == 0 && r->to_target == self)
        rc = dentry_get_or_none(op->shard, r->m.new_parent, r->m.new_name, &r->to);
    return rc;
}

static int namespace_lock(struct op *op, struct rename *r)
{
    struct msg_namespace_lock_request request = {.coordinator = op->shard->target,
                                                 .owner = op->lock_owner};
    uint8_t body[MSG_namespace_lock_request_MAX];
    size_t len = msg_namespace_lock_request_encode(&request, body, sizeof(body));
    int rc;

    if (op->shard->target == 0) {
        rc = op_lock_key(op, namespace_key());
        r->has_namespace = rc == 0;
        return rc;
    }
    r->has_namespace = true;
    return call(op, 0, OP_NAMESPACE_LOCK, body, len, NULL);
}

/* The locks of this shard. */
static void unlock_here(struct op *op, struct rename *r)
{
    if (r->has_from)
        op_unlock_key(op, r->from_key);
    if (r->has_to && r->to_target == op->shard->target)
        op_unlock_key(op, r->to_key);
    if (r->has_namespace && op->shard->target == 0)
        op_unlock_key(op, namespace_key());
}

static void to_dir_unshare(struct op *op, struct rename *r)
{
    if (r->has_to_dir)
        keylock_unshare(&op->shard->locks, keylock_key_dir(r->m.new_parent));
    r->has_to_dir = false;
}

/* Nothing has happened, and nothing is held afterwards. */
static void unlock_all(struct op *op, struct rename *r, bool ends_claims)
{
    const uint32_t zero = 0;
    bool is_to_elsewhere =
        ends_claims && r->has_to && r->to_target != op->shard->target;
    bool is_namespace_elsewhere =
        ends_claims && r->has_namespace && op->shard->target != 0;

    to_dir_unshare(op, r);
    unlock_here(op, r);
    if (!ends_claims)
        r->sealed.n = 0; /* they ask */
    if (r->has_sealed)
        directory_unseal(op, r->to.ino, &r->sealed);
    if (is_to_elsewhere)
        claims_abort(op, &r->to_target, 1);
    if (is_namespace_elsewhere && !(is_to_elsewhere && r->to_target == 0))
        claims_abort(op, &zero, 1);
    r->has_from = r->has_to = r->has_namespace = r->has_sealed = false;
}

static bool moves_directory(const struct rename *r)
{
    return (r->from.ino && r->from.type == S_IFDIR)
           || (r->to.ino && r->to.type == S_IFDIR);
}

/* Locks what this rename needs; the types decide, and are only sure under the locks. */
static int lock_all(struct op *op, struct rename *r)
{
    for (;;) {
        bool has_namespace = r->has_namespace;
        int rc = lock_both(op, r);

        if (rc || has_namespace || !moves_directory(r))
            return rc;
        unlock_all(op, r, true);
        rc = namespace_lock(op, r);
        if (rc)
            return rc;
    }
}

/* ---- checks */

static int parent_of(struct op *op, uint64_t dir, uint64_t *ret_parent)
{
    struct msg_inode_request request = {.ino = dir};
    uint8_t body[MSG_inode_request_MAX];
    size_t len = msg_inode_request_encode(&request, body, sizeof(body));
    uint32_t home = placement_home(dir);
    struct msg_attr_reply reply;
    struct store_inode inode;
    struct peer_call *call;
    int rc;

    if (home == op->shard->target) {
        rc = store_inode_get(op->shard->store, dir, &inode);
        *ret_parent = rc ? 0 : inode.parent;
        return rc;
    }
    if (home >= op->shard->n_targets)
        return -ESTALE;
    call = malloc(sizeof(*call));
    if (!call)
        return -ENOMEM;
    rc = peer_call(op, home, OP_GETATTR, body, len, call);
    if (rc == 0)
        rc = msg_attr_reply_decode(&reply, call->rpc.reply, call->rpc.reply_len);
    *ret_parent = rc ? 0 : reply.attr.parent;
    free(call);
    return rc;
}

/* Whether `dir` is `ancestor` or beneath it; under the namespace lock. */
static int check_not_beneath(struct op *op, uint64_t dir, uint64_t ancestor)
{
    for (int depth = 0; depth < DEPTH_MAX; depth++) {
        uint64_t parent;
        int rc;

        if (dir == ancestor)
            return -EINVAL;
        if (dir == PLACEMENT_ROOT_INO)
            return 0;
        rc = parent_of(op, dir, &parent);
        if (rc)
            return rc;
        dir = parent;
    }
    return -ELOOP;
}

static int check_types(const struct rename *r)
{
    bool exchanges = r->m.flags & RENAME_FLAG_EXCHANGE;

    if (r->from.ino == 0)
        return -ENOENT;
    if (r->to.ino == 0)
        return exchanges ? -ENOENT : 0;
    if (r->m.flags & RENAME_FLAG_NOREPLACE)
        return -EEXIST;
    if (exchanges)
        return 0;
    if (r->from.type == S_IFDIR && r->to.type != S_IFDIR)
        return -ENOTDIR;
    if (r->from.type != S_IFDIR && r->to.type == S_IFDIR)
        return -EISDIR;
    return 0;
}

static int check_loops(struct op *op, const struct rename *r)
{
    int rc = 0;

    if (r->m.parent == r->m.new_parent)
        return 0;
    if (r->from.type == S_IFDIR)
        rc = check_not_beneath(op, r->m.new_parent, r->from.ino);
    if (rc == 0 && (r->m.flags & RENAME_FLAG_EXCHANGE) && r->to.type == S_IFDIR)
        rc = check_not_beneath(op, r->m.parent, r->to.ino);
    return rc;
}

static bool is_exchange(const struct rename *r)
{
    return r->m.flags & RENAME_FLAG_EXCHANGE;
}

/* What can still fail: a directory that is replaced must be empty, and a new entry must
 * find room and a directory that lives. */
static int prepare(struct op *op, struct rename *r)
{
    int rc = store_room_check(op->shard->store, RENAME_CHANGES);

    if (rc == 0 && r->to_target == op->shard->target && r->to.ino == 0)
        rc = directory_insert_check(op, r->m.new_parent);
    if (rc || is_exchange(r) || r->to.ino == 0 || r->to.type != S_IFDIR)
        return rc;
    rc = directory_seal(op, r->to.ino, &r->sealed);
    r->has_sealed = rc == 0;
    return rc;
}

/* Whether a client may believe that one of the names, without asking, stands for a
 * directory that is about to leave it. One that is replaced is no more, which is seen.
 */
static bool moves_kept(const struct op *op, const struct rename *r)
{
    const struct epoch *epoch = &op->shard->epoch;

    if (r->from.type == S_IFDIR && epoch_is_kept(epoch, r->from_key))
        return true;
    return is_exchange(r) && r->to.type == S_IFDIR
           && (r->to_target != op->shard->target || epoch_is_kept(epoch, r->to_key));
}

/* ---- changes */

static bool is_home(const struct op *op, uint64_t ino)
{
    return placement_home(ino) == op->shard->target;
}

/* What changes on this target, in the open transaction; nothing of it may fail. */
static int change_here(struct op *op, struct rename *r, struct store_inode *ret_dropped)
{
    const struct store_dentry none = {.ino = 0};
    bool exchanges = is_exchange(r);
    struct shard *shard = op->shard;
    int rc = 0;

    if (r->to_target == shard->target)
        rc = dentry_apply(shard, r->m.new_parent, r->m.new_name, &r->from);
    if (rc == 0)
        rc = dentry_apply(shard, r->m.parent, r->m.name, exchanges ? &r->to : &none);
    if (rc == 0 && is_home(op, r->from.ino))
        rc = inode_moved_local(shard, r->from.ino, r->m.new_parent);
    if (rc == 0 && exchanges && is_home(op, r->to.ino))
        rc = inode_moved_local(shard, r->to.ino, r->m.parent);
    if (rc == 0 && r->has_sealed)
        rc = store_dirpart_seal(shard->store, r->to.ino, true);
    if (rc == 0 && !exchanges && r->to.ino && is_home(op, r->to.ino))
        rc = inode_link_drop_note(shard, r->to.ino, ret_dropped);
    return rc;
}

static void
moved_step(struct op *op, struct intent *intent, uint64_t ino, uint64_t parent)
{
    struct msg_inode_moved_request request = {.ino = ino, .new_parent = parent};
    uint8_t body[MSG_inode_moved_request_MAX];
    uint32_t home = placement_home(ino);

    if (home != op->shard->target)
        intent_step(intent,
                    &home,
                    1,
                    OP_INODE_MOVED,
                    body,
                    msg_inode_moved_request_encode(&request, body, sizeof(body)));
}

static void apply_step(struct op *op, struct intent *intent, const struct rename *r)
{
    struct msg_dentry_apply_request request = {
        .coordinator = op->shard->target,
        .owner = op->lock_owner,
        .parent = r->m.new_parent,
        .name = r->m.new_name,
        .ino = r->from.ino,
        .type = r->from.type,
        /* with those of the directory's part there, if it has one */
        .ends = !directory_members_have(&r->sealed, r->to_target),
    };
    uint8_t body[MSG_dentry_apply_request_MAX];

    intent_step(intent,
                &r->to_target,
                1,
                OP_DENTRY_APPLY,
                body,
                msg_dentry_apply_request_encode(&request, body, sizeof(body)));
}

/* What is left for others. The names come last: who sees the new one finds all done. */
static void steps_add(struct op *op, struct intent *intent, const struct rename *r)
{
    const uint32_t zero = 0;
    bool applies = r->to_target != op->shard->target;

    moved_step(op, intent, r->from.ino, r->m.new_parent);
    if (is_exchange(r))
        moved_step(op, intent, r->to.ino, r->m.parent);
    else if (r->to.ino && !is_home(op, r->to.ino))
        intent_link_drop(op, intent, r->to.ino);
    if (applies)
        apply_step(op, intent, r);
    if (r->has_sealed)
        intent_claims_end(op, intent, r->sealed.targets, r->sealed.n);
    if (r->has_namespace && op->shard->target != 0 && !(applies && r->to_target == 0)
        && !directory_members_have(&r->sealed, 0))
        intent_claims_end(op, intent, &zero, 1);
}

static void keys_add(struct op *op, struct intent *intent, const struct rename *r)
{
    intent_key(intent, r->from_key);
    if (r->to_target == op->shard->target)
        intent_key(intent, r->to_key);
    if (r->has_namespace && op->shard->target == 0)
        intent_key(intent, namespace_key());
    if (r->has_sealed)
        intent_key(intent, keylock_key_dir(r->to.ino));
}

/* With all locks, and after all checks. On failure nothing has happened. */
static int commit(struct op *op, struct rename *r)
{
    struct intent *intent = intent_create(op);
    struct store_inode dropped = {.nlink = 1};
    int rc = intent ? 0 : -ENOMEM;

    if (rc)
        return rc;
    keys_add(op, intent, r);
    steps_add(op, intent, r);
    store_reserve_use(op->shard->store, true);
    rc = change_here(op, r, &dropped);
    store_reserve_use(op->shard->store, false);
    if (rc)
        store_txn_fail(op->shard->store, rc);
    rc = intent_commit(op, intent, true);
    if (rc)
        return rc;
    to_dir_unshare(op, r);
    directory_members_fini(&r->sealed);
    (void)intent_run(op, intent);
    (void)inode_dropped(op, &dropped);
    return 0;
}

static int rename_try(struct op *op, struct rename *r)
{
    int rc = 0;

    /* before locks: it may have to wait for another operation */
    if (r->to_target == op->shard->target)
        rc = directory_part_ensure(op, r->m.new_parent);
    if (rc)
        return rc;
    rc = lock_all(op, r);

    if (rc == 0)
        rc = check_types(r);
    if (rc == 0 && r->from.ino == r->to.ino) {
        unlock_all(op, r, true); /* two names of one inode: POSIX has nothing done */
        return 0;
    }
    if (rc == 0)
        rc = check_loops(op, r);
    if (rc == 0)
        rc = prepare(op, r);
    /* with the names locked, so that nobody takes them for what they were again */
    if (rc == 0 && moves_kept(op, r))
        rc = namespace_raise(op);
    FAULT_POINT("rename-prepared");
    if (rc == 0)
        rc = commit(op, r);
    if (rc)
        unlock_all(op, r, !is_cut_off(rc));
    return rc;
}

int op_rename(struct op *op)
{
    struct shard *shard = op->shard;
    struct rename r = {.has_from = false};
    unsigned tries = 0;
    int rc;

    OP_DECODE(op, rename_request, &r.m);
    if ((r.m.flags & ~(RENAME_FLAG_NOREPLACE | RENAME_FLAG_EXCHANGE))
        || r.m.flags == (RENAME_FLAG_NOREPLACE | RENAME_FLAG_EXCHANGE))
        return -EINVAL;
    if (!op->fiber)
        return OP_NEEDS_FIBER;
    r.from_key = keylock_key_dentry(r.m.parent, r.m.name.data, r.m.name.len);
    r.to_key = keylock_key_dentry(r.m.new_parent, r.m.new_name.data, r.m.new_name.len);
    r.to_target = placement_dentry_target(
        r.m.new_parent, r.m.new_name.data, r.m.new_name.len, shard->n_targets);
    rc = coordinate_begin(op);
    if (rc)
        return rc;
    do {
        rc = rename_try(op, &r);
    } while (op_try_again(op, &tries, &rc));
    if (!op->is_decided)
        coordinate_end(op);
    return rc;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * RENAME, run by the target of the old name. Both dentries are locked, in the order of
 * (target, key) so that two renames can't wait for each other; directories also take
 * the namespace lock of target 0, under which alone the shape of the tree changes.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "daemon/ops/ops.h"
#include "daemon/peer.h"
#include "proto/placement.h"

#define RENAME_FLAG_NOREPLACE 1u /* values of Linux, which are also the protocol's */
#define RENAME_FLAG_EXCHANGE  2u
#define DEPTH_MAX             4096 /* of a directory, when looking for loops */

struct rename {
    struct msg_rename_request m;
    uint64_t from_key, to_key;
    uint32_t to_target;
    bool has_namespace, has_from, has_to;
    struct store_dentry from, to; /* ino 0: there is none */
};

/* ---- locks */

static int
to_call(struct op *op, struct rename *r, uint16_t opcode, struct store_dentry *ret)
{
    struct msg_dentry_lock_request request = {
        .owner = op->lock_owner, .parent = r->m.new_parent, .name = r->m.new_name};
    uint8_t body[MSG_dentry_lock_request_MAX];
    size_t len = msg_dentry_lock_request_encode(&request, body, sizeof(body));
    struct msg_lookup_reply reply = {.ino = 0};
    struct peer_call *call = malloc(sizeof(*call));
    int rc;

    if (!call)
        return -ENOMEM;
    rc = peer_call(op, r->to_target, opcode, body, len, call);
    if (rc == 0 && ret) {
        rc = msg_lookup_reply_decode(&reply, call->rpc.reply, call->rpc.reply_len);
        *ret = (struct store_dentry){.ino = reply.ino, .type = reply.type};
    }
    free(call);
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

static int lock_to(struct op *op, struct rename *r)
{
    int rc;

    if (r->to_target != op->shard->target)
        rc = to_call(op, r, OP_DENTRY_LOCK, &r->to);
    else
        rc = op_lock_key(op, r->to_key);
    if (rc == 0)
        r->has_to = true;
    return rc;
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

static int namespace_call(struct op *op, bool lock)
{
    struct msg_namespace_lock_request request = {.owner = op->lock_owner, .lock = lock};
    uint8_t body[MSG_namespace_lock_request_MAX];
    size_t len = msg_namespace_lock_request_encode(&request, body, sizeof(body));
    struct peer_call *call;
    int rc;

    if (op->shard->target == 0)
        return namespace_lock_local(op, lock);
    call = malloc(sizeof(*call));
    if (!call)
        return -ENOMEM;
    rc = peer_call(op, 0, OP_NAMESPACE_LOCK, body, len, call);
    free(call);
    return rc;
}

static void unlock_all(struct op *op, struct rename *r)
{
    if (r->has_from)
        op_unlock_key(op, r->from_key);
    if (r->has_to && r->to_target == op->shard->target)
        op_unlock_key(op, r->to_key);
    else if (r->has_to)
        (void)to_call(op, r, OP_DENTRY_UNLOCK, NULL);
    if (r->has_namespace)
        (void)namespace_call(op, false);
    r->has_from = r->has_to = r->has_namespace = false;
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
        unlock_all(op, r);
        rc = namespace_call(op, true);
        if (rc)
            return rc;
        r->has_namespace = true;
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
    bool is_exchange = r->m.flags & RENAME_FLAG_EXCHANGE;

    if (r->from.ino == 0)
        return -ENOENT;
    if (r->to.ino == 0)
        return is_exchange ? -ENOENT : 0;
    if (r->m.flags & RENAME_FLAG_NOREPLACE)
        return -EEXIST;
    if (is_exchange)
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

/* ---- changes */

static int apply_to(struct op *op, struct rename *r, const struct store_dentry *dentry)
{
    struct msg_dentry_apply_request request = {
        .owner = op->lock_owner,
        .parent = r->m.new_parent,
        .name = r->m.new_name,
        .ino = dentry->ino,
        .type = dentry->type,
    };
    uint8_t body[MSG_dentry_apply_request_MAX];
    size_t len = msg_dentry_apply_request_encode(&request, body, sizeof(body));
    struct peer_call *call;
    int rc;

    if (r->to_target == op->shard->target)
        return dentry_apply(op->shard, r->m.new_parent, r->m.new_name, dentry);
    call = malloc(sizeof(*call));
    if (!call)
        return -ENOMEM;
    rc = peer_call(op, r->to_target, OP_DENTRY_APPLY, body, len, call);
    free(call);
    return rc;
}

static int inode_moved(struct op *op, uint64_t ino, uint64_t new_parent)
{
    struct msg_inode_moved_request request = {.ino = ino, .new_parent = new_parent};
    uint8_t body[MSG_inode_moved_request_MAX];
    size_t len = msg_inode_moved_request_encode(&request, body, sizeof(body));
    struct peer_call *call;
    int rc;

    if (placement_home(ino) == op->shard->target)
        return inode_moved_local(op->shard, ino, new_parent);
    call = malloc(sizeof(*call));
    if (!call)
        return -ENOMEM;
    rc = peer_call(op, placement_home(ino), OP_INODE_MOVED, body, len, call);
    free(call);
    return rc;
}

static int exchange(struct op *op, struct rename *r)
{
    int rc = apply_to(op, r, &r->from);

    if (rc == 0)
        rc = dentry_apply(op->shard, r->m.parent, r->m.name, &r->to);
    if (rc == 0)
        rc = inode_moved(op, r->from.ino, r->m.new_parent);
    return rc ? rc : inode_moved(op, r->to.ino, r->m.parent);
}

static int move(struct op *op, struct rename *r)
{
    bool replaces_directory = r->to.ino && r->to.type == S_IFDIR;
    int rc = replaces_directory ? directory_seal(op, r->to.ino) : 0;

    if (rc)
        return rc;
    rc = apply_to(op, r, &r->from);
    if (rc) {
        if (replaces_directory)
            directory_unseal(op, r->to.ino);
        return rc;
    }
    rc = dentry_apply(
        op->shard, r->m.parent, r->m.name, &(struct store_dentry){.ino = 0});
    if (rc == 0)
        rc = inode_moved(op, r->from.ino, r->m.new_parent);
    if (rc == 0 && r->to.ino)
        rc = inode_link_drop_any(op, r->to.ino);
    return rc;
}

int op_rename(struct op *op)
{
    struct shard *shard = op->shard;
    struct rename r = {.has_from = false};
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
    rc = lock_all(op, &r);
    if (rc == 0)
        rc = check_types(&r);
    if (rc == 0 && r.from.ino == r.to.ino)
        goto out; /* two names of one inode: POSIX has nothing done */
    if (rc == 0)
        rc = check_loops(op, &r);
    if (rc == 0)
        rc = r.m.flags & RENAME_FLAG_EXCHANGE ? exchange(op, &r) : move(op, &r);

out:
    unlock_all(op, &r);
    return rc;
}

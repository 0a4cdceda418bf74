/* SPDX-License-Identifier: Apache-2.0
 *
 * Names on the way of a path, and the epochs that tell clients what they must not
 * believe any more: see daemon/epoch.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "daemon/ops/ops.h"
#include "daemon/peer.h"

/* -ENOENT. OP_PARKED: it, or its attributes, are about to change. */
static int
walk_look(struct op *op, const struct msg_walk_request *m, struct msg_lookup_reply *ret)
{
    struct shard *shard = op->shard;
    uint64_t inode_key;
    int rc;

    do {
        rc = dentry_look(op, m->parent, m->name, ret);
        if (rc || !m->keeps || ret->type != S_IFDIR || !ret->has_attr)
            return rc;
        inode_key = keylock_key_inode(ret->ino);
        if (!keylock_is_locked(&shard->locks, inode_key, op->lock_owner)) {
            epoch_keep(&shard->epoch,
                       keylock_key_dentry(m->parent, m->name.data, m->name.len));
            epoch_keep(&shard->epoch, inode_key);
            return 0;
        }
        rc = op_wait_key(op, inode_key);
    } while (rc == 0);
    return rc;
}

int op_walk(struct op *op)
{
    struct epoch *epoch = &op->shard->epoch;
    struct msg_lookup_reply entry = {.ino = 0};
    struct msg_walk_request m;
    struct msg_walk_reply reply;
    int rc;

    OP_DECODE(op, walk_request, &m);
    rc = op_check_key(op, keylock_key_dentry(m.parent, m.name.data, m.name.len));
    if (rc)
        return rc;
    reply = (struct msg_walk_reply){.epoch = epoch->value,
                                    .is_stale = m.epoch && m.epoch != epoch->value};
    if (!reply.is_stale) {
        rc = walk_look(op, &m, &entry);
        if (rc && rc != -ENOENT)
            return rc;
    }
    if (rc == 0) {
        reply.ino = entry.ino;
        reply.type = entry.type;
        reply.has_attr = entry.has_attr;
        reply.attr = entry.attr;
    }
    return OP_REPLY(op, walk_reply, &reply);
}

int op_namespace_raise(struct op *op)
{
    epoch_raise(&op->shard->epoch);
    return 0;
}

int namespace_raise(struct op *op)
{
    struct peer_call *calls;
    int rc;

    epoch_raise(&op->shard->epoch);
    rc = peer_call_others(op, OP_NAMESPACE_RAISE, NULL, 0, &calls);
    if (calls)
        rc = peer_calls_reachable(op, calls, op->shard->n_targets - 1);
    free(calls);
    return rc;
}

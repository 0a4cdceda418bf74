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

int op_walk(struct op *op)
{
    struct epoch *epoch = &op->shard->epoch;
    struct msg_lookup_reply entry = {.ino = 0};
    struct msg_walk_request m;
    struct msg_walk_reply reply;
    uint64_t key;
    int rc;

    OP_DECODE(op, walk_request, &m);
    key = keylock_key_dentry(m.parent, m.name.data, m.name.len);
    rc = op_check_key(op, key); /* a name that is about to change */
    if (rc)
        return rc;
    reply = (struct msg_walk_reply){.epoch = epoch->value,
                                    .is_stale = m.epoch && m.epoch != epoch->value};
    if (reply.is_stale)
        return OP_REPLY(op, walk_reply, &reply);
    rc = dentry_look(op, m.parent, m.name, &entry);
    if (rc && rc != -ENOENT)
        return rc;
    if (rc == 0 && m.keeps && entry.type == S_IFDIR)
        epoch_name_keep(epoch, key);
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

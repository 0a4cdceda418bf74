/* SPDX-License-Identifier: Apache-2.0
 *
 * What a rename or a removal asks of other targets: to hold a dentry still, to change
 * it, to close a directory for new entries, and the lock under which directories move.
 */
#include <errno.h>
#include <sys/stat.h>

#include "daemon/ops/ops.h"
#include "daemon/session.h"

#define NAMESPACE_KEY UINT64_C(0x6e616d6573706163)

/* Takes `key` for an owner on another target, until it lets go or its daemon dies. */
static int remote_lock(struct op *op, uint64_t key, uint64_t owner)
{
    struct shard *shard = op->shard;
    uint64_t client = op->request->header.client;
    int rc = keylock_lock(&shard->locks, key, owner);

    if (rc == -EBUSY)
        return op_wait_key(op, key);
    if (rc == 0) {
        rc = session_lock_add(shard, client, key, owner);
        if (rc)
            keylock_unlock(&shard->locks, key, owner);
    }
    return rc;
}

static void remote_unlock(struct op *op, uint64_t key, uint64_t owner)
{
    session_lock_remove(op->shard, op->request->header.client, key, owner);
    keylock_unlock(&op->shard->locks, key, owner);
}

int op_dentry_lock(struct op *op)
{
    struct msg_lookup_reply reply = {.ino = 0};
    struct msg_dentry_lock_request m;
    struct store_dentry dentry;
    int rc;

    OP_DECODE(op, dentry_lock_request, &m);
    if (m.owner == 0)
        return -EINVAL;
    rc =
        remote_lock(op, keylock_key_dentry(m.parent, m.name.data, m.name.len), m.owner);
    if (rc)
        return rc;
    rc = store_dentry_get(op->shard->store, m.parent, m.name.data, m.name.len, &dentry);
    if (rc == 0) {
        reply.ino = dentry.ino;
        reply.type = dentry.type;
    }
    if (rc && rc != -ENOENT) {
        remote_unlock(
            op, keylock_key_dentry(m.parent, m.name.data, m.name.len), m.owner);
        return rc;
    }
    return OP_REPLY(op, lookup_reply, &reply);
}

int op_dentry_unlock(struct op *op)
{
    struct msg_dentry_lock_request m;

    OP_DECODE(op, dentry_lock_request, &m);
    remote_unlock(op, keylock_key_dentry(m.parent, m.name.data, m.name.len), m.owner);
    return 0;
}

int op_dentry_apply(struct op *op)
{
    struct msg_dentry_apply_request m;

    OP_DECODE(op, dentry_apply_request, &m);
    if (keylock_is_locked(&op->shard->locks,
                          keylock_key_dentry(m.parent, m.name.data, m.name.len),
                          m.owner))
        return -EBUSY; /* not the owner, or its lock is lost */
    return dentry_apply(op->shard,
                        m.parent,
                        m.name,
                        &(struct store_dentry){.ino = m.ino, .type = m.type});
}

int dentry_apply(struct shard *shard,
                 uint64_t parent,
                 struct wire_text name,
                 const struct store_dentry *dentry)
{
    int64_t now = shard_now_ns();
    int rc;

    if (dentry->ino == 0)
        return store_dentry_remove(shard->store, parent, name.data, name.len, now);
    rc = store_dentry_replace(shard->store, parent, name.data, name.len, dentry, now);
    if (rc == -ENOENT)
        rc =
            store_dentry_insert(shard->store, parent, name.data, name.len, dentry, now);
    return rc;
}

int op_dir_seal(struct op *op)
{
    struct msg_dir_seal_request m;

    OP_DECODE(op, dir_seal_request, &m);
    return store_dirpart_seal(op->shard->store, m.dir, m.seal != 0);
}

int namespace_lock_local(struct op *op, bool lock)
{
    if (lock)
        return op_lock_key(op, NAMESPACE_KEY);
    op_unlock_key(op, NAMESPACE_KEY);
    return 0;
}

int op_namespace_lock(struct op *op)
{
    struct msg_namespace_lock_request m;

    OP_DECODE(op, namespace_lock_request, &m);
    if (m.owner == 0)
        return -EINVAL;
    if (m.lock)
        return remote_lock(op, NAMESPACE_KEY, m.owner);
    remote_unlock(op, NAMESPACE_KEY, m.owner);
    return 0;
}

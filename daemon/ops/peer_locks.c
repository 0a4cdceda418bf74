/* SPDX-License-Identifier: Apache-2.0
 *
 * What a rename, link or removal asks of other targets: to hold a dentry still, to
 * change it, to close a directory for new entries, the lock under which directories
 * move, and to end all that. daemon/claim.h has how these outlive daemons.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/claim.h"
#include "daemon/intent.h"
#include "daemon/ops/ops.h"

#define NAMESPACE_KEY UINT64_C(0x6e616d6573706163)
#define OWNER_LEN     8u
/* What a rename may add at a target: an entry, and the directory's part. */
#define APPLY_CHANGES 4u

static int
is_coordinator_valid(const struct op *op, uint32_t coordinator, uint64_t owner)
{
    return owner != 0 && coordinator < op->shard->n_targets
           && coordinator != op->shard->target;
}

int op_dentry_lock(struct op *op)
{
    struct shard *shard = op->shard;
    struct msg_lookup_reply reply = {.ino = 0};
    struct msg_dentry_lock_request m;
    struct store_dentry dentry;
    struct store_claim claim;
    int rc;

    OP_DECODE(op, dentry_lock_request, &m);
    if (!is_coordinator_valid(op, m.coordinator, m.owner))
        return -EINVAL;
    claim = (struct store_claim){
        .target = m.coordinator,
        .owner = m.owner,
        .kind = CLAIM_LOCK,
        .id = keylock_key_dentry(m.parent, m.name.data, m.name.len),
    };
    rc = op_check_key_of(op, claim.id, m.owner);
    if (rc)
        return rc;
    rc = store_dentry_get(shard->store, m.parent, m.name.data, m.name.len, &dentry);
    if (rc == 0) {
        reply.ino = dentry.ino;
        reply.type = dentry.type;
    } else if (rc == -ENOENT) {
        rc = dentry_insert_check(op, m.parent);
        claim.dir = m.parent; /* it may get an entry */
    }
    if (rc == 0)
        rc = claim_lock(op, &claim);
    return rc ? rc : OP_REPLY(op, lookup_reply, &reply);
}

int op_dentry_apply(struct op *op)
{
    struct msg_dentry_apply_request m;
    struct store_claim claim;
    int rc;

    OP_DECODE(op, dentry_apply_request, &m);
    claim = (struct store_claim){
        .target = m.coordinator,
        .owner = m.owner,
        .kind = CLAIM_LOCK,
        .id = keylock_key_dentry(m.parent, m.name.data, m.name.len),
    };
    rc = claim_get(op->shard, &claim);
    if (rc)
        return rc == -ENOENT ? 0 : rc; /* done before, and ended */
    store_reserve_use(op->shard->store, true);
    rc = dentry_apply(op->shard,
                      m.parent,
                      m.name,
                      &(struct store_dentry){.ino = m.ino, .type = m.type});
    store_reserve_use(op->shard->store, false);
    if (rc || !m.ends)
        return rc;
    return claim_end(op, m.coordinator, m.owner, CLAIM_COMMITTED);
}

int dentry_insert_check(struct op *op, uint64_t dir)
{
    struct store_dirpart part;
    int rc = store_dirpart_get(op->shard->store, dir, &part);

    if (rc == 0 && part.is_sealed)
        rc = -ENOENT;
    return rc ? rc : store_room_check(op->shard->store, APPLY_CHANGES);
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
    if (!is_coordinator_valid(op, m.coordinator, m.owner))
        return -EINVAL;
    return claim_dir(
        op->shard,
        &(struct store_claim){
            .target = m.coordinator, .owner = m.owner, .kind = CLAIM_DIR, .id = m.dir});
}

uint64_t namespace_key(void)
{
    return NAMESPACE_KEY;
}

int op_namespace_lock(struct op *op)
{
    struct msg_namespace_lock_request m;

    OP_DECODE(op, namespace_lock_request, &m);
    if (!is_coordinator_valid(op, m.coordinator, m.owner))
        return -EINVAL;
    return claim_lock(op,
                      &(struct store_claim){.target = m.coordinator,
                                            .owner = m.owner,
                                            .kind = CLAIM_LOCK,
                                            .id = NAMESPACE_KEY});
}

int op_claim_end(struct op *op)
{
    struct msg_claim_end_request m;

    OP_DECODE(op, claim_end_request, &m);
    return claim_end(
        op, m.coordinator, m.owner, m.commit ? CLAIM_COMMITTED : CLAIM_ABORTED);
}

int op_claim_check(struct op *op)
{
    struct msg_claim_check_request m;
    struct msg_claim_check_reply reply;
    char under_way[WIRE_TEXT_MAX / OWNER_LEN];
    struct wire_reader reader;
    uint16_t n;

    OP_DECODE(op, claim_check_request, &m);
    if (m.owners.len % OWNER_LEN != 0)
        return -EPROTO;
    n = (uint16_t)(m.owners.len / OWNER_LEN);
    reader = (struct wire_reader){.data = (const uint8_t *)m.owners.data,
                                  .length = m.owners.len};
    for (uint16_t i = 0; i < n; i++)
        under_way[i] = (char)is_coordinated(op->shard, wire_get_u64(&reader));
    reply.under_way = (struct wire_text){under_way, n};
    return OP_REPLY(op, claim_check_reply, &reply);
}

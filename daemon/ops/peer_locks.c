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
#include "proto/placement.h"

#define NAMESPACE_KEY UINT64_C(0x6e616d6573706163)
#define OWNER_LEN     8u

static int
is_coordinator_valid(const struct op *op, uint32_t coordinator, uint64_t owner)
{
    return owner != 0 && coordinator < op->shard->n_targets
           && coordinator != op->shard->target;
}

/* Whether the dentry is there; if not, its directory takes one, and the directory's
 * home knows of this part. Waits, and may want a fiber. *ret_waited: look again. */
static int entry_look(struct op *op,
                      const struct msg_dentry_lock_request *m,
                      struct store_claim *claim,
                      struct store_dentry *ret,
                      bool *ret_waited)
{
    struct store *store = op->shard->store;
    struct store_dirpart part;
    int rc = op_check_key_of(op, claim->id, m->owner);

    *ret_waited = false;
    ret->ino = 0;
    claim->dir = 0;
    if (rc)
        return rc;
    rc = store_dentry_get(store, m->parent, m->name.data, m->name.len, ret);
    if (rc != -ENOENT)
        return rc;
    claim->dir = m->parent; /* it may get an entry */
    rc = store_dirpart_get(store, m->parent, &part);
    if (rc == 0 && !part.is_member && placement_home(m->parent) != op->shard->target) {
        *ret_waited = true;
        return directory_part_ensure(op, m->parent);
    }
    return rc ? rc : directory_insert_check(op, m->parent);
}

int op_dentry_lock(struct op *op)
{
    struct msg_lookup_reply reply = {.ino = 0};
    struct msg_dentry_lock_request m;
    struct store_dentry dentry;
    struct store_claim claim;
    bool has_waited;
    uint64_t key;
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
    do {
        rc = entry_look(op, &m, &claim, &dentry, &has_waited);
        if (rc)
            return rc;
        if (has_waited)
            continue;
        rc = claim_lock(op->shard, &claim, &key);
        if (rc == -EBUSY) {
            rc = op_wait_key(op, key);
            has_waited = true;
        }
        if (rc)
            return rc;
    } while (has_waited);
    reply.ino = dentry.ino;
    reply.type = dentry.ino ? dentry.type : 0;
    return OP_REPLY(op, lookup_reply, &reply);
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
    struct store_claim claim;
    int rc;

    OP_DECODE(op, dir_seal_request, &m);
    if (!is_coordinator_valid(op, m.coordinator, m.owner))
        return -EINVAL;
    claim = (struct store_claim){
        .target = m.coordinator, .owner = m.owner, .kind = CLAIM_DIR, .id = m.dir};
    rc = claim_dir(op->shard, &claim);
    return rc ? rc : directory_members_reply(op, m.dir);
}

uint64_t namespace_key(void)
{
    return NAMESPACE_KEY;
}

int op_namespace_lock(struct op *op)
{
    struct msg_namespace_lock_request m;
    struct store_claim claim;
    uint64_t key;
    int rc;

    OP_DECODE(op, namespace_lock_request, &m);
    if (!is_coordinator_valid(op, m.coordinator, m.owner))
        return -EINVAL;
    claim = (struct store_claim){.target = m.coordinator,
                                 .owner = m.owner,
                                 .kind = CLAIM_LOCK,
                                 .id = NAMESPACE_KEY};
    do {
        rc = claim_lock(op->shard, &claim, &key);
        if (rc != -EBUSY)
            return rc;
        rc = op_wait_key(op, key);
    } while (rc == 0);
    return rc;
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

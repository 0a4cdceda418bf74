/* SPDX-License-Identifier: Apache-2.0
 *
 * Entries of directories: looking them up, making and removing them together with their
 * inodes, and listing them.
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

#define READDIR_BUFFER_MAX (256u << 10)
/* Of an operation that met another one half-way: in the end some seconds. */
#define TRIES_MAX       100u
#define TRY_WAIT_MAX_MS 50u

static int reply_attr(struct op *op, struct store_inode *inode)
{
    struct msg_attr_reply reply;
    int rc = inode_attr_get(op, inode, &reply.attr);

    return rc ? rc : OP_REPLY(op, attr_reply, &reply);
}

int dentry_look(struct op *op,
                uint64_t parent,
                struct wire_text name,
                struct msg_lookup_reply *ret)
{
    struct shard *shard = op->shard;
    struct store_dentry dentry;
    struct store_inode inode;
    int rc = store_dentry_get(shard->store, parent, name.data, name.len, &dentry);

    if (rc)
        return rc;
    *ret = (struct msg_lookup_reply){.ino = dentry.ino, .type = dentry.type};
    if (placement_home(dentry.ino) != shard->target)
        return 0;
    ret->has_attr = 1;
    rc = store_inode_get(shard->store, dentry.ino, &inode);
    /* of a directory without what other targets know: a path's way needs none of it */
    if (rc == 0 && dentry.type == S_IFDIR)
        inode_attr_new(&inode, &ret->attr);
    else if (rc == 0)
        rc = inode_attr_get(op, &inode, &ret->attr);
    return rc;
}

int op_lookup(struct op *op)
{
    struct msg_lookup_reply reply;
    struct msg_dentry_request m;
    int rc;

    OP_DECODE(op, dentry_request, &m);
    rc = op_check_key(op, keylock_key_dentry(m.parent, m.name.data, m.name.len));
    if (rc == 0)
        rc = dentry_look(op, m.parent, m.name, &reply);
    return rc ? rc : OP_REPLY(op, lookup_reply, &reply);
}

/* ---- create */

static bool create_is_valid(const struct shard *shard,
                            const struct msg_create_request *m)
{
    switch (m->mode & S_IFMT) {
    case S_IFREG:
    case S_IFDIR:
    case S_IFIFO:
    case S_IFSOCK:
    case S_IFCHR:
    case S_IFBLK:
        if (m->symlink.len > 0)
            return false;
        break;
    case S_IFLNK:
        if (m->symlink.len == 0 || memchr(m->symlink.data, '\0', m->symlink.len))
            return false;
        break;
    default:
        return false;
    }
    if (m->chunk_size != 0
        && (m->chunk_size < STORE_BLOCK_SIZE || m->chunk_size > STORE_CHUNK_MAX
            || (m->chunk_size & (m->chunk_size - 1)) != 0))
        return false;
    return (m->base == BASE_HOME || m->base < shard->n_targets)
           && m->layout <= LAYOUT_LOCAL;
}

static void inode_from_request(const struct shard *shard,
                               const struct msg_create_request *m,
                               struct store_inode *ret)
{
    int64_t now = shard_now_ns();

    *ret = (struct store_inode){
        .parent = m->parent,
        .mode = m->mode & (S_IFMT | 07777),
        .uid = m->uid,
        .gid = m->gid,
        .nlink = S_ISDIR(m->mode) ? 2 : 1,
        .size = m->symlink.len,
        .atime_ns = now,
        .mtime_ns = now,
        .ctime_ns = now,
        .btime_ns = now,
        .rdev = m->rdev,
        .chunk_size = m->chunk_size ? m->chunk_size : shard->chunk_size,
        .layout = m->layout,
        .base = m->base == BASE_HOME ? shard->target : m->base,
    };
}

/* Inode, symlink text and dentry, or nothing. */
static int create_store(struct shard *shard,
                        const struct msg_create_request *m,
                        struct store_inode *inode)
{
    struct store_dentry dentry = {.type = inode->mode & S_IFMT};
    int rc = store_inode_allocate(shard->store, &inode->ino);

    if (rc)
        return rc;
    rc = store_inode_put(shard->store, inode);
    if (rc)
        return rc;
    if (m->symlink.len > 0)
        rc = store_symlink_put(
            shard->store, inode->ino, m->symlink.data, m->symlink.len);
    dentry.ino = inode->ino;
    if (rc == 0)
        rc = store_dentry_insert(shard->store,
                                 m->parent,
                                 m->name.data,
                                 m->name.len,
                                 &dentry,
                                 inode->btime_ns);
    if (rc)
        store_inode_remove(shard->store, inode->ino);
    return rc;
}

static int create_open(struct op *op, const struct msg_create_request *m, uint64_t ino)
{
    if (!(m->flags & CREATE_OPEN))
        return 0;
    return inode_open(op, ino, m->flags >> CREATE_OPEN_SHIFT);
}

/* The name is taken. Answers an existing file that is homed here; the client looks up
 * any other, as it would have done had it known. */
static int create_existing(struct op *op,
                           const struct msg_create_request *m,
                           const struct store_dentry *dentry)
{
    struct store_inode inode;
    int rc;

    if ((m->flags & CREATE_EXCL) || dentry->type != S_IFREG
        || placement_home(dentry->ino) != op->shard->target
        || ((m->flags >> CREATE_OPEN_SHIFT) & OPEN_TRUNCATE))
        return -EEXIST;
    rc = store_inode_get(op->shard->store, dentry->ino, &inode);
    if (rc == 0)
        rc = reply_attr(op, &inode);
    return rc ? rc : create_open(op, m, dentry->ino);
}

/* Looks whether the name is there. If not, nobody is at work on it or on the directory,
 * and the directory's home knows that it will be here. Its answer takes time: then all
 * is looked at again. -ENOENT: there is no such directory. */
static int create_place_find(struct op *op,
                             const struct msg_create_request *m,
                             struct store_dentry *ret,
                             bool *ret_exists)
{
    struct store_dirpart part;
    int rc;

    for (;;) {
        rc = op_check_key(op, keylock_key_dentry(m->parent, m->name.data, m->name.len));
        /* of a directory that may be about to go it is not known yet whether it does */
        if (rc == 0)
            rc = op_check_key(op, keylock_key_dir(m->parent));
        if (rc)
            return rc;
        rc = store_dentry_get(
            op->shard->store, m->parent, m->name.data, m->name.len, ret);
        *ret_exists = rc == 0;
        if (rc != -ENOENT)
            return rc;
        rc = store_dirpart_get(op->shard->store, m->parent, &part);
        if (rc || part.is_member || placement_home(m->parent) == op->shard->target)
            return rc;
        rc = directory_part_ensure(op, m->parent);
        if (rc)
            return rc;
    }
}

int op_create(struct op *op)
{
    struct shard *shard = op->shard;
    struct msg_create_request m;
    struct store_dentry existing;
    struct msg_attr_reply reply;
    struct store_inode inode;
    bool exists;
    int rc;

    OP_DECODE(op, create_request, &m);
    if (!create_is_valid(shard, &m))
        return -EINVAL;
    rc = create_place_find(op, &m, &existing, &exists);
    if (rc)
        return rc;
    if (exists)
        return create_existing(op, &m, &existing);
    inode_from_request(shard, &m, &inode);
    rc = create_store(shard, &m, &inode);
    if (rc)
        return rc;
    rc = create_open(op, &m, inode.ino);
    if (rc)
        return rc;
    inode_attr_new(&inode, &reply.attr);
    return OP_REPLY(op, attr_reply, &reply);
}

/* ---- remove */

/* The dentry of a request, whatever it names, with its key taken when in a fiber. */
static int unlink_dentry_get(struct op *op,
                             const struct msg_dentry_request *m,
                             uint64_t key,
                             struct store_dentry *ret)
{
    int rc = op->fiber ? op_lock_key(op, key) : op_check_key(op, key);

    if (rc)
        return rc;
    rc = store_dentry_get(op->shard->store, m->parent, m->name.data, m->name.len, ret);
    if (rc && op->fiber)
        op_unlock_key(op, key);
    return rc;
}

static int dentry_remove(struct shard *shard, const struct msg_dentry_request *m)
{
    return store_dentry_remove(
        shard->store, m->parent, m->name.data, m->name.len, shard_now_ns());
}

/* The inode is homed here: all of it in this batch, and then its data. */
static int unlink_here(struct op *op,
                       const struct msg_dentry_request *m,
                       const struct store_dentry *dentry)
{
    struct shard *shard = op->shard;
    struct store_inode inode;
    int rc = dentry_remove(shard, m);

    if (rc)
        return rc;
    rc = inode_link_drop_note(shard, dentry->ino, &inode);
    if (rc == 0 && op->fiber)
        rc = replay_record(op);
    if (rc)
        store_txn_fail(shard->store, rc);
    else if (op->fiber)
        rc = op_commit(op); /* before its data goes */
    if (rc)
        return rc;
    op->is_decided = op->fiber != NULL;
    (void)inode_dropped(op, &inode); /* it goes on later if it can't now */
    return 0;
}

/* Removes the name, and has its inode's home drop the link; gives the key back. */
static int unlink_elsewhere(struct op *op,
                            const struct msg_dentry_request *m,
                            const struct store_dentry *dentry,
                            uint64_t key)
{
    struct intent *intent = intent_create(op);
    int rc = intent ? dentry_remove(op->shard, m) : -ENOMEM;

    if (rc) {
        intent_destroy(intent);
        op_unlock_key(op, key);
        return rc;
    }
    intent_key(intent, key);
    intent_link_drop(op, intent, dentry->ino);
    rc = intent_commit(op, intent, true);
    if (rc) {
        op_unlock_key(op, key);
        return rc;
    }
    (void)intent_run(op, intent);
    return 0;
}

int op_unlink(struct op *op)
{
    struct shard *shard = op->shard;
    struct msg_dentry_request m;
    struct store_dentry dentry;
    bool is_home;
    uint64_t key;
    int rc;

    OP_DECODE(op, dentry_request, &m);
    key = keylock_key_dentry(m.parent, m.name.data, m.name.len);
    rc = unlink_dentry_get(op, &m, key, &dentry);
    if (rc)
        return rc;
    is_home = placement_home(dentry.ino) == shard->target;
    if (dentry.type == S_IFDIR) {
        rc = -EISDIR;
    } else if (!op->fiber) {
        if (!is_home || inode_end_is_striped(shard, dentry.ino))
            return OP_NEEDS_FIBER;
        return unlink_here(op, &m, &dentry);
    } else if (is_home) {
        rc = unlink_here(op, &m, &dentry);
    } else {
        return unlink_elsewhere(op, &m, &dentry, key);
    }
    if (op->fiber)
        op_unlock_key(op, key);
    return rc;
}

/* ---- what others use */

void intent_link_drop(struct op *op, struct intent *intent, uint64_t ino)
{
    struct msg_inode_link_request request = {
        .coordinator = op->shard->target, .owner = op->lock_owner, .ino = ino};
    uint8_t body[MSG_inode_link_request_MAX];
    uint32_t home = placement_home(ino);

    intent_step(intent,
                &home,
                1,
                OP_INODE_LINK,
                body,
                msg_inode_link_request_encode(&request, body, sizeof(body)));
}

bool op_try_again(struct op *op, unsigned *tries, int *rc)
{
    if (*rc != -EAGAIN)
        return false;
    if (++*tries == TRIES_MAX) {
        *rc = -EBUSY;
        return false;
    }
    op_sleep(op, *tries < TRY_WAIT_MAX_MS ? *tries : TRY_WAIT_MAX_MS);
    return true;
}

/* ---- link */

/* Adds the link where the inode is homed, with a claim if that is elsewhere. */
static int link_add(struct op *op, uint64_t ino, struct msg_attr_reply *ret)
{
    struct msg_inode_link_request request = {
        .coordinator = op->shard->target,
        .owner = op->lock_owner,
        .ino = ino,
        .add = 1,
    };
    uint8_t body[MSG_inode_link_request_MAX];
    size_t len = msg_inode_link_request_encode(&request, body, sizeof(body));
    struct store_inode inode;
    struct peer_call *call;
    int rc;

    if (placement_home(ino) == op->shard->target) {
        rc = store_inode_get(op->shard->store, ino, &inode);
        if (rc == 0)
            rc = inode_attr_get(op, &inode, &ret->attr); /* may wait for others */
        if (rc == 0)
            rc = inode_link_add(op, ino, &inode);
        ret->attr.nlink = inode.nlink;
        ret->attr.ctime_ns = inode.ctime_ns;
        return rc;
    }
    call = malloc(sizeof(*call));
    if (!call)
        return -ENOMEM;
    rc = peer_call(op, placement_home(ino), OP_INODE_LINK, body, len, call);
    if (rc == 0)
        rc = msg_attr_reply_decode(ret, call->rpc.reply, call->rpc.reply_len);
    free(call);
    return rc;
}

/* The entry, in the transaction that has the link, or an intent to keep it. Gives the
 * key back. */
static int link_commit(struct op *op,
                       const struct msg_link_request *m,
                       const struct msg_attr_reply *reply,
                       uint64_t key)
{
    struct shard *shard = op->shard;
    uint32_t home = placement_home(m->ino);
    bool is_home = home == shard->target;
    struct store_dentry dentry = {.ino = m->ino, .type = reply->attr.mode & S_IFMT};
    struct intent *intent = is_home ? NULL : intent_create(op);
    int rc = is_home || intent ? 0 : -ENOMEM;

    if (rc == 0)
        rc = store_dentry_insert(shard->store,
                                 m->new_parent,
                                 m->new_name.data,
                                 m->new_name.len,
                                 &dentry,
                                 shard_now_ns());
    OP_REPLY(op, attr_reply, reply);
    if (is_home) {
        if (rc)
            store_txn_fail(shard->store, rc); /* it was checked before */
        op_unlock_key(op, key);
        return rc;
    }
    if (rc == 0) {
        intent_key(intent, key);
        intent_claims_end(op, intent, &home, 1);
        rc = intent_commit(op, intent, true);
        intent = rc ? NULL : intent;
    }
    if (rc == 0) {
        (void)intent_run(op, intent);
        return 0;
    }
    intent_destroy(intent);
    claims_abort(op, &home, 1); /* the link is taken back */
    op_unlock_key(op, key);
    return rc;
}

/* With the key, and the directory kept open for new entries. */
static int link_try(struct op *op, const struct msg_link_request *m, uint64_t key)
{
    struct shard *shard = op->shard;
    struct msg_attr_reply reply;
    struct store_dentry dentry;
    int rc = store_dentry_get(
        shard->store, m->new_parent, m->new_name.data, m->new_name.len, &dentry);

    if (rc == 0)
        rc = -EEXIST;
    if (rc == -ENOENT)
        rc = directory_insert_check(op, m->new_parent);
    if (rc == 0)
        rc = link_add(op, m->ino, &reply);
    if (rc) {
        op_unlock_key(op, key);
        return rc;
    }
    FAULT_POINT("link-added");
    return link_commit(op, m, &reply, key);
}

int op_link(struct op *op)
{
    struct shard *shard = op->shard;
    struct msg_link_request m;
    uint64_t key, dir_key;
    int rc;

    OP_DECODE(op, link_request, &m);
    if (placement_home(m.ino) >= shard->n_targets)
        return -ESTALE;
    if (!op->fiber)
        return OP_NEEDS_FIBER;
    key = keylock_key_dentry(m.new_parent, m.new_name.data, m.new_name.len);
    dir_key = keylock_key_dir(m.new_parent);
    rc = coordinate_begin(op);
    if (rc)
        return rc;
    rc = directory_part_ensure(op, m.new_parent);
    if (rc == 0)
        rc = op_lock_key(op, key);
    if (rc == 0) {
        rc = op_share_key(op, dir_key);
        if (rc)
            op_unlock_key(op, key);
    }
    if (rc == 0) {
        rc = link_try(op, &m, key);
        keylock_unshare(&shard->locks, dir_key);
    }
    if (!op->is_decided)
        coordinate_end(op);
    return rc;
}

/* ---- readdir */

struct listing {
    struct wire_writer writer;
    uint32_t n_entries;
    /* where the last run of equal cookies begins: it is dropped if it does not end here
     */
    uint64_t run_cookie;
    size_t run_start;
    uint32_t run_entries;
};

static int listing_add(void *arg, const struct store_dirent *entry)
{
    struct listing *listing = arg;
    struct wire_writer *w = &listing->writer;
    size_t start = w->length;

    if (entry->cookie != listing->run_cookie) {
        listing->run_cookie = entry->cookie;
        listing->run_start = start;
        listing->run_entries = listing->n_entries;
    }
    wire_put_dirent(w,
                    &(struct wire_dirent){
                        .ino = entry->ino,
                        .type = entry->type,
                        .cookie = entry->cookie,
                        .name = {.data = entry->name, .len = entry->name_len},
                    });
    if (w->failed) {
        w->failed = false;
        w->length = listing->run_start;
        listing->n_entries = listing->run_entries;
        return 1;
    }
    listing->n_entries++;
    return 0;
}

int op_readdir(struct op *op)
{
    uint64_t space = op->request->header.reply_space;
    struct listing listing = {.n_entries = 0};
    struct msg_readdir_request m;
    struct msg_readdir_reply reply;
    int rc;

    OP_DECODE(op, readdir_request, &m);
    if (space > READDIR_BUFFER_MAX)
        space = READDIR_BUFFER_MAX;
    op->payload_memory = malloc(space + 1);
    op->payload = calloc(1, sizeof(*op->payload));
    if (!op->payload_memory || !op->payload)
        return -ENOMEM;
    listing.writer =
        (struct wire_writer){.data = op->payload_memory, .capacity = space};
    rc = store_dentry_scan(op->shard->store, m.dir, m.cookie, listing_add, &listing);
    if (rc < 0)
        return rc;
    if (rc > 0 && listing.n_entries == 0)
        return -EINVAL; /* no space for a single entry */
    op->payload[0] = (struct iovec){op->payload_memory, listing.writer.length};
    op->n_payload = listing.writer.length > 0;
    reply =
        (struct msg_readdir_reply){.n_entries = listing.n_entries, .at_end = rc == 0};
    return OP_REPLY(op, readdir_reply, &reply);
}

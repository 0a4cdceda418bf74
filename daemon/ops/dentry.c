/* SPDX-License-Identifier: Apache-2.0
 *
 * Entries of directories: looking them up, making and removing them together with their
 * inodes, and listing them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/ops/ops.h"
#include "daemon/peer.h"
#include "daemon/session.h"
#include "proto/placement.h"

#define READDIR_BUFFER_MAX (256u << 10)

static int reply_attr(struct op *op, struct store_inode *inode)
{
    struct msg_attr_reply reply;
    int rc = inode_attr_get(op, inode, &reply.attr);

    return rc ? rc : OP_REPLY(op, attr_reply, &reply);
}

int op_lookup(struct op *op)
{
    struct msg_lookup_reply reply = {.has_attr = 0};
    struct shard *shard = op->shard;
    struct msg_dentry_request m;
    struct store_dentry dentry;
    struct store_inode inode;
    int rc;

    OP_DECODE(op, dentry_request, &m);
    rc = op_check_key(op, keylock_key_dentry(m.parent, m.name.data, m.name.len));
    if (rc)
        return rc;
    rc = store_dentry_get(shard->store, m.parent, m.name.data, m.name.len, &dentry);
    if (rc)
        return rc;
    reply.ino = dentry.ino;
    reply.type = dentry.type;
    if (placement_home(dentry.ino) == shard->target) {
        rc = store_inode_get(shard->store, dentry.ino, &inode);
        /* of a directory without what other targets know: a path's way needs none of it
         */
        if (rc == 0 && dentry.type == S_IFDIR)
            inode_attr_new(&inode, &reply.attr);
        else if (rc == 0)
            rc = inode_attr_get(op, &inode, &reply.attr);
        if (rc)
            return rc;
        reply.has_attr = 1;
    }
    return OP_REPLY(op, lookup_reply, &reply);
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
    return session_open(
        op->shard, op->request->header.client, ino, m->flags >> CREATE_OPEN_SHIFT);
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

int op_create(struct op *op)
{
    struct shard *shard = op->shard;
    struct msg_create_request m;
    struct store_dentry existing;
    struct msg_attr_reply reply;
    struct store_inode inode;
    int rc;

    OP_DECODE(op, create_request, &m);
    if (!create_is_valid(shard, &m))
        return -EINVAL;
    rc = op_check_key(op, keylock_key_dentry(m.parent, m.name.data, m.name.len));
    if (rc)
        return rc;
    rc = store_dentry_get(shard->store, m.parent, m.name.data, m.name.len, &existing);
    if (rc == 0)
        return create_existing(op, &m, &existing);
    if (rc != -ENOENT)
        return rc;
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

int op_unlink(struct op *op)
{
    struct shard *shard = op->shard;
    struct msg_dentry_request m;
    struct store_dentry dentry;
    struct store_inode inode;
    bool is_home;
    uint64_t key;
    int rc;

    OP_DECODE(op, dentry_request, &m);
    key = keylock_key_dentry(m.parent, m.name.data, m.name.len);
    rc = unlink_dentry_get(op, &m, key, &dentry);
    if (rc)
        return rc;
    is_home = placement_home(dentry.ino) == shard->target;
    if (!op->fiber) {
        if (dentry.type == S_IFDIR)
            return -EISDIR;
        if (!is_home)
            return OP_NEEDS_FIBER;
        /* drops the link first: it is the one to ask for a fiber */
        rc = inode_link_drop(op, dentry.ino, &inode);
        return rc ? rc
                  : store_dentry_remove(
                      shard->store, m.parent, m.name.data, m.name.len, shard_now_ns());
    }
    rc = dentry.type == S_IFDIR
             ? -EISDIR
             : store_dentry_remove(
                 shard->store, m.parent, m.name.data, m.name.len, shard_now_ns());
    op_unlock_key(op, key);
    return rc ? rc : inode_link_drop_any(op, dentry.ino);
}

static int
seal_send(struct op *op, uint64_t dir, bool seal, struct peer_call **ret_calls)
{
    struct msg_dir_seal_request request = {.dir = dir, .seal = seal};
    uint8_t body[MSG_dir_seal_request_MAX];
    size_t len = msg_dir_seal_request_encode(&request, body, sizeof(body));

    return peer_call_others(op, OP_DIR_SEAL, body, len, ret_calls);
}

int directory_seal(struct op *op, uint64_t dir)
{
    struct peer_call *calls = NULL;
    int rc = store_dirpart_seal(op->shard->store, dir, true);

    if (rc)
        return rc;
    rc = seal_send(op, dir, true, &calls);
    if (rc) {
        /* -ENOTEMPTY says more than whatever another target answered */
        for (uint32_t i = 0; calls && i < op->shard->n_targets - 1; i++) {
            if (calls[i].rpc.status == -ENOTEMPTY)
                rc = -ENOTEMPTY;
        }
        directory_unseal(op, dir);
    }
    free(calls);
    return rc;
}

void directory_unseal(struct op *op, uint64_t dir)
{
    struct peer_call *calls;

    (void)store_dirpart_seal(op->shard->store, dir, false);
    (void)seal_send(op, dir, false, &calls);
    free(calls);
}

int op_rmdir(struct op *op)
{
    struct shard *shard = op->shard;
    struct msg_dentry_request m;
    struct store_dentry dentry;
    uint64_t key;
    int rc;

    OP_DECODE(op, dentry_request, &m);
    if (!op->fiber)
        return OP_NEEDS_FIBER;
    key = keylock_key_dentry(m.parent, m.name.data, m.name.len);
    rc = unlink_dentry_get(op, &m, key, &dentry);
    if (rc)
        return rc;
    rc = dentry.type == S_IFDIR ? directory_seal(op, dentry.ino) : -ENOTDIR;
    if (rc)
        goto out;
    rc = store_dentry_remove(
        shard->store, m.parent, m.name.data, m.name.len, shard_now_ns());
    if (rc)
        directory_unseal(op, dentry.ino);
    else
        rc = inode_link_drop_any(op, dentry.ino);

out:
    op_unlock_key(op, key);
    return rc;
}

/* ---- link */

static int link_add_any(struct op *op, uint64_t ino, struct msg_attr_reply *ret)
{
    struct msg_inode_link_request request = {.ino = ino, .add = 1};
    uint8_t body[MSG_inode_link_request_MAX];
    size_t len = msg_inode_link_request_encode(&request, body, sizeof(body));
    struct store_inode inode;
    struct peer_call *call;
    int rc;

    if (placement_home(ino) == op->shard->target) {
        rc = inode_link_add(op, ino, &inode);
        return rc ? rc : inode_attr_get(op, &inode, &ret->attr);
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

int op_link(struct op *op)
{
    struct shard *shard = op->shard;
    struct msg_attr_reply reply;
    struct store_dentry dentry;
    struct msg_link_request m;
    uint64_t key;
    int rc;

    OP_DECODE(op, link_request, &m);
    if (placement_home(m.ino) >= shard->n_targets)
        return -ESTALE;
    if (!op->fiber)
        return OP_NEEDS_FIBER;
    key = keylock_key_dentry(m.new_parent, m.new_name.data, m.new_name.len);
    rc = op_lock_key(op, key);
    if (rc)
        return rc;
    rc = store_dentry_get(
        shard->store, m.new_parent, m.new_name.data, m.new_name.len, &dentry);
    if (rc != -ENOENT) {
        rc = rc ? rc : -EEXIST;
        goto out;
    }
    rc = link_add_any(op, m.ino, &reply);
    if (rc)
        goto out;
    dentry.ino = m.ino;
    dentry.type = reply.attr.mode & S_IFMT;
    rc = store_dentry_insert(shard->store,
                             m.new_parent,
                             m.new_name.data,
                             m.new_name.len,
                             &dentry,
                             shard_now_ns());
    if (rc)
        (void)inode_link_drop_any(op, m.ino);
    else
        rc = OP_REPLY(op, attr_reply, &reply);

out:
    op_unlock_key(op, key);
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
    wire_put_u64(w, entry->ino);
    wire_put_u32(w, entry->type);
    wire_put_u64(w, entry->cookie);
    wire_put_text(w, (struct wire_text){.data = entry->name, .len = entry->name_len});
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

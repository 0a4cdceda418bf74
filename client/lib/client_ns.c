/* SPDX-License-Identifier: Apache-2.0
 *
 * Names and inodes: each function is one message, to the target of the entry or to the
 * home of the inode.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "client/client_internal.h"

int client_name_check(const char *name, size_t *ret_len)
{
    size_t len = strlen(name);

    if (len > WIRE_NAME_MAX)
        return -ENAMETOOLONG;
    if (!wire_name_is_valid(name, len))
        return -EINVAL;
    *ret_len = len;
    return 0;
}

static uint32_t dentry_target(const struct client *client,
                              uint64_t parent,
                              const char *name,
                              size_t len)
{
    return placement_dentry_target(parent, name, len, client_n_targets(client));
}

static int
attr_call(struct client *client, struct client_call *call, struct wire_attr *ret)
{
    struct msg_attr_reply reply;
    int status = client_call_run(client, call);

    if (status == 0)
        status = client_reply_decode(call, attr_reply, &reply);
    if (status == 0 && ret)
        *ret = reply.attr;
    return status;
}

/* ---- lookup and attributes ------------------------------------------- */

static int lookup_once(struct client *client,
                       uint64_t parent,
                       const char *name,
                       size_t len,
                       struct client_entry *ret)
{
    struct msg_dentry_request msg = {.parent = parent, .name = client_text(name, len)};
    struct msg_lookup_reply reply;
    struct client_call call;
    int status;

    client_call_fill(client,
                     &call,
                     OP_LOOKUP,
                     dentry_target(client, parent, name, len),
                     dentry_request,
                     &msg);
    status = client_call_run(client, &call);
    if (status == 0)
        status = client_reply_decode(&call, lookup_reply, &reply);
    if (status)
        return status;
    ret->ino = reply.ino;
    ret->type = reply.type;
    ret->attr = reply.attr;
    ret->has_attr = reply.has_attr;
    if (reply.has_attr || S_ISDIR(reply.type))
        return 0;
    status = client_getattr(client, reply.ino, &ret->attr);
    ret->has_attr = status == 0;
    return status == -ENOENT ? -ESTALE : status;
}

int client_lookup_entry(struct client *client,
                        uint64_t parent,
                        const char *name,
                        struct client_entry *ret)
{
    size_t len;
    int status = client_name_check(name, &len);

    if (status < 0)
        return status;
    status = -ESTALE;
    /* The entry may have been removed or replaced between the two messages, and again.
     */
    for (int i = 0; i < CLIENT_RACE_TRIES && status == -ESTALE; i++)
        status = lookup_once(client, parent, name, len, ret);
    return status;
}

int client_lookup(struct client *client,
                  uint64_t parent,
                  const char *name,
                  struct wire_attr *ret)
{
    struct client_entry entry;
    int status = client_lookup_entry(client, parent, name, &entry);

    if (status)
        return status;
    if (S_ISDIR(entry.type))
        return client_getattr(client, entry.ino, ret);
    *ret = entry.attr;
    return 0;
}

int client_getattr(struct client *client, uint64_t ino, struct wire_attr *ret)
{
    struct msg_inode_request msg = {.ino = ino};
    struct client_call call;

    client_call_fill(
        client, &call, OP_GETATTR, placement_home(ino), inode_request, &msg);
    return attr_call(client, &call, ret);
}

int client_setattr(struct client *client,
                   const struct msg_setattr_request *change,
                   struct wire_attr *ret)
{
    const uint32_t overrules = SETATTR_SIZE | SETATTR_MTIME;
    struct client_inode *inode = NULL;
    uint64_t n_reports = 0;
    struct client_call call;
    struct wire_attr attr;
    int status;

    /* An end from before a truncation, or a write's time from before utimensat(), need
     * not be reported after it. Until then they must be, by who closes the file. */
    if (change->mask & overrules)
        inode = client_inode_find(client, change->ino);
    if (inode && (change->mask & SETATTR_SIZE)) {
        status = client_inode_settle(inode);
        if (status) {
            client_inode_put(inode);
            return status;
        }
    }
    if (inode)
        n_reports = client_inode_reports_count(inode);
    client_call_fill(client,
                     &call,
                     OP_SETATTR,
                     placement_home(change->ino),
                     setattr_request,
                     change);
    status = attr_call(client, &call, &attr);
    if (status == 0 && ret)
        *ret = attr;
    if (inode && status == 0) {
        if (change->mask & SETATTR_SIZE)
            client_inode_cuts_note(inode, &attr);
        client_inode_report_overrule(inode, n_reports, change->mask);
    }
    if (inode)
        client_inode_put(inode);
    return status;
}

int client_inode_sync(struct client *client, uint64_t ino)
{
    struct msg_sync_request msg = {.ino = ino, .flags = SYNC_DURABLE};
    struct client_call call;

    client_call_fill(client, &call, OP_SYNC, placement_home(ino), sync_request, &msg);
    call.call.rpc.timeout_ms *= CLIENT_SYNC_TIMEOUTS;
    return client_call_run(client, &call);
}

/* ---- making and removing --------------------------------------------- */

int client_create_call(struct client *client,
                       uint64_t parent,
                       const char *name,
                       const struct msg_create_request *what,
                       struct wire_attr *ret)
{
    struct msg_create_request msg = *what;
    struct client_call call;
    size_t len;
    int status = client_name_check(name, &len);

    if (status < 0)
        return status;
    if (msg.symlink.len > WIRE_TEXT_MAX)
        return -ENAMETOOLONG;
    msg.parent = parent;
    msg.name = client_text(name, len);
    client_call_fill(client,
                     &call,
                     OP_CREATE,
                     dentry_target(client, parent, name, len),
                     create_request,
                     &msg);
    call.call.keeps_slot = (msg.flags & CREATE_OPEN) != 0;
    status = attr_call(client, &call, ret);
    if (call.call.keeps_slot && client_status_is_doubtful(call.call.rpc.status))
        client_open_late(
            client, &call, client_open_kind(msg.flags >> CREATE_OPEN_SHIFT));
    return status;
}

/* The daemon answers an existing file only when it is homed where its name is. */
int client_create(struct client *client,
                  uint64_t parent,
                  const char *name,
                  const struct msg_create_request *what,
                  struct wire_attr *ret)
{
    int status = -ENOENT;

    for (int i = 0; i < CLIENT_RACE_TRIES && status == -ENOENT; i++) {
        status = client_create_call(client, parent, name, what, ret);
        if (status != -EEXIST || (what->flags & CREATE_EXCL))
            return status;
        status = client_lookup(client, parent, name, ret);
    }
    return status;
}

static int
dentry_remove(struct client *client, uint16_t opcode, uint64_t parent, const char *name)
{
    struct msg_dentry_request msg = {.parent = parent};
    struct client_call call;
    size_t len;
    int status = client_name_check(name, &len);

    if (status < 0)
        return status;
    msg.name = client_text(name, len);
    client_call_fill(client,
                     &call,
                     opcode,
                     dentry_target(client, parent, name, len),
                     dentry_request,
                     &msg);
    return client_call_run(client, &call);
}

int client_unlink(struct client *client, uint64_t parent, const char *name)
{
    return dentry_remove(client, OP_UNLINK, parent, name);
}

int client_rmdir(struct client *client, uint64_t parent, const char *name)
{
    return dentry_remove(client, OP_RMDIR, parent, name);
}

int client_rename(struct client *client,
                  uint64_t parent,
                  const char *name,
                  uint64_t new_parent,
                  const char *new_name,
                  unsigned flags)
{
    struct msg_rename_request msg = {
        .parent = parent,
        .new_parent = new_parent,
        .flags = flags,
    };
    struct client_call call;
    size_t len;
    size_t new_len;
    int status = client_name_check(name, &len);

    if (status == 0)
        status = client_name_check(new_name, &new_len);
    if (status < 0)
        return status;
    msg.name = client_text(name, len);
    msg.new_name = client_text(new_name, new_len);
    client_call_fill(client,
                     &call,
                     OP_RENAME,
                     dentry_target(client, parent, name, len),
                     rename_request,
                     &msg);
    return client_call_run(client, &call);
}

int client_link(struct client *client,
                uint64_t ino,
                uint64_t new_parent,
                const char *new_name,
                struct wire_attr *ret)
{
    struct msg_link_request msg = {.ino = ino, .new_parent = new_parent};
    struct client_call call;
    size_t len;
    int status = client_name_check(new_name, &len);

    if (status < 0)
        return status;
    msg.new_name = client_text(new_name, len);
    client_call_fill(client,
                     &call,
                     OP_LINK,
                     dentry_target(client, new_parent, new_name, len),
                     link_request,
                     &msg);
    return attr_call(client, &call, ret);
}

int client_readlink(struct client *client, uint64_t ino, char *buf, size_t size)
{
    struct msg_inode_request msg = {.ino = ino};
    struct msg_text_reply reply;
    struct client_call call;
    int status;

    client_call_fill(
        client, &call, OP_READLINK, placement_home(ino), inode_request, &msg);
    status = client_call_run(client, &call);
    if (status == 0)
        status = client_reply_decode(&call, text_reply, &reply);
    if (status)
        return status;
    if (reply.text.len >= size)
        return -ENAMETOOLONG;
    memcpy(buf, reply.text.data, reply.text.len);
    buf[reply.text.len] = '\0';
    return 0;
}

/* ---- the service ----------------------------------------------------- */

struct statfs_sum {
    struct engine_set set;
    struct client *client;
    struct msg_statfs_reply total;
    uint32_t next; /* target to be asked */
    int status;
};

static void statfs_add(struct statfs_sum *sum, const struct rpc_call *rpc)
{
    struct msg_statfs_reply reply;
    int status = rpc->status;

    if (status == 0)
        status = msg_statfs_reply_decode(&reply, rpc->reply, rpc->reply_len);
    if (status == -EHOSTDOWN)
        return; /* lost, with its space */
    if (status) {
        sum->status = status;
        return;
    }
    sum->total.capacity_bytes += reply.capacity_bytes;
    sum->total.used_bytes += reply.used_bytes;
    sum->total.inodes_used += reply.inodes_used;
    sum->total.inodes_free += reply.inodes_free;
}

static bool statfs_next(struct engine_set *set, struct engine_call *call)
{
    struct statfs_sum *sum = list_entry(set, struct statfs_sum, set);

    statfs_add(sum, &call->rpc);
    if (sum->status < 0 || sum->next >= client_n_targets(sum->client))
        return false;
    client_call_set(sum->client, call, OP_STATFS, sum->next++, NULL, 0);
    return true;
}

int client_statfs(struct client *client, struct msg_statfs_reply *ret)
{
    struct statfs_sum sum = {.client = client};
    uint32_t n = client_n_targets(client);
    struct engine_call *calls;

    if (n > CLIENT_PARALLEL_MAX)
        n = CLIENT_PARALLEL_MAX;
    calls = malloc(n * sizeof(*calls));
    if (!calls)
        return -ENOMEM;
    engine_set_init(&sum.set, statfs_next);
    for (; sum.next < n; sum.next++) {
        client_call_set(client, &calls[sum.next], OP_STATFS, sum.next, NULL, 0);
        engine_set_add(&sum.set, &calls[sum.next]);
    }
    engine_run(client->engine, &sum.set);
    free(calls);
    if (sum.status == 0)
        *ret = sum.total;
    return sum.status;
}

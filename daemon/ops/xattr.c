/* SPDX-License-Identifier: Apache-2.0
 *
 * Extended attributes, at the inode's home. Values and lists travel as payload.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/ops/ops.h"

#define XATTR_VALUE_MAX (64u << 10) /* as Linux has it */
#define XATTR_LIST_MAX  (64u << 10)

/* Sets the payload to `len` bytes of op->payload_memory, if the caller has space. */
static int reply_value(struct op *op, size_t len)
{
    uint64_t space = op->request->header.reply_space;
    struct msg_xattr_reply reply = {.size = (uint32_t)len};

    if (space > 0 && len > space)
        return -ERANGE;
    if (space > 0 && len > 0) {
        op->payload = calloc(1, sizeof(*op->payload));
        if (!op->payload)
            return -ENOMEM;
        op->payload[0] = (struct iovec){op->payload_memory, len};
        op->n_payload = 1;
    }
    return OP_REPLY(op, xattr_reply, &reply);
}

static int inode_check(struct op *op, uint64_t ino)
{
    struct store_inode inode;

    return store_inode_get(op->shard->store, ino, &inode);
}

static int inode_touch(struct op *op, uint64_t ino)
{
    struct store_inode inode;
    int rc = store_inode_get(op->shard->store, ino, &inode);

    if (rc)
        return rc;
    inode.ctime_ns = shard_now_ns();
    return store_inode_put(op->shard->store, &inode);
}

int op_getxattr(struct op *op)
{
    struct msg_xattr_request m;
    const void *value;
    size_t len;
    int rc;

    OP_DECODE(op, xattr_request, &m);
    rc = inode_check(op, m.ino);
    if (rc == 0)
        rc = store_xattr_get(
            op->shard->store, m.ino, m.name.data, m.name.len, &value, &len);
    if (rc)
        return rc;
    op->payload_memory = malloc(len + 1);
    if (!op->payload_memory)
        return -ENOMEM;
    memcpy(op->payload_memory, value, len);
    return reply_value(op, len);
}

struct name_list {
    char *names;
    size_t size;
};

static int name_list_add(void *arg, const char *name, size_t len)
{
    struct name_list *list = arg;

    if (len + 1 > XATTR_LIST_MAX - list->size)
        return -E2BIG;
    memcpy(list->names + list->size, name, len);
    list->names[list->size + len] = '\0';
    list->size += len + 1;
    return 0;
}

int op_listxattr(struct op *op)
{
    struct msg_inode_request m;
    struct name_list list = {.size = 0};
    int rc;

    OP_DECODE(op, inode_request, &m);
    rc = inode_check(op, m.ino);
    if (rc)
        return rc;
    list.names = malloc(XATTR_LIST_MAX);
    op->payload_memory = list.names;
    if (!list.names)
        return -ENOMEM;
    rc = store_xattr_scan(op->shard->store, m.ino, name_list_add, &list);
    return rc ? rc : reply_value(op, list.size);
}

static void value_pulled(void *arg, int status)
{
    struct op *op = arg;

    op->status = status;
    shard_task_add(op->shard, &op->task);
}

int op_setxattr(struct op *op)
{
    uint64_t len = op->request->header.payload_len;
    struct msg_xattr_request m;
    struct iovec iov;
    int rc;

    OP_DECODE(op, xattr_request, &m);
    if (len > XATTR_VALUE_MAX)
        return -E2BIG;
    if (!op->fiber && len > 0)
        return OP_NEEDS_FIBER;
    op->payload_memory = malloc(len + 1);
    if (!op->payload_memory)
        return -ENOMEM;
    iov = (struct iovec){op->payload_memory, len};
    if (len > 0) {
        rpc_request_pull(op->request, &iov, 1, value_pulled, op);
        fiber_yield(op->shard->fibers);
        if (op->status)
            return op->status;
    }
    rc = inode_check(op, m.ino);
    if (rc == 0)
        rc = store_xattr_set(op->shard->store,
                             m.ino,
                             m.name.data,
                             m.name.len,
                             op->payload_memory,
                             len,
                             (int)m.flags);
    return rc ? rc : inode_touch(op, m.ino);
}

int op_removexattr(struct op *op)
{
    struct msg_xattr_request m;
    int rc;

    OP_DECODE(op, xattr_request, &m);
    rc = store_xattr_remove(op->shard->store, m.ino, m.name.data, m.name.len);
    return rc ? rc : inode_touch(op, m.ino);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Locks on files, at the home of the inode.
 */
#include <errno.h>

#include "daemon/lock_table.h"
#include "daemon/ops/ops.h"

static int lock_decode(struct op *op, struct msg_lock_request *m, struct lock *ret)
{
    struct store_inode inode;
    int rc;

    if (m->type > LOCK_TYPE_WRITE || m->space > LOCK_SPACE_WHOLE || m->start > m->end)
        return -EINVAL;
    rc = store_inode_get(op->shard->store, m->ino, &inode);
    if (rc)
        return rc == -ENOENT ? -EBADF : rc;
    *ret = (struct lock){
        .space = m->space,
        .type = m->type,
        .owner = {op->request->header.client, m->owner},
        .pid = m->pid,
        .start = m->start,
        .end = m->end,
    };
    return 0;
}

int op_lock(struct op *op)
{
    struct msg_lock_request m;
    struct lock wanted;
    int rc;

    OP_DECODE(op, lock_request, &m);
    rc = lock_decode(op, &m, &wanted);
    return rc ? rc : lock_table_lock(op, &wanted, m.ino, m.waits != 0);
}

int op_lock_test(struct op *op)
{
    struct msg_lock_reply reply = {.type = LOCK_TYPE_NONE};
    struct msg_lock_request m;
    const struct lock *found;
    struct lock wanted;
    int rc;

    OP_DECODE(op, lock_request, &m);
    rc = lock_decode(op, &m, &wanted);
    if (rc)
        return rc;
    found = lock_table_test(op->shard, &wanted, m.ino);
    if (found)
        reply = (struct msg_lock_reply){.type = found->type,
                                        .start = found->start,
                                        .end = found->end,
                                        .pid = found->pid};
    return OP_REPLY(op, lock_reply, &reply);
}

int op_lock_cancel(struct op *op)
{
    struct msg_lock_request m;
    struct lock wanted;
    int rc;

    OP_DECODE(op, lock_request, &m);
    rc = lock_decode(op, &m, &wanted);
    if (rc == 0)
        lock_table_cancel(op->shard, &wanted, m.ino);
    return rc;
}

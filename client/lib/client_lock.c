/* SPDX-License-Identifier: Apache-2.0
 *
 * Locks on files: each function is one message to the home of the inode, but waiting,
 * which asks again and again.
 */
#include <errno.h>

#include "client/client_internal.h"

static int lock_call(struct client *client,
                     uint16_t opcode,
                     uint64_t ino,
                     const struct client_lock *lock,
                     bool waits,
                     struct client_call *call)
{
    struct msg_lock_request msg = {
        .ino = ino,
        .owner = lock->owner,
        .start = lock->start,
        .end = lock->end,
        .pid = lock->pid,
        .space = lock->space,
        .type = lock->type,
        .waits = waits,
    };

    client_call_fill(client, call, opcode, placement_home(ino), lock_request, &msg);
    return client_call_run(client, call);
}

int client_lock(struct client *client,
                uint64_t ino,
                const struct client_lock *lock,
                bool waits,
                const atomic_bool *is_canceled)
{
    struct client_call call;
    int status;

    do {
        if (is_canceled && atomic_load(is_canceled))
            return -EINTR;
        status = lock_call(client, OP_LOCK, ino, lock, waits, &call);
    } while (status == -EINPROGRESS);
    return status;
}

int client_lock_test(struct client *client, uint64_t ino, struct client_lock *lock)
{
    struct msg_lock_reply reply;
    struct client_call call;
    int status = lock_call(client, OP_LOCK_TEST, ino, lock, false, &call);

    if (status == 0)
        status = client_reply_decode(&call, lock_reply, &reply);
    if (status)
        return status;
    lock->type = reply.type;
    if (reply.type != LOCK_TYPE_NONE) {
        lock->start = reply.start;
        lock->end = reply.end;
        lock->pid = reply.pid;
    }
    return 0;
}

int client_lock_cancel(struct client *client,
                       uint64_t ino,
                       const struct client_lock *lock)
{
    struct client_call call;

    return lock_call(client, OP_LOCK_CANCEL, ino, lock, false, &call);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Extended attributes: one message to the inode's home each.
 */
#include <errno.h>
#include <limits.h>
#include <linux/limits.h>
#include <string.h>

#include "client/client_internal.h"

static int xattr_name_check(const char *name, size_t *ret_len)
{
    size_t len = strlen(name);

    if (len == 0 || len > XATTR_NAME_MAX)
        return -ERANGE;
    /* They travel as NAMEs; Linux's own file systems take '/' here, nobody uses it. */
    if (!wire_name_is_valid(name, len))
        return -EINVAL;
    *ret_len = len;
    return 0;
}

/* Runs GETXATTR or LISTXATTR with space of `size` bytes; the full size, or -errno. */
static ssize_t
sized_call_run(struct client *client, struct client_call *call, void *buf, size_t size)
{
    struct iovec iov = {.iov_base = buf, .iov_len = size};
    struct msg_xattr_reply reply;
    int status;

    if (iov.iov_len > XATTR_SIZE_MAX)
        iov.iov_len = XATTR_SIZE_MAX;
    if (size > 0) {
        call->call.rpc.recv = &iov;
        call->call.rpc.n_recv = 1;
    }
    status = client_call_run(client, call);
    if (status == 0)
        status = client_reply_decode(call, xattr_reply, &reply);
    if (status)
        return status;
    if (size == 0)
        return reply.size;
    if (reply.size > size)
        return -ERANGE;
    return call->call.rpc.received == reply.size ? (ssize_t)reply.size : -EPROTO;
}

ssize_t client_getxattr(
    struct client *client, uint64_t ino, const char *name, void *buf, size_t size)
{
    struct msg_xattr_request msg = {.ino = ino};
    struct client_call call;
    size_t len;
    int status = xattr_name_check(name, &len);

    if (status < 0)
        return status;
    msg.name = client_text(name, len);
    client_call_fill(
        client, &call, OP_GETXATTR, placement_home(ino), xattr_request, &msg);
    return sized_call_run(client, &call, buf, size);
}

ssize_t client_listxattr(struct client *client, uint64_t ino, char *buf, size_t size)
{
    struct msg_inode_request msg = {.ino = ino};
    struct client_call call;

    client_call_fill(
        client, &call, OP_LISTXATTR, placement_home(ino), inode_request, &msg);
    return sized_call_run(client, &call, buf, size);
}

int client_setxattr(struct client *client,
                    uint64_t ino,
                    const char *name,
                    const void *value,
                    size_t size,
                    int flags)
{
    struct msg_xattr_request msg = {.ino = ino, .flags = (uint32_t)flags};
    struct iovec iov = {.iov_base = (void *)value, .iov_len = size};
    struct client_call call;
    size_t len;
    int status = xattr_name_check(name, &len);

    if (status < 0)
        return status;
    if (size > XATTR_SIZE_MAX)
        return -E2BIG;
    msg.name = client_text(name, len);
    client_call_fill(
        client, &call, OP_SETXATTR, placement_home(ino), xattr_request, &msg);
    if (size > 0) {
        call.call.rpc.send = &iov;
        call.call.rpc.n_send = 1;
    }
    return client_call_run(client, &call);
}

int client_removexattr(struct client *client, uint64_t ino, const char *name)
{
    struct msg_xattr_request msg = {.ino = ino};
    struct client_call call;
    size_t len;
    int status = xattr_name_check(name, &len);

    if (status < 0)
        return status;
    msg.name = client_text(name, len);
    client_call_fill(
        client, &call, OP_REMOVEXATTR, placement_home(ino), xattr_request, &msg);
    return client_call_run(client, &call);
}

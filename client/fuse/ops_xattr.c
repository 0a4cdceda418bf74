/* SPDX-License-Identifier: Apache-2.0
 * Extended attributes. Those of "user." are the service's; all others are answered
 * here, without a request: the kernel and ls(1) ask for security.* and ACLs all the
 * time. */
#include <errno.h>
#include <stdlib.h>

#include "fuse/convert.h"
#include "fuse/mount_internal.h"
#include "fuse/reply.h"

/* What getxattr(2) and listxattr(2) share: size 0 asks for the size. */
static void reply_value(fuse_req_t req, ssize_t n, const char *value, size_t size)
{
    if (n < 0)
        reply_status(req, (int)n);
    else if (size == 0)
        fuse_reply_xattr(req, (size_t)n);
    else
        fuse_reply_buf(req, value, (size_t)n);
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    char *value = NULL;

    if (!convert_xattr_is_ours(name)) {
        reply_status(req, -EOPNOTSUPP);
        return;
    }
    if (size > 0 && (value = malloc(size)) == NULL) {
        reply_status(req, -ENOMEM);
        return;
    }
    reply_value(
        req, client_getxattr(client_of(req), ino, name, value, size), value, size);
    free(value);
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
    char *list = NULL;

    if (size > 0 && (list = malloc(size)) == NULL) {
        reply_status(req, -ENOMEM);
        return;
    }
    reply_value(req, client_listxattr(client_of(req), ino, list, size), list, size);
    free(list);
}

void op_setxattr(fuse_req_t req,
                 fuse_ino_t ino,
                 const char *name,
                 const char *value,
                 size_t size,
                 int flags)
{
    int rc = -EOPNOTSUPP;

    if (convert_xattr_is_ours(name))
        rc = client_setxattr(client_of(req), ino, name, value, size, flags);
    dir_attrs_forget(mount_of(req)->dir_attrs, ino);
    reply_status(req, rc);
}

void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
    int rc = -EOPNOTSUPP;

    if (convert_xattr_is_ours(name))
        rc = client_removexattr(client_of(req), ino, name);
    dir_attrs_forget(mount_of(req)->dir_attrs, ino);
    reply_status(req, rc);
}

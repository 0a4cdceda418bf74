/* SPDX-License-Identifier: Apache-2.0
 * Operations on names: lookup, the ways to make an entry, removal, rename, links. */
#include <errno.h>
#include <string.h>

#include "fuse/create.h"
#include "fuse/mount_internal.h"
#include "fuse/reply.h"

static void reply_entry_or_status(fuse_req_t req, int rc, const struct wire_attr *attr)
{
    if (rc < 0)
        reply_status(req, rc);
    else
        reply_entry(req, attr);
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct wire_attr attr;
    int rc = client_lookup(client_of(req), parent, name, &attr);

    reply_entry_or_status(req, rc, &attr);
}

/* An entry that must be new. */
static void create_new(fuse_req_t req,
                       fuse_ino_t parent,
                       const char *name,
                       struct msg_create_request *what)
{
    struct wire_attr attr;
    int rc = create_owner_set(req, parent, what);

    what->flags |= CREATE_EXCL;
    if (rc == 0)
        rc = client_create(client_of(req), parent, name, what, &attr);
    reply_entry_or_status(req, rc, &attr);
}

void op_mknod(
    fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
    struct msg_create_request what = {.mode = mode, .rdev = rdev, .base = BASE_HOME};

    create_new(req, parent, name, &what);
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    struct msg_create_request what = {
        .mode = S_IFDIR | (mode & 07777),
        .base = BASE_HOME,
    };

    create_new(req, parent, name, &what);
}

void op_symlink(fuse_req_t req, const char *text, fuse_ino_t parent, const char *name)
{
    size_t len = strlen(text);
    struct msg_create_request what = {
        .mode = S_IFLNK | 0777,
        .base = BASE_HOME,
        .symlink = {.data = text, .len = (uint16_t)len},
    };

    if (len > WIRE_TEXT_MAX)
        reply_status(req, -ENAMETOOLONG);
    else
        create_new(req, parent, name, &what);
}

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
    char text[WIRE_TEXT_MAX + 1];
    int rc = client_readlink(client_of(req), ino, text, sizeof(text));

    if (rc < 0)
        reply_status(req, rc);
    else
        fuse_reply_readlink(req, text);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    reply_status(req, client_unlink(client_of(req), parent, name));
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    reply_status(req, client_rmdir(client_of(req), parent, name));
}

void op_rename(fuse_req_t req,
               fuse_ino_t parent,
               const char *name,
               fuse_ino_t new_parent,
               const char *new_name,
               unsigned flags)
{
    reply_status(
        req, client_rename(client_of(req), parent, name, new_parent, new_name, flags));
}

void op_link(fuse_req_t req,
             fuse_ino_t ino,
             fuse_ino_t new_parent,
             const char *new_name)
{
    struct wire_attr attr;
    int rc = client_link(client_of(req), ino, new_parent, new_name, &attr);

    reply_entry_or_status(req, rc, &attr);
}

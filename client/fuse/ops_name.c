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

/* A directory that was found by its name: with the attributes of a moment ago if there
 * are any, since the kernel may believe these anyway. */
static void lookup_directory(fuse_req_t req, uint64_t ino)
{
    struct dir_attrs *dir_attrs = mount_of(req)->dir_attrs;
    uint64_t begin = dir_attrs_begin(dir_attrs, ino);
    struct wire_attr attr;
    double left_s;
    int rc;

    if (dir_attrs_find(dir_attrs, ino, &attr, &left_s)) {
        reply_entry_kept(req, &attr, left_s);
        return;
    }
    rc = client_getattr(client_of(req), ino, &attr);
    if (rc == 0)
        dir_attrs_note(dir_attrs, &attr, begin);
    reply_entry_or_status(req, rc, &attr);
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct client_entry entry;
    int rc = client_lookup_entry(client_of(req), parent, name, &entry);

    if (rc == 0 && S_ISDIR(entry.type))
        lookup_directory(req, entry.ino);
    else
        reply_entry_or_status(req, rc, &entry.attr);
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
    dir_attrs_forget(mount_of(req)->dir_attrs, parent);
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
    int rc = client_unlink(client_of(req), parent, name);

    dir_attrs_forget(mount_of(req)->dir_attrs, parent);
    reply_status(req, rc);
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    int rc = client_rmdir(client_of(req), parent, name);

    dir_attrs_forget(mount_of(req)->dir_attrs, parent);
    reply_status(req, rc);
}

void op_rename(fuse_req_t req,
               fuse_ino_t parent,
               const char *name,
               fuse_ino_t new_parent,
               const char *new_name,
               unsigned flags)
{
    int rc = client_rename(client_of(req), parent, name, new_parent, new_name, flags);

    dir_attrs_forget(mount_of(req)->dir_attrs, parent);
    dir_attrs_forget(mount_of(req)->dir_attrs, new_parent);
    reply_status(req, rc);
}

void op_link(fuse_req_t req,
             fuse_ino_t ino,
             fuse_ino_t new_parent,
             const char *new_name)
{
    struct wire_attr attr;
    int rc = client_link(client_of(req), ino, new_parent, new_name, &attr);

    dir_attrs_forget(mount_of(req)->dir_attrs, new_parent);
    reply_entry_or_status(req, rc, &attr);
}

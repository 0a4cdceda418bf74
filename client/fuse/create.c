/* SPDX-License-Identifier: Apache-2.0
 * Who owns what is created. */
#include "fuse/create.h"

int dir_fact_get(struct mount *mount, uint64_t ino, struct dir_fact *ret)
{
    struct wire_attr attr;
    int rc = 0;

    if (!dir_facts_find(mount->dir_facts, ino, ret)) {
        rc = client_getattr(mount->client, ino, &attr);
        if (rc < 0)
            return rc;
        dir_facts_note(mount->dir_facts, &attr);
        *ret = (struct dir_fact){
            .ino = ino,
            .parent = attr.parent,
            .mode = attr.mode,
            .gid = attr.gid,
        };
    }
    if (ret->parent == 0) /* the root */
        ret->parent = ino;
    return 0;
}

int create_owner_set(fuse_req_t req, uint64_t parent, struct msg_create_request *what)
{
    const struct fuse_ctx *caller = fuse_req_ctx(req);
    struct dir_fact fact;
    int rc = dir_fact_get(mount_of(req), parent, &fact);

    if (rc < 0)
        return rc;
    what->uid = caller->uid;
    what->gid = caller->gid;
    if (fact.mode & S_ISGID) {
        what->gid = fact.gid;
        if (S_ISDIR(what->mode))
            what->mode |= S_ISGID;
    }
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 * Who owns what is created: the caller, and in set-group-id directories their group.
 * The kernel leaves this to the server. */
#ifndef BENCHFS_FUSE_CREATE_H
#define BENCHFS_FUSE_CREATE_H

#include "fuse/mount_internal.h"

/*
 * What is known of a directory. The kernel has just had its attributes from us, so a
 * request is mostly not needed. 0 or -errno.
 */
int dir_fact_get(struct mount *mount, uint64_t ino, struct dir_fact *ret);

/* Fills in uid, gid and, for a directory in a set-group-id directory, S_ISGID. 0 or
 * -errno. */
int create_owner_set(fuse_req_t req, uint64_t parent, struct msg_create_request *what);

#endif

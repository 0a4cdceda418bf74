/* SPDX-License-Identifier: Apache-2.0
 *
 * Paths in the scratch, from its root: looking them up, matching patterns, making them.
 */
#ifndef BENCHFS_STAGE_SCRATCH_H
#define BENCHFS_STAGE_SCRATCH_H

#include "client/client.h"

/* Follows symbolic links that are relative; one that is absolute leads out of the
 * scratch: -EXDEV. 0 or -errno. */
int scratch_lookup(struct client *client, const char *path, struct wire_attr *ret);

/* The directory `path` with all above it, made where missing. 0, -ENOTDIR.. */
int scratch_mkdir_p(struct client *client, const char *path, uint64_t *ret_ino);

struct scratch_match {
    uint64_t ino;
    uint32_t type; /* S_IFMT bits */
    char name[256];
};

/* What a pattern (*, ?, [..] in any component) stands for; hidden names only where the
 * pattern has the dot. *ret is the caller's to free; *ret_n may be 0. */
int scratch_glob(struct client *client,
                 const char *pattern,
                 struct scratch_match **ret,
                 size_t *ret_n);

#endif

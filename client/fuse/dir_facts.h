/* SPDX-License-Identifier: Apache-2.0
 * A small cache of what creating in, and listing, a directory needs to know of it: mode
 * and group (set-group-id directories), and its parent (".."). It is fed with every
 * answer about a directory that goes to the kernel, so it is never older than what the
 * kernel itself has checked permissions with. */
#ifndef BENCHFS_FUSE_DIR_FACTS_H
#define BENCHFS_FUSE_DIR_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/wire.h"

struct dir_facts;

struct dir_fact {
    uint64_t ino; /* 0: empty */
    uint64_t parent;
    uint32_t mode;
    uint32_t gid;
};

/* NULL when out of memory. destroy(NULL) is fine. All the rest: any thread. */
struct dir_facts *dir_facts_create(void);
void dir_facts_destroy(struct dir_facts *facts);

/* Takes note of a directory; of anything else it does nothing. */
void dir_facts_note(struct dir_facts *facts, const struct wire_attr *attr);
/* False when nothing is known (any more). */
bool dir_facts_find(struct dir_facts *facts, uint64_t ino, struct dir_fact *ret);

#endif

/* SPDX-License-Identifier: Apache-2.0
 * This target's part of a directory: its record follows the dentries. */
#ifndef BENCHFS_STORE_DIRPART_H
#define BENCHFS_STORE_DIRPART_H

#include "store/store.h"

/* Adds to the counts of `part`, as just read, and writes it. A failure fails the
 * transaction: the dentry has been changed already. */
int dirpart_change(struct store *store,
                   uint64_t dir,
                   struct store_dirpart *part,
                   int entries,
                   int subdirs,
                   int64_t now_ns);

#endif

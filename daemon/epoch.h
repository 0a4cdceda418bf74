/* SPDX-License-Identifier: Apache-2.0
 *
 * What clients may keep of directories, seen from a target.
 *
 * A client that walks along a path may keep which inode a directory's name stands for,
 * and who may do what in it, and not ask again. Before one of these changes, each
 * target takes another epoch. A client says the target's epoch as it knows it with the
 * last name of every path it has walked in that way; if it is another one by now, what
 * the client keeps is worth nothing. So renaming a directory, or changing its mode or
 * owner, costs a message per target, and only if some client may have kept it.
 */
#ifndef BENCHFS_DAEMON_EPOCH_H
#define BENCHFS_DAEMON_EPOCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/table.h"

/* Names and inodes that are remembered apart; of more than that, all count as kept. */
#define EPOCH_NAMES_MAX 65536u

struct epoch {
    uint64_t value;    /* never 0; compared for equality only */
    struct table kept; /* keylock_key_dentry() of names, keylock_key_inode() */
    bool keeps_all;
};

/* `instance`: random, another one after each start of the daemon, so that no client
 * takes an epoch from before it for one from after it. is_restarted: clients may keep
 * what this process knows nothing of. */
void epoch_init(struct epoch *epoch, uint64_t instance, bool is_restarted);
void epoch_fini(struct epoch *epoch);

void epoch_raise(struct epoch *epoch);
void epoch_keep(struct epoch *epoch, uint64_t key);
bool epoch_is_kept(const struct epoch *epoch, uint64_t key);

#endif

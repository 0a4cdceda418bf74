/* SPDX-License-Identifier: Apache-2.0
 * The check of a whole file system: what the targets tell of their records is compared
 * with each other. In memory: some 100 bytes for a file. */
#ifndef BENCHFS_CLI_FSCK_H
#define BENCHFS_CLI_FSCK_H

#include <stddef.h>
#include <stdint.h>

#include "proto/survey.h"

struct fsck;

struct fsck_counts {
    uint64_t n_inodes, n_directories, n_dentries, n_chunks;
    uint64_t n_orphans; /* without a name: still open, or about to go */
    uint64_t n_pending; /* things that operations under way are about */
    uint64_t n_faults;
};

/* NULL: no memory. */
struct fsck *fsck_create(uint32_t n_targets);
void fsck_destroy(struct fsck *fsck);
/* A record of one target. 0 or -ENOMEM. */
int fsck_add(struct fsck *fsck, uint32_t target, const struct survey_record *record);
/* After all have been added: one line for each fault. What pending operations are about
 * is left out, since it is not done yet. 0 or -ENOMEM. */
int fsck_run(struct fsck *fsck,
             void (*report)(void *arg, const char *text),
             void *arg,
             struct fsck_counts *ret);

#endif

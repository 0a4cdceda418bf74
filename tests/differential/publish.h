/* SPDX-License-Identifier: Apache-2.0
 * Shared files of several processes: each replaces its own by rename again and again,
 * and each reads all: a file that can be opened is complete, and never older than one
 * seen before.
 */
#ifndef BENCHFS_TEST_PUBLISH_H
#define BENCHFS_TEST_PUBLISH_H

#include <stdint.h>

enum { PUBLISH_RANKS_MAX = 64 };

struct publisher {
    const char *dir;
    unsigned rank, n_ranks;
    uint64_t generation;
    uint64_t seen[PUBLISH_RANKS_MAX];
};

/* Writes the next generation and reads everybody's. 0, or 1 after a message. */
int publisher_round(struct publisher *publisher);
void publish_clear(const char *dir, unsigned n_ranks);

#endif

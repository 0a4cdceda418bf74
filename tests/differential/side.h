/* SPDX-License-Identifier: Apache-2.0
 * One of the two directories that are compared: its open files, applying an operation
 * to it, and the facts around an operation (attributes before and after).
 */
#ifndef BENCHFS_TEST_SIDE_H
#define BENCHFS_TEST_SIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "op.h"

enum { FACTS = 6 }; /* both paths, their parents, both slots */

struct side {
    const char *name;  /* for messages */
    int root;          /* the directory all paths start from */
    int fds[OP_SLOTS]; /* -1 where nothing is open */
    uint8_t *data;     /* OP_DATA_MAX bytes; what an operation returned */
    uint8_t *scratch;  /* OP_DATA_MAX bytes */
};

/* What an operation returned. */
struct result {
    int64_t value; /* -1 on error */
    int error;
    size_t len;       /* bytes of side->data that belong to it */
    char broken[160]; /* a property that does not hold on this side; "" if all do */
};

struct fact {
    int error;
    struct stat st;
};

struct facts {
    struct fact of[FACTS];
    struct timespec taken; /* before it was looked; CLOCK_REALTIME */
};

/* Makes and opens directory path/name. 0 or -errno. */
int side_open(struct side *side, const char *label, const char *path, const char *name);
/* Closes everything. What is in the directory stays. */
void side_close(struct side *side);
void side_apply(struct side *side, const struct op *op, struct result *ret);
void side_facts(const struct side *side, const struct op *op, struct facts *ret);

/* Removes what is in directory fd, whatever its modes. 0 or -errno. */
int side_clear(int fd);

#endif

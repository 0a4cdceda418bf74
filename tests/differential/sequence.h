/* SPDX-License-Identifier: Apache-2.0
 * A sequence of operations, run on both sides from empty directories, and shortened to
 * what is needed for a difference.
 */
#ifndef BENCHFS_TEST_SEQUENCE_H
#define BENCHFS_TEST_SEQUENCE_H

#include <time.h>

#include "compare.h"

struct place {
    const char *paths[2];  /* where each side makes its directory */
    const char *labels[2]; /* for messages */
    char name[64];         /* of that directory; nobody else's */
    unsigned facts_every;  /* attributes are compared around every so many operations */
};

struct outcome {
    bool is_equal;
    size_t
        at; /* index of the operation that differed; the number of them for the end */
    time_t seconds; /* that this one took, on both sides */
    char why[WHY_MAX];
};

/* Runs the n operations of list; 0 or -errno if it could not be run at all. */
int sequence_run(const struct place *place,
                 const struct op *const *list,
                 size_t n,
                 struct outcome *ret);
/* Shortens list in place while it still differs, for at most limit_s seconds. Returns
 * the new length; the outcome of the last run that differed is in ret. */
size_t sequence_shrink(const struct place *given,
                       const struct op **list,
                       size_t n,
                       unsigned limit_s,
                       struct outcome *ret);

#endif

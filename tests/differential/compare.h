/* SPDX-License-Identifier: Apache-2.0
 * What has to be the same on both sides: results, attributes, how times moved, whole
 * trees. Each returns whether it is the same and, if not, says the difference in why.
 */
#ifndef BENCHFS_TEST_COMPARE_H
#define BENCHFS_TEST_COMPARE_H

#include "side.h"

enum { WHY_MAX = 512 };

bool results_equal(const struct side sides[2],
                   const struct op *op,
                   const struct result results[2],
                   char why[WHY_MAX]);
bool facts_equal(const struct op *op,
                 const struct result *result,
                 const struct facts before[2],
                 const struct facts after[2],
                 char why[WHY_MAX]);
/* Everything below both roots and in the open files. */
bool sides_equal(struct side sides[2], char why[WHY_MAX]);
/* Makes everything readable for its owner, on both sides alike. */
void sides_unlock(struct side sides[2]);

#endif

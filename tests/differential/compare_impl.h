/* SPDX-License-Identifier: Apache-2.0
 * What compare.c and compare_tree.c share.
 */
#ifndef BENCHFS_TEST_COMPARE_IMPL_H
#define BENCHFS_TEST_COMPARE_IMPL_H

#include "compare.h"

/* Says a difference; false, to be returned. */
bool differ(char why[WHY_MAX], const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The first lens[i] bytes of each side's data. */
bool data_equal(const struct side sides[2], const size_t lens[2], char why[WHY_MAX]);
bool stats_equal(const struct stat *a, const struct stat *b, char why[WHY_MAX]);

#endif

/* SPDX-License-Identifier: Apache-2.0
 * The check of a whole store: every record is read, and compared with what others say.
 */
#ifndef BENCHFS_STORE_CHECK_H
#define BENCHFS_STORE_CHECK_H

#include <stdint.h>

#include "store/store.h"

/* Calls `report` with one line for each fault found: records that do not decode, blocks
 * in two extents or out of range or not marked as used, dentries under a wrong hash,
 * directory parts whose counts differ from their entries. Needs a transaction without
 * changes. Returns 0 (clean), -EUCLEAN (reported) or another -errno. */
int store_check(struct store *store,
                void (*report)(void *arg, const char *text),
                void *arg);

#endif

/* SPDX-License-Identifier: Apache-2.0
 * The check of an index's file before LMDB opens it. LMDB believes what its pages say:
 * one whose bytes are damaged can make it read, and write, outside of them. */
#ifndef BENCHFS_STORE_INDEX_PAGES_H
#define BENCHFS_STORE_INDEX_PAGES_H

#include "base/error.h"

/* Reads all that the last commit speaks of: every page's bounds and place in its tree,
 * the order of keys, lists of free pages, and every record's sum. 0, -EUCLEAN with a
 * message that names file, page and record, or another -errno. The file must not
 * change. The format is that of LMDB 0.9, pages of 4096 bytes, on a little-endian
 * machine of 64 bits (lmdb's mdb.c: MDB_meta, MDB_db, MDB_page, MDB_node). */
int index_pages_check(const char *file, struct benchfs_error *err);

#endif

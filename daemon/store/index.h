/* SPDX-License-Identifier: Apache-2.0
 * The index: one LMDB environment, its databases, the write transaction, and the
 * accounting of its space. The only user of LMDB. One thread.
 *
 * The data file is allocated by the file system before the environment's map is made
 * that long, and LMDB takes no page beyond its map: so a store in the map always finds
 * its page. Growing operations end with -ENOSPC while a reserve is left, which is for
 * those that remove things. */
#ifndef BENCHFS_STORE_INDEX_H
#define BENCHFS_STORE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lmdb.h>

#include "base/error.h"

enum index_db {
    INDEX_META,
    INDEX_INODE,
    INDEX_SYMLINK,
    INDEX_DENTRY,
    INDEX_DIRPART,
    INDEX_XATTR,
    INDEX_CHUNK,
    INDEX_ORPHAN,
    INDEX_REPLY,
    INDEX_CLIENT,
    INDEX_OPEN,
    INDEX_NOTE,
    INDEX_LOCK,
    INDEX_CLAIM,
    INDEX_INTENT,
    INDEX_DIRMEMBER,
    INDEX_N_DBS,
};

/* What a change may use up. */
enum index_room {
    INDEX_GROW, /* -ENOSPC when only the reserve is left */
    INDEX_FREE, /* removes or replaces something: may use the reserve */
};

struct index;
struct journal;

/* Opens or makes <directory>/index. limit_bytes: how long its file may get. boot: of a
 * durable index, the kernel's boot (JOURNAL_BOOT_SIZE bytes), else NULL. */
int index_open(const char *directory,
               uint64_t limit_bytes,
               const uint8_t *boot,
               struct index **ret,
               struct benchfs_error *err);
/* Aborts an open transaction. NULL is fine. */
void index_close(struct index *index);

int index_txn_begin(struct index *index);
int index_txn_commit(struct index *index);
void index_txn_abort(struct index *index);
bool index_txn_is_open(const struct index *index);
/* Makes the commit fail with this error. */
void index_txn_fail(struct index *index, int status);
/* Until it is turned off, or the next transaction begins: what grows may use the
 * reserve too, as part of a change that was let in already. */
void index_reserve_use(struct index *index, bool use);
/* Half of what one transaction may change has been used. */
bool index_txn_is_large(const struct index *index);

/* Of a durable index: its journal, which the caller marks and syncs. */
struct journal *index_journal(const struct index *index);
/* Whether it has become long; and makes a new one, when all that is committed is on the
 * disk. */
bool index_journal_is_long(const struct index *index);
int index_journal_trim(struct index *index);

/* Bytes of pages in use, and how many there can be. Works in and outside transactions;
 * walks the list of free pages, so not for every request. */
void index_usage_get(struct index *index, uint64_t *ret_used, uint64_t *ret_limit);

/* ---- in a transaction; keys and values point into it until its next change */

/* 0 or -ENOSPC: whether that many growing changes, one with a value of this size, could
 * be made. */
int index_room_check(struct index *index, unsigned changes, size_t value_size);
uint64_t index_count(struct index *index, enum index_db db);
int index_get(struct index *index,
              enum index_db db,
              const void *key,
              size_t key_size,
              MDB_val *ret_value); /* -ENOENT */
int index_put(struct index *index,
              enum index_db db,
              const void *key,
              size_t key_size,
              const void *value,
              size_t value_size,
              enum index_room room);
/* As index_put; the caller fills *ret_value in at once. */
int index_put_reserve(struct index *index,
                      enum index_db db,
                      const void *key,
                      size_t key_size,
                      size_t value_size,
                      enum index_room room,
                      void **ret_value);
int index_delete(struct index *index,
                 enum index_db db,
                 const void *key,
                 size_t key_size); /* -ENOENT */

/* The database's cursor; there is one, so walks of one database do not nest. */
/* To the first key >= the given one. -ENOENT: none. */
int index_seek(struct index *index,
               enum index_db db,
               const void *key,
               size_t key_size,
               MDB_val *ret_key,
               MDB_val *ret_value);
/* One step on, or back; after index_delete_current() "on" is to what followed. */
int index_next(struct index *index,
               enum index_db db,
               MDB_val *ret_key,
               MDB_val *ret_value);
/* To the last key < the given one. */
int index_seek_before(struct index *index,
                      enum index_db db,
                      const void *key,
                      size_t key_size,
                      MDB_val *ret_key,
                      MDB_val *ret_value);
/* Removes what the cursor is at. */
int index_delete_current(struct index *index, enum index_db db);

#endif

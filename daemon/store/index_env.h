/* SPDX-License-Identifier: Apache-2.0
 * What index.c and index_env.c share. */
#ifndef BENCHFS_STORE_INDEX_ENV_H
#define BENCHFS_STORE_INDEX_ENV_H

#include "store/index.h"
#include "store/journal.h"

#define INDEX_PAGE_SIZE 4096u

struct index {
    MDB_env *env;
    int fd;               /* the environment's; not ours to close */
    uint64_t map_bytes;   /* length of file and map, all of it allocated */
    uint64_t limit_bytes; /* map_bytes does not grow beyond */
    int broken;           /* -errno: LMDB lost its map, no transaction can begin */
    MDB_dbi dbi[INDEX_N_DBS];

    MDB_txn *txn;
    MDB_cursor *cursor[INDEX_N_DBS]; /* opened on first use; end with the transaction */
    int failure;                     /* -errno: the transaction can't be committed */
    bool uses_reserve;               /* all its changes may */
    uint64_t room_pages;             /* free pages when the transaction began */
    uint64_t tail_pages;             /* of these, at the end of the file */
    uint64_t used_pages;             /* taken by its changes, estimated high */
    uint64_t base_pages;             /* of used_pages, taken from the start */
    uint64_t reserve_pages;          /* of room_pages, for removing things */
    uint64_t n_deleted;              /* by index_delete_current() since the last seek */

    struct journal *journal; /* NULL: the store is not durable */
    uint64_t journal_room;   /* bytes for this transaction's frame and later ones */
    uint64_t journal_limit;  /* not to be trimmed before it is so long */
    void *reserved;          /* value that the caller fills in; NULL */
    size_t reserved_size;
    uint64_t reserved_key; /* what its sum begins with */
    bool is_reserved_journaled;
};

/* Whether changes of it go to the journal. */
bool index_is_journaled(const struct index *index, enum index_db db);
/* The value reserved last is there: its sum is put behind it, and it goes to the
 * journal. */
void index_reserved_note(struct index *index);

/* Behind every value stands a sum of database, key and value. */
#define INDEX_SUM_SIZE 4u
/* Whether it is right; takes it off. */
bool index_sum_is_right(enum index_db db, MDB_val key, MDB_val *value);
const char *index_db_name(enum index_db db);
/* The record alone: neither room nor journal. `value` NULL: *ret_value is to be filled
 * in, and given its sum. */
int index_record_put(struct index *index,
                     enum index_db db,
                     MDB_val key,
                     const void *value,
                     size_t size,
                     void **ret_value);

/* Whether LMDB can find n adjacent pages among those freed; slow, for when the end of
 * the file is used up. */
bool index_has_free_run(struct index *index, uint64_t n);

/* Bytes of the file that have been used. */
uint64_t index_end_of_use(const struct index *index);
/* The transaction has ended. */
void index_txn_forget(struct index *index);

/* ---- index_journal.c */

/* Before the environment is opened. An index from before this boot, or one that the
 * journal knows more of, is not worth opening: *ret_is_intact is false. */
int index_journal_prepare(const char *path,
                          const char *file,
                          const uint8_t *boot,
                          struct journal **ret,
                          bool *ret_is_intact,
                          struct benchfs_error *err);
/* When it is open: goes on with the journal, or makes the index anew of it. */
int index_journal_attach(struct index *index,
                         struct journal *journal,
                         bool is_intact,
                         const char *path,
                         struct benchfs_error *err);
/* Before LMDB's commit, so that no commit is missing in it. */
int index_journal_write(struct index *index);

/* LMDB's error as -errno. */
int index_status(int rc);

#endif

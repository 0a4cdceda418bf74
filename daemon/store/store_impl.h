/* SPDX-License-Identifier: Apache-2.0
 * What the files of the store share. */
#ifndef BENCHFS_STORE_IMPL_H
#define BENCHFS_STORE_IMPL_H

#include "store/arena.h"
#include "store/chunk_record.h"
#include "store/index.h"
#include "store/journal.h"
#include "store/store.h"

struct store {
    int directory_fd; /* locked */
    struct index *index;
    struct arena *arena;
    uint8_t *zeros; /* STORE_CHUNK_MAX bytes, read-only; all of them one page */

    uint32_t target;
    uint64_t inode_limit; /* 0: none */

    /* Inode sequence numbers: those below `reserved` are never given out again after a
     * restart, because the index says so. */
    uint64_t seq_next;
    uint64_t seq_reserved;           /* as this transaction has it */
    uint64_t seq_reserved_committed; /* as the index has it */
    uint64_t inodes_used;            /* at the last commit */

    /* Blocks the open transaction made part of the index, or took out of it. */
    struct arena_runs txn_allocated;
    struct arena_runs txn_freed;
    /* Of a durable store: freed since the last sync began, and before it. */
    struct arena_runs unsynced_freed;
    struct arena_runs syncing_freed;
    bool is_durable, has_unsynced, is_syncing;
    int sync_failure;
    bool txn_has_cut; /* the open transaction cut a chunk short */

    struct chunk_record record; /* the one being worked on; kept for its memory */
};

/* Whether the directory has a durable store. */
bool store_has_journal(const char *directory);
/* What names the kernel's boot: boot_id, or what the kernel says. */
int store_boot_get(const char *boot_id, uint8_t ret[JOURNAL_BOOT_SIZE]);

/* store_meta.c: the records about the store itself, in a transaction of their own. */
int store_meta_load(struct store *store,
                    const struct store_config *config,
                    struct benchfs_error *err);

/* claim.c */
int claim_decode(const MDB_val *key, const MDB_val *value, struct store_claim *ret);

/* dirmember.c */
int store_dirmember_remove_all(struct store *store, uint64_t dir);

/* xattr.c */
int store_xattr_remove_all(struct store *store, uint64_t ino);

/* chunk_io.c: a chunk's record between the index and store->record. */

/* Loads; a chunk without a record is an empty one. */
int store_chunk_load(struct store *store, uint64_t ino, uint64_t chunk);
/* Removes the record if it is empty. */
int store_chunk_save(struct store *store,
                     uint64_t ino,
                     uint64_t chunk,
                     enum index_room room);
/* Decodes what a cursor is at; -ENOENT: of another inode. *ret_chunk: its number. */
int store_chunk_decode(struct store *store,
                       uint64_t ino,
                       const MDB_val *key,
                       const MDB_val *value,
                       uint64_t *ret_chunk);
int store_chunk_seek_record(struct store *store,
                            uint64_t ino,
                            uint64_t chunk,
                            MDB_val *ret_key,
                            MDB_val *ret_value);

/* A change of store->record in the making: blocks come and go with its success. */
struct store_change {
    struct arena_runs
        allocated;           /* given back on failure, and if the transaction aborts */
    struct arena_runs freed; /* given back when the transaction is committed */
};
/* Takes blocks; on success *ret_runs is the caller's to fini. */
int store_change_allocate(struct store *store,
                          struct store_change *change,
                          uint64_t goal,
                          uint64_t n,
                          struct arena_runs *ret_runs);
/* Zeroing blocks where they are is seen by transfers going on, and is not undone when
 * the transaction is not committed; a copy of the block can be zeroed instead. */
enum store_zero {
    STORE_ZERO_IN_PLACE,    /* but in a copy where someone is writing to the block */
    STORE_ZERO_COPY,        /* always in a copy */
    STORE_ZERO_COPY_OR_NOT, /* in place if there is no space for a copy */
};
/* Zeroes [begin, end) of the chunk where there are blocks; whole blocks that must not
 * be changed where they are become holes. */
int store_change_zero(struct store *store,
                      struct store_change *change,
                      const struct arena_pin *self,
                      uint32_t begin,
                      uint32_t end,
                      enum store_zero how);
/* Maps the blocks to an arena block, or CHUNK_HOLE; what was there is freed. */
int store_change_map(struct store *store,
                     struct store_change *change,
                     uint32_t block,
                     uint32_t n,
                     uint64_t arena_block);
/* Ends the change: with status 0 its blocks become the transaction's, else they are as
 * before. Returns the status. */
int store_change_end(struct store *store, struct store_change *change, int status);

#endif

/* SPDX-License-Identifier: Apache-2.0
 * Walking through all records of a kind, in parts, for checks of the whole file system.
 */
#ifndef BENCHFS_STORE_SURVEY_H
#define BENCHFS_STORE_SURVEY_H

#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

enum store_table {
    STORE_TABLE_INODES,
    STORE_TABLE_DENTRIES,
    STORE_TABLE_DIRPARTS,
    STORE_TABLE_CHUNKS,
    STORE_TABLE_ORPHANS,
    STORE_TABLE_CLAIMS,
    STORE_TABLE_INTENTS,
    STORE_TABLE_DIRMEMBERS,
    STORE_N_TABLES,
};

/* What is set depends on the table; pointers are into the transaction. */
struct store_record {
    enum store_table table;
    struct store_inode inode;
    uint64_t ino; /* DENTRIES, DIRPARTS: the directory; CHUNKS, ORPHANS: the inode */
    struct store_dirent entry;
    struct store_dirpart part;
    uint64_t chunk;
    uint32_t chunk_end; /* bytes */
    struct store_claim claim;
    uint32_t member;    /* DIRMEMBERS: of directory `ino` */
    const void *intent; /* the body, as put */
    size_t intent_len;
};

#define STORE_KEY_MAX 300u

/* Where a walk goes on; zeroed at the begin. */
struct store_position {
    uint16_t len; /* 0 afterwards: the end was reached */
    uint8_t key[STORE_KEY_MAX];
};

/* Calls `each` from the position on, until it returns non-zero (which is then returned;
 * that record comes first the next time) or the end (0). Needs a transaction; records
 * may come and go between the parts of a walk. */
int store_survey(struct store *store,
                 enum store_table table,
                 struct store_position *position,
                 int (*each)(void *arg, const struct store_record *record),
                 void *arg);

/* What a store says of itself, for opening it. `config->directory` is given; *ret_job
 * is malloc'ed, and config->job points to it. */
int store_identify(struct store_config *config,
                   char **ret_job,
                   struct benchfs_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * What a store tells of itself when the file system is checked: its records, in the
 * form of proto/survey.h, as much at a time as fits.
 */
#ifndef BENCHFS_DAEMON_SURVEY_H
#define BENCHFS_DAEMON_SURVEY_H

#include "proto/survey.h"
#include "store/survey.h"

struct survey {
    struct store *store;
    enum survey_table table;
    /* SURVEY_PENDING goes over two tables of the store: `part` is which. */
    uint8_t part;
    struct store_position position;
    struct wire_writer writer; /* where records go */
    uint32_t n_records;
    /* Whether somebody has the inode open; NULL: nobody. */
    bool (*is_open)(void *arg, uint64_t ino);
    void *arg;
};

/* Writes records from the position on. 1: there is more; 0: that was the end; -errno.
 * In a transaction. */
int survey_fill(struct survey *survey);

/* `benchfsd --survey`: everything of the stores in `directory` (a job's, on this node)
 * to stdout, each table as U32 target, U32 bytes, records. Exit status. */
int survey_print(const char *directory);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * What the targets tell of their records when the whole file system is checked (SURVEY,
 * `benchfs fsck`): one form for records of all kinds.
 */
#ifndef BENCHFS_PROTO_SURVEY_H
#define BENCHFS_PROTO_SURVEY_H

#include <stdint.h>

#include "proto/wire.h"

enum survey_table {
    SURVEY_INODES, /* ino, parent, size, mode, nlink, chunk_size, base, layout, is_open
                    */
    SURVEY_DENTRIES, /* parent: the directory; ino, mode (type), name */
    SURVEY_DIRPARTS, /* ino: the directory; size: entries; mode: 1, sealed */
    SURVEY_CHUNKS,   /* ino, parent: number of the chunk; size: its end in the chunk */
    SURVEY_ORPHANS,  /* ino: without a name, and kept or about to go */
    SURVEY_PENDING,  /* of operations that are not over: ino, or parent and name */
    SURVEY_MEMBERS,  /* ino: a directory; base: a target that may have entries of it */
    SURVEY_FAULTS,   /* name: what is wrong with the target's own store */
    SURVEY_N_TABLES,
};

struct survey_record {
    uint8_t table; /* enum survey_table; says which fields count */
    uint64_t ino, parent, size;
    uint32_t mode, nlink, chunk_size, base;
    uint8_t layout, is_open;
    struct wire_text name; /* into the message */
};

#define SURVEY_RECORD_MIN 45u /* bytes, without the name */

void survey_record_put(struct wire_writer *w, const struct survey_record *record);
/* Fails the reader when it is malformed. */
void survey_record_get(struct wire_reader *r, struct survey_record *ret);

#endif

/* SPDX-License-Identifier: Apache-2.0
 * One file system operation as data: made from a random number, printed, and applied to
 * a directory by side.h. An operation never depends on what earlier ones returned, so
 * any part of a sequence can be replayed.
 */
#ifndef BENCHFS_TEST_OP_H
#define BENCHFS_TEST_OP_H

#include <stdint.h>
#include <stdio.h>

#include "rng.h"

enum {
    OP_PATH_MAX = 320,
    OP_SLOTS = 6,             /* open files of one side */
    OP_DATA_MAX = 512 * 1024, /* largest read or write */
};

enum op_kind {
    OP_OPEN,
    OP_CLOSE,
    OP_MKDIR,
    OP_RMDIR,
    OP_UNLINK,
    OP_RENAME,
    OP_LINK,
    OP_SYMLINK,
    OP_READLINK,
    OP_MKFIFO,
    OP_CHMOD,
    OP_FCHMOD,
    OP_CHOWN,
    OP_UTIMENS,
    OP_FUTIMENS,
    OP_TRUNCATE,
    OP_FTRUNCATE,
    OP_PREAD,
    OP_PWRITE,
    OP_READ,
    OP_WRITE,
    OP_LSEEK,
    OP_SEEK_DATA,
    OP_SEEK_HOLE,
    OP_FSYNC,
    OP_FALLOCATE,
    OP_COPY_RANGE,
    OP_MMAP_READ,
    OP_MMAP_WRITE,
    OP_LIST,
    OP_LIST_SEEK,
    OP_STAT,
    OP_ACCESS,
    OP_SETXATTR,
    OP_GETXATTR,
    OP_REMOVEXATTR,
    OP_LISTXATTR,
    OP_STATFS,
    OP_KINDS
};

struct op {
    enum op_kind kind;
    char path[2][OP_PATH_MAX]; /* of those the kind uses */
    unsigned slot[2];
    int flags;
    uint32_t mode;
    int64_t offset[2];
    uint32_t len;
    uint64_t seed; /* of data, times and values */
};

/* Which fields a kind uses. */
enum { USES_PATH = 1, USES_PATH2 = 2, USES_SLOT = 4, USES_SLOT2 = 8, USES_RANGE = 16 };

const char *op_name(enum op_kind kind);
unsigned op_uses(enum op_kind kind);
/* The kind with this name, or OP_KINDS. */
enum op_kind op_kind_find(const char *name);
/* A random operation; border is the chunk size, around which offsets are chosen. */
void op_random(struct op *op, struct rng *rng, uint32_t border);
void op_print(const struct op *op, FILE *out);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * A piece of a stage's work, as workers hand it to each other through the queue: its
 * bytes, and how trees and files are cut into pieces. Pure.
 */
#ifndef BENCHFS_STAGE_ITEM_H
#define BENCHFS_STAGE_ITEM_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "proto/messages.h"

#define ITEM_FILES_MAX   64u         /* files of one ITEM_FILES */
#define ITEM_FILES_BYTES (32u << 20) /* it ends early when it has copied so much */
#define ITEM_FILE_BYTES  (16u << 20) /* from here on a file is an item of its own */
#define ITEM_RANGE_BYTES (64u << 20) /* of a file; more when there were too many */
#define ITEM_RANGES_MAX  1024u

enum item_type {
    ITEM_DIR = 1,  /* make it, list it, and an item for all that is in it */
    ITEM_DIR_END,  /* mode and times, when everything is in it */
    ITEM_FILES,    /* files of one directory, by name */
    ITEM_FILE,     /* one file, which may be large */
    ITEM_RANGE,    /* a part of a large file */
    ITEM_FILE_END, /* attributes, and its name if it does not have it yet */
};

enum item_flags {
    ITEM_IS_ROOT = 1 << 0,   /* named by a directive: symbolic links are followed */
    ITEM_IS_SPARSE = 1 << 1, /* the source has holes */
};

/*
 * Paths are outside the scratch, inodes in it. The direction is the stage's:
 *               in                                out
 * DIR           path -> ino/name ("": ino)        ino -> path
 * DIR_END       attributes of ino                 attributes of path
 * FILES         path/entries -> ino               entries -> path
 * FILE          path -> parent/name               ino -> path
 * RANGE         path -> ino                       ino -> path's directory/name
 * FILE_END      parent/name, ino                  path's directory/name -> path
 */
struct item {
    uint8_t type;   /* enum item_type */
    uint32_t flags; /* enum item_flags */
    uint64_t ino;
    uint64_t parent;
    uint64_t offset;
    uint64_t length; /* of the range; FILE_END: of the file */
    uint32_t mode;
    int64_t atime_ns;
    int64_t mtime_ns;
    char path[PATH_MAX];
    char name[NAME_MAX + 1];
    const uint8_t *entries; /* item_entry_next(); in the bytes it was decoded from */
    size_t entries_len;
};

/* Appends its bytes. 0, -ENOMEM, -EMSGSIZE. */
int item_encode(const struct item *item, struct bytes *out);
/* 0 or -EPROTO. */
int item_decode(struct item *item, const void *data, size_t len);

/* A file of an ITEM_FILES; ino is 0 on the way in. */
int item_entry_put(struct bytes *entries, uint64_t ino, const char *name);
/* Takes the first one off item->entries; name has NAME_MAX + 1 bytes. 1: one, 0: the
 * end, -EPROTO. */
int item_entry_next(struct item *item, uint64_t *ret_ino, char *name);

/* The length of the ranges that a file of `size` bytes is cut into. */
uint64_t item_range_length(uint64_t size);

/* dir and "/" and name. 0 or -ENAMETOOLONG; ret has PATH_MAX bytes. */
int item_path_join(const char *dir, const char *name, char *ret);

/* ".<name>.benchfs-<job>-<random>", the name cut so that it fits; ret has NAME_MAX + 1
 * bytes. */
void item_temporary_name(const char *name, const char *job, uint64_t random, char *ret);

#endif

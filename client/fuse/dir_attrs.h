/* SPDX-License-Identifier: Apache-2.0
 * Attributes of directories, kept for as long as the kernel may believe them. They have
 * to be gathered from all targets, and the kernel looks up every directory on a path's
 * way; with this a lookup of one that was seen a moment ago is a single message.
 *
 * A change made through this mount is seen at once: whoever makes it calls
 * dir_attrs_forget(), and an answer that was under way meanwhile is not kept. */
#ifndef BENCHFS_FUSE_DIR_ATTRS_H
#define BENCHFS_FUSE_DIR_ATTRS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/wire.h"

struct dir_attrs;

/* NULL when out of memory. destroy(NULL) is fine. All the rest: any thread. */
struct dir_attrs *dir_attrs_create(double lifetime_s);
void dir_attrs_destroy(struct dir_attrs *attrs);

/* To be called before asking for a directory's attributes; goes to dir_attrs_note(). */
uint64_t dir_attrs_begin(struct dir_attrs *attrs, uint64_t ino);
/* Keeps them, unless the directory was changed here since dir_attrs_begin(). Anything
 * but a directory is not kept. */
void dir_attrs_note(struct dir_attrs *attrs,
                    const struct wire_attr *attr,
                    uint64_t begin);
/* False: nothing (young enough) is known. *ret_left_s: how long it may still be
 * believed. */
bool dir_attrs_find(struct dir_attrs *attrs,
                    uint64_t ino,
                    struct wire_attr *ret,
                    double *ret_left_s);
void dir_attrs_forget(struct dir_attrs *attrs, uint64_t ino);

#endif

/* SPDX-License-Identifier: Apache-2.0
 * What every unit test includes: cmocka with the headers it needs before it, and a
 * directory of one's own. */
#ifndef BENCHFS_UNIT_H
#define BENCHFS_UNIT_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cmocka.h>

#ifdef __clang_analyzer__
/* Behind fail(), fail_msg() and skip(): they do not say that they never return. */
void _fail(const char *file, int line) __attribute__((analyzer_noreturn));
void _skip(const char *file, int line) __attribute__((analyzer_noreturn));
#endif

#define UNIT_DIR_TEMPLATE "/tmp/benchfs-unit.XXXXXX"

struct unit_dir {
    char path[sizeof(UNIT_DIR_TEMPLATE)];
};

/* Makes a fresh directory; the test removes it with its own means, as part of the
 * test, or with unit_dir_remove(). */
static inline void unit_dir_create(struct unit_dir *dir)
{
    memcpy(dir->path, UNIT_DIR_TEMPLATE, sizeof(UNIT_DIR_TEMPLATE));
    assert_non_null(mkdtemp(dir->path));
}

/* Removes the directory and everything beneath it. */
static inline void unit_dir_remove(const struct unit_dir *dir)
{
    char command[sizeof(dir->path) + 16];

    snprintf(command, sizeof(command), "rm -rf -- '%s'", dir->path);
    assert_int_equal(system(command), 0);
}

#endif

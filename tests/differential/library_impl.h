/* SPDX-License-Identifier: Apache-2.0
 * What library_calls.c and library_names.c share: descriptors, paths, results.
 */
#ifndef BENCHFS_TEST_LIBRARY_IMPL_H
#define BENCHFS_TEST_LIBRARY_IMPL_H

#include <benchfs/benchfs.h>
#include <stdbool.h>

#include "library_calls.h"

enum {
    LIBRARY_PATH_MAX = 8192,
    LIBRARY_FD = 1 << 20, /* our descriptors count from here */
};

/* A place in the scratch, or none. */
struct place_path {
    bool is_library;
    char text[LIBRARY_PATH_MAX];
};

/* One connection for the process, made when it is first used. */
struct benchfs *library(void);
/* -errno becomes -1 with errno. */
int64_t library_result(int64_t value);

bool fd_is_library(int fd);
/* The library's descriptor; -EISDIR's place taken by -1 for directories. */
int fd_inner(int fd);
const char *fd_path(int fd);
/* A descriptor of ours for the path; inner may be -1. */
int fd_add(int inner, const char *path);

/* path seen from dir: is it in the scratch, and where? Also "/proc/self/fd/N/...". */
void place_find(int dir, const char *path, struct place_path *ret);

#endif

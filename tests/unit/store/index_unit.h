/* SPDX-License-Identifier: Apache-2.0
 * An index in a directory of its own. */
#ifndef BENCHFS_INDEX_UNIT_H
#define BENCHFS_INDEX_UNIT_H

#include "unit.h"

#include "store/index.h"

#define LIMIT (UINT64_C(8) << 20)

static inline struct index *open_index(const struct unit_dir *dir)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct index *index;

    if (index_open(dir->path, LIMIT, NULL, &index, &err) < 0)
        fail_msg("%s", err.text);
    return index;
}

#endif

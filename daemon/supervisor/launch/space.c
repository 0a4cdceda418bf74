/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/space.h"

#include <errno.h>
#include <sys/statvfs.h>

#include "base/units.h"

/* Less than this holds nothing: the store's own index needs room too. */
#define CAPACITY_MIN UNITS_MIB

int space_capacity(int dir_fd,
                   const char *path,
                   uint64_t wanted,
                   uint64_t *ret_bytes,
                   struct benchfs_error *err)
{
    char wanted_text[UNITS_TEXT_MAX], free_text[UNITS_TEXT_MAX];
    uint64_t free_bytes, capacity;
    struct statvfs vfs;

    if (fstatvfs(dir_fd, &vfs) < 0)
        return benchfs_error_set(err, errno, "--benchfs-store: %s: %m", path);
    free_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
    units_size_format(free_text, sizeof(free_text), free_bytes);
    units_size_format(wanted_text, sizeof(wanted_text), wanted);
    if (wanted > free_bytes)
        return benchfs_error_set(
            err,
            ENOSPC,
            "--benchfs-capacity=%s: more than the %s that are free in %s",
            wanted_text,
            free_text,
            path);
    capacity = wanted ? wanted : free_bytes / 2;
    capacity -= capacity % UNITS_MIB;
    if (capacity < CAPACITY_MIN)
        return benchfs_error_set(
            err, ENOSPC, "--benchfs-store: only %s are free in %s", free_text, path);
    *ret_bytes = capacity;
    return 0;
}

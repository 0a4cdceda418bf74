/* SPDX-License-Identifier: Apache-2.0
 * System calls with paths, to the kernel or to libbenchfs.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "library_impl.h"

/* Without O_PATH: what is only a place to start from has to be there. */
static int library_file_open(const char *path, int flags, mode_t mode)
{
    struct stat st;
    int inner = -1;

    if (flags & O_PATH) {
        if (benchfs_stat(library(), path, &st) < 0)
            return (int)library_result(benchfs_stat(library(), path, &st));
    } else {
        inner = benchfs_open(library(), path, flags, mode);
        if (inner < 0)
            return (int)library_result(inner);
    }
    return fd_add(inner, path);
}

int library_openat(int dir, const char *path, int flags, ...)
{
    struct place_path place;
    mode_t mode = 0;
    va_list args;

    if (flags & O_CREAT) {
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    place_find(dir, path, &place);
    if (!place.is_library)
        return openat(dir, path, flags, mode);
    return library_file_open(place.text, flags, mode);
}

int library_open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list args;

    if (flags & O_CREAT) {
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    return library_openat(AT_FDCWD, path, flags, mode);
}

int library_mkdirat(int dir, const char *path, mode_t mode)
{
    struct place_path place;

    place_find(dir, path, &place);
    return place.is_library
               ? (int)library_result(benchfs_mkdir(library(), place.text, mode))
               : mkdirat(dir, path, mode);
}

int library_unlinkat(int dir, const char *path, int flags)
{
    struct place_path place;

    place_find(dir, path, &place);
    if (!place.is_library)
        return unlinkat(dir, path, flags);
    return (int)library_result(flags & AT_REMOVEDIR
                                   ? benchfs_rmdir(library(), place.text)
                                   : benchfs_unlink(library(), place.text));
}

int library_unlink(const char *path)
{
    return library_unlinkat(AT_FDCWD, path, 0);
}

int library_renameat2(
    int dir, const char *path, int new_dir, const char *new_path, unsigned flags)
{
    struct place_path from, to;

    place_find(dir, path, &from);
    place_find(new_dir, new_path, &to);
    if (!from.is_library)
        return renameat2(dir, path, new_dir, new_path, flags);
    return (int)library_result(benchfs_renameat2(library(), from.text, to.text, flags));
}

int library_rename(const char *path, const char *new_path)
{
    return library_renameat2(AT_FDCWD, path, AT_FDCWD, new_path, 0);
}

int library_linkat(
    int dir, const char *path, int new_dir, const char *new_path, int flags)
{
    struct place_path from, to;

    (void)flags;
    place_find(dir, path, &from);
    place_find(new_dir, new_path, &to);
    if (!from.is_library)
        return linkat(dir, path, new_dir, new_path, 0);
    return (int)library_result(benchfs_link(library(), from.text, to.text));
}

int library_symlinkat(const char *text, int dir, const char *path)
{
    struct place_path place;

    place_find(dir, path, &place);
    return place.is_library
               ? (int)library_result(benchfs_symlink(library(), text, place.text))
               : symlinkat(text, dir, path);
}

ssize_t library_readlinkat(int dir, const char *path, char *buf, size_t size)
{
    struct place_path place;

    place_find(dir, path, &place);
    return place.is_library
               ? library_result(benchfs_readlink(library(), place.text, buf, size))
               : readlinkat(dir, path, buf, size);
}

/* ---- attributes ------------------------------------------------------------- */

int library_fchmodat(int dir, const char *path, mode_t mode, int flags)
{
    struct place_path place;

    place_find(dir, path, &place);
    return place.is_library
               ? (int)library_result(benchfs_chmod(library(), place.text, mode))
               : fchmodat(dir, path, mode, flags);
}

int library_fchownat(int dir, const char *path, uid_t uid, gid_t gid, int flags)
{
    struct place_path place;

    place_find(dir, path, &place);
    if (!place.is_library)
        return fchownat(dir, path, uid, gid, flags);
    return (int)library_result(flags & AT_SYMLINK_NOFOLLOW
                                   ? benchfs_lchown(library(), place.text, uid, gid)
                                   : benchfs_chown(library(), place.text, uid, gid));
}

int library_utimensat(int dir,
                      const char *path,
                      const struct timespec times[2],
                      int flags)
{
    struct place_path place;

    place_find(dir, path, &place);
    if (!place.is_library)
        return utimensat(dir, path, times, flags);
    return (int)library_result(benchfs_utimensat(library(), place.text, times, flags));
}

int library_truncate(const char *path, off_t size)
{
    struct place_path place;

    place_find(AT_FDCWD, path, &place);
    return place.is_library
               ? (int)library_result(benchfs_truncate(library(), place.text, size))
               : truncate(path, size);
}

int library_fstatat(int dir, const char *path, struct stat *ret, int flags)
{
    struct place_path place;

    if (flags & AT_EMPTY_PATH && !*path)
        return library_fstat(dir, ret);
    place_find(dir, path, &place);
    if (!place.is_library)
        return fstatat(dir, path, ret, flags);
    return (int)library_result(flags & AT_SYMLINK_NOFOLLOW
                                   ? benchfs_lstat(library(), place.text, ret)
                                   : benchfs_stat(library(), place.text, ret));
}

int library_stat(const char *path, struct stat *ret)
{
    return library_fstatat(AT_FDCWD, path, ret, 0);
}

int library_faccessat(int dir, const char *path, int mode, int flags)
{
    struct place_path place;

    place_find(dir, path, &place);
    return place.is_library
               ? (int)library_result(benchfs_access(library(), place.text, mode))
               : faccessat(dir, path, mode, flags);
}

int library_fstatvfs(int fd, struct statvfs *ret)
{
    if (!fd_is_library(fd))
        return fstatvfs(fd, ret);
    return (int)library_result(benchfs_statvfs(library(), fd_path(fd), ret));
}

/* ---- extended attributes ---------------------------------------------------- */

int library_setxattr(
    const char *path, const char *name, const void *value, size_t size, int flags)
{
    struct place_path place;

    place_find(AT_FDCWD, path, &place);
    if (!place.is_library)
        return setxattr(path, name, value, size, flags);
    return (int)library_result(
        benchfs_setxattr(library(), place.text, name, value, size, flags));
}

ssize_t library_getxattr(const char *path, const char *name, void *value, size_t size)
{
    struct place_path place;

    place_find(AT_FDCWD, path, &place);
    if (!place.is_library)
        return getxattr(path, name, value, size);
    return library_result(benchfs_getxattr(library(), place.text, name, value, size));
}

ssize_t library_listxattr(const char *path, char *names, size_t size)
{
    struct place_path place;

    place_find(AT_FDCWD, path, &place);
    if (!place.is_library)
        return listxattr(path, names, size);
    return library_result(benchfs_listxattr(library(), place.text, names, size));
}

int library_removexattr(const char *path, const char *name)
{
    struct place_path place;

    place_find(AT_FDCWD, path, &place);
    if (!place.is_library)
        return removexattr(path, name);
    return (int)library_result(benchfs_removexattr(library(), place.text, name));
}

/* SPDX-License-Identifier: Apache-2.0
 * Small jobs on the local file system. Whatever removes or replaces works beneath a
 * directory descriptor and follows no symlink. */
#ifndef BENCHFS_BASE_FS_H
#define BENCHFS_BASE_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Makes the directory and the missing ones above it, all with `mode` (less the umask).
 * Symlinks in the path are followed. An existing directory keeps its mode. Returns 0 or
 * -errno; -ENOTDIR when something else stands there. Not for root in a path others can
 * write to: see fs_dir_open_beneath. */
int fs_mkdir_p(const char *path, mode_t mode);

/* Opens the directory `path`, relative to dirfd, one component at a time and without
 * following a symlink anywhere; with may_create, makes missing ones with `mode`.
 * Rejects
 * ".." and absolute paths (-EINVAL). Returns a descriptor or -errno; a symlink or a
 * file in the way is -ENOTDIR or -ELOOP. */
int fs_dir_open_beneath(int dirfd, const char *path, bool may_create, mode_t mode);

/* Removes `name` in dirfd, a single component, with everything beneath it. Follows no
 * symlink, enters no other file system (-EXDEV), uses a bounded number of descriptors
 * at any depth. Absent is fine. Goes on after an error, and returns the first one. */
int fs_tree_remove_at(int dirfd, const char *name);

/* All of it, in spite of short transfers and EINTR. Writers return 0 or -errno. Readers
 * return the bytes read, less than size only at the end of the file, or -errno. The
 * descriptor must be blocking. */
int fs_write_all(int fd, const void *data, size_t size);
int fs_pwrite_all(int fd, const void *data, size_t size, off_t offset);
ssize_t fs_read_all(int fd, void *data, size_t size);
ssize_t fs_pread_all(int fd, void *data, size_t size, off_t offset);

/* The whole content as a string with a NUL added (free() it); ret_size may be NULL and
 * does not count the NUL. Works on files of /proc too. Returns 0 or -errno; -EFBIG when
 * there is more than `limit` bytes. */
int fs_file_read(const char *path, size_t limit, char **ret_text, size_t *ret_size);
int fs_fd_read(int fd, size_t limit, char **ret_text, size_t *ret_size);

/* Replaces or makes the file `name` in dirfd (AT_FDCWD and a path are fine): readers
 * see the old content or the new, also after a crash: it is written aside, synced,
 * renamed. `mode` is exact, whatever the umask. Returns 0 or -errno and leaves nothing
 * aside. */
int fs_file_write_atomic(
    int dirfd, const char *name, const void *data, size_t size, mode_t mode);

#endif

/* SPDX-License-Identifier: Apache-2.0
 * System calls that take paths "benchfs:/..." and descriptors of libbenchfs as well as
 * the kernel's. As of the kernel: -1 and errno. Extended attributes are those of what a
 * link leads to, and linkat() takes links as they are, on both sides: the library has
 * no others.
 */
#ifndef BENCHFS_TEST_LIBRARY_CALLS_H
#define BENCHFS_TEST_LIBRARY_CALLS_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

int library_open(const char *path, int flags, ...);
int library_openat(int dir, const char *path, int flags, ...);
int library_close(int fd);
int library_mkdirat(int dir, const char *path, mode_t mode);
int library_unlinkat(int dir, const char *path, int flags);
int library_unlink(const char *path);
int library_rename(const char *path, const char *new_path);
int library_renameat2(
    int dir, const char *path, int new_dir, const char *new_path, unsigned flags);
int library_linkat(
    int dir, const char *path, int new_dir, const char *new_path, int flags);
int library_symlinkat(const char *text, int dir, const char *path);
ssize_t library_readlinkat(int dir, const char *path, char *buf, size_t size);
int library_fchmodat(int dir, const char *path, mode_t mode, int flags);
int library_fchmod(int fd, mode_t mode);
int library_fchownat(int dir, const char *path, uid_t uid, gid_t gid, int flags);
int library_utimensat(int dir,
                      const char *path,
                      const struct timespec times[2],
                      int flags);
int library_futimens(int fd, const struct timespec times[2]);
int library_truncate(const char *path, off_t size);
int library_ftruncate(int fd, off_t size);
int library_stat(const char *path, struct stat *ret);
int library_fstat(int fd, struct stat *ret);
int library_fstatat(int dir, const char *path, struct stat *ret, int flags);
int library_faccessat(int dir, const char *path, int mode, int flags);
int library_fstatvfs(int fd, struct statvfs *ret);
int library_setxattr(
    const char *path, const char *name, const void *value, size_t size, int flags);
ssize_t library_getxattr(const char *path, const char *name, void *value, size_t size);
ssize_t library_listxattr(const char *path, char *names, size_t size);
int library_removexattr(const char *path, const char *name);
ssize_t library_pread(int fd, void *data, size_t size, off_t offset);
ssize_t library_pwrite(int fd, const void *data, size_t size, off_t offset);
ssize_t library_read(int fd, void *data, size_t size);
ssize_t library_write(int fd, const void *data, size_t size);
off_t library_lseek(int fd, off_t offset, int whence);
int library_fsync(int fd);
int library_fdatasync(int fd);
int library_fallocate(int fd, int mode, off_t offset, off_t size);
ssize_t library_copy_file_range(
    int from, off_t *from_at, int to, off_t *to_at, size_t size, unsigned flags);

/* Without "." and "..", which the library does not tell. */
struct library_dir;
struct library_dir *library_fdopendir(int fd);
struct dirent *library_readdir(struct library_dir *dir);
long library_telldir(struct library_dir *dir);
void library_seekdir(struct library_dir *dir, long position);
void library_rewinddir(struct library_dir *dir);
int library_closedir(struct library_dir *dir);
int library_dirfd(struct library_dir *dir);

#endif

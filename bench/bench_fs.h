/* SPDX-License-Identifier: Apache-2.0
 * The file system that is measured: the library, or a directory by plain POSIX calls.
 * All results are as of benchfs.h: 0 or more, or -errno. */
#ifndef BENCHFS_BENCH_FS_H
#define BENCHFS_BENCH_FS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct benchfs;

struct bench_fs {
    struct benchfs *library; /* NULL: POSIX */
};

/* An error has been told on stderr. */
int bench_fs_open(struct bench_fs *fs, bool is_library);
void bench_fs_close(struct bench_fs *fs);

int fs_open(struct bench_fs *fs, const char *path, int flags);
int fs_close(struct bench_fs *fs, int fd);
ssize_t fs_pwrite(struct bench_fs *fs, int fd, const void *data, size_t size, off_t at);
ssize_t fs_pread(struct bench_fs *fs, int fd, void *data, size_t size, off_t at);
/* Copies `size` bytes from the start of one file to that of another, complete. */
int fs_copy(struct bench_fs *fs, int from, int to, size_t size);
int fs_stat(struct bench_fs *fs, const char *path, off_t *ret_size);
int fs_unlink(struct bench_fs *fs, const char *path);
int fs_mkdir(struct bench_fs *fs, const char *path);
int fs_rmdir(struct bench_fs *fs, const char *path);
int fs_rename(struct bench_fs *fs, const char *path, const char *new_path);
/* Reads the directory to its end; returns how many entries it has. */
int fs_list(struct bench_fs *fs, const char *path);
/* The kernel forgets what it holds of the file, where it can. */
void fs_forget(struct bench_fs *fs, int fd);

#endif

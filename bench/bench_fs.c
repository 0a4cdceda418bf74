/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <benchfs/benchfs.h>

#define FILE_MODE 0644
#define DIR_MODE  0755

static int result(int status)
{
    return status < 0 ? -errno : status;
}

int bench_fs_open(struct bench_fs *fs, bool is_library)
{
    struct benchfs_options options;
    char error[256] = "";
    int status;

    *fs = (struct bench_fs){.library = NULL};
    if (!is_library)
        return 0;
    benchfs_options_init(&options);
    options.error = error;
    options.error_size = sizeof(error);
    status = benchfs_init(&fs->library, &options);
    if (status < 0)
        fprintf(stderr, "%s: %s\n", program_invocation_short_name, error);
    return status;
}

void bench_fs_close(struct bench_fs *fs)
{
    benchfs_fini(fs->library);
    fs->library = NULL;
}

int fs_open(struct bench_fs *fs, const char *path, int flags)
{
    if (fs->library)
        return benchfs_open(fs->library, path, flags, FILE_MODE);
    return result(open(path, flags | O_CLOEXEC, FILE_MODE));
}

int fs_close(struct bench_fs *fs, int fd)
{
    return fs->library ? benchfs_close(fs->library, fd) : result(close(fd));
}

ssize_t fs_pwrite(struct bench_fs *fs, int fd, const void *data, size_t size, off_t at)
{
    ssize_t done;

    if (fs->library)
        return benchfs_pwrite(fs->library, fd, data, size, at);
    done = pwrite(fd, data, size, at);
    return done < 0 ? -errno : done;
}

ssize_t fs_pread(struct bench_fs *fs, int fd, void *data, size_t size, off_t at)
{
    ssize_t done;

    if (fs->library)
        return benchfs_pread(fs->library, fd, data, size, at);
    done = pread(fd, data, size, at);
    return done < 0 ? -errno : done;
}

int fs_copy(struct bench_fs *fs, int from, int to, size_t size)
{
    off_t from_at = 0, to_at = 0;
    ssize_t done = 1;

    while (done > 0 && (size_t)to_at < size) {
        size_t left = size - (size_t)to_at;

        done = fs->library
                   ? benchfs_copy_file_range(
                       fs->library, from, &from_at, to, &to_at, left, 0)
                   : result((int)copy_file_range(from, &from_at, to, &to_at, left, 0));
    }
    return done < 0 ? (int)done : 0;
}

int fs_stat(struct bench_fs *fs, const char *path, off_t *ret_size)
{
    struct stat st;
    int status =
        fs->library ? benchfs_stat(fs->library, path, &st) : result(stat(path, &st));

    if (status == 0)
        *ret_size = st.st_size;
    return status;
}

int fs_unlink(struct bench_fs *fs, const char *path)
{
    return fs->library ? benchfs_unlink(fs->library, path) : result(unlink(path));
}

int fs_mkdir(struct bench_fs *fs, const char *path)
{
    return fs->library ? benchfs_mkdir(fs->library, path, DIR_MODE)
                       : result(mkdir(path, DIR_MODE));
}

int fs_rmdir(struct bench_fs *fs, const char *path)
{
    return fs->library ? benchfs_rmdir(fs->library, path) : result(rmdir(path));
}

int fs_rename(struct bench_fs *fs, const char *path, const char *new_path)
{
    return fs->library ? benchfs_rename(fs->library, path, new_path)
                       : result(rename(path, new_path));
}

static int library_list(struct benchfs *library, const char *path)
{
    struct benchfs_dir *dir;
    struct dirent entry;
    int status = benchfs_opendir(library, path, &dir);
    int count = 0;

    if (status < 0)
        return status;
    while ((status = benchfs_readdir(dir, &entry)) > 0)
        count++;
    benchfs_closedir(dir);
    return status < 0 ? status : count;
}

int fs_list(struct bench_fs *fs, const char *path)
{
    struct dirent *entry;
    int count = 0;
    DIR *dir;

    if (fs->library)
        return library_list(fs->library, path);
    dir = opendir(path);
    if (!dir)
        return -errno;
    errno = 0;
    while ((entry = readdir(dir)))
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    if (errno)
        count = -errno;
    closedir(dir);
    return count;
}

void fs_forget(struct bench_fs *fs, int fd)
{
    if (!fs->library)
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

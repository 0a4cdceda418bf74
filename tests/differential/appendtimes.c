/* SPDX-License-Identifier: Apache-2.0
 *
 * The time of a file that was appended to stays as it is, whoever opens and closes it
 * afterwards, and wherever its chunks lie. Through the library; a reference with a
 * coarse clock can't tell. usage: appendtimes
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <benchfs/benchfs.h>

#define FILES 20

static char data[300000];

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_mtim.tv_sec == b->st_mtim.tv_sec
           && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Whether the file's time has stayed. */
static bool try(struct benchfs *fs, const char *path)
{
    struct stat appended, opened, closed;
    int fd = benchfs_open(fs, path, O_CREAT | O_WRONLY | O_APPEND, 0644);
    int other;

    if (fd < 0 || benchfs_write(fs, fd, data, sizeof(data)) != sizeof(data)
        || benchfs_stat(fs, path, &appended))
        return false;
    other = benchfs_open(fs, path, O_RDWR, 0);
    if (other < 0 || benchfs_stat(fs, path, &opened) || benchfs_close(fs, fd)
        || benchfs_close(fs, other) || benchfs_stat(fs, path, &closed))
        return false;
    return closed.st_size == sizeof(data) && is_same(&appended, &opened)
           && is_same(&appended, &closed);
}

int main(void)
{
    struct benchfs *fs;
    unsigned n_wrong = 0;
    int rc = benchfs_init(&fs, NULL);

    if (rc) {
        fprintf(stderr, "appendtimes: %s\n", strerror(-rc));
        return 2;
    }
    for (int i = 0; i < FILES; i++) {
        char path[32];

        snprintf(path, sizeof(path), "/appended%d", i);
        n_wrong += !try(fs, path);
    }
    if (n_wrong > 0)
        printf("of %d files the times of %u have moved\n", FILES, n_wrong);
    benchfs_fini(fs);
    return n_wrong > 0;
}

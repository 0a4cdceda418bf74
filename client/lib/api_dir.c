/* SPDX-License-Identifier: Apache-2.0
 *
 * The path-based API: listing directories.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/api.h"

struct benchfs_dir {
    struct benchfs *fs;
    struct client_dir *dir;
    uint64_t ino;
    uint64_t position;
    unsigned generation; /* of fs, when `dir` was made */
};

int benchfs_opendir(struct benchfs *fs, const char *path, struct benchfs_dir **ret)
{
    struct benchfs_dir *dir;
    struct wire_attr attr;
    int status = api_enter(fs);

    if (status == 0)
        status = api_walk_existing(fs, path, API_FOLLOW, &attr);
    if (status == 0 && !S_ISDIR(attr.mode))
        status = -ENOTDIR;
    if (status == 0)
        status = api_permission_check(fs, &attr, R_OK);
    if (status)
        return status;
    dir = calloc(1, sizeof(*dir));
    if (!dir)
        return -ENOMEM;
    dir->fs = fs;
    dir->ino = attr.ino;
    dir->generation = fs->generation;
    status = client_dir_open(fs->client, attr.ino, &dir->dir);
    if (status < 0) {
        free(dir);
        return status;
    }
    *ret = dir;
    return 0;
}

/* In a child after fork: goes on with the new client where it was. */
static int dir_enter(struct benchfs_dir *dir)
{
    struct client_dir *fresh;
    int status = api_enter(dir->fs);

    if (status < 0 || dir->generation == dir->fs->generation)
        return status;
    status = client_dir_open(dir->fs->client, dir->ino, &fresh);
    if (status < 0)
        return status;
    client_dir_close(dir->dir);
    client_dir_seek(fresh, dir->position);
    dir->dir = fresh;
    dir->generation = dir->fs->generation;
    return 0;
}

int benchfs_readdir(struct benchfs_dir *dir, struct dirent *ret)
{
    struct client_dirent entry;
    int status = dir_enter(dir);

    if (status < 0)
        return status;
    status = client_dir_read(dir->dir, &entry);
    if (status <= 0)
        return status;
    dir->position = entry.next;
    memset(ret, 0, offsetof(struct dirent, d_name));
    ret->d_ino = entry.ino;
    ret->d_off = (off_t)entry.next;
    ret->d_reclen = sizeof(*ret);
    ret->d_type = (unsigned char)IFTODT(entry.type);
    memcpy(ret->d_name, entry.name, strlen(entry.name) + 1);
    return 1;
}

off_t benchfs_telldir(const struct benchfs_dir *dir)
{
    return (off_t)dir->position;
}

void benchfs_seekdir(struct benchfs_dir *dir, off_t position)
{
    dir->position = (uint64_t)position;
    client_dir_seek(dir->dir, dir->position);
}

void benchfs_rewinddir(struct benchfs_dir *dir)
{
    benchfs_seekdir(dir, 0);
}

int benchfs_closedir(struct benchfs_dir *dir)
{
    if (!dir)
        return -EBADF;
    client_dir_close(dir->dir);
    free(dir);
    return 0;
}

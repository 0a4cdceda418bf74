/* SPDX-License-Identifier: Apache-2.0
 *
 * The path-based API: making, removing and renaming entries.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/api.h"
#include "client/api_file.h"

void api_create_fill(const struct benchfs *fs,
                     const struct api_place *place,
                     mode_t mode,
                     struct msg_create_request *ret)
{
    (void)fs;
    *ret = (struct msg_create_request){
        .mode = mode,
        .uid = geteuid(),
        .gid = getegid(),
        .base = BASE_HOME,
    };
    if (place->has_parent_attr && place->parent_attr.mode & S_ISGID) {
        ret->gid = place->parent_attr.gid;
        if (S_ISDIR(mode))
            ret->mode |= S_ISGID;
    }
}

/* A new entry at a path; `text`: of a symbolic link. */
static int entry_make(struct benchfs *fs,
                      const char *path,
                      uint32_t mode,
                      struct wire_text text,
                      struct api_place *place)
{
    struct msg_create_request what;
    struct wire_attr attr;
    int status = api_walk_entry(fs, path, API_MAKES, place);

    if (status)
        return status;
    if (place->is_found)
        return -EEXIST;
    if (place->has_slash && !S_ISDIR(mode))
        return -ENOENT;
    api_create_fill(fs, place, mode, &what);
    what.flags = CREATE_EXCL;
    what.symlink = text;
    return client_create(fs->client, place->parent, place->name, &what, &attr);
}

static int make(struct benchfs *fs, const char *path, uint32_t mode, const char *text)
{
    struct wire_text symlink = {.data = text, .len = text ? (uint16_t)strlen(text) : 0};
    struct api_place place = {.is_kept = false};
    int status = -ENOENT;

    for (int i = 0; i < API_WALK_TRIES; i++) {
        status = entry_make(fs, path, mode, symlink, &place);
        if (!api_walk_again(fs, &place, status))
            break;
    }
    return status;
}

int benchfs_mkdir(struct benchfs *fs, const char *path, mode_t mode)
{
    int status = api_enter(fs);

    return status ? status
                  : make(fs, path, S_IFDIR | (mode & 01777 & ~fs->umask), NULL);
}

int benchfs_symlink(struct benchfs *fs, const char *text, const char *new_path)
{
    size_t len = strlen(text);
    int status = api_enter(fs);

    if (status < 0)
        return status;
    if (len == 0)
        return -ENOENT;
    if (len > WIRE_TEXT_MAX)
        return -ENAMETOOLONG;
    return make(fs, new_path, S_IFLNK | 0777, text);
}

int benchfs_rmdir(struct benchfs *fs, const char *path)
{
    struct api_place place;
    int status = api_enter(fs);

    if (status == 0)
        status = api_walk_entry(fs, path, 0, &place);
    if (status < 0)
        return status;
    switch (place.last) {
    case API_LAST_ROOT:
        return -EBUSY;
    case API_LAST_DOT:
        return -EINVAL;
    case API_LAST_DOTDOT:
        return -ENOTEMPTY;
    case API_LAST_NAME:
        break;
    }
    if (!place.is_found)
        return -ENOENT;
    if (!S_ISDIR(place.attr.mode))
        return -ENOTDIR;
    return client_rmdir(fs->client, place.parent, place.name);
}

int benchfs_unlink(struct benchfs *fs, const char *path)
{
    struct api_place place;
    int status = api_enter(fs);

    if (status == 0)
        status = api_walk_entry(fs, path, 0, &place);
    if (status)
        return status;
    if (!place.is_found)
        return -ENOENT;
    if (place.last != API_LAST_NAME || S_ISDIR(place.attr.mode))
        return -EISDIR;
    if (place.has_slash)
        return -ENOTDIR;
    return client_unlink(fs->client, place.parent, place.name);
}

/* What only a path can get wrong; the daemon checks the rest, under its locks. */
static int
rename_check(const struct api_place *from, const struct api_place *to, unsigned flags)
{
    if (from->last != API_LAST_NAME || to->last != API_LAST_NAME)
        return flags & RENAME_NOREPLACE && to->last != API_LAST_NAME ? -EEXIST : -EBUSY;
    if (!from->is_found)
        return -ENOENT;
    if (flags & RENAME_NOREPLACE && to->is_found)
        return -EEXIST;
    if (flags & RENAME_EXCHANGE && to->is_found && to->has_slash
        && !S_ISDIR(to->attr.mode))
        return -ENOTDIR;
    if (!S_ISDIR(from->attr.mode)
        && (from->has_slash || (to->has_slash && !(flags & RENAME_EXCHANGE))))
        return -ENOTDIR;
    return 0;
}

static int rename_try(struct benchfs *fs,
                      const char *path,
                      const char *new_path,
                      unsigned flags,
                      struct api_place *to)
{
    struct api_place from;
    int status = api_walk_entry(fs, path, 0, &from);

    if (status == 0)
        status = api_walk_entry(fs, new_path, API_MAKES, to);
    if (status == 0)
        status = rename_check(&from, to, flags);
    if (status)
        return status;
    return client_rename(
        fs->client, from.parent, from.name, to->parent, to->name, flags);
}

int benchfs_renameat2(struct benchfs *fs,
                      const char *path,
                      const char *new_path,
                      unsigned flags)
{
    struct api_place to = {.is_kept = false};
    int status = api_enter(fs);

    if (status < 0)
        return status;
    if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE)
        || flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
        return -EINVAL;
    for (int i = 0; i < API_WALK_TRIES; i++) {
        status = rename_try(fs, path, new_path, flags, &to);
        if (!api_walk_again(fs, &to, status))
            break;
    }
    return status;
}

int benchfs_rename(struct benchfs *fs, const char *path, const char *new_path)
{
    return benchfs_renameat2(fs, path, new_path, 0);
}

static int link_try(struct benchfs *fs,
                    const char *path,
                    const char *new_path,
                    struct api_place *place)
{
    struct wire_attr from;
    struct wire_attr attr;
    int status = api_walk_existing(fs, path, API_NOFOLLOW, &from);

    if (status == 0)
        status = api_walk_entry(fs, new_path, API_MAKES, place);
    if (status)
        return status;
    if (place->is_found)
        return -EEXIST;
    if (place->has_slash)
        return -ENOENT;
    if (S_ISDIR(from.mode))
        return -EPERM;
    return client_link(fs->client, from.ino, place->parent, place->name, &attr);
}

int benchfs_link(struct benchfs *fs, const char *path, const char *new_path)
{
    struct api_place place = {.is_kept = false};
    int status = api_enter(fs);

    if (status < 0)
        return status;
    for (int i = 0; i < API_WALK_TRIES; i++) {
        status = link_try(fs, path, new_path, &place);
        if (!api_walk_again(fs, &place, status))
            break;
    }
    return status;
}

ssize_t benchfs_readlink(struct benchfs *fs, const char *path, char *buf, size_t size)
{
    char text[PATH_MAX];
    struct wire_attr attr;
    size_t len;
    int status = api_enter(fs);

    if (status < 0)
        return status;
    if (size == 0)
        return -EINVAL;
    status = api_walk_existing(fs, path, API_NOFOLLOW, &attr);
    if (status == 0 && !S_ISLNK(attr.mode))
        status = -EINVAL;
    if (status == 0)
        status = client_readlink(fs->client, attr.ino, text, sizeof(text));
    if (status < 0)
        return status;
    len = strlen(text);
    if (len > size)
        len = size;
    memcpy(buf, text, len);
    return (ssize_t)len;
}

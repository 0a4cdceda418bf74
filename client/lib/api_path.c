/* SPDX-License-Identifier: Apache-2.0
 *
 * From a path to an inode: one component at a time, symbolic links, "." and "..".
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "client/api.h"
#include "proto/placement.h"

struct walk {
    struct benchfs *fs;
    enum api_follow follow;
    struct client_walk names;
    unsigned n_links;
    struct wire_attr dir; /* where it is; only ino is valid at the root */
    const char *rest;     /* in text */
    char text[2 * PATH_MAX];
};

const char *api_path_strip(const char *path, const char *mount, size_t mount_len)
{
    if (path[0] != '/')
        return NULL;
    if (mount_len > 0 && strncmp(path, mount, mount_len) == 0
        && (path[mount_len] == '/' || path[mount_len] == '\0'))
        return path[mount_len] == '\0' ? "/" : path + mount_len;
    return path;
}

int api_permission_check(const struct benchfs *fs,
                         const struct wire_attr *attr,
                         int mask)
{
    unsigned bits = attr->mode & 7;
    uid_t uid = geteuid();

    if (uid == 0)
        return mask & X_OK && !S_ISDIR(attr->mode) && !(attr->mode & 0111) ? -EACCES
                                                                           : 0;
    if (attr->uid == uid) {
        bits = attr->mode >> 6 & 7;
    } else if (attr->gid == getegid()) {
        bits = attr->mode >> 3 & 7;
    } else {
        for (int i = 0; i < fs->n_groups; i++) {
            if (fs->groups[i] == attr->gid)
                bits = attr->mode >> 3 & 7;
        }
    }
    return ((unsigned)mask & ~bits) ? -EACCES : 0;
}

static bool is_root(const struct wire_attr *attr)
{
    return attr->ino == PLACEMENT_ROOT_INO;
}

static void walk_to_root(struct walk *walk)
{
    walk->dir = (struct wire_attr){.ino = PLACEMENT_ROOT_INO, .mode = S_IFDIR};
}

/* To look for a name, "." and ".." among them. */
static int walk_permission(const struct walk *walk)
{
    return is_root(&walk->dir) ? 0 : api_permission_check(walk->fs, &walk->dir, X_OK);
}

static int walk_to_parent(struct walk *walk)
{
    uint64_t parent = walk->dir.parent;

    if (is_root(&walk->dir))
        return 0;
    if (parent == PLACEMENT_ROOT_INO) {
        walk_to_root(walk);
        return 0;
    }
    return client_getattr(walk->fs->client, parent, &walk->dir);
}

/* Puts `text` before what is left of the path. */
static int walk_insert(struct walk *walk, const char *text)
{
    size_t len = strlen(text);
    size_t rest = strlen(walk->rest) + 1;

    if (len + 1 + rest > sizeof(walk->text))
        return -ENAMETOOLONG;
    memmove(walk->text + len + 1, walk->rest, rest);
    memcpy(walk->text, text, len);
    walk->text[len] = '/';
    if (rest == 1) /* nothing follows: no slash of our making */
        walk->text[len] = '\0';
    walk->rest = walk->text;
    return 0;
}

static int walk_symlink(struct walk *walk, const struct wire_attr *link)
{
    const struct benchfs *fs = walk->fs;
    char text[PATH_MAX];
    const char *inside = text;
    int status;

    if (++walk->n_links > API_SYMLINK_MAX)
        return -ELOOP;
    status = client_readlink(fs->client, link->ino, text, sizeof(text));
    if (status < 0)
        return status;
    if (text[0] == '\0')
        return -ENOENT;
    if (text[0] == '/') {
        inside = api_path_strip(text, fs->options.mount, fs->mount_len);
        walk_to_root(walk);
    }
    return walk_insert(walk, inside);
}

static void place_set(struct walk *walk, enum api_last last, struct api_place *ret)
{
    ret->last = last;
    ret->parent = walk->dir.ino;
    ret->has_parent_attr = !is_root(&walk->dir);
    ret->parent_attr = walk->dir;
    ret->is_found = false;
}

/* The path ended at a directory that has no name of its own here. */
static int walk_end(struct walk *walk, enum api_last last, struct api_place *ret)
{
    place_set(walk, last, ret);
    ret->is_found = true;
    ret->has_slash = true;
    /* what is known of a directory on the way is not all of it */
    return client_getattr(walk->fs->client, walk->dir.ino, &ret->attr);
}

/* Cuts the next component off. Returns its length, 0: there is none, -ENAMETOOLONG. */
static int component_take(struct walk *walk, char *name)
{
    size_t len;

    walk->rest += strspn(walk->rest, "/");
    len = strcspn(walk->rest, "/");
    if (len > NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(name, walk->rest, len);
    name[len] = '\0';
    walk->rest += len;
    return (int)len;
}

/* Directories on the way are asked for less than the one at its end. */
static int
walk_lookup(struct walk *walk, const char *name, bool is_last, struct wire_attr *ret)
{
    struct client *client = walk->fs->client;
    struct client_entry entry;
    int status =
        client_walk_name(client, &walk->names, walk->dir.ino, name, is_last, &entry);

    if (status == 0 && S_ISDIR(entry.type) && is_last)
        return client_getattr(client, entry.ino, ret);
    if (status == 0)
        *ret = entry.attr;
    return status;
}

/* One name that is neither "." nor "..". 1: go on, 0: *ret is the result. */
static int walk_name(struct walk *walk, struct api_place *ret)
{
    bool is_last = walk->rest[strspn(walk->rest, "/")] == '\0';
    int status = 0;

    ret->has_slash = is_last && walk->rest[0] == '/';
    place_set(walk, API_LAST_NAME, ret);
    if (ret->has_parent_attr)
        status = api_permission_check(walk->fs, &walk->dir, X_OK);
    if (status == 0)
        status = walk_lookup(walk, ret->name, is_last, &ret->attr);
    if (status == -ENOENT && is_last)
        return 0;
    if (status < 0)
        return status;
    if (S_ISLNK(ret->attr.mode)
        && (!is_last || walk->follow == API_FOLLOW
            || (ret->has_slash && walk->follow == API_NOFOLLOW))) {
        status = walk_symlink(walk, &ret->attr);
        return status < 0 ? status : 1;
    }
    if (is_last) {
        ret->is_found = true;
        if (ret->has_slash && walk->follow != API_ENTRY && !S_ISDIR(ret->attr.mode))
            return -ENOTDIR;
        return 0;
    }
    if (!S_ISDIR(ret->attr.mode))
        return -ENOTDIR;
    walk->dir = ret->attr;
    return 1;
}

static int walk_run(struct walk *walk, struct api_place *ret)
{
    enum api_last last = API_LAST_ROOT;
    int status;

    do {
        int len = component_take(walk, ret->name);

        if (len < 0)
            return len;
        if (len == 0)
            return walk_end(walk, last, ret);
        if (strcmp(ret->name, ".") == 0) {
            last = API_LAST_DOT;
            status = walk_permission(walk);
            if (status == 0)
                status = 1;
        } else if (strcmp(ret->name, "..") == 0) {
            last = API_LAST_DOTDOT;
            status = walk_permission(walk);
            if (status == 0)
                status = walk_to_parent(walk);
            if (status == 0)
                status = 1;
        } else {
            last = API_LAST_ROOT; /* if a link ends at "/" */
            status = walk_name(walk, ret);
        }
    } while (status > 0);
    return status;
}

/* Whether what was found, or not found, is to be believed. */
static bool is_sure(struct walk *walk, int status, bool makes, struct api_place *ret)
{
    bool is_missing = status == -ENOENT || (status == 0 && !ret->is_found);

    if (!walk->names.is_kept)
        return true;
    if (walk->names.is_stale || !walk->names.is_sure)
        return false;
    if (!is_missing)
        return true;
    ret->is_kept = status == 0 && makes;
    return ret->is_kept
           || !client_walk_is_astray(walk->fs->client, &walk->names, walk->dir.ino);
}

static int walk_try(struct walk *walk, const char *inside, struct api_place *ret)
{
    memcpy(walk->text, inside, strlen(inside) + 1);
    walk->rest = walk->text;
    walk->n_links = 0;
    walk_to_root(walk);
    ret->is_kept = false;
    return walk_run(walk, ret);
}

int api_walk(struct benchfs *fs,
             const char *path,
             unsigned follow,
             struct api_place *ret)
{
    bool makes = follow & API_MAKES;
    struct walk walk = {.fs = fs, .follow = follow & ~API_MAKES};
    const char *inside;
    size_t len = strlen(path);
    int status;

    if (len == 0)
        return -ENOENT;
    if (len >= PATH_MAX)
        return -ENAMETOOLONG;
    inside = api_path_strip(path, fs->options.mount, fs->mount_len);
    if (!inside)
        return -EINVAL;
    status = walk_try(&walk, inside, ret);
    if (is_sure(&walk, status, makes, ret))
        return status;
    walk.names = (struct client_walk){.is_fresh = true};
    return walk_try(&walk, inside, ret);
}

bool api_walk_again(struct benchfs *fs, const struct api_place *place, int status)
{
    struct client_walk names = {.is_kept = true};

    return status < 0 && place->is_kept
           && client_walk_is_astray(fs->client, &names, place->parent);
}

int api_walk_existing(struct benchfs *fs,
                      const char *path,
                      enum api_follow follow,
                      struct wire_attr *ret)
{
    struct api_place place;
    int status = api_walk(fs, path, follow, &place);

    if (status == 0 && !place.is_found)
        status = -ENOENT;
    if (status == 0)
        *ret = place.attr;
    return status;
}

int api_walk_entry(struct benchfs *fs,
                   const char *path,
                   unsigned makes,
                   struct api_place *ret)
{
    int status = api_walk(fs, path, API_ENTRY | makes, ret);

    if (status == 0 && ret->last == API_LAST_NAME && ret->has_parent_attr)
        status = api_permission_check(fs, &ret->parent_attr, W_OK | X_OK);
    return status;
}

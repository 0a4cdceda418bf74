/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/scratch.h"

#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/placement.h"

#define LINKS_MAX   40
#define MATCHES_MAX (1u << 20)
#define MKDIR_MODE  (S_IFDIR | 0755)

/* Takes the first component off *path. 1, 0: there is none, -ENAMETOOLONG. */
static int component_take(const char **path, char *ret_name)
{
    size_t len;

    *path += strspn(*path, "/");
    len = strcspn(*path, "/");
    if (len > NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(ret_name, *path, len);
    ret_name[len] = '\0';
    *path += len;
    return len > 0;
}

/* What is left of the path after a link: its text, and what followed it. */
static int
link_follow(struct client *client, uint64_t ino, const char *rest, char *path)
{
    char text[PATH_MAX + 1];
    size_t len, rest_len = strlen(rest);
    int rc = client_readlink(client, ino, text, sizeof(text));

    if (rc < 0)
        return rc;
    if (text[0] == '/')
        return -EXDEV;
    len = strlen(text);
    if (len + rest_len >= PATH_MAX)
        return -ENAMETOOLONG;
    memmove(path + len, rest, rest_len + 1);
    memcpy(path, text, len);
    return 0;
}

static int step(struct client *client, const char *name, struct wire_attr *at)
{
    if (!S_ISDIR(at->mode))
        return -ENOTDIR;
    if (strcmp(name, ".") == 0)
        return 0;
    if (strcmp(name, "..") == 0)
        return client_getattr(client, at->parent ? at->parent : at->ino, at);
    return client_lookup(client, at->ino, name, at);
}

int scratch_lookup(struct client *client, const char *path, struct wire_attr *ret)
{
    char rest[PATH_MAX];
    char name[NAME_MAX + 1];
    const char *next = rest;
    struct wire_attr at;
    int n_links = 0;
    int rc;

    if (strlen(path) >= sizeof(rest))
        return -ENAMETOOLONG;
    strcpy(rest, path);
    rc = client_getattr(client, PLACEMENT_ROOT_INO, &at);
    while (rc == 0 && (rc = component_take(&next, name)) > 0) {
        uint64_t dir = at.ino;

        rc = step(client, name, &at);
        if (rc || !S_ISLNK(at.mode))
            continue;
        if (++n_links > LINKS_MAX)
            return -ELOOP;
        rc = link_follow(client, at.ino, next, rest);
        next = rest;
        if (rc == 0)
            rc = client_getattr(client, dir, &at);
    }
    if (rc == 0)
        *ret = at;
    return rc;
}

int scratch_mkdir_p(struct client *client, const char *path, uint64_t *ret_ino)
{
    struct msg_create_request what = {
        .mode = MKDIR_MODE,
        .uid = geteuid(),
        .gid = getegid(),
        .base = BASE_HOME,
        .symlink = {.data = ""},
    };
    char name[NAME_MAX + 1];
    uint64_t ino = PLACEMENT_ROOT_INO;
    struct wire_attr attr;
    int rc = scratch_lookup(client, path, &attr);

    if (rc == 0) {
        *ret_ino = attr.ino;
        return S_ISDIR(attr.mode) ? 0 : -ENOTDIR;
    }
    while ((rc = component_take(&path, name)) > 0) {
        rc = client_create(client, ino, name, &what, &attr);
        if (rc == 0 && !S_ISDIR(attr.mode))
            rc = -ENOTDIR;
        if (rc)
            return rc;
        ino = attr.ino;
    }
    if (rc == 0)
        *ret_ino = ino;
    return rc;
}

/* ---- patterns */

struct matches {
    struct scratch_match *all;
    size_t n;
    size_t capacity;
};

static int match_add(struct matches *matches, const struct client_dirent *entry)
{
    struct scratch_match *match;

    if (matches->n == matches->capacity) {
        size_t capacity = matches->capacity ? 2 * matches->capacity : 16;
        void *all = realloc(matches->all, capacity * sizeof(*matches->all));

        if (!all || capacity > MATCHES_MAX) {
            matches->all = all ? all : matches->all;
            return all ? -E2BIG : -ENOMEM;
        }
        matches->all = all;
        matches->capacity = capacity;
    }
    match = &matches->all[matches->n++];
    match->ino = entry->ino;
    match->type = entry->type;
    strncpy(match->name, entry->name, sizeof(match->name) - 1);
    match->name[sizeof(match->name) - 1] = '\0';
    return 0;
}

/* Adds the entries of a directory that match one component. */
static int dir_match(struct client *client,
                     uint64_t dir,
                     const char *pattern,
                     struct matches *matches)
{
    struct client_dirent entry;
    struct client_dir *stream;
    int rc = client_dir_open(client, dir, &stream);

    if (rc)
        return rc;
    while ((rc = client_dir_read(stream, &entry)) > 0) {
        if (fnmatch(pattern, entry.name, FNM_PERIOD) == 0)
            rc = match_add(matches, &entry);
        if (rc < 0)
            break;
    }
    client_dir_close(stream);
    return rc;
}

/* One component of a pattern, in all directories that matched so far. */
static int
component_match(struct client *client, const char *pattern, struct matches *matches)
{
    struct matches next = {.all = NULL};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < matches->n; i++) {
        if (S_ISDIR(matches->all[i].type))
            rc = dir_match(client, matches->all[i].ino, pattern, &next);
        if (rc == -ENOENT || rc == -ENOTDIR) /* it went meanwhile */
            rc = 0;
    }
    free(matches->all);
    *matches = next;
    return rc;
}

int scratch_glob(struct client *client,
                 const char *pattern,
                 struct scratch_match **ret,
                 size_t *ret_n)
{
    struct client_dirent root = {
        .ino = PLACEMENT_ROOT_INO,
        .type = S_IFDIR,
        .name = "",
    };
    struct matches matches = {.all = NULL};
    char name[NAME_MAX + 1];
    int rc = match_add(&matches, &root);

    while (rc == 0 && (rc = component_take(&pattern, name)) > 0)
        rc = component_match(client, name, &matches);
    if (rc) {
        free(matches.all);
        return rc;
    }
    *ret = matches.all;
    *ret_n = matches.n;
    return 0;
}

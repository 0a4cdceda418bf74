/* SPDX-License-Identifier: Apache-2.0
 * The scratch, through the node's daemon: paths are walked here, names asked for there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/tree.h"
#include "proto/placement.h"

#define SYMLINKS_MAX 40
#define LINK_SIZE    4096

struct tree_file {
    struct client_file *file;
};

/* ---- paths ------------------------------------------------------------------ */

/* A walk from the root; `rest` is what is still to be walked. */
struct walk {
    struct wire_attr at;
    char rest[2 * LINK_SIZE];
    unsigned n_symlinks;
};

/* Puts a symlink's text in front of the rest. */
static int walk_symlink(struct tree *tree,
                        struct walk *walk,
                        const struct wire_attr *dir,
                        uint64_t link)
{
    char text[LINK_SIZE], joined[sizeof(walk->rest)];
    int rc, len;

    if (++walk->n_symlinks > SYMLINKS_MAX)
        return -ELOOP;
    rc = client_readlink(tree->client, link, text, sizeof(text));
    if (rc)
        return rc;
    len = snprintf(joined, sizeof(joined), "%s/%s", text, walk->rest);
    if (len < 0 || (size_t)len >= sizeof(joined))
        return -ENAMETOOLONG;
    memcpy(walk->rest, joined, (size_t)len + 1);
    walk->at = *dir;
    /* counted from the scratch's root, as everything here */
    return text[0] == '/' ? client_getattr(tree->client, PLACEMENT_ROOT_INO, &walk->at)
                          : 0;
}

static int walk_step(struct tree *tree, struct walk *walk, bool follow)
{
    struct wire_attr dir = walk->at;
    char name[WIRE_NAME_MAX + 1];
    size_t len, blanks = strspn(walk->rest, "/");
    int rc;

    memmove(walk->rest, walk->rest + blanks, strlen(walk->rest + blanks) + 1);
    len = strcspn(walk->rest, "/");
    if (len == 0)
        return 0;
    if (len > WIRE_NAME_MAX)
        return -ENAMETOOLONG;
    if (!S_ISDIR(dir.mode))
        return -ENOTDIR;
    memcpy(name, walk->rest, len);
    name[len] = '\0';
    memmove(walk->rest, walk->rest + len, strlen(walk->rest + len) + 1);
    if (strcmp(name, ".") == 0)
        return 0;
    if (strcmp(name, "..") == 0)
        return client_getattr(tree->client,
                              dir.ino == PLACEMENT_ROOT_INO ? dir.ino : dir.parent,
                              &walk->at);
    rc = client_lookup(tree->client, dir.ino, name, &walk->at);
    if (rc || !S_ISLNK(walk->at.mode) || !(follow || walk->rest[0]))
        return rc;
    return walk_symlink(tree, walk, &dir, walk->at.ino);
}

static int
path_walk(struct tree *tree, const char *path, bool follow, struct wire_attr *ret)
{
    struct walk walk = {.n_symlinks = 0};
    int rc;

    if (strlen(path) >= LINK_SIZE)
        return -ENAMETOOLONG;
    memcpy(walk.rest, path, strlen(path) + 1);
    rc = client_getattr(tree->client, PLACEMENT_ROOT_INO, &walk.at);
    while (rc == 0 && walk.rest[0])
        rc = walk_step(tree, &walk, follow);
    if (rc == 0)
        *ret = walk.at;
    return rc;
}

/* The directory of the last component, which need not exist. */
static int parent_walk(struct tree *tree,
                       const char *path,
                       struct wire_attr *ret,
                       const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    char *dir;
    int rc;

    if (!slash || !slash[1])
        return -EEXIST; /* the root */
    dir = strndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (!dir)
        return -ENOMEM;
    rc = path_walk(tree, dir, true, ret);
    free(dir);
    if (rc == 0 && !S_ISDIR(ret->mode))
        rc = -ENOTDIR;
    *ret_name = slash + 1;
    return rc;
}

/* ---- the operations --------------------------------------------------------- */

static int
scratch_stat(struct tree *tree, const char *path, bool follow, struct tree_stat *ret)
{
    struct wire_attr attr;
    int rc = path_walk(tree, path, follow, &attr);

    if (rc)
        return rc;
    *ret = (struct tree_stat){
        .ino = attr.ino,
        .mode = attr.mode,
        .uid = attr.uid,
        .gid = attr.gid,
        .nlink = attr.nlink,
        .size = attr.size,
        .atime_ns = attr.atime_ns,
        .mtime_ns = attr.mtime_ns,
    };
    return 0;
}

static int scratch_readlink(struct tree *tree, const char *path, char *buf, size_t size)
{
    struct wire_attr attr;
    int rc = path_walk(tree, path, false, &attr);

    return rc ? rc : client_readlink(tree->client, attr.ino, buf, size);
}

static int scratch_list(struct tree *tree, const char *path, struct tree_names *ret)
{
    struct client_dirent entry;
    struct client_dir *dir;
    struct wire_attr attr;
    int rc = path_walk(tree, path, true, &attr);

    if (rc == 0)
        rc = S_ISDIR(attr.mode) ? client_dir_open(tree->client, attr.ino, &dir)
                                : -ENOTDIR;
    if (rc)
        return rc;
    while ((rc = client_dir_read(dir, &entry)) == 1) {
        rc = tree_names_add(ret, entry.name);
        if (rc)
            break;
    }
    client_dir_close(dir);
    tree_names_sort(ret);
    return rc;
}

/* The rest of what is to be created: mode, owner, all else as the service says. */
static struct msg_create_request creation(uint32_t mode, uint32_t flags)
{
    return (struct msg_create_request){
        .mode = mode,
        .uid = geteuid(),
        .gid = getegid(),
        .flags = flags,
        .base = BASE_HOME,
    };
}

static int scratch_mkdir(struct tree *tree, const char *path, uint32_t mode)
{
    struct msg_create_request what = creation(S_IFDIR | (mode & 07777), CREATE_EXCL);
    struct wire_attr parent, attr;
    const char *name;
    int rc = parent_walk(tree, path, &parent, &name);

    if (rc == 0)
        rc = client_create(tree->client, parent.ino, name, &what, &attr);
    if (rc != -EEXIST)
        return rc;
    rc = path_walk(tree, path, true, &attr);
    return rc ? rc : S_ISDIR(attr.mode) ? 0 : -ENOTDIR;
}

static int scratch_symlink(struct tree *tree, const char *path, const char *text)
{
    struct msg_create_request what = creation(S_IFLNK | 0777, CREATE_EXCL);
    struct wire_attr parent, attr;
    const char *name;
    int rc = parent_walk(tree, path, &parent, &name);

    if (rc)
        return rc;
    if (strlen(text) > WIRE_TEXT_MAX)
        return -ENAMETOOLONG;
    what.symlink = (struct wire_text){.data = text, .len = (uint16_t)strlen(text)};
    return client_create(tree->client, parent.ino, name, &what, &attr);
}

static int file_wrap(struct client_file *file, struct tree_file **ret)
{
    *ret = malloc(sizeof(**ret));
    if (!*ret) {
        (void)client_file_close(file);
        return -ENOMEM;
    }
    (*ret)->file = file;
    return 0;
}

static int scratch_open(struct tree *tree, const char *path, struct tree_file **ret)
{
    struct client_file *file;
    struct wire_attr attr;
    int rc = path_walk(tree, path, true, &attr);

    if (rc == 0)
        rc = S_ISREG(attr.mode)
                 ? client_file_open(tree->client, attr.ino, OPEN_READ, &file)
                 : -EINVAL;
    return rc ? rc : file_wrap(file, ret);
}

static int scratch_create(struct tree *tree,
                          const char *path,
                          uint32_t mode,
                          struct tree_file **ret)
{
    struct msg_create_request what = creation(S_IFREG | (mode & 0777), 0);
    struct wire_attr parent, attr;
    struct client_file *file;
    const char *name;
    int rc = path_walk(tree, path, true, &attr);

    if (rc == 0 && !S_ISREG(attr.mode))
        return -EISDIR;
    if (rc == 0) {
        rc =
            client_file_open(tree->client, attr.ino, OPEN_WRITE | OPEN_TRUNCATE, &file);
    } else if (rc == -ENOENT) {
        rc = parent_walk(tree, path, &parent, &name);
        if (rc == 0)
            rc = client_file_create(tree->client,
                                    parent.ino,
                                    name,
                                    &what,
                                    OPEN_WRITE | OPEN_TRUNCATE,
                                    &attr,
                                    &file);
    }
    return rc ? rc : file_wrap(file, ret);
}

static ssize_t
scratch_read(struct tree_file *file, void *data, size_t size, uint64_t offset)
{
    const struct iovec iov = {.iov_base = data, .iov_len = size};

    return client_file_readv(file->file, &iov, 1, offset);
}

static ssize_t
scratch_write(struct tree_file *file, const void *data, size_t size, uint64_t offset)
{
    const struct iovec iov = {.iov_base = (void *)data, .iov_len = size};

    return client_file_writev(file->file, &iov, 1, offset);
}

static int
scratch_setattr(struct tree *tree, const char *path, struct msg_setattr_request *change)
{
    struct wire_attr attr;
    int rc = path_walk(tree, path, true, &attr);

    if (rc)
        return rc;
    change->ino = attr.ino;
    return client_setattr(tree->client, change, &attr);
}

static int scratch_truncate(struct tree *tree, const char *path, uint64_t size)
{
    struct msg_setattr_request change = {.mask = SETATTR_SIZE, .size = size};

    return scratch_setattr(tree, path, &change);
}

static int scratch_attributes_set(struct tree *tree,
                                  const char *path,
                                  const struct tree_stat *from)
{
    struct msg_setattr_request change = {
        .mask = SETATTR_MODE | SETATTR_ATIME | SETATTR_MTIME,
        .mode = from->mode & 07777,
        .atime_ns = from->atime_ns,
        .mtime_ns = from->mtime_ns,
    };

    return scratch_setattr(tree, path, &change);
}

static int scratch_close(struct tree_file *file)
{
    int rc = client_file_close(file->file);

    free(file);
    return rc;
}

const struct tree_ops tree_scratch_ops = {
    .stat = scratch_stat,
    .readlink = scratch_readlink,
    .list = scratch_list,
    .mkdir = scratch_mkdir,
    .symlink = scratch_symlink,
    .open = scratch_open,
    .create = scratch_create,
    .read = scratch_read,
    .write = scratch_write,
    .truncate = scratch_truncate,
    .close = scratch_close,
    .attributes_set = scratch_attributes_set,
};

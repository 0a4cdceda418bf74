/* SPDX-License-Identifier: Apache-2.0
 * One side of a copy: the node's own files, or the scratch. Paths are absolute. Errors
 * are -errno. Not thread-safe. */
#ifndef BENCHFS_CLI_TREE_H
#define BENCHFS_CLI_TREE_H

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "client/client.h"

struct tree_stat {
    uint64_t ino;
    uint32_t mode; /* type and permissions */
    uint32_t uid, gid, nlink;
    uint64_t size;
    int64_t atime_ns, mtime_ns;
};

struct tree_file;

/* Names of a directory, without "." and "..", sorted. */
struct tree_names {
    char **items;
    size_t count;
};

struct tree;

struct tree_ops {
    /* follow: what a symlink at the end points to. */
    int (*stat)(struct tree *tree,
                const char *path,
                bool follow,
                struct tree_stat *ret);
    int (*readlink)(struct tree *tree, const char *path, char *buf, size_t size);
    int (*list)(struct tree *tree, const char *path, struct tree_names *ret);
    /* 0 also when the directory is there already */
    int (*mkdir)(struct tree *tree, const char *path, uint32_t mode);
    int (*symlink)(struct tree *tree, const char *path, const char *text);
    /* for reading, or made, emptied, for writing */
    int (*open)(struct tree *tree, const char *path, struct tree_file **ret);
    int (*create)(struct tree *tree,
                  const char *path,
                  uint32_t mode,
                  struct tree_file **ret);
    ssize_t (*read)(struct tree_file *file, void *data, size_t size, uint64_t offset);
    ssize_t (*write)(struct tree_file *file,
                     const void *data,
                     size_t size,
                     uint64_t offset);
    int (*truncate)(struct tree *tree, const char *path, uint64_t size);
    int (*close)(struct tree_file *file);
    /* permissions and times, of a file or directory */
    int (*attributes_set)(struct tree *tree,
                          const char *path,
                          const struct tree_stat *from);
};

struct tree {
    const struct tree_ops *ops;
    struct client *client; /* of the scratch */
};

extern const struct tree_ops tree_local_ops;
extern const struct tree_ops tree_scratch_ops;

void tree_names_free(struct tree_names *names);
/* Adds a copy. 0 or -ENOMEM. */
int tree_names_add(struct tree_names *names, const char *name);
void tree_names_sort(struct tree_names *names);

/* "dir/name" (free() it); NULL without memory. */
char *tree_path_join(const char *dir, const char *name);

/* What a path on the command line means. ":/in" and whatever lies beneath
 * $BENCHFS_MOUNT are in the scratch; everything else, made absolute, on the node. Gives
 * the path on that side (free() it). */
int tree_path_parse(const char *text,
                    bool *ret_is_scratch,
                    char **ret_path,
                    struct benchfs_error *err);

#endif

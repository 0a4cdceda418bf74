/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the path-based API share: the handle, its descriptors, and walking
 * paths.
 */
#ifndef BENCHFS_CLIENT_API_H
#define BENCHFS_CLIENT_API_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "benchfs/benchfs.h"
#include "client/client.h"

#define API_FD_BLOCK    1024
#define API_FD_BLOCKS   64
#define API_SYMLINK_MAX 40

/* An open descriptor. Stays until the last user is through, also when it is closed. */
struct api_file {
    struct client_file *file; /* NULL: a directory, or lost in a fork (see status) */
    uint64_t ino;
    int flags; /* O_* */
    uint32_t open_flags;
    int status;          /* of opening it anew after fork */
    unsigned references; /* under fs->fd_lock */
    atomic_bool has_flock;
    pthread_mutex_t position_lock; /* held over read and write */
    uint64_t position;
};

struct benchfs {
    struct client *client;
    struct benchfs_options options; /* strings owned */
    size_t mount_len;
    mode_t umask;
    gid_t *groups;
    int n_groups;
    unsigned generation;         /* counts forks */
    bool must_release_pmix;      /* this handle initialised it */
    atomic_bool has_range_locks; /* some descriptor may have locks of benchfs_lock() */
    /* A page that the kernel clears in a child: enum fork_state. */
    atomic_int *fork_mark;
    pthread_mutex_t fd_lock;
    struct api_file **fds[API_FD_BLOCKS]; /* blocks of API_FD_BLOCK, never moved */
};

/* Every function of the API begins with this: makes the handle usable in a child after
 * fork. 0 or -errno. */
int api_enter(struct benchfs *fs);

/* The endpoint table by PMIx, when that is to be used (bootstrap.c). *ret NULL: not;
 * else to be freed. *ret_must_release: api_table_release() is to be called at the end.
 */
int api_table_get(const struct benchfs_options *options,
                  void **ret,
                  size_t *ret_len,
                  bool *ret_must_release,
                  struct benchfs_error *err);
void api_table_release(void);

/* ---- descriptors ----------------------------------------------------- */

/* Takes over `file` (not on failure) and gives it the lowest free number. */
int api_fd_add(struct benchfs *fs, struct api_file *file);
/* With a reference, to be put; NULL: no such descriptor. */
struct api_file *api_fd_get(struct benchfs *fs, int fd);
/* Returns the close's error if this was the last use of a closed descriptor. */
int api_fd_put(struct benchfs *fs, struct api_file *file);
int api_fd_close(struct benchfs *fs, int fd);
int api_fd_close_all(struct benchfs *fs);
struct api_file *api_file_new(uint64_t ino, int flags, uint32_t open_flags);
void api_file_free(struct api_file *file);
/* What goes with a descriptor that is closed, and with the last use of one. */
void api_lock_closed(struct benchfs *fs, const struct api_file *file);
void api_lock_ended(struct benchfs *fs, const struct api_file *file);
/* In a child: opens with the new client what was open. */
int api_fd_reopen_all(struct benchfs *fs);

/* ---- paths ----------------------------------------------------------- */

enum api_follow {
    API_FOLLOW,   /* a symbolic link at the end is followed */
    API_NOFOLLOW, /* it is not, unless a slash comes after it */
    API_ENTRY,    /* it is not: the name itself is meant (unlink, rename, ..) */
};

/* With one of these: what is not there is about to be made, which shows whether its
 * directory is still there. */
#define API_MAKES 8u
/* How often a path is walked because what it led to has gone meanwhile. */
#define API_WALK_TRIES 8

enum api_last {
    API_LAST_NAME,
    API_LAST_ROOT,
    API_LAST_DOT,
    API_LAST_DOTDOT,
};

/* Where a path leads. With API_LAST_NAME: the entry `name` of `parent`, which is there
 * (is_found, attr) or not; else attr of a directory. */
struct api_place {
    enum api_last last;
    bool is_found;
    bool has_slash; /* the path ended in one, so only a directory will do */
    uint64_t parent;
    bool is_kept;         /* with API_MAKES, and not found: see api_walk_again() */
    bool has_parent_attr; /* not of the root */
    struct wire_attr parent_attr;
    char name[NAME_MAX + 1];
    struct wire_attr attr;
};

/* 0 also when the last component does not exist; -ENOENT: one before it. */
int api_walk(struct benchfs *fs,
             const char *path,
             unsigned follow, /* enum api_follow, API_MAKES */
             struct api_place *ret);
/* After what should be made there, or was refused: whether the path has to be walked
 * again, because its directory is no more. */
bool api_walk_again(struct benchfs *fs, const struct api_place *place, int status);
/* An existing one: -ENOENT if it is not there. */
int api_walk_existing(struct benchfs *fs,
                      const char *path,
                      enum api_follow follow,
                      struct wire_attr *ret);
/* One to be made (API_MAKES), removed or renamed (0): *ret->last is a name, and the
 * parent writable. */
int api_walk_entry(struct benchfs *fs,
                   const char *path,
                   unsigned makes,
                   struct api_place *ret);

/* The path within the scratch (begins with '/'), or NULL if it is not in it. */
const char *api_path_strip(const char *path, const char *mount, size_t mount_len);

/* 0 or -EACCES; mask: R_OK, W_OK, X_OK. */
int api_permission_check(const struct benchfs *fs,
                         const struct wire_attr *attr,
                         int mask);

#endif

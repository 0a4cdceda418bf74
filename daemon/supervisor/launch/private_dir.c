/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/private_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/proc.h"

/* Who owns the directory above could put another in place of ours. */
static int parent_check(int fd, const char *path, struct benchfs_error *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return benchfs_error_set(err, errno, "%s: %m", path);
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return benchfs_error_set(
            err, EPERM, "%s belongs to user %u, who can't be trusted", path, st.st_uid);
    return 0;
}

static int parent_open(const char *path,
                       bool may_create,
                       char base[NAME_MAX + 1],
                       struct benchfs_error *err)
{
    char *parent = strdup(path);
    char *slash = parent ? strrchr(parent, '/') : NULL;
    int fd, rc;

    if (!slash || slash == parent || strlen(slash + 1) > NAME_MAX) {
        free(parent);
        return benchfs_error_set(err, EINVAL, "%s: not a path for a directory", path);
    }
    memcpy(base, slash + 1, strlen(slash + 1) + 1);
    *slash = '\0';
    if (may_create && mkdir(parent, 0700) < 0 && errno != EEXIST)
        fd = benchfs_error_set(err, errno, "can't make directory %s: %m", parent);
    else if ((fd = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
        fd = benchfs_error_set(err, errno, "directory %s: %m", parent);
    else if ((rc = parent_check(fd, parent, err)) < 0) {
        close(fd);
        fd = rc;
    }
    free(parent);
    return fd;
}

static int owner_check(int fd, const char *path, struct benchfs_error *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return benchfs_error_set(err, errno, "%s: %m", path);
    if (st.st_uid != geteuid())
        return benchfs_error_set(err,
                                 EPERM,
                                 "%s belongs to user %u, not to user %u",
                                 path,
                                 st.st_uid,
                                 geteuid());
    if ((st.st_mode & 077) && fchmod(fd, 0700) < 0)
        return benchfs_error_set(err, errno, "%s: can't make it private: %m", path);
    return 0;
}

int private_dir_open(const char *path,
                     bool may_create_parent,
                     struct benchfs_error *err)
{
    char base[NAME_MAX + 1];
    int parent = parent_open(path, may_create_parent, base, err);
    int fd = -1, rc = 0;

    if (parent < 0)
        return parent;
    if (mkdirat(parent, base, 0700) < 0 && errno != EEXIST) {
        rc = benchfs_error_set(err, errno, "can't make directory %s: %m", path);
    } else {
        fd = openat(parent, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        rc = fd < 0 ? benchfs_error_set(err, errno, "directory %s: %m", path)
                    : owner_check(fd, path, err);
    }
    close(parent);
    if (rc)
        proc_fd_close(&fd);
    return rc ? rc : fd;
}

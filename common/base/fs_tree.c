/* SPDX-License-Identifier: Apache-2.0
 * Removal of a tree whose owner may be hostile: no symlink is followed, no mount is
 * entered, and depth costs no descriptors, as what lies too deep is moved to the top.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

#define DEPTH_MAX 32
/* Passes over a directory somebody keeps filling, before we give up. */
#define PASSES_MAX 1000
#define MOVES_MAX  1000000UL

struct removal {
    int top_fd; /* where deep directories are moved to */
    dev_t device;
    unsigned long moved_count;
    bool has_moved; /* since the pass over the top began */
};

static int
remove_entry(struct removal *removal, int dirfd, const char *name, int depth);

static bool is_dot(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* One pass over the directory; takes fd over. */
static int remove_children(struct removal *removal, int fd, int depth)
{
    DIR *dir = fdopendir(fd);
    struct dirent *entry;
    int result = 0;

    if (!dir) {
        result = -errno;
        close(fd);
        return result;
    }
    while ((errno = 0, entry = readdir(dir))) {
        int status;

        if (is_dot(entry->d_name))
            continue;
        status = remove_entry(removal, fd, entry->d_name, depth + 1);
        if (status < 0 && result == 0)
            result = status;
    }
    if (errno != 0 && result == 0)
        result = -errno;
    closedir(dir);
    return result;
}

static int move_to_top(struct removal *removal, int dirfd, const char *name)
{
    char moved_name[48];

    /* Names may be taken by an earlier removal that was cut off. */
    do {
        snprintf(
            moved_name, sizeof(moved_name), ".benchfs-rm.%lu", removal->moved_count++);
        if (renameat(dirfd, name, removal->top_fd, moved_name) == 0) {
            removal->has_moved = true;
            return 0;
        }
    } while ((errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR)
             && removal->moved_count < MOVES_MAX);
    return -errno;
}

static int open_for_removal(const struct removal *removal, int dirfd, const char *name)
{
    int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) == 0 && st.st_dev == removal->device)
        return fd;
    close(fd);
    return -EXDEV;
}

static int remove_dir(struct removal *removal, int dirfd, const char *name, int depth)
{
    int fd;
    int status;

    if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    if (errno != ENOTEMPTY && errno != EEXIST)
        return -errno;
    if (depth > DEPTH_MAX)
        return move_to_top(removal, dirfd, name);
    fd = open_for_removal(removal, dirfd, name);
    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    status = remove_children(removal, fd, depth);
    if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    return status < 0 ? status : -errno;
}

static int remove_entry(struct removal *removal, int dirfd, const char *name, int depth)
{
    if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
        return 0;
    /* Linux says EISDIR for a directory, POSIX EPERM. */
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    return remove_dir(removal, dirfd, name, depth);
}

/* Passes over the top until nothing is left, or nothing can be done. */
static int remove_top(struct removal *removal, int dirfd, const char *name)
{
    int status = 0;

    for (int pass = 0; pass < PASSES_MAX; pass++) {
        int fd;

        if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
            return 0;
        if (errno != ENOTEMPTY && errno != EEXIST)
            return -errno;
        if (status < 0 && !removal->has_moved)
            return status;
        removal->has_moved = false;
        fd = openat(removal->top_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            return -errno;
        status = remove_children(removal, fd, 0);
    }
    return status < 0 ? status : -ENOTEMPTY;
}

int fs_tree_remove_at(int dirfd, const char *name)
{
    struct removal removal = {.moved_count = 0};
    struct stat st;
    int status;

    if (name[0] == '\0' || strchr(name, '/') || is_dot(name))
        return -EINVAL;
    if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    removal.top_fd =
        openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (removal.top_fd < 0)
        return -errno;
    if (fstat(removal.top_fd, &st) < 0) {
        status = -errno;
        close(removal.top_fd);
        return status;
    }
    removal.device = st.st_dev;
    status = remove_top(&removal, dirfd, name);
    close(removal.top_fd);
    return status;
}

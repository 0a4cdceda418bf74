/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/proc.h"
#include "base/units.h"
#include "launch/private_dir.h"
#include "proto/endpoint_table.h"

#define LOCK_NAME     "lock"
#define LOCK_RETRIES  10
#define SOCKET_SUFFIX "/shard-99.sock"

/* ---- directories ------------------------------------------------------------ */

int place_open(struct place *place,
               const char *run_dir,
               const char *store_dir,
               struct benchfs_error *err)
{
    *place = (struct place)PLACE_INIT;
    if (strlen(run_dir) + strlen(SOCKET_SUFFIX) > ENDPOINT_PATH_MAX)
        return benchfs_error_set(
            err, ENAMETOOLONG, "%s: too long for a directory of sockets", run_dir);
    place->run_dir = strdup(run_dir);
    place->store_dir = strdup(store_dir);
    if (!place->run_dir || !place->store_dir)
        return benchfs_error_set(err, ENOMEM, "no memory for paths");
    place->run_fd = private_dir_open(run_dir, true, err);
    return place->run_fd < 0 ? place->run_fd : 0;
}

void place_close(struct place *place)
{
    proc_fd_close(&place->lock_fd);
    proc_fd_close(&place->store_fd);
    proc_fd_close(&place->run_fd);
    free(place->run_dir);
    free(place->store_dir);
    *place = (struct place)PLACE_INIT;
}

int place_store_open(struct place *place,
                     bool may_create_parent,
                     struct benchfs_error *err)
{
    int fd = private_dir_open(place->store_dir, may_create_parent, err);

    if (fd < 0) {
        benchfs_error_prefix(err, "--benchfs-store: ");
        return fd;
    }
    /* Two nodes that mean the same directory would destroy each other's data. */
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int rc = benchfs_error_set(
            err,
            errno,
            "--benchfs-store: %s is in use by another daemon; it must be a "
            "directory of each node's own",
            place->store_dir);

        close(fd);
        return rc;
    }
    place->store_fd = fd;
    return 0;
}

/* ---- lock ------------------------------------------------------------------- */

static pid_t lock_holder(int fd)
{
    char text[UNITS_TEXT_MAX] = "";
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    uint64_t pid = 0;

    if (n > 0)
        text[strcspn(text, "\n")] = '\0';
    return n > 0 && units_count_parse(text, &pid, NULL) == 0 && pid <= INT_MAX
               ? (pid_t)pid
               : 0;
}

/* One that was removed between our open and our flock counts for nothing. */
static bool lock_is_current(const struct place *place, int fd)
{
    struct stat held, named;

    return fstat(fd, &held) == 0
           && fstatat(place->run_fd, LOCK_NAME, &named, AT_SYMLINK_NOFOLLOW) == 0
           && held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

static int lock_try(struct place *place, pid_t *ret_pid)
{
    int fd = openat(
        place->run_fd, LOCK_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    int rc;

    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        rc = errno == EWOULDBLOCK ? -EBUSY : -errno;
        *ret_pid = lock_holder(fd);
    } else {
        rc = lock_is_current(place, fd) ? 0 : -EAGAIN;
    }
    if (rc == 0 && (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", getpid()) < 0))
        rc = -errno;
    if (rc)
        close(fd);
    else
        place->lock_fd = fd;
    return rc;
}

int place_lock(struct place *place, pid_t *ret_pid, struct benchfs_error *err)
{
    int rc = -EAGAIN;

    for (int i = 0; rc == -EAGAIN && i < LOCK_RETRIES; i++)
        rc = lock_try(place, ret_pid);
    if (rc)
        benchfs_error_set(
            err, -rc, "lock %s/%s: %s", place->run_dir, LOCK_NAME, strerror(-rc));
    return rc;
}

/* ---- content ---------------------------------------------------------------- */

/* Removes everything in the directory but `keep` (NULL: nothing is kept). */
static int content_remove(int dir_fd, const char *keep)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    int rc = 0;

    if (!dir) {
        rc = -errno;
        proc_fd_close(&fd);
        return rc;
    }
    while ((entry = readdir(dir))) {
        int one;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0
            || (keep && strcmp(entry->d_name, keep) == 0))
            continue;
        one = fs_tree_remove_at(dir_fd, entry->d_name);
        rc = rc ? rc : one;
    }
    closedir(dir);
    return rc;
}

int place_clear(struct place *place, struct benchfs_error *err)
{
    int rc = content_remove(place->run_fd, LOCK_NAME);

    if (rc)
        return benchfs_error_set(
            err, -rc, "can't clear %s: %s", place->run_dir, strerror(-rc));
    if (place->store_fd >= 0)
        rc = content_remove(place->store_fd, NULL);
    return rc ? benchfs_error_set(
               err, -rc, "can't clear %s: %s", place->store_dir, strerror(-rc))
              : 0;
}

int place_file_write(struct place *place,
                     const char *name,
                     const char *text,
                     struct benchfs_error *err)
{
    int rc = fs_file_write_atomic(place->run_fd, name, text, strlen(text), 0600);

    return rc ? benchfs_error_set(
               err, -rc, "can't write %s/%s: %s", place->run_dir, name, strerror(-rc))
              : 0;
}

/* The directory that the runs of a user share, "benchfs-<uid>" or the like, and no one
 * of the user's own making. */
static bool is_users_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *dash = strrchr(path, '-');
    uint64_t uid;

    return slash && dash && strncmp(slash + 1, "benchfs", strlen("benchfs")) == 0
           && units_count_parse(dash + 1, &uid, NULL) == 0 && uid == geteuid();
}

/* A directory above may be root's: then the empty one stays for root to remove. */
static void path_remove(const char *path, bool with_parent)
{
    char *above = strdup(path);
    char *slash = above ? strrchr(above, '/') : NULL;

    (void)rmdir(path);
    for (int level = 0; slash && level < 2; level++) {
        *slash = '\0';
        if ((with_parent && level == 0) || is_users_base(above))
            (void)rmdir(above);
        slash = strrchr(above, '/');
    }
    free(above);
}

void place_remove(struct place *place, bool with_parent)
{
    if (place->store_fd >= 0) {
        (void)content_remove(place->store_fd, NULL);
        path_remove(place->store_dir, with_parent);
    }
    if (place->lock_fd >= 0) {
        (void)content_remove(place->run_fd, LOCK_NAME);
        (void)unlinkat(place->run_fd, LOCK_NAME, 0);
        path_remove(place->run_dir, with_parent);
    }
}

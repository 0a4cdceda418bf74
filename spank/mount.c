/* SPDX-License-Identifier: Apache-2.0
 * The private mount of a step, and the rule for where it may be. */
#include "spank/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Like fs_dir_open_beneath(), but needs search permission only. */
static int path_open(const char *path)
{
    char copy[PATH_MAX];
    char *rest = copy;
    char *name;
    int fd;

    if (path[0] != '/')
        return -EINVAL;
    if (strlen(path) >= sizeof(copy))
        return -ENAMETOOLONG;
    strcpy(copy, path);
    fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    while (fd >= 0 && (name = strsep(&rest, "/"))) {
        int child;

        if (name[0] == '\0')
            continue;
        child = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (child < 0)
            child = -errno;
        close(fd);
        fd = child;
    }
    return fd;
}

static int default_point_open(const char *path, struct benchfs_error *err)
{
    mode_t mask = umask(022);
    int fd;

    if (mkdir(path, 0755) < 0 && errno != EEXIST && errno != EROFS) {
        int status = benchfs_error_set(err, errno, "mount point %s: %m", path);

        umask(mask);
        return status;
    }
    umask(mask);
    fd = path_open(path);
    if (fd < 0)
        benchfs_error_set(err, fd, "mount point %s: %s", path, strerror(-fd));
    return fd;
}

int mount_point_open(const struct job *job,
                     const struct benchfs_config *admin,
                     const char *path,
                     struct benchfs_error *err)
{
    struct identity saved;
    struct stat st;
    int fd;
    int status;

    if (strcmp(path, admin->mount) == 0)
        return default_point_open(path, err);
    status = identity_become(job->uid, job->gid, &saved);
    if (status < 0)
        return benchfs_error_set(
            err, status, "uid %u: %s", job->uid, strerror(-status));
    fd = path_open(path);
    identity_restore(&saved);
    if (fd < 0) {
        benchfs_error_set(err, fd, "--benchfs-mount=%s: %s", path, strerror(-fd));
        return fd;
    }
    status = fstat(fd, &st) < 0 ? -errno : 0;
    if (status == 0 && st.st_uid == job->uid)
        return fd;
    close(fd);
    return benchfs_error_set(err,
                             EPERM,
                             "--benchfs-mount=%s: neither the default (%s) nor a "
                             "directory of yours",
                             path,
                             admin->mount);
}

/* The job's directory is its user's: whatever stands there under the name of the mount
 * must not be followed. If the mount is not there, tasks would write into a plain
 * directory, and lose it. */
static int source_open(const struct job *job, struct benchfs_error *err)
{
    int fd = open(job->mount, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct statfs fs;

    if (fd < 0)
        return benchfs_error_set(err, errno, "%s: %m", job->mount);
    /* Root may not look into a user's FUSE mount; this the kernel answers by itself. */
    if (fstatfs(fd, &fs) == 0 && (unsigned long)fs.f_type == FUSE_SUPER_MAGIC)
        return fd;
    close(fd);
    return benchfs_error_set(err, ENOTCONN, "%s: not mounted", job->mount);
}

static int bind(const struct job *job, int point, struct benchfs_error *err)
{
    char source[64];
    char target[64];
    int fd = source_open(job, err);
    int status = 0;

    if (fd < 0)
        return fd;
    snprintf(source, sizeof(source), "/proc/self/fd/%d", fd);
    snprintf(target, sizeof(target), "/proc/self/fd/%d", point);
    if (mount(source, target, NULL, MS_BIND, NULL) < 0)
        status = benchfs_error_set(err, errno, "mount of %s: %m", job->mount);
    close(fd);
    return status;
}

int mount_private(const struct job *job,
                  const struct benchfs_config *admin,
                  const char *path,
                  struct benchfs_error *err)
{
    int status;
    int point;

    /* Before the mount point is opened: a descriptor of the old namespace is no place
     * for a mount in the new one. */
    if (unshare(CLONE_NEWNS) < 0)
        return benchfs_error_set(err, errno, "new mount namespace: %m");
    /* Mounts made on the node later are still seen, ours are seen by nobody else. */
    if (mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
        return benchfs_error_set(err, errno, "private mount namespace: %m");
    point = mount_point_open(job, admin, path, err);
    if (point < 0)
        return point;
    status = bind(job, point, err);
    close(point);
    return status;
}

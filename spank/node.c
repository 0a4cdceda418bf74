/* SPDX-License-Identifier: Apache-2.0
 * Directories of a job: made and removed beneath directories of root's. */
#include "spank/node.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/proc.h"
#include "spank/holder.h"

#define HOLDER_TIMEOUT_MS 2000

int node_dir_open(const char *path, bool may_create, struct benchfs_error *err)
{
    int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat st;
    int fd;

    if (root < 0)
        return benchfs_error_set(err, errno, "/: %m");
    fd = fs_dir_open_beneath(root, path + 1, may_create, 0755);
    close(root);
    if (fd < 0) {
        benchfs_error_set(err, fd, "%s: %s", path, strerror(-fd));
        return fd;
    }
    if (fstat(fd, &st) < 0) {
        int status = benchfs_error_set(err, errno, "%s: %m", path);

        close(fd);
        return status;
    }
    if (st.st_uid != geteuid() || (st.st_mode & 022)) {
        close(fd);
        return benchfs_error_set(
            err,
            EPERM,
            "%s: owner %u, mode %04o: must belong to uid %u and be "
            "writable by no other",
            path,
            st.st_uid,
            st.st_mode & 07777,
            geteuid());
    }
    return fd;
}

/* The parent is root's, so nobody else puts something under this name meanwhile. */
static int
job_dir_make(const char *parent, const struct job *job, struct benchfs_error *err)
{
    int dir = node_dir_open(parent, true, err);
    struct stat st = {.st_uid = job->uid};
    int fd = -1;
    int status = 0;

    if (dir < 0)
        return dir;
    if (mkdirat(dir, job->id_text, 0700) < 0 && errno != EEXIST)
        status = -errno;
    if (status == 0)
        fd = openat(dir, job->id_text, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (status == 0 && (fd < 0 || fstat(fd, &st) < 0))
        status = -errno;
    if (status == 0 && st.st_uid != job->uid && st.st_uid != geteuid())
        status = -EPERM; /* of another user's job: a job id came round again */
    if (status == 0 && (fchown(fd, job->uid, job->gid) < 0 || fchmod(fd, 0700) < 0))
        status = -errno;
    if (status < 0)
        benchfs_error_set(
            err, status, "%s/%s: %s", parent, job->id_text, strerror(-status));
    proc_fd_close(&fd);
    close(dir);
    return status;
}

int node_prepare(const struct job *job,
                 const struct benchfs_config *admin,
                 const char *store,
                 struct benchfs_error *err)
{
    mode_t mask = umask(022);
    int status = job_dir_make(admin->run_dir, job, err);

    if (status == 0 && strcmp(store, "memory") == 0)
        status = job_dir_make(admin->memory_dir, job, err);
    if (status == 0 && strcmp(store, "disk") == 0)
        status = job_dir_make(admin->disk_dir, job, err);
    umask(mask);
    return status;
}

bool node_has_job(const struct job *job, const struct benchfs_config *admin)
{
    const char *const parents[] = {admin->run_dir, admin->memory_dir, admin->disk_dir};
    bool is_there = false;

    for (size_t i = 0; i < sizeof(parents) / sizeof(parents[0]); i++) {
        int dir = node_dir_open(parents[i], false, NULL);
        struct stat st;

        if (dir < 0)
            continue;
        if (fstatat(dir, job->id_text, &st, AT_SYMLINK_NOFOLLOW) == 0)
            is_there = true;
        close(dir);
    }
    return is_there;
}

static int
job_dir_remove(const char *parent, const struct job *job, struct benchfs_error *err)
{
    int dir = node_dir_open(parent, false, err);
    int status;

    if (dir == -ENOENT)
        return 0;
    if (dir < 0)
        return dir;
    status = fs_tree_remove_at(dir, job->id_text);
    close(dir);
    if (status < 0)
        benchfs_error_set(
            err, status, "%s/%s: %s", parent, job->id_text, strerror(-status));
    return status;
}

static int dirs_remove(const struct job *job,
                       const struct benchfs_config *admin,
                       struct benchfs_error *err)
{
    const char *const parents[] = {admin->run_dir, admin->memory_dir, admin->disk_dir};
    int first = holder_unmount_beneath(job->dir, err);

    for (size_t i = 0; i < sizeof(parents) / sizeof(parents[0]); i++) {
        int status = job_dir_remove(parents[i], job, first < 0 ? NULL : err);

        if (first == 0)
            first = status;
    }
    return first;
}

/* The lock file of the job, or -errno. The directory is the user's: whatever stands
 * there under that name must not be followed, nor block. */
static int lock_open(const struct job *job, const struct benchfs_config *admin)
{
    int dir = node_dir_open(admin->run_dir, false, NULL);
    struct stat st;
    int job_dir;
    int fd;

    if (dir < 0)
        return dir;
    job_dir =
        openat(dir, job->id_text, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    close(dir);
    if (job_dir < 0)
        return -errno;
    fd = openat(job_dir, "lock", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        fd = -errno;
    close(job_dir);
    if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
        close(fd);
        return -EINVAL;
    }
    return fd;
}

int node_remove(const struct job *job,
                const struct benchfs_config *admin,
                struct benchfs_error *err)
{
    int lock = lock_open(job, admin);
    int held = 0;
    int status;

    if (lock >= 0)
        held = holder_end(lock, job->uid, HOLDER_TIMEOUT_MS);
    status = dirs_remove(job, admin, err);
    if (status == 0 && held < 0)
        status = benchfs_error_set(
            err, held, "%s/lock: a daemon does not end: %s", job->dir, strerror(-held));
    proc_fd_close(&lock);
    return status;
}

int node_remove_unused(const struct job *job,
                       const struct benchfs_config *admin,
                       struct benchfs_error *err)
{
    int lock = lock_open(job, admin);
    int status = 0;

    if (lock >= 0 && !holder_try(lock))
        status = benchfs_error_set(err, EBUSY, "%s: in use", job->dir);
    else
        status = dirs_remove(job, admin, err);
    proc_fd_close(&lock);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0
 * Finds lock holders in /proc/locks and mounts in /proc/self/mountinfo. */
#include "spank/holder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"

#define PROC_FILE_MAX  (16u << 20)
#define MOUNTS_MAX     64
#define POLL_MS        20
#define MOUNT_PATH_MAX 4096

bool holder_try(int lock_fd)
{
    return flock(lock_fd, LOCK_EX | LOCK_NB) == 0;
}

/* The pid that /proc/locks names for the file's flock, 0 if none: the one that took it,
 * which may have gone while a child that inherited it lives. */
static pid_t lock_pid(const char *locks, const struct stat *st)
{
    for (const char *line = locks; line && *line;) {
        unsigned major_id, minor_id;
        unsigned long ino;
        int pid;

        if (sscanf(line,
                   "%*d: FLOCK %*s %*s %d %x:%x:%lu",
                   &pid,
                   &major_id,
                   &minor_id,
                   &ino)
                == 4
            && ino == st->st_ino && makedev(major_id, minor_id) == st->st_dev)
            return pid;
        line = strchr(line, '\n');
        if (line)
            line++;
    }
    return 0;
}

static pid_t find_holder(int lock_fd)
{
    struct stat st;
    char *locks;
    pid_t pid = 0;

    if (fstat(lock_fd, &st) < 0)
        return 0;
    if (fs_file_read("/proc/locks", PROC_FILE_MAX, &locks, NULL) < 0)
        return 0;
    pid = lock_pid(locks, &st);
    free(locks);
    return pid;
}

/* Through a descriptor, so that the pid can't be another process's by now. */
static int process_kill(pid_t pid, uid_t uid)
{
    char path[32];
    struct stat st;
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    int status = 0;

    if (fd < 0)
        return errno == ESRCH ? 0 : -errno;
    snprintf(path, sizeof(path), "/proc/%d", pid);
    if (stat(path, &st) < 0)
        status = errno == ENOENT ? 0 : -errno;
    else if (st.st_uid != uid)
        status = -EPERM;
    else if (syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
        status = -errno;
    close(fd);
    return status;
}

int holder_end(int lock_fd, uid_t uid, unsigned timeout_ms)
{
    struct deadline deadline = deadline_after_ms(timeout_ms);

    while (!holder_try(lock_fd)) {
        pid_t pid = find_holder(lock_fd);
        int status = pid > 0 ? process_kill(pid, uid) : 0;

        if (status < 0)
            return status;
        if (deadline_expired(deadline))
            return -ETIMEDOUT;
        /* The kernel tells nobody that a lock has become free. */
        poll(NULL, 0, POLL_MS);
    }
    return 0;
}

/* mountinfo writes blanks, tabs, newlines and backslashes as \ooo. */
static void unescape(char *path)
{
    char *to = path;

    for (const char *from = path; *from; to++) {
        unsigned code;

        if (from[0] == '\\' && sscanf(from + 1, "%3o", &code) == 1) {
            *to = (char)code;
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

static bool is_beneath(const char *path, const char *dir)
{
    size_t length = strlen(dir);

    return strncmp(path, dir, length) == 0
           && (path[length] == '\0' || path[length] == '/');
}

static size_t mounts_beneath(char *info, const char *dir, char **ret_paths, size_t max)
{
    size_t count = 0;

    for (char *line; count < max && (line = strsep(&info, "\n"));) {
        char *path = line;

        for (int i = 0; i < 4 && path; i++) {
            path = strchr(path, ' ');
            path = path ? path + 1 : NULL;
        }
        if (!path || !strchr(path, ' '))
            continue;
        *strchr(path, ' ') = '\0';
        unescape(path);
        if (is_beneath(path, dir))
            ret_paths[count++] = path;
    }
    return count;
}

int holder_unmount_beneath(const char *dir, struct benchfs_error *err)
{
    char *paths[MOUNTS_MAX];
    char *info;
    size_t count;
    int first = 0;
    int status = fs_file_read("/proc/self/mountinfo", PROC_FILE_MAX, &info, NULL);

    if (status < 0)
        return benchfs_error_set(
            err, status, "/proc/self/mountinfo: %s", strerror(-status));
    count = mounts_beneath(info, dir, paths, MOUNTS_MAX);
    while (count-- > 0) {
        if (umount2(paths[count], MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && first == 0)
            first = benchfs_error_set(err, errno, "unmount of %s: %m", paths[count]);
    }
    free(info);
    return first;
}

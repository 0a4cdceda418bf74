/* SPDX-License-Identifier: Apache-2.0
 * Operations on names and attributes, the table of all, and the facts around them.
 * Those on open files are in side_data.c.
 */
#include "side_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

/* Symlinks to .. must not lead out of our directory: a path may pass 40 of them. */
#ifndef SIDE_LEVELS
#define SIDE_LEVELS 44
#endif

static int dir_make(int parent, const char *name)
{
    if (mkdirat(parent, name, 0755) != 0)
        return -1;
    return openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int side_open(struct side *side, const char *label, const char *path, const char *name)
{
    int parent;

    *side = (struct side){.name = label, .root = -1};
    for (int i = 0; i < OP_SLOTS; i++)
        side->fds[i] = -1;
    side->data = malloc(OP_DATA_MAX);
    side->scratch = malloc(OP_DATA_MAX);
    if (!side->data || !side->scratch)
        goto fail;
    parent = open(path, O_PATH | O_DIRECTORY);
    if (parent < 0)
        goto fail;
    side->root = dir_make(parent, name);
    for (int level = 0; side->root >= 0 && level < SIDE_LEVELS; level++) {
        close(parent);
        parent = side->root;
        side->root = dir_make(parent, "r");
    }
    fd_close_keep_errno(parent);
    if (side->root >= 0)
        return 0;
fail:
    side_close(side);
    return errno ? -errno : -ENOMEM;
}

void side_close(struct side *side)
{
    for (int i = 0; i < OP_SLOTS; i++) {
        if (side->fds[i] >= 0)
            close(side->fds[i]);
        side->fds[i] = -1;
    }
    if (side->root >= 0)
        close(side->root);
    side->root = -1;
    free(side->data);
    free(side->scratch);
    side->data = side->scratch = NULL;
}

/* ---- names ------------------------------------------------------------------ */

static int64_t apply_open(struct side *side, const struct op *op, struct result *result)
{
    /* Set-id bits of a file that is written are a documented relaxation. */
    int fd = openat(
        side->root, op->path[0], op->flags | O_NONBLOCK | O_CLOEXEC, op->mode & 01777);
    struct stat st;

    (void)result;
    if (fd < 0)
        return -1;
    /* An open FIFO is the kernel's alone: no use of it reaches the file system. And
     * open directories and FIFOs that are removed are a documented relaxation. */
    if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)) {
        close(fd);
        return 1;
    }
    if (side->fds[op->slot[0]] >= 0)
        close(side->fds[op->slot[0]]);
    side->fds[op->slot[0]] = fd;
    return 0;
}

static int64_t
apply_mkdir(struct side *side, const struct op *op, struct result *result)
{
    (void)result;
    return mkdirat(side->root, op->path[0], op->mode & 01777);
}

static int64_t
apply_rmdir(struct side *side, const struct op *op, struct result *result)
{
    (void)result;
    return unlinkat(side->root, op->path[0], AT_REMOVEDIR);
}

static int64_t
apply_unlink(struct side *side, const struct op *op, struct result *result)
{
    (void)result;
    return unlinkat(side->root, op->path[0], 0);
}

static int64_t
apply_rename(struct side *side, const struct op *op, struct result *result)
{
    (void)result;
    return renameat2(
        side->root, op->path[0], side->root, op->path[1], (unsigned)op->flags);
}

static int64_t apply_link(struct side *side, const struct op *op, struct result *result)
{
    (void)result;
    return linkat(side->root,
                  op->path[0],
                  side->root,
                  op->path[1],
                  op->flags == 1 ? AT_SYMLINK_FOLLOW : 0);
}

static int64_t
apply_symlink(struct side *side, const struct op *op, struct result *result)
{
    static const char *const targets[] = {
        "a", "b", "c", "../a", "../b", "a/b", "b/c", ".", "..", "none"};
    char target[4096];
    unsigned pick = (unsigned)(op->seed % 13);

    (void)result;
    if (pick < 10) {
        strcpy(target, targets[pick]);
    } else {
        static const size_t lens[] = {255, 1000, 4095};

        memset(target, 'x', lens[pick - 10]);
        target[lens[pick - 10]] = '\0';
    }
    return symlinkat(target, side->root, op->path[0]);
}

static int64_t
apply_readlink(struct side *side, const struct op *op, struct result *result)
{
    ssize_t n = readlinkat(
        side->root, op->path[0], (char *)side->data, op->seed % 4 == 0 ? 3 : 8192);

    result->len = n > 0 ? (size_t)n : 0;
    return n;
}

static int64_t
apply_mkfifo(struct side *side, const struct op *op, struct result *result)
{
    (void)result;
    return mkfifoat(side->root, op->path[0], op->mode & 0777);
}

/* ---- attributes ------------------------------------------------------------- */

/* Set-id bits only on directories: on files they are a documented relaxation. */
static mode_t mode_for(const struct op *op, bool is_dir)
{
    return op->mode & (is_dir ? 03777 : 01777);
}

static int64_t
apply_chmod(struct side *side, const struct op *op, struct result *result)
{
    struct stat st;
    bool is_dir = fstatat(side->root, op->path[0], &st, 0) == 0 && S_ISDIR(st.st_mode);

    (void)result;
    return fchmodat(side->root, op->path[0], mode_for(op, is_dir), 0);
}

static int64_t
apply_fchmod(struct side *side, const struct op *op, struct result *result)
{
    struct stat st;
    int fd = side->fds[op->slot[0]];

    (void)result;
    return fchmod(fd, mode_for(op, fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)));
}

static int64_t
apply_chown(struct side *side, const struct op *op, struct result *result)
{
    static const uid_t ids[] = {0, 1000, 65534, (uid_t)-1};
    uid_t uid = ids[op->seed / 4 % 4];
    gid_t gid = ids[op->seed / 16 % 4];

    (void)result;
    if (geteuid() != 0 && op->seed % 4 != 0)
        return fchownat(
            side->root, op->path[0], (uid_t)-1, getegid(), AT_SYMLINK_NOFOLLOW);
    if (uid == (uid_t)-1 && gid == (gid_t)-1)
        gid = getegid(); /* of nothing at all, ctime may move or not */
    return fchownat(side->root, op->path[0], uid, gid, AT_SYMLINK_NOFOLLOW);
}

/* Explicit times are before 2001: facts_compare() knows them by that. */
static void times_of(const struct op *op, struct timespec times[2])
{
    for (int i = 0; i < 2; i++) {
        uint64_t bits = op->seed >> (i * 24);

        times[i].tv_sec = (time_t)(bits % 900000000);
        times[i].tv_nsec = (long)(bits * 37 % 1000000000);
        if ((op->seed >> (56 + i * 3)) % 6 == 0)
            times[i].tv_nsec = UTIME_OMIT;
        else if ((op->seed >> (56 + i * 3)) % 6 == 1)
            times[i].tv_nsec = UTIME_NOW;
    }
}

static int64_t
apply_utimens(struct side *side, const struct op *op, struct result *result)
{
    struct timespec times[2];

    (void)result;
    times_of(op, times);
    return utimensat(side->root,
                     op->path[0],
                     op->flags == 0 ? NULL : times,
                     op->flags == 1 ? AT_SYMLINK_NOFOLLOW : 0);
}

static int64_t
apply_futimens(struct side *side, const struct op *op, struct result *result)
{
    struct timespec times[2];

    (void)result;
    times_of(op, times);
    return futimens(side->fds[op->slot[0]], op->flags == 0 ? NULL : times);
}

static int64_t
apply_truncate(struct side *side, const struct op *op, struct result *result)
{
    char path[64];
    struct stat st;
    int fd, status;

    (void)result;
    /* truncate() has no *at form: the file is reached through its descriptor. */
    fd = openat(side->root, op->path[0], O_PATH | O_CLOEXEC);
    if (fd < 0)
        return -1;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    /* To the size it has, POSIX leaves it open whether the times move. */
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == op->offset[0])
        status = 0;
    else
        status = truncate(path, op->offset[0]);
    fd_close_keep_errno(fd);
    return status;
}

static int64_t apply_stat(struct side *side, const struct op *op, struct result *result)
{
    struct stat st;

    (void)result;
    if (fstatat(side->root, op->path[0], &st, 0) != 0)
        return -1;
    return (int64_t)st.st_mode << 32 | (S_ISDIR(st.st_mode) ? 0 : st.st_size);
}

static int64_t
apply_access(struct side *side, const struct op *op, struct result *result)
{
    (void)result;
    return faccessat(side->root, op->path[0], op->flags, AT_EACCESS);
}

static int64_t
apply_statfs(struct side *side, const struct op *op, struct result *result)
{
    struct statvfs st;
    int fd = openat(side->root, op->path[0], O_PATH | O_CLOEXEC);
    int status;

    if (fd < 0)
        return -1;
    status = fstatvfs(fd, &st);
    fd_close_keep_errno(fd);
    if (status == 0
        && (st.f_bfree > st.f_blocks || st.f_bavail > st.f_bfree || st.f_bsize == 0
            || st.f_namemax != 255 || st.f_ffree > st.f_files))
        result_break(result, "statvfs: bfree, bavail, ffree or namemax make no sense");
    return status;
}

/* ---- extended attributes ---------------------------------------------------- */

/* The *xattr calls have no *at form; this path follows no symlink of its own. */
static void path_of(const struct side *side, const struct op *op, char path[static 512])
{
    snprintf(path, 512, "/proc/self/fd/%d/%s", side->root, op->path[0]);
}

static const char *xattr_name(const struct op *op)
{
    static const char *const names[] = {
        "user.a", "user.b", "user.long.name.of.some.sort"};

    return names[op->seed % 3];
}

static int64_t
apply_setxattr(struct side *side, const struct op *op, struct result *result)
{
    static const int flags[] = {0, XATTR_CREATE, XATTR_REPLACE};
    static const size_t lens[] = {0, 1, 20, 100, 1000, 3000};
    size_t len = lens[op->seed / 3 % 6];
    char path[512];

    (void)result;
    path_of(side, op, path);
    rng_fill(op->seed, side->scratch, len);
    return lsetxattr(path, xattr_name(op), side->scratch, len, flags[op->flags]);
}

static int64_t
apply_getxattr(struct side *side, const struct op *op, struct result *result)
{
    char path[512];
    ssize_t n;

    path_of(side, op, path);
    n = lgetxattr(path,
                  xattr_name(op),
                  side->data,
                  op->seed % 8 == 0   ? 0
                  : op->seed % 8 == 1 ? 10
                                      : 65536);
    if (n > 0 && op->seed % 8 != 0)
        result->len = (size_t)n;
    return n;
}

static int64_t
apply_removexattr(struct side *side, const struct op *op, struct result *result)
{
    char path[512];

    (void)result;
    path_of(side, op, path);
    return lremovexattr(path, xattr_name(op));
}

static int64_t
apply_listxattr(struct side *side, const struct op *op, struct result *result)
{
    char path[512];

    path_of(side, op, path);
    return xattr_list(path, side->data, &result->len);
}

/* ---- all -------------------------------------------------------------------- */

typedef int64_t apply_fn(struct side *, const struct op *, struct result *);

static apply_fn *const apply_table[OP_KINDS] = {
    [OP_OPEN] = apply_open,
    [OP_CLOSE] = side_apply_close,
    [OP_MKDIR] = apply_mkdir,
    [OP_RMDIR] = apply_rmdir,
    [OP_UNLINK] = apply_unlink,
    [OP_RENAME] = apply_rename,
    [OP_LINK] = apply_link,
    [OP_SYMLINK] = apply_symlink,
    [OP_READLINK] = apply_readlink,
    [OP_MKFIFO] = apply_mkfifo,
    [OP_CHMOD] = apply_chmod,
    [OP_FCHMOD] = apply_fchmod,
    [OP_CHOWN] = apply_chown,
    [OP_UTIMENS] = apply_utimens,
    [OP_FUTIMENS] = apply_futimens,
    [OP_TRUNCATE] = apply_truncate,
    [OP_FTRUNCATE] = side_apply_ftruncate,
    [OP_PREAD] = side_apply_pread,
    [OP_PWRITE] = side_apply_pwrite,
    [OP_READ] = side_apply_read,
    [OP_WRITE] = side_apply_write,
    [OP_LSEEK] = side_apply_lseek,
    [OP_SEEK_DATA] = side_apply_seek_hole_data,
    [OP_SEEK_HOLE] = side_apply_seek_hole_data,
    [OP_FSYNC] = side_apply_fsync,
    [OP_FALLOCATE] = side_apply_fallocate,
    [OP_COPY_RANGE] = side_apply_copy_range,
    [OP_MMAP_READ] = side_apply_mmap,
    [OP_MMAP_WRITE] = side_apply_mmap,
    [OP_LIST] = side_apply_list,
    [OP_LIST_SEEK] = side_apply_list_seek,
    [OP_STAT] = apply_stat,
    [OP_ACCESS] = apply_access,
    [OP_SETXATTR] = apply_setxattr,
    [OP_GETXATTR] = apply_getxattr,
    [OP_REMOVEXATTR] = apply_removexattr,
    [OP_LISTXATTR] = apply_listxattr,
    [OP_STATFS] = apply_statfs,
};

void side_apply(struct side *side, const struct op *op, struct result *ret)
{
    *ret = (struct result){.value = 0};
    errno = 0;
    ret->value = apply_table[op->kind](side, op, ret);
    if (ret->value < 0) {
        ret->value = -1;
        ret->error = errno;
        ret->len = 0;
    }
}

static void fact_get(int dirfd, const char *path, int flags, struct fact *ret)
{
    *ret = (struct fact){.error = 0};
    if (fstatat(dirfd, path, &ret->st, flags) != 0)
        ret->error = errno;
}

void side_facts(const struct side *side, const struct op *op, struct facts *ret)
{
    unsigned uses = op_uses(op->kind);

    clock_gettime(CLOCK_REALTIME, &ret->taken);
    for (int i = 0; i < 2; i++) {
        char parent[OP_PATH_MAX];
        char *slash;
        bool has_path = uses & (i == 0 ? USES_PATH : USES_PATH2);
        bool has_slot = uses & (i == 0 ? USES_SLOT : USES_SLOT2);
        int fd = side->fds[op->slot[i]];

        for (int k = i; k < FACTS; k += 2)
            ret->of[k] = (struct fact){.error = ENOTSUP};
        if (has_path) {
            strcpy(parent, op->path[i]);
            slash = strrchr(parent, '/');
            strcpy(slash ? slash : parent, slash ? "" : ".");
            fact_get(side->root, op->path[i], AT_SYMLINK_NOFOLLOW, &ret->of[i]);
            fact_get(side->root, parent, AT_SYMLINK_NOFOLLOW, &ret->of[2 + i]);
        }
        if (has_slot && fd >= 0)
            fact_get(fd, "", AT_EMPTY_PATH, &ret->of[4 + i]);
    }
}

int side_clear(int fd)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    const struct dirent *entry;
    int status = dir ? 0 : -errno;

    while (dir && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(fd, entry->d_name, 0) == 0)
            continue;
        if (errno == EISDIR || errno == EPERM) {
            int child;

            child = -1;
            if (fchmodat(fd, entry->d_name, 0700, 0) == 0)
                child = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
            if (child >= 0) {
                int below = side_clear(child);

                status = status ? status : below;
                close(child);
            }
            if (unlinkat(fd, entry->d_name, AT_REMOVEDIR) == 0)
                continue;
        }
        status = status ? status : -errno;
    }
    if (dir)
        closedir(dir);
    return status;
}

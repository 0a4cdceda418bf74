/* SPDX-License-Identifier: Apache-2.0
 *
 * libbenchfs: the burst buffer of the job this process belongs to, as a file system of
 * its own, without mount or kernel. C and C++.
 */
#ifndef BENCHFS_BENCHFS_H
#define BENCHFS_BENCHFS_H

#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BENCHFS_API __attribute__((visibility("default")))

/*
 * Rules for all functions.
 *
 * Returns     What the POSIX function of that name returns on success, and -errno on
 *             failure; errno itself is left alone. A service that is gone gives
 *             -EHOSTDOWN, -ETIMEDOUT or -ECONNREFUSED within the request timeout.
 * Paths       Absolute, in the scratch ("/in/x"), or as seen through the mount
 *             ("$BENCHFS_MOUNT/in/x"). Anything else is -EINVAL. Symbolic links are
 *             followed within the scratch; an absolute link text is a path like these.
 * Descriptors Are numbers of the handle, not of the process: they mean nothing to
 *             read(2), nor to another handle. The lowest free one is given out.
 * Threads     Everything may be called from any thread at any time, but one struct
 *             benchfs_dir from one at a time, and benchfs_fini() when nothing else
 * runs. fork        A child may go on using the handle: it connects anew with its first
 * call and opens anew what is open; its descriptors and their positions are its own.
 * Requests (benchfs_pread_async) don't survive in the child. Don't use it between
 * vfork() and exec. Rights      The files belong to the job's user. Mode bits are
 * checked where the kernel would check them, except on the root directory.
 */

struct benchfs;
struct benchfs_dir;
struct benchfs_request;

enum benchfs_route {
    BENCHFS_ROUTE_AUTO = 0, /* this node by shared memory, other nodes directly */
    BENCHFS_ROUTE_LOCAL,    /* everything through this node's daemon */
};

enum benchfs_pmix {
    BENCHFS_PMIX_AUTO = 0, /* take the endpoint table by PMIx if that is initialised */
    BENCHFS_PMIX_NEVER,
    BENCHFS_PMIX_ALWAYS, /* initialises PMIx; only for programs that run under MPI/PMIx
                          */
};

struct benchfs_options {
    size_t size; /* of this struct, set by benchfs_options_init() */
    const char
        *socket_path;    /* the node's daemon; NULL: $BENCHFS_SOCKET, or the job's */
    const char *mount;   /* prefix that paths may have; NULL: $BENCHFS_MOUNT */
    unsigned timeout_ms; /* of a request; 0: the service's */
    int route;           /* enum benchfs_route */
    int pmix;            /* enum benchfs_pmix */
    char *error;         /* if not NULL: gets one line of text when init fails */
    size_t error_size;   /* bytes of error */
};

static inline void benchfs_options_init(struct benchfs_options *options)
{
    memset(options, 0, sizeof(*options));
    options->size = sizeof(*options);
}

/* Connects. options may be NULL. New files get their mode masked with the umask that
 * the process has at this moment. */
BENCHFS_API int benchfs_init(struct benchfs **ret,
                             const struct benchfs_options *options);
/* Closes what is open (reporting sizes), disconnects and frees. NULL is fine. Returns
 * the first error of a close. */
BENCHFS_API int benchfs_fini(struct benchfs *fs);

/* ---- connections ----------------------------------------------------- */

/*
 * A connection goes to one target (a thread of a node's daemon), is made when it is
 * first needed, shared by all threads, and kept. Nobody has to call any of these; a
 * program may want its first accesses to be as fast as the later ones, or let go of
 * memory and descriptors for a long computation.
 */
struct benchfs_connection {
    unsigned target;
    char host[64]; /* node; cut to that length */
    int is_local;  /* to this node's daemon, which is never closed */
    int is_connected;
    unsigned long n_connects; /* how often it was made */
};
/* The connections that are, or were, there: the first `max` of them into `list` (may be
 * NULL when max is 0). Returns how many there are. */
BENCHFS_API ssize_t benchfs_connections(struct benchfs *fs,
                                        struct benchfs_connection *list,
                                        size_t max);
/* Connects to all targets. 0 or the first error; the others have been tried all the
 * same.
 */
BENCHFS_API int benchfs_connect(struct benchfs *fs);
/* Closes connections to other nodes, but for those that another thread is using right
 * now; what needs them makes them again. Files and locks stay. Returns their number. */
BENCHFS_API int benchfs_disconnect(struct benchfs *fs);

/* ---- files ----------------------------------------------------------- */

/* O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_DIRECTORY,
 * O_NOFOLLOW, O_SYNC, O_DSYNC; O_CLOEXEC, O_DIRECT, O_NOCTTY, O_NONBLOCK, O_LARGEFILE
 * and O_NOATIME are taken and mean nothing; others give -EINVAL. `mode` is used when a
 * file is made. */
BENCHFS_API int
benchfs_open(struct benchfs *fs, const char *path, int flags, mode_t mode);
BENCHFS_API int benchfs_creat(struct benchfs *fs, const char *path, mode_t mode);
BENCHFS_API int benchfs_close(struct benchfs *fs, int fd);

/* Reads are short only at the end of the file. Writes are complete, or an error, after
 * which part of the range may have been written. Any size; chunks move in parallel. */
BENCHFS_API ssize_t
benchfs_pread(struct benchfs *fs, int fd, void *buf, size_t size, off_t offset);
BENCHFS_API ssize_t
benchfs_pwrite(struct benchfs *fs, int fd, const void *buf, size_t size, off_t offset);
BENCHFS_API ssize_t benchfs_preadv(
    struct benchfs *fs, int fd, const struct iovec *iov, int n_iov, off_t offset);
BENCHFS_API ssize_t benchfs_pwritev(
    struct benchfs *fs, int fd, const struct iovec *iov, int n_iov, off_t offset);
BENCHFS_API ssize_t benchfs_read(struct benchfs *fs, int fd, void *buf, size_t size);
/* With O_APPEND atomic at the end of the file, from all nodes, up to 64 MiB a call;
 * benchfs_pwrite() then appends too, as on Linux. */
BENCHFS_API ssize_t benchfs_write(struct benchfs *fs,
                                  int fd,
                                  const void *buf,
                                  size_t size);
/* SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE */
BENCHFS_API off_t benchfs_lseek(struct benchfs *fs, int fd, off_t offset, int whence);

BENCHFS_API int benchfs_fsync(struct benchfs *fs, int fd);
BENCHFS_API int benchfs_fdatasync(struct benchfs *fs, int fd);
BENCHFS_API int benchfs_ftruncate(struct benchfs *fs, int fd, off_t size);
BENCHFS_API int benchfs_truncate(struct benchfs *fs, const char *path, off_t size);
BENCHFS_API int
benchfs_fallocate(struct benchfs *fs, int fd, int mode, off_t offset, off_t length);

/* As copy_file_range(2), but complete: less than `size` only at the end of the source.
 * The daemons copy among themselves. An offset of NULL stands for the file's position,
 * which moves on; -EINVAL if the ranges overlap in one file, or for any flag. */
BENCHFS_API ssize_t benchfs_copy_file_range(struct benchfs *fs,
                                            int from,
                                            off_t *from_offset,
                                            int to,
                                            off_t *to_offset,
                                            size_t size,
                                            unsigned flags);

/* ---- locks ----------------------------------------------------------- */

/* As flock(2): LOCK_SH, LOCK_EX or LOCK_UN, with or without LOCK_NB, between all nodes.
 * The lock belongs to the descriptor, and goes with it. -EWOULDBLOCK: it is taken. */
BENCHFS_API int benchfs_flock(struct benchfs *fs, int fd, int operation);
/* As fcntl(2) with F_GETLK, F_SETLK and F_SETLKW. Locks belong to the handle, which
 * stands for the process; closing any descriptor of the file gives all of them back. A
 * child after fork has none. -EAGAIN: it is taken; -EDEADLK: waiting would be for ever
 * (seen among files of one target); signals don't interrupt a wait. */
BENCHFS_API int
benchfs_lock(struct benchfs *fs, int fd, int command, struct flock *lock);

/* ---- asynchronous transfers ------------------------------------------ */

/*
 * Starts a transfer and returns; benchfs_wait() ends it. The memory must stay until
 * then. There is no thread behind it: transfers move on while any thread is inside any
 * function of the handle. A descriptor opened with O_APPEND can't be written like this
 * (-EINVAL).
 */
BENCHFS_API int benchfs_pread_async(struct benchfs *fs,
                                    int fd,
                                    void *buf,
                                    size_t size,
                                    off_t offset,
                                    struct benchfs_request **ret);
BENCHFS_API int benchfs_pwrite_async(struct benchfs *fs,
                                     int fd,
                                     const void *buf,
                                     size_t size,
                                     off_t offset,
                                     struct benchfs_request **ret);
/* 1: benchfs_wait() will not sleep; 0: not yet. Moves transfers on. */
BENCHFS_API int benchfs_test(struct benchfs_request *request);
/* The result, as of benchfs_pread() or benchfs_pwrite(). Frees the request. */
BENCHFS_API ssize_t benchfs_wait(struct benchfs_request *request);

/* ---- attributes ------------------------------------------------------ */

BENCHFS_API int benchfs_stat(struct benchfs *fs, const char *path, struct stat *ret);
BENCHFS_API int benchfs_lstat(struct benchfs *fs, const char *path, struct stat *ret);
BENCHFS_API int benchfs_fstat(struct benchfs *fs, int fd, struct stat *ret);
BENCHFS_API int benchfs_access(struct benchfs *fs, const char *path, int mode);
BENCHFS_API int benchfs_chmod(struct benchfs *fs, const char *path, mode_t mode);
BENCHFS_API int benchfs_fchmod(struct benchfs *fs, int fd, mode_t mode);
/* -1 leaves an id as it is. */
BENCHFS_API int
benchfs_chown(struct benchfs *fs, const char *path, uid_t uid, gid_t gid);
BENCHFS_API int
benchfs_lchown(struct benchfs *fs, const char *path, uid_t uid, gid_t gid);
BENCHFS_API int benchfs_fchown(struct benchfs *fs, int fd, uid_t uid, gid_t gid);
/* flags: 0 or AT_SYMLINK_NOFOLLOW; times NULL: now. */
BENCHFS_API int benchfs_utimensat(struct benchfs *fs,
                                  const char *path,
                                  const struct timespec times[2],
                                  int flags);
BENCHFS_API int
benchfs_futimens(struct benchfs *fs, int fd, const struct timespec times[2]);
BENCHFS_API int
benchfs_statvfs(struct benchfs *fs, const char *path, struct statvfs *ret);

/* ---- names ----------------------------------------------------------- */

BENCHFS_API int benchfs_mkdir(struct benchfs *fs, const char *path, mode_t mode);
BENCHFS_API int benchfs_rmdir(struct benchfs *fs, const char *path);
BENCHFS_API int benchfs_unlink(struct benchfs *fs, const char *path);
BENCHFS_API int
benchfs_rename(struct benchfs *fs, const char *path, const char *new_path);
/* flags: RENAME_NOREPLACE, RENAME_EXCHANGE */
BENCHFS_API int benchfs_renameat2(struct benchfs *fs,
                                  const char *path,
                                  const char *new_path,
                                  unsigned flags);
/* A symbolic link at `path` is linked itself, as on Linux. */
BENCHFS_API int
benchfs_link(struct benchfs *fs, const char *path, const char *new_path);
BENCHFS_API int
benchfs_symlink(struct benchfs *fs, const char *text, const char *new_path);
/* As readlink(2): cut to `size`, no NUL; returns the bytes. */
BENCHFS_API ssize_t benchfs_readlink(struct benchfs *fs,
                                     const char *path,
                                     char *buf,
                                     size_t size);

/* ---- directories ----------------------------------------------------- */

/* Entries come without "." and "..", in no order; one that stays is seen exactly once,
 * whatever else changes. */
BENCHFS_API int
benchfs_opendir(struct benchfs *fs, const char *path, struct benchfs_dir **ret);
/* 1: *ret is filled; 0: the end; -errno. d_off is a position for benchfs_seekdir(). */
BENCHFS_API int benchfs_readdir(struct benchfs_dir *dir, struct dirent *ret);
BENCHFS_API off_t benchfs_telldir(const struct benchfs_dir *dir);
BENCHFS_API void benchfs_seekdir(struct benchfs_dir *dir, off_t position);
BENCHFS_API void benchfs_rewinddir(struct benchfs_dir *dir);
BENCHFS_API int benchfs_closedir(struct benchfs_dir *dir);

/* ---- extended attributes --------------------------------------------- */

/* As getxattr(2) and so on; size 0 asks for the size. */
BENCHFS_API ssize_t benchfs_getxattr(
    struct benchfs *fs, const char *path, const char *name, void *buf, size_t size);
BENCHFS_API int benchfs_setxattr(struct benchfs *fs,
                                 const char *path,
                                 const char *name,
                                 const void *value,
                                 size_t size,
                                 int flags);
BENCHFS_API ssize_t benchfs_listxattr(struct benchfs *fs,
                                      const char *path,
                                      char *buf,
                                      size_t size);
BENCHFS_API int
benchfs_removexattr(struct benchfs *fs, const char *path, const char *name);

#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: Apache-2.0
 * Start and stop of a mount, and its threads. The loop is our own rather than
 * libfuse's, so that stopping has a deadline and each thread has its buffer. */
#include "fuse/mount.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/proc.h"
#include "fuse/fusermount.h"
#include "fuse/mount_internal.h"

#define HANDSHAKE_TIMEOUT_MS 10000u
#define BUSY_RETRY_MS        50
/* Requests the kernel may send ahead: of asynchronous I/O and readahead. */
#define MAX_BACKGROUND   64u
#define BUFFER_ALIGNMENT 4096u

#define TEXT_OF_(value) #value
#define TEXT_OF(value)  TEXT_OF_(value)
#define MAX_READ        1048576 /* MOUNT_IO_MAX, in digits */
_Static_assert(MAX_READ == MOUNT_IO_MAX, "max_read must be what INIT says");
#define MAX_READ_OPTION "max_read=" TEXT_OF(MAX_READ)
#define MOUNT_OPTIONS                                                                  \
    "fsname=benchfs,subtype=benchfs,default_permissions,nosuid,nodev," MAX_READ_OPTION

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
    struct mount *mount = userdata;

    /*
     * Not wanted: WRITEBACK_CACHE and READDIRPLUS (staleness between nodes), SPLICE_*
     * (the data goes on to another process, not to a file), EXPORT_SUPPORT, DONT_MASK
     * (the kernel applies the umask), and HANDLE_KILLPRIV: without it the kernel itself
     * clears set-user-ID bits on chown and truncate; direct I/O never asks for
     * security.capability, with it or without.
     * CACHE_SYMLINKS: the text of an inode never changes.
     */
    conn->want =
        conn->capable
        & (FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_ATOMIC_O_TRUNC
           | FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_PARALLEL_DIROPS
           | FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_POSIX_LOCKS | FUSE_CAP_FLOCK_LOCKS);
    conn->max_write = MOUNT_IO_MAX;
    conn->max_read = MOUNT_IO_MAX;
    conn->max_readahead = MOUNT_IO_MAX;
    conn->max_background = MAX_BACKGROUND;
    conn->congestion_threshold = MAX_BACKGROUND * 3 / 4;
    conn->time_gran = 1;
    mount->is_agreed = true;
}

/*
 * Not here: access (default_permissions), forget (inode numbers are the service's,
 * there is no state).
 */
static const struct fuse_lowlevel_ops operations = {
    .init = op_init,
    .lookup = op_lookup,
    .getattr = op_getattr,
    .setattr = op_setattr,
    .readlink = op_readlink,
    .mknod = op_mknod,
    .mkdir = op_mkdir,
    .unlink = op_unlink,
    .rmdir = op_rmdir,
    .symlink = op_symlink,
    .rename = op_rename,
    .link = op_link,
    .open = op_open,
    .create = op_create,
    .read = op_read,
    .write = op_write,
    .flush = op_flush,
    .release = op_release,
    .getlk = op_getlk,
    .setlk = op_setlk,
    .flock = op_flock,
    .fsync = op_fsync,
    .opendir = op_opendir,
    .readdir = op_readdir,
    .releasedir = op_releasedir,
    .fsyncdir = op_fsyncdir,
    .statfs = op_statfs,
    .setxattr = op_setxattr,
    .getxattr = op_getxattr,
    .listxattr = op_listxattr,
    .removexattr = op_removexattr,
    .fallocate = op_fallocate,
    .lseek = op_lseek,
    .copy_file_range = op_copy_file_range,
};

uint8_t *mount_reply_buffer(struct mount *mount)
{
    struct mount_worker *worker = pthread_getspecific(mount->worker_key);

    return worker->reply;
}

/* ---- workers ---- */

static void *worker_main(void *arg)
{
    struct mount_worker *worker = arg;
    struct mount *mount = worker->mount;
    int old;
    int n;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
    pthread_setspecific(mount->worker_key, worker);
    while (!fuse_session_exited(mount->session)) {
        /* Cancelled only while waiting for the kernel, never in a request. */
        pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
        n = fuse_session_receive_buf(mount->session, &worker->request);
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
        if (n == -EINTR)
            continue;
        if (n <= 0)
            break;
        fuse_session_process_buf(mount->session, &worker->request);
    }
    if (eventfd_write(mount->gone_fd, 1) < 0)
        log_debug("eventfd: %m");
    return NULL;
}

static int workers_create(struct mount *mount, unsigned n)
{
    mount->workers = calloc(n, sizeof(*mount->workers));
    if (mount->workers == NULL)
        return -ENOMEM;
    mount->n_workers = n;
    for (unsigned i = 0; i < n; i++) {
        struct mount_worker *worker = &mount->workers[i];

        worker->mount = mount;
        worker->reply = aligned_alloc(BUFFER_ALIGNMENT, MOUNT_IO_MAX);
        if (worker->reply == NULL)
            return -ENOMEM;
    }
    return 0;
}

static int workers_start(struct mount *mount)
{
    for (unsigned i = 0; i < mount->n_workers; i++) {
        struct mount_worker *worker = &mount->workers[i];
        int rc = pthread_create(&worker->thread, NULL, worker_main, worker);

        if (rc != 0)
            return -rc;
        worker->is_started = true;
    }
    return 0;
}

/* A request under way ends with the deadline of the client's request at the latest. */
static void workers_destroy(struct mount *mount)
{
    for (unsigned i = 0; i < mount->n_workers; i++)
        if (mount->workers[i].is_started)
            pthread_cancel(mount->workers[i].thread);
    for (unsigned i = 0; i < mount->n_workers; i++) {
        struct mount_worker *worker = &mount->workers[i];

        if (worker->is_started)
            pthread_join(worker->thread, NULL);
        free(worker->request.mem);
        free(worker->reply);
    }
    free(mount->workers);
    mount->workers = NULL;
    mount->n_workers = 0;
}

/* ---- start ---- */

__attribute__((format(printf, 2, 0))) static void
log_from_libfuse(enum fuse_log_level level, const char *fmt, va_list args)
{
    char text[512];

    (void)level;
    vsnprintf(text, sizeof(text), fmt, args);
    text[strcspn(text, "\n")] = '\0';
    log_debug("libfuse: %s", text);
}

static int session_create(struct mount *mount, struct benchfs_error *err)
{
    char *argv[] = {(char *)"benchfs", (char *)"-o" MAX_READ_OPTION, NULL};
    struct fuse_args args = FUSE_ARGS_INIT(2, argv);

    fuse_set_log_func(log_from_libfuse);
    mount->session = fuse_session_new(&args, &operations, sizeof(operations), mount);
    fuse_opt_free_args(&args);
    if (mount->session == NULL)
        return benchfs_error_set(err, ENOMEM, "cannot make a FUSE session");
    return 0;
}

static int kernel_attach(struct mount *mount, struct benchfs_error *err)
{
    int fd;
    int rc = fusermount_mount(mount->mountpoint, MOUNT_OPTIONS, &fd, err);

    if (rc < 0)
        return rc;
    mount->is_mounted = true;
    rc = fuse_session_custom_io(mount->session, &mount_io, fd); /* takes fd, if 0 */
    if (rc != 0) {
        close(fd);
        return benchfs_error_set(err, EIO, "libfuse does not take the descriptor");
    }
    return 0;
}

/* INIT is the first request, and the only one until it is answered. */
static int handshake(struct mount *mount, struct benchfs_error *err)
{
    struct deadline deadline = deadline_after_ms(HANDSHAKE_TIMEOUT_MS);
    struct pollfd poll_fd = {
        .fd = fuse_session_fd(mount->session),
        .events = POLLIN,
    };
    struct fuse_buf request = {.mem = NULL};
    int n;

    do {
        n = poll(&poll_fd, 1, deadline_remaining_ms(deadline));
        if (n == 0)
            return benchfs_error_set(
                err, ETIMEDOUT, "mount %s: the kernel is silent", mount->mountpoint);
        if (n > 0)
            n = fuse_session_receive_buf(mount->session, &request);
        else
            n = -errno;
    } while (n == -EINTR);
    if (n > 0)
        fuse_session_process_buf(mount->session, &request);
    free(request.mem);
    if (n <= 0 || !mount->is_agreed || fuse_session_exited(mount->session))
        return benchfs_error_set(err,
                                 EPROTO,
                                 "mount %s: kernel and libfuse do not agree",
                                 mount->mountpoint);
    log_debug("mounted at %s, shared mappings: %s",
              mount->mountpoint,
              mount->init.has_mmap ? "yes" : "no");
    return 0;
}

static int mount_create(const char *mountpoint,
                        const struct mount_options *options,
                        struct mount **ret)
{
    struct mount *mount = calloc(1, sizeof(*mount));
    int rc;

    if (mount == NULL)
        return -ENOMEM;
    handles_init(&mount->handles);
    lock_owners_init(&mount->lock_owners);
    pthread_mutex_init(&mount->lock_waits_lock, NULL);
    pthread_cond_init(&mount->lock_waits_changed, NULL);
    list_init(&mount->lock_waits);
    mount->gone_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    mount->mountpoint = strdup(mountpoint);
    mount->dir_facts = dir_facts_create();
    mount->dir_attrs = dir_attrs_create((double)options->dir_attr_timeout_ms / 1000.0);
    rc = pthread_key_create(&mount->worker_key, NULL);
    mount->has_worker_key = rc == 0;
    *ret = mount;
    if (mount->gone_fd < 0 || mount->mountpoint == NULL || mount->dir_facts == NULL
        || mount->dir_attrs == NULL)
        return -ENOMEM;
    return -rc;
}

int mount_start(struct client *client,
                const char *mountpoint,
                const struct mount_options *options,
                struct mount **ret,
                struct benchfs_error *err)
{
    const struct mount_options defaults = MOUNT_OPTIONS_DEFAULT;
    struct benchfs_error ignored;
    struct mount *mount = NULL;
    unsigned n_threads;
    int rc;

    if (options == NULL)
        options = &defaults;
    n_threads = options->n_threads > 0 ? options->n_threads : MOUNT_THREADS_DEFAULT;
    if (n_threads > MOUNT_THREADS_MAX)
        return benchfs_error_set(err, EINVAL, "%u threads of the mount", n_threads);
    rc = mount_create(mountpoint, options, &mount);
    if (rc < 0) {
        rc = benchfs_error_set(err, rc, "mount %s: out of memory", mountpoint);
        goto fail;
    }
    mount->client = client;
    mount->dir_attr_timeout_s = options->dir_attr_timeout_ms / 1e3;
    rc = session_create(mount, err);
    if (rc == 0)
        rc = kernel_attach(mount, err);
    if (rc == 0)
        rc = handshake(mount, err);
    if (rc < 0)
        goto fail;
    rc = workers_create(mount, n_threads);
    if (rc == 0)
        rc = workers_start(mount);
    if (rc < 0) {
        rc = benchfs_error_set(
            err, rc, "mount %s: %u threads: %s", mountpoint, n_threads, strerror(-rc));
        goto fail;
    }
    *ret = mount;
    return 0;
fail:
    mount_stop(mount, 0, &ignored);
    return rc;
}

/* ---- stop ---- */

static bool is_gone(const struct mount *mount, int timeout_ms)
{
    struct pollfd poll_fd = {.fd = mount->gone_fd, .events = POLLIN};

    return poll(&poll_fd, 1, timeout_ms) > 0;
}

/* The connection was cut, but the dead mount is still in the tree. */
static bool is_dead_in_tree(const struct mount *mount)
{
    struct stat st;

    return stat(mount->mountpoint, &st) < 0 && errno == ENOTCONN;
}

static int
kernel_detach(struct mount *mount, unsigned timeout_ms, struct benchfs_error *err)
{
    struct deadline deadline = deadline_after_ms(timeout_ms);

    while (!is_gone(mount, 0)) {
        if (fusermount_unmount(mount->mountpoint, false, err) == 0)
            return 0;
        if (deadline_expired(deadline))
            return fusermount_unmount(mount->mountpoint, true, err);
        is_gone(mount, BUSY_RETRY_MS);
    }
    if (is_dead_in_tree(mount))
        return fusermount_unmount(mount->mountpoint, true, err);
    return 0;
}

static void requests_log(const struct mount *mount)
{
    for (unsigned i = 0; i < MOUNT_OPCODES; i++) {
        uint64_t n = mount_request_count(mount, i);

        if (n > 0)
            log_debug("%llu requests with opcode %u", (unsigned long long)n, i);
    }
}

int mount_stop(struct mount *mount, unsigned timeout_ms, struct benchfs_error *err)
{
    int rc = 0;

    if (mount == NULL)
        return 0;
    if (mount->is_mounted)
        rc = kernel_detach(mount, timeout_ms, err);
    if (mount->session != NULL)
        fuse_session_exit(mount->session);
    lock_waits_end(mount);
    workers_destroy(mount);
    /* Closes /dev/fuse: who still has something open gets ENOTCONN from now on. */
    if (mount->session != NULL)
        fuse_session_destroy(mount->session);
    handles_fini(&mount->handles);
    lock_owners_fini(&mount->lock_owners);
    pthread_cond_destroy(&mount->lock_waits_changed);
    pthread_mutex_destroy(&mount->lock_waits_lock);
    if (log_is_on(LOG_LEVEL_DEBUG))
        requests_log(mount);
    if (mount->has_worker_key)
        pthread_key_delete(mount->worker_key);
    dir_facts_destroy(mount->dir_facts);
    dir_attrs_destroy(mount->dir_attrs);
    proc_fd_close(&mount->gone_fd);
    free(mount->mountpoint);
    free(mount);
    return rc;
}

int mount_gone_fd(const struct mount *mount)
{
    return mount->gone_fd;
}

uint64_t mount_request_count(const struct mount *mount, unsigned opcode)
{
    return opcode < MOUNT_OPCODES
               ? atomic_load_explicit(&mount->n_requests[opcode], memory_order_relaxed)
               : 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Locks through the C API, between two handles, which are two clients, of one process.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <benchfs/benchfs.h>

static void check(const char *what, long got, long wanted)
{
    if (got == wanted)
        return;
    fprintf(stderr, "apilocks: %s: %ld, not %ld\n", what, got, wanted);
    exit(1);
}

static int
range(struct benchfs *fs, int fd, int command, short type, off_t start, off_t len)
{
    struct flock lock = {.l_type = type, .l_start = start, .l_len = len};

    return benchfs_lock(fs, fd, command, &lock);
}

static void ranges(struct benchfs *a, int fd_a, struct benchfs *b, int fd_b)
{
    struct flock lock = {.l_type = F_WRLCK};

    check("a locks", range(a, fd_a, F_SETLK, F_WRLCK, 10, 10), 0);
    check("b is refused", range(b, fd_b, F_SETLK, F_RDLCK, 19, 1), -EAGAIN);
    check("b beside it", range(b, fd_b, F_SETLK, F_WRLCK, 20, 0), 0);
    check("b asks", benchfs_lock(b, fd_b, F_GETLK, &lock), 0);
    check("type", lock.l_type, F_WRLCK);
    check("start", lock.l_start, 10);
    check("length", lock.l_len, 10);
    check("pid", lock.l_pid, getpid());
    check("a downgrades", range(a, fd_a, F_SETLK, F_RDLCK, 0, 20), 0);
    check("b shares", range(b, fd_b, F_SETLK, F_RDLCK, 15, 1), 0);
    check("a can't upgrade", range(a, fd_a, F_SETLK, F_WRLCK, 15, 1), -EAGAIN);
    check("before the start", range(a, fd_a, F_SETLK, F_RDLCK, -1, 1), -EINVAL);
    check("no such command", benchfs_lock(a, fd_a, F_GETFD, &lock), -EINVAL);
    check("no such descriptor", range(a, 999, F_SETLK, F_RDLCK, 0, 1), -EBADF);
}

/* A process has no locks of its parent's, and closing any descriptor drops all. */
static void closing(struct benchfs *a, int fd_a, struct benchfs *b, int fd_b)
{
    int status, other;
    pid_t pid;

    check("a unlocks", range(a, fd_a, F_SETLK, F_UNLCK, 0, 0), 0);
    check("b unlocks", range(b, fd_b, F_SETLK, F_UNLCK, 0, 0), 0);
    check("a locks all", range(a, fd_a, F_SETLK, F_WRLCK, 0, 0), 0);
    pid = fork();
    if (pid == 0)
        _exit(range(a, fd_a, F_SETLK, F_RDLCK, 0, 1) != -EAGAIN);
    check("wait", waitpid(pid, &status, 0), pid);
    check("a child has no lock of its parent", status, 0);
    other = benchfs_open(a, "/api", O_RDONLY, 0);
    check("b before the close", range(b, fd_b, F_SETLK, F_WRLCK, 0, 1), -EAGAIN);
    check("close of another descriptor", benchfs_close(a, other), 0);
    check("b after it", range(b, fd_b, F_SETLK, F_WRLCK, 0, 1), 0);
}

struct waiter {
    struct benchfs *fs;
    int fd;
    int status;
};

static void *flock_wait(void *arg)
{
    struct waiter *waiter = arg;

    waiter->status = benchfs_flock(waiter->fs, waiter->fd, LOCK_EX);
    return NULL;
}

static void flocks(struct benchfs *a, int fd_a, struct benchfs *b, int fd_b)
{
    int own = benchfs_open(a, "/api", O_RDWR, 0);
    struct waiter waiter = {.fs = b, .fd = fd_b, .status = 1};
    pthread_t thread;

    check("flock", benchfs_flock(a, fd_a, LOCK_EX), 0);
    check("another descriptor", benchfs_flock(a, own, LOCK_SH | LOCK_NB), -EWOULDBLOCK);
    check("another client", benchfs_flock(b, fd_b, LOCK_SH | LOCK_NB), -EWOULDBLOCK);
    check("not an operation", benchfs_flock(b, fd_b, LOCK_NB), -EINVAL);
    check("thread", pthread_create(&thread, NULL, flock_wait, &waiter), 0);
    check("close", benchfs_close(a, fd_a), 0); /* gives it back */
    check("join", pthread_join(thread, NULL), 0);
    check("the other has it", waiter.status, 0);
    check("shared", benchfs_flock(b, fd_b, LOCK_SH), 0);
    check("both", benchfs_flock(a, own, LOCK_SH | LOCK_NB), 0);
    check("close", benchfs_close(a, own), 0);
}

int main(void)
{
    struct benchfs *a, *b;
    int fd_a, fd_b;

    check("init", benchfs_init(&a, NULL), 0);
    check("init", benchfs_init(&b, NULL), 0);
    fd_a = benchfs_open(a, "/api", O_CREAT | O_RDWR, 0644);
    fd_b = benchfs_open(b, "/api", O_RDWR, 0);
    check("open", fd_a < 0 || fd_b < 0, 0);
    ranges(a, fd_a, b, fd_b);
    closing(a, fd_a, b, fd_b);
    flocks(a, fd_a, b, fd_b);
    /* a client that ends has no locks */
    check("fini", benchfs_fini(b), 0);
    fd_a = benchfs_open(a, "/api", O_RDWR, 0);
    check("what the other had", range(a, fd_a, F_SETLKW, F_WRLCK, 0, 0), 0);
    check("and flock", benchfs_flock(a, fd_a, LOCK_EX), 0);
    check("fini", benchfs_fini(a), 0);
    return 0;
}

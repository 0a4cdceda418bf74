/* SPDX-License-Identifier: Apache-2.0
 * The helper gets its end of a socket pair as descriptor _FUSE_COMMFD and sends the
 * open /dev/fuse over it. Its stderr comes through a pipe. */
#include "fuse/fusermount.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/proc.h"

#define HELPER            "fusermount3"
#define HELPER_TIMEOUT_MS 10000
#define HELPER_COMM_FD    3
#define HELPER_COMM_ENV   "_FUSE_COMMFD=3"

/* A run of the helper. */
struct helper {
    pid_t pid;
    int stderr_fd;
    struct deadline deadline;
    char said[256]; /* the last of what it printed */
};

/* The environment with HELPER_COMM_ENV first; the strings stay whose they are. */
static char **environment_create(void)
{
    static char comm[] = HELPER_COMM_ENV;
    size_t n = 0;
    char **result;

    while (environ[n] != NULL)
        n++;
    result = calloc(n + 2, sizeof(*result));
    if (result == NULL)
        return NULL;
    result[0] = comm;
    memcpy(result + 1, environ, n * sizeof(*result));
    return result;
}

static int helper_spawn(
    const char *const argv[], int stderr_fd, int comm_fd, char **env, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none;
    int rc;

    /* The caller may block signals for a signalfd; the helper must not inherit that. */
    sigemptyset(&none);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, stderr_fd, STDERR_FILENO);
    if (comm_fd >= 0)
        posix_spawn_file_actions_adddup2(&actions, comm_fd, HELPER_COMM_FD);
    rc = posix_spawnp(ret_pid, HELPER, &actions, &attr, (char *const *)argv, env);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    return -rc;
}

static int helper_start(struct helper *helper,
                        const char *const argv[],
                        int comm_fd,
                        struct benchfs_error *err)
{
    int fds[2] = {-1, -1};
    char **env = environment_create();
    int rc;

    if (env == NULL)
        return benchfs_error_set(err, ENOMEM, "out of memory");
    if (pipe2(fds, O_CLOEXEC) < 0) {
        rc = benchfs_error_set(err, errno, "pipe: %m");
        goto out;
    }
    helper->deadline = deadline_after_ms(HELPER_TIMEOUT_MS);
    helper->said[0] = '\0';
    rc = helper_spawn(argv, fds[1], comm_fd, env, &helper->pid);
    if (rc < 0) {
        close(fds[0]);
        rc = benchfs_error_set(
            err, rc, "cannot run " HELPER " (package fuse3): %s", strerror(-rc));
        goto out;
    }
    helper->stderr_fd = fds[0];
out:
    proc_fd_close(&fds[1]);
    free(env);
    return rc;
}

/* Keeps the last line that fits. Returns false at the deadline. */
static bool helper_listen(struct helper *helper)
{
    char text[sizeof(helper->said)];
    struct pollfd poll_fd = {.fd = helper->stderr_fd, .events = POLLIN};
    ssize_t n;

    for (;;) {
        int rc = poll(&poll_fd, 1, deadline_remaining_ms(helper->deadline));

        if (rc == 0)
            return false;
        n = rc < 0 ? -1 : read(helper->stderr_fd, text, sizeof(text) - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return true;
        text[n] = '\0';
        text[strcspn(text, "\n")] = '\0';
        if (text[0] != '\0')
            memcpy(helper->said, text, strlen(text) + 1);
    }
}

/* Waits for its end. 0 if it did what it was told. */
static int helper_finish(struct helper *helper, struct benchfs_error *err)
{
    bool is_in_time = helper_listen(helper);
    const char *said = helper->said;
    int status = 0;

    if (!is_in_time)
        kill(helper->pid, SIGKILL);
    while (waitpid(helper->pid, &status, 0) < 0 && errno == EINTR)
        ;
    close(helper->stderr_fd);
    if (!is_in_time)
        return benchfs_error_set(
            err, ETIMEDOUT, HELPER " did not end in %d s", HELPER_TIMEOUT_MS / 1000);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (strncmp(said, HELPER ": ", strlen(HELPER ": ")) == 0)
        said += strlen(HELPER ": ");
    if (said[0] == '\0')
        said = "it did not say why";
    return benchfs_error_set(err, EIO, HELPER ": %s", said);
}

/* Takes the descriptor that the helper sent; -EIO if there is none. */
static int comm_receive(int comm_fd, int *ret_fd)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    char byte;
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    struct msghdr msg = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control),
    };
    struct cmsghdr *header;

    /* The helper has ended: what it sent is there, or never will be. */
    if (recvmsg(comm_fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0)
        return -EIO;
    header = CMSG_FIRSTHDR(&msg);
    if (header == NULL || header->cmsg_level != SOL_SOCKET
        || header->cmsg_type != SCM_RIGHTS
        || header->cmsg_len != CMSG_LEN(sizeof(*ret_fd)))
        return -EIO;
    memcpy(ret_fd, CMSG_DATA(header), sizeof(*ret_fd));
    return 0;
}

int fusermount_mount(const char *mountpoint,
                     const char *options,
                     int *ret_fd,
                     struct benchfs_error *err)
{
    const char *const argv[] = {HELPER, "-o", options, "--", mountpoint, NULL};
    struct helper helper;
    int comm[2];
    int rc;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, comm) < 0)
        return benchfs_error_set(err, errno, "socketpair: %m");
    rc = helper_start(&helper, argv, comm[1], err);
    if (rc == 0)
        rc = helper_finish(&helper, err);
    if (rc == 0 && comm_receive(comm[0], ret_fd) < 0)
        rc = benchfs_error_set(err, EIO, HELPER " sent no descriptor");
    if (rc < 0)
        benchfs_error_prefix(err, "mount %s: ", mountpoint);
    close(comm[0]);
    close(comm[1]);
    return rc;
}

int fusermount_unmount(const char *mountpoint, bool is_lazy, struct benchfs_error *err)
{
    const char *const argv[] = {HELPER, is_lazy ? "-uz" : "-u", "--", mountpoint, NULL};
    struct helper helper;
    int rc = helper_start(&helper, argv, -1, err);

    if (rc == 0)
        rc = helper_finish(&helper, err);
    if (rc < 0)
        benchfs_error_prefix(err, "unmount %s: ", mountpoint);
    return rc;
}

/* SPDX-License-Identifier: Apache-2.0
 * Flags of file descriptors; telling processes apart. */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int proc_fd_cloexec_set(int fd, bool is_on)
{
    int flags = fcntl(fd, F_GETFD);

    if (flags < 0)
        return -errno;
    flags = is_on ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC;
    return fcntl(fd, F_SETFD, flags) < 0 ? -errno : 0;
}

int proc_fd_nonblock_set(int fd, bool is_on)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0)
        return -errno;
    flags = is_on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

void proc_fd_close(int *fd)
{
    int saved_errno = errno;

    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    errno = saved_errno;
}

int proc_start_time(int pid, uint64_t *ret_ticks)
{
    char path[32], text[1024];
    const char *p;
    ssize_t n;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? -ESRCH : -errno;
    n = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n <= 0)
        return -ESRCH;
    text[n] = '\0';
    p = strrchr(text, ')'); /* behind the name, which may hold anything */
    if (!p || p[1] != ' ')
        return -EPROTO;
    p += 2;
    if (*p == 'Z' || *p == 'X')
        return -ESRCH;
    for (int field = 3; field < 22; field++) { /* proc(5): state is 3, starttime 22 */
        p = strchr(p, ' ');
        if (!p)
            return -EPROTO;
        p++;
    }
    *ret_ticks = strtoull(p, NULL, 10);
    return 0;
}

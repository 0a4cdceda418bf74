/* SPDX-License-Identifier: Apache-2.0
 * Flags of file descriptors. */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
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

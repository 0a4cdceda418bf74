/* SPDX-License-Identifier: Apache-2.0
 * Preloaded into daemons: the clock of those of node 1 is 100 s ahead.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int is_ahead(void)
{
    static _Atomic int known; /* 0: not yet, 1: no, 2: yes */
    char arguments[4096];
    ssize_t n;
    int fd;

    if (known == 0) {
        fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
        n = read(fd, arguments, sizeof(arguments));
        close(fd);
        known = n > 0 && memmem(arguments, (size_t)n, "/node1", 6) ? 2 : 1;
    }
    return known == 2;
}

int clock_gettime(clockid_t clock_id, struct timespec *tp)
{
    int rc = (int)syscall(SYS_clock_gettime, clock_id, tp);

    if (rc == 0 && clock_id == CLOCK_REALTIME && is_ahead())
        tp->tv_sec += 100;
    return rc;
}

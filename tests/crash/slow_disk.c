/* SPDX-License-Identifier: Apache-2.0
 * Preloaded into daemons: a disk that takes 2 seconds for what it is asked to keep, as
 * long as there is a file SLOW_DISK; and no io_uring.
 */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static void wait_for_disk(void)
{
    const char *file = getenv("SLOW_DISK");

    if (file && access(file, F_OK) == 0)
        sleep(2);
}

/* The parameters have their names from unistd.h. */
int fdatasync(int __fildes)
{
    wait_for_disk();
    return (int)syscall(SYS_fdatasync, __fildes);
}

int io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags)
{
    (void)entries;
    (void)ring;
    (void)flags;
    return -EPERM;
}

int fsync(int __fd)
{
    wait_for_disk();
    return (int)syscall(SYS_fsync, __fd);
}

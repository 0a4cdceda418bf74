/* SPDX-License-Identifier: Apache-2.0
 * Random numbers of the kernel. */
#include "base/random.h"

#include <errno.h>
#include <sys/random.h>

int random_bytes(void *data, size_t size)
{
    unsigned char *next = data;

    while (size > 0) {
        ssize_t got = getrandom(next, size, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        next += got;
        size -= (size_t)got;
    }
    return 0;
}

int random_u64(uint64_t *ret_value)
{
    uint64_t value;
    int status = random_bytes(&value, sizeof(value));

    if (status == 0)
        *ret_value = value;
    return status;
}

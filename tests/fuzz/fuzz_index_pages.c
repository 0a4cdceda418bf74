/* SPDX-License-Identifier: Apache-2.0
 * A store's index, before LMDB opens it. */
#include "fuzz.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store/index_pages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    int fd = memfd_create("index", MFD_CLOEXEC);
    char path[40];
    int rc;

    FUZZ_CHECK(fd >= 0);
    FUZZ_CHECK(write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    rc = index_pages_check(path, &err);
    FUZZ_CHECK(rc == 0 || (rc == -EUCLEAN && err.text[0] != '\0'));
    close(fd);
    return 0;
}

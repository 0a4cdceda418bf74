/* SPDX-License-Identifier: Apache-2.0
 * Capacity: as wanted, automatic, more than there is. */
#include "unit.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/units.h"
#include "launch/space.h"

static void test_capacity(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    int fd = open("/dev/shm", O_RDONLY | O_DIRECTORY);
    uint64_t bytes, free_bytes;
    struct statvfs vfs;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(fstatvfs(fd, &vfs), 0);
    free_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
    assert_int_equal(space_capacity(fd, "/dev/shm", 3 * UNITS_MIB, &bytes, &err), 0);
    assert_int_equal(bytes, 3 * UNITS_MIB);
    assert_int_equal(space_capacity(fd, "/dev/shm", 0, &bytes, &err), 0);
    assert_true(bytes > 0 && bytes < free_bytes);
    assert_int_equal(bytes % UNITS_MIB, 0);
    close(fd);
}

static void test_too_much(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    int fd = open("/dev/shm", O_RDONLY | O_DIRECTORY);
    uint64_t bytes = 1;

    (void)state;
    assert_int_equal(space_capacity(fd, "/dev/shm", 900 * UNITS_TIB, &bytes, &err),
                     -ENOSPC);
    assert_int_equal(bytes, 1);
    assert_non_null(strstr(err.text, "900.0 TiB"));
    assert_non_null(strstr(err.text, "free in /dev/shm"));
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_capacity),
        cmocka_unit_test(test_too_much),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * Directories of one's own: made, found, made private, refused. */
#include "unit.h"

#include <fcntl.h>
#include <unistd.h>

#include "launch/private_dir.h"

static struct unit_dir dir;

static char *path(const char *name)
{
    static char text[256];

    snprintf(text, sizeof(text), "%s/%s", dir.path, name);
    return text;
}

static int setup(void **state)
{
    (void)state;
    unit_dir_create(&dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unit_dir_remove(&dir);
    return 0;
}

static void test_made_and_found(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct stat st;
    int fd;

    (void)state;
    fd = private_dir_open(path("a"), false, &err);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    close(fd);
    assert_int_equal(chmod(path("a"), 0755), 0);
    fd = private_dir_open(path("a"), false, &err);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    close(fd);
}

static void test_parent(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    int fd;

    (void)state;
    assert_int_equal(private_dir_open(path("p/q"), false, &err), -ENOENT);
    assert_non_null(strstr(err.text, path("p")));
    fd = private_dir_open(path("p/q"), true, &err);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(private_dir_open(path("x/y/z"), true, &err), -ENOENT);
}

static void test_refused(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;

    (void)state;
    assert_int_equal(symlink("/tmp", path("link")), 0);
    assert_true(private_dir_open(path("link"), false, &err) < 0);
    close(creat(path("file"), 0600));
    assert_int_equal(private_dir_open(path("file"), false, &err), -ENOTDIR);
    assert_int_equal(private_dir_open("relative", false, &err), -EINVAL);
    assert_int_equal(private_dir_open("/", false, &err), -EINVAL);
}

/* Only root can make the scene: a directory of somebody else. */
static void test_of_another_user(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(mkdir(path("other"), 0755), 0);
    assert_int_equal(chown(path("other"), 12345, 12345), 0);
    assert_int_equal(private_dir_open(path("other"), false, &err), -EPERM);
    assert_non_null(strstr(err.text, "user 12345"));
    assert_int_equal(private_dir_open(path("other/mine"), false, &err), -EPERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_made_and_found, setup, teardown),
        cmocka_unit_test_setup_teardown(test_parent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_of_another_user, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

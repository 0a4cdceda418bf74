/* SPDX-License-Identifier: Apache-2.0
 * Removal of trees: wide, deep, with symlinks that lead out. */
#include "unit.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fs.h"

static struct unit_dir dir;
static int dir_fd;

static int set_up(void **state)
{
    (void)state;
    unit_dir_create(&dir);
    dir_fd = open(dir.path, O_RDONLY | O_DIRECTORY);
    return dir_fd < 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(dir_fd);
    unit_dir_remove(&dir);
    return 0;
}

static void make_file(int fd, const char *name)
{
    int file = openat(fd, name, O_CREAT | O_WRONLY | O_EXCL, 0600);

    assert_true(file >= 0);
    close(file);
}

static bool is_there(const char *name)
{
    return faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void test_simple(void **state)
{
    (void)state;
    assert_int_equal(fs_tree_remove_at(dir_fd, "none"), 0);
    make_file(dir_fd, "file");
    assert_int_equal(fs_tree_remove_at(dir_fd, "file"), 0);
    assert_false(is_there("file"));
    assert_int_equal(mkdirat(dir_fd, "d", 0700), 0);
    assert_int_equal(fs_tree_remove_at(dir_fd, "d"), 0);
    assert_false(is_there("d"));
    assert_int_equal(fs_tree_remove_at(dir_fd, ""), -EINVAL);
    assert_int_equal(fs_tree_remove_at(dir_fd, "."), -EINVAL);
    assert_int_equal(fs_tree_remove_at(dir_fd, ".."), -EINVAL);
    assert_int_equal(fs_tree_remove_at(dir_fd, "a/b"), -EINVAL);
}

static void test_symlinks_stay_inside(void **state)
{
    int fd;

    (void)state;
    assert_int_equal(mkdirat(dir_fd, "outside", 0700), 0);
    make_file(dir_fd, "outside/precious");
    fd = fs_dir_open_beneath(dir_fd, "tree/sub", true, 0700);
    assert_true(fd >= 0);
    assert_int_equal(symlinkat("../../outside", fd, "link"), 0);
    assert_int_equal(symlinkat("nowhere", fd, "dangling"), 0);
    close(fd);
    assert_int_equal(symlinkat("outside", dir_fd, "top"), 0);
    assert_int_equal(fs_tree_remove_at(dir_fd, "top"), 0);
    assert_int_equal(fs_tree_remove_at(dir_fd, "tree"), 0);
    assert_false(is_there("top"));
    assert_false(is_there("tree"));
    assert_true(is_there("outside/precious"));
}

static void test_wide(void **state)
{
    int fd = fs_dir_open_beneath(dir_fd, "wide", true, 0700);
    char name[32];

    (void)state;
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof(name), "f%d", i);
        if (i % 10 == 0)
            assert_int_equal(mkdirat(fd, name, 0700), 0);
        else
            make_file(fd, name);
    }
    close(fd);
    assert_int_equal(fs_tree_remove_at(dir_fd, "wide"), 0);
    assert_false(is_there("wide"));
}

/* Deeper than descriptors allowed, with names an earlier removal might have left. */
static void test_deep(void **state)
{
    struct rlimit old;
    struct rlimit few;
    int fd = fs_dir_open_beneath(dir_fd, "deep", true, 0700);

    (void)state;
    make_file(fd, ".benchfs-rm.0");
    for (int i = 0; i < 500; i++) {
        int child = fs_dir_open_beneath(fd, "d", true, 0700);

        assert_true(child >= 0);
        make_file(child, "f");
        close(fd);
        fd = child;
    }
    close(fd);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    few = old;
    few.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    assert_int_equal(fs_tree_remove_at(dir_fd, "deep"), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_false(is_there("deep"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_simple, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_symlinks_stay_inside, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wide, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deep, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * Directories, whole transfers, whole files, on a real file system. */
#include "unit.h"

#include <fcntl.h>
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

static const char *path_of(const char *name)
{
    static char path[4096];

    snprintf(path, sizeof(path), "%s/%s", dir.path, name);
    return path;
}

static mode_t mode_of(const char *name)
{
    struct stat st;

    assert_int_equal(fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
    return st.st_mode & 07777;
}

static void test_mkdir_p(void **state)
{
    char big[5000];

    (void)state;
    assert_int_equal(fs_mkdir_p(path_of("a/b//c/"), 0700), 0);
    assert_int_equal(mode_of("a/b/c"), 0700);
    assert_int_equal(fs_mkdir_p(path_of("a/b"), 0755), 0);
    assert_int_equal(mode_of("a/b"), 0700);
    assert_int_equal(fs_mkdir_p("/", 0755), 0);
    assert_int_equal(fs_mkdir_p("", 0755), -ENOENT);
    close(openat(dir_fd, "file", O_CREAT | O_WRONLY, 0600));
    assert_int_equal(fs_mkdir_p(path_of("file"), 0755), -ENOTDIR);
    assert_int_equal(fs_mkdir_p(path_of("file/x"), 0755), -ENOTDIR);
    memset(big, 'a', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    assert_int_equal(fs_mkdir_p(big, 0755), -ENAMETOOLONG);
}

static void test_dir_open_beneath(void **state)
{
    int fd;

    (void)state;
    assert_int_equal(fs_dir_open_beneath(dir_fd, "x/y", false, 0), -ENOENT);
    fd = fs_dir_open_beneath(dir_fd, "x/./y/", true, 0700);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(mode_of("x/y"), 0700);
    fd = fs_dir_open_beneath(dir_fd, "", false, 0);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(symlinkat("x", dir_fd, "link"), 0);
    assert_int_equal(fs_dir_open_beneath(dir_fd, "link", false, 0), -ENOTDIR);
    assert_int_equal(fs_dir_open_beneath(dir_fd, "link/y", true, 0700), -ENOTDIR);
    assert_int_equal(fs_dir_open_beneath(dir_fd, "x/../x", false, 0), -EINVAL);
    assert_int_equal(fs_dir_open_beneath(dir_fd, "/x", false, 0), -EINVAL);
}

static void test_file_write_read(void **state)
{
    char *text;
    size_t size;

    (void)state;
    assert_int_equal(fs_file_write_atomic(dir_fd, "f", "one", 3, 0640), 0);
    assert_int_equal(mode_of("f"), 0640);
    assert_int_equal(fs_file_write_atomic(AT_FDCWD, path_of("f"), "three", 5, 0666), 0);
    assert_int_equal(mode_of("f"), 0666);
    assert_int_equal(fs_file_read(path_of("f"), 5, &text, &size), 0);
    assert_int_equal(size, 5);
    assert_string_equal(text, "three");
    free(text);
    assert_int_equal(fs_file_read(path_of("f"), 4, &text, &size), -EFBIG);
    assert_int_equal(fs_file_read(path_of("none"), 4, &text, &size), -ENOENT);
    assert_int_equal(fs_file_read(dir.path, 4, &text, &size), -EISDIR);
    /* Nothing stays aside, after success and after failure. */
    assert_int_equal(mkdirat(dir_fd, "d", 0700), 0);
    assert_int_equal(fs_file_write_atomic(dir_fd, "d", "x", 1, 0600), -EISDIR);
    assert_int_equal(unlinkat(dir_fd, "f", 0), 0);
    assert_int_equal(unlinkat(dir_fd, "d", AT_REMOVEDIR), 0);
    assert_int_equal(rmdir(dir.path), 0);
    assert_int_equal(mkdir(dir.path, 0700), 0);
}

static void test_file_read_big(void **state)
{
    static char data[100000];
    char *text;
    size_t size;

    (void)state;
    memset(data, 'z', sizeof(data));
    assert_int_equal(fs_file_write_atomic(dir_fd, "big", data, sizeof(data), 0600), 0);
    assert_int_equal(fs_file_read(path_of("big"), SIZE_MAX, &text, &size), 0);
    assert_int_equal(size, sizeof(data));
    assert_memory_equal(text, data, sizeof(data));
    free(text);
    assert_int_equal(fs_file_read("/proc/self/status", 1 << 20, &text, NULL), 0);
    assert_non_null(strstr(text, "Pid:"));
    free(text);
}

static void test_transfers(void **state)
{
    char data[10];
    int fd = openat(dir_fd, "t", O_CREAT | O_RDWR, 0600);

    (void)state;
    assert_int_equal(fs_write_all(fd, "0123456789", 10), 0);
    assert_int_equal(fs_pwrite_all(fd, "ab", 2, 4), 0);
    assert_int_equal(fs_pread_all(fd, data, 10, 2), 8);
    assert_memory_equal(data, "23ab6789", 8);
    lseek(fd, 0, SEEK_SET);
    assert_int_equal(fs_read_all(fd, data, 10), 10);
    assert_memory_equal(data, "0123ab6789", 10);
    assert_int_equal(fs_read_all(fd, data, 10), 0);
    close(fd);
    assert_int_equal(fs_write_all(fd, "x", 1), -EBADF);
    assert_int_equal(fs_pwrite_all(fd, "x", 1, 0), -EBADF);
    assert_int_equal(fs_read_all(fd, data, 1), -EBADF);
    assert_int_equal(fs_pread_all(fd, data, 1, 0), -EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_mkdir_p, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dir_open_beneath, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file_write_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file_read_big, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_transfers, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

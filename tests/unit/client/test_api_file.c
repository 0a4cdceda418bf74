/* SPDX-License-Identifier: Apache-2.0
 * Descriptors, positions, asynchronous transfers, and the child after fork. */
#include "fake_service.h"

#include <sys/wait.h>
#include <unistd.h>

#include "benchfs/benchfs.h"

struct api_unit {
    struct unit_dir dir;
    struct fake_service *service;
    struct benchfs *fs;
};

static void start(struct api_unit *unit)
{
    struct benchfs_options options;
    char error[256] = "";

    unit_dir_create(&unit->dir);
    unit->service = fake_service_start(&unit->dir, 2);
    benchfs_options_init(&options);
    options.socket_path = fake_service_socket(unit->service);
    options.pmix = BENCHFS_PMIX_NEVER;
    options.error = error;
    options.error_size = sizeof(error);
    if (benchfs_init(&unit->fs, &options) < 0)
        fail_msg("%s", error);
}

static void stop(struct api_unit *unit)
{
    assert_int_equal(benchfs_fini(unit->fs), 0);
    assert_int_equal(fake_service_opens(unit->service), 0);
    fake_service_stop(unit->service);
    unit_dir_remove(&unit->dir);
}

static void test_init_errors(void **state)
{
    struct benchfs_options options;
    char error[256] = "";
    struct benchfs *fs;

    (void)state;
    benchfs_options_init(&options);
    options.socket_path = "/nonexistent.sock";
    options.pmix = BENCHFS_PMIX_NEVER;
    options.error = error;
    options.error_size = sizeof(error);
    assert_int_equal(benchfs_init(&fs, &options), -ENOENT);
    assert_non_null(strstr(error, "/nonexistent.sock"));
    assert_int_equal(benchfs_init(NULL, &options), -EINVAL);
    options.size = 3;
    assert_int_equal(benchfs_init(&fs, &options), -EINVAL);
    assert_int_equal(benchfs_fini(NULL), 0);
}

static void test_descriptors(void **state)
{
    struct benchfs *fs;
    struct api_unit unit;
    struct stat st;

    (void)state;
    start(&unit);
    fs = unit.fs;
    assert_int_equal(benchfs_open(fs, "/a", O_CREAT | O_RDWR, 0600), 0);
    assert_int_equal(benchfs_open(fs, "/a", O_RDONLY, 0), 1);
    assert_int_equal(benchfs_open(fs, "/", O_RDONLY | O_DIRECTORY, 0), 2);
    assert_int_equal(benchfs_fstat(fs, 2, &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(benchfs_read(fs, 2, &st, sizeof(st)), -EISDIR);
    assert_int_equal(benchfs_fsync(fs, 2), 0);
    assert_int_equal(benchfs_close(fs, 1), 0);
    assert_int_equal(benchfs_close(fs, 1), -EBADF);
    assert_int_equal(benchfs_close(fs, -1), -EBADF);
    assert_int_equal(benchfs_close(fs, 1 << 20), -EBADF);
    assert_int_equal(benchfs_open(fs, "/a", O_RDONLY, 0), 1);
    assert_int_equal(benchfs_write(fs, 1, "x", 1), -EBADF);
    assert_int_equal(benchfs_ftruncate(fs, 1, 0), -EINVAL);
    assert_int_equal(benchfs_open(fs, "/a", O_RDWR | O_TMPFILE, 0), -EINVAL);
    stop(&unit); /* closes what is open */
}

static void test_positions(void **state)
{
    char buf[16];
    struct benchfs *fs;
    struct api_unit unit;
    int fd;

    (void)state;
    start(&unit);
    fs = unit.fs;
    fd = benchfs_open(fs, "/a", O_CREAT | O_RDWR, 0600);
    assert_int_equal(benchfs_write(fs, fd, "0123456789", 10), 10);
    assert_int_equal(benchfs_lseek(fs, fd, 0, SEEK_CUR), 10);
    assert_int_equal(benchfs_lseek(fs, fd, 3, SEEK_SET), 3);
    assert_int_equal(benchfs_read(fs, fd, buf, 4), 4);
    assert_memory_equal(buf, "3456", 4);
    assert_int_equal(benchfs_lseek(fs, fd, -2, SEEK_END), 8);
    assert_int_equal(benchfs_read(fs, fd, buf, 16), 2);
    assert_int_equal(benchfs_read(fs, fd, buf, 16), 0);
    assert_int_equal(benchfs_lseek(fs, fd, -1, SEEK_SET), -EINVAL);
    assert_int_equal(benchfs_lseek(fs, fd, INT64_MAX, SEEK_CUR), -EOVERFLOW);
    assert_int_equal(benchfs_lseek(fs, fd, 0, 99), -EINVAL);
    assert_int_equal(benchfs_pread(fs, fd, buf, 1, -1), -EINVAL);
    assert_int_equal(benchfs_ftruncate(fs, fd, 5), 0);
    assert_int_equal(benchfs_lseek(fs, fd, 0, SEEK_END), 5);
    assert_int_equal(benchfs_close(fs, fd), 0);
    fd = benchfs_open(fs, "/a", O_WRONLY | O_APPEND, 0);
    assert_int_equal(benchfs_write(fs, fd, "ab", 2), 2);
    assert_int_equal(benchfs_lseek(fs, fd, 0, SEEK_CUR), 7);
    assert_int_equal(benchfs_close(fs, fd), 0);
    fd = benchfs_open(fs, "/a", O_RDWR | O_TRUNC, 0);
    assert_int_equal(benchfs_read(fs, fd, buf, 16), 0);
    stop(&unit);
}

static void test_asynchronous(void **state)
{
    enum { N = 8, SIZE = 5 * FAKE_CHUNK_SIZE };
    struct benchfs_request *requests[N];
    char *out = malloc((size_t)N * SIZE);
    char *in = calloc(N, SIZE);
    struct benchfs *fs;
    struct api_unit unit;
    int fd;

    (void)state;
    start(&unit);
    fs = unit.fs;
    fd = benchfs_open(fs, "/a", O_CREAT | O_RDWR, 0600);
    for (size_t i = 0; i < (size_t)N * SIZE; i++)
        out[i] = (char)(i * 11 + i / 1000);
    for (int i = 0; i < N; i++)
        assert_int_equal(
            benchfs_pwrite_async(fs, fd, out + i * SIZE, SIZE, i * SIZE, &requests[i]),
            0);
    for (int i = N - 1; i >= 0; i--)
        assert_int_equal(benchfs_wait(requests[i]), SIZE);
    for (int i = 0; i < N; i++)
        assert_int_equal(
            benchfs_pread_async(fs, fd, in + i * SIZE, SIZE, i * SIZE, &requests[i]),
            0);
    while (!benchfs_test(requests[0]))
        continue;
    assert_int_equal(benchfs_close(fs, fd), 0); /* requests keep the file */
    for (int i = 0; i < N; i++)
        assert_int_equal(benchfs_wait(requests[i]), SIZE);
    assert_memory_equal(in, out, (size_t)N * SIZE);
    assert_int_equal(benchfs_pread_async(fs, fd, in, SIZE, 0, &requests[0]), -EBADF);
    free(in);
    free(out);
    stop(&unit);
}

/* In the child: 0, or the number of the step that went wrong. */
static int child_run(struct benchfs *fs, int fd, struct benchfs_request *request)
{
    char buf[16];
    int other;

    if (benchfs_wait(request) != -ECANCELED)
        return 1;
    if (benchfs_read(fs, fd, buf, 3) != 3 || memcmp(buf, "456", 3) != 0)
        return 2;
    if (benchfs_pwrite(fs, fd, "child", 5, 20) != 5)
        return 3;
    other = benchfs_open(fs, "/of-child", O_CREAT | O_WRONLY, 0600);
    if (other < 0 || benchfs_write(fs, other, "x", 1) != 1)
        return 4;
    return benchfs_fini(fs) == 0 ? 0 : 5;
}

static void test_fork(void **state)
{
    struct benchfs_request *request;
    struct benchfs *fs;
    struct api_unit unit;
    struct stat st;
    char buf[16];
    int status;
    pid_t pid;
    int fd;

    (void)state;
    start(&unit);
    fs = unit.fs;
    fd = benchfs_open(fs, "/a", O_CREAT | O_RDWR, 0600);
    assert_int_equal(benchfs_write(fs, fd, "0123456789", 10), 10);
    assert_int_equal(benchfs_lseek(fs, fd, 4, SEEK_SET), 4);
    assert_int_equal(benchfs_pread_async(fs, fd, buf, 4, 0, &request), 0);
    pid = fork();
    if (pid == 0)
        _exit(child_run(fs, fd, request));
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    /* the parent goes on as if nothing had been */
    assert_int_equal(benchfs_wait(request), 4);
    assert_int_equal(benchfs_read(fs, fd, buf, 2), 2);
    assert_memory_equal(buf, "45", 2);
    assert_int_equal(benchfs_pread(fs, fd, buf, 5, 20), 5);
    assert_memory_equal(buf, "child", 5);
    assert_int_equal(benchfs_stat(fs, "/of-child", &st), 0);
    assert_int_equal(st.st_size, 1);
    stop(&unit);
}

/* A child that only ends the handle. */
static void test_fork_unused(void **state)
{
    struct api_unit unit;
    int status;
    pid_t pid;
    int fd;

    (void)state;
    start(&unit);
    fd = benchfs_open(unit.fs, "/a", O_CREAT | O_RDWR, 0600);
    pid = fork();
    if (pid == 0)
        _exit(benchfs_fini(unit.fs) == 0 ? 0 : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(benchfs_write(unit.fs, fd, "x", 1), 1);
    stop(&unit);
}

static void test_directory(void **state)
{
    struct benchfs_dir *dir;
    struct dirent entry;
    struct statvfs vfs;
    struct benchfs *fs;
    struct api_unit unit;
    off_t position;

    (void)state;
    start(&unit);
    fs = unit.fs;
    assert_int_equal(benchfs_mkdir(fs, "/d", 0700), 0);
    assert_int_equal(benchfs_mkdir(fs, "/d/x", 0700), 0);
    assert_int_equal(benchfs_mkdir(fs, "/d/y", 0700), 0);
    assert_int_equal(benchfs_opendir(fs, "/no", &dir), -ENOENT);
    assert_int_equal(benchfs_opendir(fs, "/d", &dir), 0);
    assert_int_equal(benchfs_telldir(dir), 0);
    assert_int_equal(benchfs_readdir(dir, &entry), 1);
    assert_int_equal(entry.d_type, DT_DIR);
    position = benchfs_telldir(dir);
    assert_int_equal(position, entry.d_off);
    assert_int_equal(benchfs_readdir(dir, &entry), 1);
    assert_int_equal(benchfs_readdir(dir, &entry), 0);
    benchfs_seekdir(dir, position);
    assert_int_equal(benchfs_readdir(dir, &entry), 1);
    assert_int_equal(benchfs_readdir(dir, &entry), 0);
    benchfs_rewinddir(dir);
    assert_int_equal(benchfs_readdir(dir, &entry), 1);
    assert_int_equal(benchfs_closedir(dir), 0);
    assert_int_equal(benchfs_statvfs(fs, "/", &vfs), 0);
    assert_int_equal(vfs.f_namemax, 255);
    assert_int_equal(vfs.f_ffree, 4 * FAKE_TARGETS);
    stop(&unit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init_errors),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_asynchronous),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_fork_unused),
        cmocka_unit_test(test_directory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * Locks that somebody holds, and mounts beneath a directory. */
#include "unit.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spank/holder.h"

static void test_free_lock(void **state)
{
    struct unit_dir dir;
    char path[64];
    int fd, other;

    (void)state;
    unit_dir_create(&dir);
    sprintf(path, "%s/lock", dir.path);
    fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(holder_end(fd, getuid(), 1000), 0);
    other = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(other >= 0);
    assert_false(holder_try(other));
    close(fd);
    assert_true(holder_try(other));
    close(other);
    unit_dir_remove(&dir);
}

static int mounts_beneath_go(const char *dir)
{
    char path[128];

    if (unshare(CLONE_NEWNS) < 0
        || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return 77;
    snprintf(path, sizeof(path), "%s/7", dir);
    mkdir(path, 0755);
    if (mount("none", path, "tmpfs", 0, NULL) < 0)
        return 77;
    /* A name that mountinfo has to escape, and a neighbour that only starts alike. */
    snprintf(path, sizeof(path), "%s/7/a b\\c", dir);
    mkdir(path, 0755);
    if (mount("none", path, "tmpfs", 0, NULL) < 0)
        return 77;
    snprintf(path, sizeof(path), "%s/77", dir);
    mkdir(path, 0755);
    if (mount("none", path, "tmpfs", 0, NULL) < 0)
        return 77;
    snprintf(path, sizeof(path), "%s/7", dir);
    if (holder_unmount_beneath(path, NULL) < 0)
        return 1;
    if (rmdir(path) < 0)
        return 2;
    snprintf(path, sizeof(path), "%s/77", dir);
    return umount(path) < 0 ? 3 : 0;
}

static void test_mounts_beneath(void **state)
{
    struct unit_dir dir;
    int status;
    pid_t pid;

    (void)state;
    if (geteuid() != 0)
        skip();
    unit_dir_create(&dir);
    pid = fork();
    if (pid == 0)
        _exit(mounts_beneath_go(dir.path));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    unit_dir_remove(&dir);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_free_lock),
        cmocka_unit_test(test_mounts_beneath),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

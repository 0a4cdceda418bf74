/* SPDX-License-Identifier: Apache-2.0
 * The rule for mount points, and that a plain directory is not taken for the mount. */
#include "unit.h"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spank/mount.h"

#define USER_ID 12345

struct fixture {
    struct unit_dir dir;
    char run_dir[64], default_mount[64];
    struct benchfs_config admin;
    struct job job;
    struct benchfs_error err;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    unit_dir_create(&fixture->dir);
    assert_int_equal(chmod(fixture->dir.path, 0755), 0);
    sprintf(fixture->run_dir, "%s/run", fixture->dir.path);
    sprintf(fixture->default_mount, "%s/default", fixture->dir.path);
    fixture->admin.run_dir = fixture->run_dir;
    fixture->admin.mount = fixture->default_mount;
    assert_int_equal(job_init(&fixture->job, 7, 0, USER_ID, USER_ID, &fixture->admin),
                     0);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    unit_dir_remove(&fixture->dir);
    free(fixture);
    return 0;
}

static struct fixture *fixture_of_root(void **state)
{
    if (geteuid() != 0)
        skip();
    return *state;
}

static char *join(struct fixture *fixture, const char *name)
{
    static char path[2 * PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s", fixture->dir.path, name);
    return path;
}

static int try_open(struct fixture *fixture, const char *path)
{
    int fd = mount_point_open(&fixture->job, &fixture->admin, path, &fixture->err);

    assert_int_equal(geteuid(), 0);
    if (fd < 0)
        return fd;
    close(fd);
    return 0;
}

static void test_default_is_made(void **state)
{
    struct fixture *fixture = fixture_of_root(state);
    struct stat st;

    assert_int_equal(try_open(fixture, fixture->default_mount), 0);
    assert_int_equal(stat(fixture->default_mount, &st), 0);
    assert_int_equal(st.st_uid, 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    assert_int_equal(try_open(fixture, fixture->default_mount), 0);
}

static void test_directory_of_the_user(void **state)
{
    struct fixture *fixture = fixture_of_root(state);

    assert_int_equal(mkdir(join(fixture, "own"), 0700), 0);
    assert_int_equal(chown(join(fixture, "own"), USER_ID, USER_ID), 0);
    assert_int_equal(try_open(fixture, join(fixture, "own")), 0);
}

static void test_directories_of_others(void **state)
{
    struct fixture *fixture = fixture_of_root(state);

    assert_int_equal(try_open(fixture, "/etc"), -EPERM);
    assert_non_null(strstr(fixture->err.text, "--benchfs-mount=/etc"));
    assert_int_equal(try_open(fixture, "/"), -EPERM);
    assert_int_equal(try_open(fixture, "/tmp"), -EPERM);
    assert_int_equal(try_open(fixture, join(fixture, "absent")), -ENOENT);
    assert_int_equal(try_open(fixture, "relative"), -EINVAL);
}

static void test_not_reachable_by_the_user(void **state)
{
    struct fixture *fixture = fixture_of_root(state);

    assert_int_equal(mkdir(join(fixture, "closed"), 0700), 0);
    assert_int_equal(mkdir(join(fixture, "closed/own"), 0700), 0);
    assert_int_equal(chown(join(fixture, "closed/own"), USER_ID, USER_ID), 0);
    assert_int_equal(try_open(fixture, join(fixture, "closed/own")), -EACCES);
}

static void test_symlinks(void **state)
{
    struct fixture *fixture = fixture_of_root(state);

    assert_int_equal(mkdir(join(fixture, "own"), 0700), 0);
    assert_int_equal(chown(join(fixture, "own"), USER_ID, USER_ID), 0);
    assert_int_equal(symlink("/etc", join(fixture, "own/link")), 0);
    assert_int_equal(try_open(fixture, join(fixture, "own/link")), -ENOTDIR);
    assert_int_equal(symlink("own", join(fixture, "way")), 0);
    assert_int_equal(mkdir(join(fixture, "own/deep"), 0700), 0);
    assert_int_equal(chown(join(fixture, "own/deep"), USER_ID, USER_ID), 0);
    assert_int_equal(try_open(fixture, join(fixture, "way/deep")), -ENOTDIR);
}

/* In a process of its own: the mount namespace can't be left again. */
static void test_what_is_not_mounted_is_not_shown(void **state)
{
    struct fixture *fixture = fixture_of_root(state);
    int status;
    pid_t pid;

    assert_int_equal(mkdir(join(fixture, "run"), 0755), 0);
    assert_int_equal(mkdir(join(fixture, "run/7"), 0700), 0);
    assert_int_equal(mkdir(join(fixture, "run/7/mnt"), 0700), 0);
    pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWNS) < 0)
            _exit(77);
        _exit(mount_private(
                  &fixture->job, &fixture->admin, fixture->default_mount, &fixture->err)
                      == -ENOTCONN
                  ? 0
                  : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_default_is_made),
        ROW(test_directory_of_the_user),
        ROW(test_directories_of_others),
        ROW(test_not_reachable_by_the_user),
        ROW(test_symlinks),
        ROW(test_what_is_not_mounted_is_not_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

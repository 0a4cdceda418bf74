/* SPDX-License-Identifier: Apache-2.0
 * Directories of a job as root makes and removes them, with what a user may plant. */
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spank/node.h"

#define USER_ID  12345
#define GROUP_ID 12346

struct fixture {
    struct unit_dir dir;
    char run_dir[64], memory_dir[64], disk_dir[64];
    struct benchfs_config admin;
    struct job job;
    struct benchfs_error err;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    unit_dir_create(&fixture->dir);
    sprintf(fixture->run_dir, "%s/run", fixture->dir.path);
    sprintf(fixture->memory_dir, "%s/shm/benchfs", fixture->dir.path);
    sprintf(fixture->disk_dir, "%s/disk", fixture->dir.path);
    fixture->admin.run_dir = fixture->run_dir;
    fixture->admin.memory_dir = fixture->memory_dir;
    fixture->admin.disk_dir = fixture->disk_dir;
    assert_int_equal(job_init(&fixture->job, 7, 0, USER_ID, GROUP_ID, &fixture->admin),
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

static int prepare(struct fixture *fixture, const char *store)
{
    return node_prepare(&fixture->job, &fixture->admin, store, &fixture->err);
}

static bool exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

static const char *join(struct fixture *fixture, const char *name)
{
    static char path[2 * PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s", fixture->dir.path, name);
    return path;
}

static void test_prepare_and_remove(void **state)
{
    struct fixture *fixture = fixture_of_root(state);
    struct stat st;

    assert_int_equal(prepare(fixture, "memory"), 0);
    assert_int_equal(prepare(fixture, "memory"), 0);
    assert_int_equal(stat(join(fixture, "run/7"), &st), 0);
    assert_int_equal(st.st_uid, USER_ID);
    assert_int_equal(st.st_gid, GROUP_ID);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_true(exists(join(fixture, "shm/benchfs/7")));
    assert_false(exists(join(fixture, "disk")));
    assert_int_equal(stat(join(fixture, "run"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    assert_true(node_has_job(&fixture->job, &fixture->admin));
    assert_int_equal(mkdir(join(fixture, "run/7/deep"), 0700), 0);
    assert_int_equal(node_remove(&fixture->job, &fixture->admin, &fixture->err), 0);
    assert_false(exists(join(fixture, "run/7")));
    assert_false(exists(join(fixture, "shm/benchfs/7")));
    assert_false(node_has_job(&fixture->job, &fixture->admin));
    assert_int_equal(node_remove(&fixture->job, &fixture->admin, &fixture->err), 0);
}

static void test_store_of_the_users_own(void **state)
{
    struct fixture *fixture = fixture_of_root(state);

    assert_int_equal(prepare(fixture, "/home/somewhere"), 0);
    assert_false(exists(join(fixture, "shm")));
    assert_int_equal(prepare(fixture, "disk"), 0);
    assert_true(exists(join(fixture, "disk/7")));
}

static void test_base_planted_by_a_user(void **state)
{
    struct fixture *fixture = fixture_of_root(state);

    assert_int_equal(mkdir(join(fixture, "shm"), 01777), 0);
    assert_int_equal(mkdir(join(fixture, "shm/benchfs"), 0755), 0);
    assert_int_equal(chown(join(fixture, "shm/benchfs"), USER_ID, GROUP_ID), 0);
    assert_int_equal(prepare(fixture, "memory"), -EPERM);
    assert_non_null(strstr(fixture->err.text, "shm/benchfs"));
    assert_false(exists(join(fixture, "shm/benchfs/7")));
}

static void test_base_writable_by_others(void **state)
{
    struct fixture *fixture = fixture_of_root(state);

    assert_int_equal(mkdir(join(fixture, "run"), 0700), 0);
    assert_int_equal(chmod(join(fixture, "run"), 0777), 0);
    assert_int_equal(prepare(fixture, "memory"), -EPERM);
}

static void test_symlink_in_place_of_a_base(void **state)
{
    struct fixture *fixture = fixture_of_root(state);

    assert_int_equal(mkdir(join(fixture, "target"), 0755), 0);
    assert_int_equal(symlink("target", join(fixture, "run")), 0);
    assert_true(prepare(fixture, "memory") < 0);
    assert_false(exists(join(fixture, "target/7")));
}

static void test_symlink_in_place_of_the_job(void **state)
{
    struct fixture *fixture = fixture_of_root(state);
    struct stat st;

    assert_int_equal(mkdir(join(fixture, "run"), 0755), 0);
    assert_int_equal(mkdir(join(fixture, "target"), 0755), 0);
    assert_int_equal(symlink("../target", join(fixture, "run/7")), 0);
    assert_true(prepare(fixture, "memory") < 0);
    assert_int_equal(stat(join(fixture, "target"), &st), 0);
    assert_int_equal(st.st_uid, 0);
    /* Removal takes the link, not what it points to. */
    assert_int_equal(node_remove(&fixture->job, &fixture->admin, &fixture->err), 0);
    assert_true(exists(join(fixture, "target")));
    assert_false(exists(join(fixture, "run/7")));
}

static void test_job_directory_of_another_user(void **state)
{
    struct fixture *fixture = fixture_of_root(state);

    assert_int_equal(mkdir(join(fixture, "run"), 0755), 0);
    assert_int_equal(mkdir(join(fixture, "run/7"), 0700), 0);
    assert_int_equal(chown(join(fixture, "run/7"), USER_ID + 1, 0), 0);
    assert_int_equal(prepare(fixture, "memory"), -EPERM);
}

static void test_removal_follows_no_planted_link(void **state)
{
    struct fixture *fixture = fixture_of_root(state);
    int fd;

    assert_int_equal(prepare(fixture, "memory"), 0);
    assert_int_equal(mkdir(join(fixture, "precious"), 0755), 0);
    fd = open(join(fixture, "precious/file"), O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(symlink("../../precious", join(fixture, "run/7/link")), 0);
    /* Where the lock file should be: nothing that opening could follow or hang on. */
    assert_int_equal(symlink("../../precious/file", join(fixture, "run/7/lock")), 0);
    assert_int_equal(mkfifo(join(fixture, "run/7/fifo"), 0600), 0);
    assert_int_equal(node_remove(&fixture->job, &fixture->admin, &fixture->err), 0);
    assert_true(exists(join(fixture, "precious/file")));
    assert_false(exists(join(fixture, "run/7")));
    assert_int_equal(prepare(fixture, "memory"), 0);
    assert_int_equal(mkfifo(join(fixture, "run/7/lock"), 0600), 0);
    assert_int_equal(node_remove(&fixture->job, &fixture->admin, &fixture->err), 0);
}

/* Starts a process that holds the lock; its pid. */
static pid_t holder_start(struct fixture *fixture, uid_t uid)
{
    int ready[2];
    char byte;
    pid_t pid;

    assert_int_equal(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        int fd = open(join(fixture, "run/7/lock"), O_CREAT | O_RDWR, 0600);

        if (fd < 0 || flock(fd, LOCK_EX) < 0 || setuid(uid) < 0)
            _exit(1);
        (void)!write(ready[1], "", 1);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static void test_holder_of_the_lock_is_ended(void **state)
{
    struct fixture *fixture = fixture_of_root(state);
    int status;
    pid_t pid;

    assert_int_equal(prepare(fixture, "memory"), 0);
    pid = holder_start(fixture, USER_ID);
    assert_int_equal(node_remove_unused(&fixture->job, &fixture->admin, &fixture->err),
                     -EBUSY);
    assert_true(exists(join(fixture, "run/7")));
    assert_int_equal(node_remove(&fixture->job, &fixture->admin, &fixture->err), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_false(exists(join(fixture, "run/7")));
}

static void test_unused_is_removed(void **state)
{
    struct fixture *fixture = fixture_of_root(state);

    assert_int_equal(prepare(fixture, "memory"), 0);
    assert_int_equal(node_remove_unused(&fixture->job, &fixture->admin, &fixture->err),
                     0);
    assert_false(exists(join(fixture, "run/7")));
}

static void test_holder_of_somebody_else_is_spared(void **state)
{
    struct fixture *fixture = fixture_of_root(state);
    pid_t pid;

    assert_int_equal(prepare(fixture, "memory"), 0);
    pid = holder_start(fixture, USER_ID + 1);
    assert_int_equal(node_remove(&fixture->job, &fixture->admin, &fixture->err),
                     -EPERM);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_prepare_and_remove),
        ROW(test_store_of_the_users_own),
        ROW(test_base_planted_by_a_user),
        ROW(test_base_writable_by_others),
        ROW(test_symlink_in_place_of_a_base),
        ROW(test_symlink_in_place_of_the_job),
        ROW(test_job_directory_of_another_user),
        ROW(test_removal_follows_no_planted_link),
        ROW(test_holder_of_the_lock_is_ended),
        ROW(test_unused_is_removed),
        ROW(test_holder_of_somebody_else_is_spared),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

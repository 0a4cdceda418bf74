/* SPDX-License-Identifier: Apache-2.0
 * Paths of a job, names of roles, and ids of single threads. */
#include "unit.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spank/job.h"

static void test_paths(void **state)
{
    char run_dir[] = "/run/benchfs";
    char long_dir[PATH_MAX];
    struct benchfs_config config = {.run_dir = run_dir};
    struct job job;

    (void)state;
    assert_int_equal(job_init(&job, 42, 1, 1000, 100, &config), 0);
    assert_string_equal(job.id_text, "42");
    assert_string_equal(job.dir, "/run/benchfs/42");
    assert_string_equal(job.socket, "/run/benchfs/42/shard-0.sock");
    assert_string_equal(job.mount, "/run/benchfs/42/mnt");
    assert_null(strchr(job.host, '.'));
    memset(long_dir, 'x', sizeof(long_dir) - 1);
    long_dir[0] = '/';
    long_dir[sizeof(long_dir) - 1] = '\0';
    config.run_dir = long_dir;
    assert_int_equal(job_init(&job, 42, 1, 1000, 100, &config), -ENAMETOOLONG);
}

static void test_roles(void **state)
{
    (void)state;
    for (int role = JOB_ROLE_NONE; role <= JOB_ROLE_FAILED; role++)
        assert_int_equal(job_role_parse(job_role_name((enum job_role)role)), role);
    assert_int_equal(job_role_parse(NULL), JOB_ROLE_NONE);
    assert_int_equal(job_role_parse("king"), JOB_ROLE_NONE);
}

static void *other_thread(void *arg)
{
    uid_t *uid = arg;

    *uid = geteuid();
    return NULL;
}

static void test_only_this_thread_changes(void **state)
{
    struct identity saved;
    pthread_t thread;
    uid_t seen = 0;

    (void)state;
    if (getuid() != 0)
        skip();
    assert_int_equal(identity_become(12345, 12346, &saved), 0);
    assert_int_equal(geteuid(), 12345);
    assert_int_equal(getegid(), 12346);
    assert_int_equal(getuid(), 0);
    identity_restore(&saved);
    assert_int_equal(geteuid(), 0);
    assert_int_equal(getegid(), 0);
    assert_int_equal(pthread_create(&thread, NULL, other_thread, &seen), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(seen, 0);
}

static void test_drop_is_for_good(void **state)
{
    gid_t groups[] = {777};
    int status;
    pid_t pid;

    (void)state;
    if (getuid() != 0)
        skip();
    pid = fork();
    if (pid == 0) {
        gid_t got[4];
        int code = 0;

        if (identity_drop(12345, 12346, groups, 1) < 0)
            code = 1;
        else if (getuid() != 12345 || geteuid() != 12345 || getegid() != 12346)
            code = 2;
        else if (getgroups(4, got) != 1 || got[0] != 777)
            code = 3;
        else if (syscall(SYS_setresuid, -1, 0, -1) == 0 || syscall(SYS_setuid, 0) == 0)
            code = 4; /* not setuid(): a sanitizer's thread would do it, still root */
        _exit(code);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_only_this_thread_changes),
        cmocka_unit_test(test_drop_is_for_good),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

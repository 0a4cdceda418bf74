/* SPDX-License-Identifier: Apache-2.0
 * Arguments and environment of the daemon step, and the wait for it, with a shell
 * script in srun's place. */
#include "unit.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "spank/keeper.h"
#include "spank/launch.h"

/* Literals where exec's types want strings without const. */
#define STRINGS(...)                                                                   \
    ((char *const *)(uintptr_t)(const char *const[]){__VA_ARGS__, NULL})

static bool has(char *const *array, const char *item)
{
    for (; *array; array++) {
        if (strcmp(*array, item) == 0)
            return true;
    }
    return false;
}

static void test_argv(void **state)
{
    struct launch_config config = {.srun = "/opt/bin/srun",
                                   .benchfsd = "/opt/bin/benchfsd",
                                   .job_id = 17,
                                   .n_nodes = 3,
                                   .config_json = "{\"a\": 1}"};
    char **argv = launch_argv_build(&config);
    int count = 0;

    (void)state;
    assert_non_null(argv);
    assert_string_equal(argv[0], "/opt/bin/srun");
    assert_true(has(argv, "--jobid=17"));
    assert_true(has(argv, "--nodes=3"));
    assert_true(has(argv, "--overlap"));
    while (argv[count])
        count++;
    assert_string_equal(argv[count - 4], "/opt/bin/benchfsd");
    assert_string_equal(argv[count - 3], "--wait-go");
    assert_string_equal(argv[count - 2], "--config-json");
    assert_string_equal(argv[count - 1], "{\"a\": 1}");
    free(argv);
}

static void test_environment(void **state)
{
    char *const *envp = STRINGS("PATH=/bin",
                                "SLURM_CPU_BIND=cores",
                                "SLURM_CONF=/s",
                                "SBATCH_X=1",
                                "PMIX_RANK=0",
                                "OMPI_COMM_WORLD_SIZE=2",
                                "SLURM_NTASKS=4",
                                "UCX_TLS=tcp",
                                "LC_ALL=C",
                                "SLURM_SPANK_BENCHFS_ROLE=owner",
                                "ASAN_OPTIONS=x",
                                "LD_PRELOAD=/lib/evil.so",
                                "nonsense",
                                "BENCHFS_PROGRESS=bar",
                                "BENCHFS_SHARDS=2");
    char **env = launch_env_build(envp, JOB_ROLE_DAEMON, false);

    (void)state;
    assert_non_null(env);
    assert_true(has(env, "PATH=/bin"));
    assert_true(has(env, "SLURM_CONF=/s"));
    assert_true(has(env, "UCX_TLS=tcp"));
    assert_true(has(env, "LC_ALL=C"));
    assert_true(has(env, "ASAN_OPTIONS=x"));
    assert_true(has(env, "BENCHFS_SHARDS=2"));
    assert_true(has(env, "SLURM_SPANK_BENCHFS_ROLE=daemon"));
    assert_true(has(env, "BENCHFS_PROGRESS=lines"));
    assert_false(has(env, "BENCHFS_PROGRESS=bar"));
    for (char **entry = env; *entry; entry++) {
        assert_true(strncmp(*entry, "SLURM_", 6) != 0
                    || strcmp(*entry, "SLURM_CONF=/s") == 0
                    || strstr(*entry, "_ROLE=daemon"));
        assert_true(strncmp(*entry, "PMIX_", 5) != 0
                    && strncmp(*entry, "OMPI_", 5) != 0);
    }
    free(env);
    env = launch_env_build(NULL, JOB_ROLE_MEMBER, true);
    assert_true(has(env, "BENCHFS_PROGRESS=bar"));
    assert_true(has(env, "SLURM_SPANK_BENCHFS_ROLE=member"));
    free(env);
}

static void test_tool_argv(void **state)
{
    char a[] = "/a b", b[] = "/c", d[] = "/*", e[] = "/f";
    struct config_stage items[] = {{a, b}, {d, e}};
    struct config_stage_list list = {items, 2};
    struct launch_tool tool = {.srun = "srun",
                               .program = "/bin/benchfs",
                               .job_id = "9",
                               .verb = "stage-in",
                               .list = &list};
    char **argv = launch_tool_argv_build(&tool);

    (void)state;
    assert_non_null(argv);
    assert_string_equal(argv[0], "srun");
    assert_true(has(argv, "--jobid=9"));
    assert_true(has(argv, "stage-in"));
    assert_true(has(argv, "--progress=lines"));
    assert_true(has(argv, "/a b:/c"));
    assert_true(has(argv, "/*:/f"));
    free(argv);
}

/* ---- the wait ---- */

struct fixture {
    struct unit_dir dir;
    char script[64];
    struct launch launch;
    enum launch_outcome outcome;
    struct benchfs_error err;
};

static void start(struct fixture *fixture, const char *body)
{
    struct launch_config config = {.srun = fixture->script,
                                   .benchfsd = "benchfsd",
                                   .n_nodes = 2,
                                   .config_json = "{}",
                                   .envp = STRINGS("PATH=/usr/bin:/bin")};
    char text[512];

    unit_dir_create(&fixture->dir);
    fixture->err = (struct benchfs_error)BENCHFS_ERROR_INIT;
    snprintf(fixture->script, sizeof(fixture->script), "%s/srun", fixture->dir.path);
    snprintf(text, sizeof(text), "#!/bin/sh\n%s\n", body);
    assert_int_equal(
        fs_file_write_atomic(AT_FDCWD, fixture->script, text, strlen(text), 0755), 0);
    assert_int_equal(launch_start(&config, &fixture->launch, &fixture->err), 0);
}

static int wait_ready(struct fixture *fixture, unsigned timeout_ms)
{
    return launch_wait(&fixture->launch, timeout_ms, &fixture->outcome, &fixture->err);
}

static void assert_reaped(struct fixture *fixture)
{
    assert_int_equal(fixture->launch.keeper, 0);
    assert_int_equal(fixture->launch.socket, -1);
    unit_dir_remove(&fixture->dir);
}

static void test_ready_then_end(void **state)
{
    struct fixture fixture;

    (void)state;
    start(&fixture, "echo stage-in; echo ready; sleep 0.1; exit 7");
    assert_int_equal(wait_ready(&fixture, 5000), 0);
    assert_int_equal(fixture.outcome, LAUNCH_READY);
    assert_int_equal(launch_finish(&fixture.launch, 5000), 7);
    assert_reaped(&fixture);
}

static void test_joined(void **state)
{
    struct fixture fixture;

    (void)state;
    start(&fixture, "echo joined");
    assert_int_equal(wait_ready(&fixture, 5000), 0);
    assert_int_equal(fixture.outcome, LAUNCH_JOINED);
    assert_reaped(&fixture);
}

/* The first "up" alone gets no answer. */
static void test_all_are_up_before_they_go(void **state)
{
    struct fixture fixture;

    (void)state;
    start(&fixture,
          "echo up\n"
          "timeout 0.2 head -n 1 >/dev/null && { echo joined; exit 1; }\n"
          "echo up; read word; [ \"$word\" = go ] && echo ready");
    assert_int_equal(wait_ready(&fixture, 5000), 0);
    assert_int_equal(fixture.outcome, LAUNCH_READY);
    assert_int_equal(launch_finish(&fixture.launch, 5000), 0);
    assert_reaped(&fixture);
}

static void test_end_before_ready(void **state)
{
    struct fixture fixture;

    (void)state;
    start(&fixture, "echo stage-in; exit 3");
    assert_int_equal(wait_ready(&fixture, 5000), -EIO);
    assert_reaped(&fixture);
}

static void test_not_ready_in_time(void **state)
{
    struct fixture fixture;
    struct deadline deadline = deadline_after_ms(2000);

    (void)state;
    start(&fixture, "exec sleep 600");
    assert_int_equal(wait_ready(&fixture, 100), -ETIMEDOUT);
    assert_false(deadline_expired(deadline));
    assert_non_null(strstr(fixture.err.text, "100 ms"));
    assert_reaped(&fixture);
}

static void test_staging_moves_the_deadline(void **state)
{
    struct fixture fixture;

    (void)state;
    start(&fixture,
          "for i in 1 2 3 4 5 6; do echo stage-in; sleep 0.1; done; echo ready; exec "
          "sleep "
          "600");
    assert_int_equal(wait_ready(&fixture, 400), 0);
    assert_int_equal(launch_finish(&fixture.launch, 50), -ETIMEDOUT);
    assert_int_equal(write(fixture.launch.socket, (char[]){KEEPER_ABORT}, 1), 1);
    assert_int_equal(launch_finish(&fixture.launch, 10000), 143);
    assert_reaped(&fixture);
}

static void test_a_daemon_that_fails_ends_the_start(void **state)
{
    struct fixture fixture;
    struct deadline deadline = deadline_after_ms(5000);

    (void)state;
    start(
        &fixture,
        "echo 'srun: error: n2: task 1: Exited with exit code 1' >&2; exec sleep 600");
    assert_int_equal(wait_ready(&fixture, 30000), -EIO);
    assert_false(deadline_expired(deadline));
    assert_reaped(&fixture);
}

static void test_no_such_program(void **state)
{
    struct fixture fixture;
    char *const *missing = STRINGS("/no/such/program");
    char *const *five = STRINGS("/bin/sh", "-c", "exit 5");

    (void)state;
    start(&fixture, "");
    assert_int_equal(wait_ready(&fixture, 5000), -EIO);
    assert_reaped(&fixture);
    assert_int_equal(launch_run(missing, environ), 127);
    assert_int_equal(launch_run(five, environ), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_argv),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_tool_argv),
        cmocka_unit_test(test_ready_then_end),
        cmocka_unit_test(test_joined),
        cmocka_unit_test(test_all_are_up_before_they_go),
        cmocka_unit_test(test_end_before_ready),
        cmocka_unit_test(test_not_ready_in_time),
        cmocka_unit_test(test_staging_moves_the_deadline),
        cmocka_unit_test(test_a_daemon_that_fails_ends_the_start),
        cmocka_unit_test(test_no_such_program),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

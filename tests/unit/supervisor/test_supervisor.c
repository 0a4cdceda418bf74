/* SPDX-License-Identifier: Apache-2.0
 * Whole supervisors, one or two of them over a real hub: with the real server process
 * where things go well, with one that misbehaves where they don't. */
#include "unit.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "launch/child.h"
#include "launch/hub.h"
#include "supervisor/supervisor.h"

#define LONG_MS   20000
#define N_MAX     2
#define TEXT_SIZE 8192

struct fleet {
    struct unit_dir dir;
    uint32_t n;
    struct hub *hub;
    pid_t pids[N_MAX]; /* 0: has ended */
    int statuses[N_MAX];
    int out_fd; /* what rank 0 says */
    int err_fd; /* what all complain of */
    char out[TEXT_SIZE];
    char err[TEXT_SIZE];
};

struct behaviour {
    const char *job;
    const char *server;
    const char *mount_name; /* of the agent on the last node; NULL: no agent */
    const char *settings;   /* JSON; NULL: defaults */
};

/* ---- one supervisor, in a process of its own */

static _Noreturn void
member_main(const struct fleet *fleet, uint32_t rank, const struct behaviour *how)
{
    char run_dir[256], store_dir[256], mount[512];
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct benchfs_config *config = NULL;
    bool has_mount = how->mount_name && rank + 1 == fleet->n;
    struct supervisor_options options = {
        .job = how->job,
        .run_dir = run_dir,
        .store_dir = store_dir,
        .mount = has_mount ? mount : NULL,
        .has_mount = has_mount,
        .has_host = true,
        .server_program = how->server,
        .agent_program = FAKE_AGENT,
        .command_program = "/bin/false",
    };

    snprintf(run_dir, sizeof(run_dir), "%s/run/node%u", fleet->dir.path, rank);
    snprintf(store_dir, sizeof(store_dir), "%s/store/node%u", fleet->dir.path, rank);
    if (has_mount)
        snprintf(mount, sizeof(mount), "%s/%s", fleet->dir.path, how->mount_name);
    log_prefix_set(rank == 0 ? "rank0" : "rank1");
    if (config_from_json_string(
            how->settings ? how->settings : "{\"capacity\": \"64M\", \"shards\": 1}",
            &config,
            &err)) {
        fprintf(stderr, "%s\n", err.text);
        _exit(99);
    }
    options.config = config;
    _exit(supervisor_run(&options));
}

static void member_start(struct fleet *fleet,
                         uint32_t rank,
                         const struct behaviour *how,
                         int out_fd,
                         int err_fd)
{
    char text[16];

    fleet->pids[rank] = fork();
    assert_true(fleet->pids[rank] >= 0);
    if (fleet->pids[rank] > 0)
        return;
    dup2(rank == 0 ? out_fd : err_fd, STDOUT_FILENO);
    dup2(err_fd, STDERR_FILENO);
    if (fleet->n > 1) {
        snprintf(text, sizeof(text), "%d", dup(hub_child_fd(fleet->hub, rank)));
        setenv(HUB_FD_ENV, text, 1);
        /* as after an exec: the launcher's ends are not ours */
        hub_destroy(fleet->hub);
    }
    member_main(fleet, rank, how);
}

static void fleet_start(struct fleet *fleet, uint32_t n, const struct behaviour *how)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    int out[2], errs[2];

    *fleet = (struct fleet){.n = n};
    unit_dir_create(&fleet->dir);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(errs, O_CLOEXEC), 0);
    assert_int_equal(hub_create(n, &fleet->hub, &err), 0);
    for (uint32_t i = 0; i < n; i++)
        member_start(fleet, i, how, out[1], errs[1]);
    for (uint32_t i = 0; i < n; i++)
        hub_child_fd_close(fleet->hub, i);
    close(out[1]);
    close(errs[1]);
    fleet->out_fd = out[0];
    fleet->err_fd = errs[0];
}

static void text_read(int *fd, char *text)
{
    size_t used = strlen(text);
    ssize_t n = read(*fd, text + used, TEXT_SIZE - 1 - used);

    if (n > 0) {
        text[used + (size_t)n] = '\0';
        return;
    }
    close(*fd);
    *fd = -1;
}

/* Serves the fleet until rank 0 has said `word`, or (NULL) everything has ended. */
static bool fleet_serve(struct fleet *fleet, const char *word)
{
    struct deadline deadline = deadline_after_ms(LONG_MS);

    while (!word || !strstr(fleet->out, word)) {
        struct pollfd pollers[2 + N_MAX] = {
            {.fd = fleet->out_fd, .events = POLLIN},
            {.fd = fleet->err_fd, .events = POLLIN},
        };

        if (fleet->out_fd < 0 && fleet->err_fd < 0)
            return !word;
        for (uint32_t i = 0; i < fleet->n; i++)
            pollers[2 + i] =
                (struct pollfd){.fd = hub_fd(fleet->hub, i), .events = POLLIN};
        if (poll(pollers, 2 + fleet->n, deadline_remaining_ms(deadline)) <= 0)
            return false;
        if (pollers[0].revents)
            text_read(&fleet->out_fd, fleet->out);
        if (pollers[1].revents)
            text_read(&fleet->err_fd, fleet->err);
        for (uint32_t i = 0; i < fleet->n; i++) {
            if (pollers[2 + i].revents)
                (void)hub_receive(fleet->hub, i);
        }
    }
    return true;
}

/* Address sanitizer has something to say to a process with fibers: "==PID==WARNING..".
 */
static void sanitizer_lines_drop(char *text)
{
    char *line = text;

    while (*line) {
        char *end = line + strcspn(line, "\n");

        end += *end == '\n';
        if (strncmp(line, "==", 2) == 0 && strstr(line, "makecontext"))
            memmove(line, end, strlen(end) + 1);
        else
            line = end;
    }
}

/* Everything ends by itself, or did by a signal of ours. Nothing may be left. */
static void fleet_finish(struct fleet *fleet)
{
    char path[300];

    assert_true(fleet_serve(fleet, NULL));
    for (uint32_t i = 0; i < fleet->n; i++)
        assert_int_equal(waitpid(fleet->pids[i], &fleet->statuses[i], 0),
                         fleet->pids[i]);
    hub_destroy(fleet->hub);
    sanitizer_lines_drop(fleet->err);
    snprintf(path, sizeof(path), "%s/store", fleet->dir.path);
    assert_int_not_equal(access(path, F_OK), 0);
    snprintf(path, sizeof(path), "%s/run", fleet->dir.path);
    assert_int_not_equal(access(path, F_OK), 0);
    unit_dir_remove(&fleet->dir);
}

static void fleet_signal(struct fleet *fleet, int signal_number)
{
    for (uint32_t i = 0; i < fleet->n; i++)
        kill(fleet->pids[i], signal_number);
}

static void status_expect(const struct fleet *fleet, int wanted)
{
    for (uint32_t i = 0; i < fleet->n; i++) {
        assert_true(WIFEXITED(fleet->statuses[i]));
        assert_int_equal(WEXITSTATUS(fleet->statuses[i]), wanted);
    }
}

static unsigned line_count(const char *text)
{
    unsigned n = 0;

    for (; *text; text++)
        n += *text == '\n';
    return n;
}

/* ---- things that go well */

static void ready_then_term(uint32_t n)
{
    const struct behaviour how = {
        .job = "good", .server = REAL_SERVER, .mount_name = "mnt"};
    struct fleet fleet;

    fleet_start(&fleet, n, &how);
    assert_true(fleet_serve(&fleet, "ready\n"));
    fleet_signal(&fleet, SIGTERM);
    fleet_finish(&fleet);
    assert_string_equal(fleet.err, "");
    status_expect(&fleet, 0);
}

static void test_alone(void **state)
{
    (void)state;
    ready_then_term(1);
}

static void test_two(void **state)
{
    (void)state;
    ready_then_term(2);
}

/* Nobody is left when the launcher dies. */
static void test_launcher_gone(void **state)
{
    const struct behaviour how = {
        .job = "good", .server = REAL_SERVER, .mount_name = "mnt"};
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct fleet fleet;

    (void)state;
    fleet_start(&fleet, 2, &how);
    assert_true(fleet_serve(&fleet, "ready\n"));
    hub_destroy(fleet.hub);
    assert_int_equal(hub_create(2, &fleet.hub, &err), 0); /* nobody's */
    fleet_finish(&fleet);
    status_expect(&fleet, 0);
}

/* ---- things that don't */

/* The cause stands on one line, of the node where it is; the other node is quiet, and
 * nobody waits for a deadline. */
static void failure_expect(const struct behaviour *how, const char *text)
{
    uint64_t start_ms = clock_now_ms();
    struct fleet fleet;

    fleet_start(&fleet, 2, how);
    fleet_finish(&fleet);
    if (!strstr(fleet.err, text))
        fail_msg("wanted: %s\ngot: %s", text, fleet.err);
    assert_string_equal(fleet.out, "");
    assert_int_equal(line_count(fleet.err), 1);
    status_expect(&fleet, 1);
    assert_in_range(clock_now_ms() - start_ms, 0, 5000);
}

static void test_server_fails(void **state)
{
    const struct behaviour how = {.job = "fails", .server = FAKE_SERVER};

    (void)state;
    failure_expect(&how, "rank1: error: no space for a fake\n");
}

static void test_server_dies(void **state)
{
    const struct behaviour how = {.job = "dies", .server = FAKE_SERVER};

    (void)state;
    failure_expect(&how,
                   "rank1: error: the server process was killed by signal 6 (Aborted)");
}

static void test_server_unconnected(void **state)
{
    const struct behaviour how = {.job = "unconnected", .server = FAKE_SERVER};

    (void)state;
    failure_expect(&how, "rank1: error: can't reach node 0\n");
}

static void test_server_silent(void **state)
{
    const struct behaviour how = {
        .job = "silent",
        .server = FAKE_SERVER,
        .settings = "{\"start_timeout\": \"1s\", \"capacity\": \"64M\"}",
    };
    struct fleet fleet;

    (void)state;
    fleet_start(&fleet, 2, &how);
    fleet_finish(&fleet);
    assert_non_null(
        strstr(fleet.err, "rank1: error: the server process has not opened in time"));
    status_expect(&fleet, 1);
}

static void test_no_server_program(void **state)
{
    const struct behaviour how = {.job = "x", .server = "/no/such/benchfsd"};
    struct fleet fleet;

    (void)state;
    fleet_start(&fleet, 1, &how);
    fleet_finish(&fleet);
    assert_non_null(strstr(fleet.err, "/no/such/benchfsd: No such file"));
    status_expect(&fleet, 1);
}

static void test_capacity(void **state)
{
    const struct behaviour how = {
        .job = "x", .server = FAKE_SERVER, .settings = "{\"capacity\": \"900T\"}"};
    struct fleet fleet;

    (void)state;
    fleet_start(&fleet, 1, &how);
    fleet_finish(&fleet);
    assert_non_null(strstr(fleet.err, "--benchfs-capacity=900.0 TiB: more than the"));
    status_expect(&fleet, 1);
}

static void test_agent_fails(void **state)
{
    const struct behaviour how = {
        .job = "good", .server = REAL_SERVER, .mount_name = "agent-fails"};

    (void)state;
    failure_expect(&how, "rank1: error: no mount today\n");
}

static void test_agent_dies(void **state)
{
    const struct behaviour how = {
        .job = "good", .server = REAL_SERVER, .mount_name = "agent-dies"};

    (void)state;
    failure_expect(&how, "rank1: error: the agent was killed by signal 9 (Killed)\n");
}

/* After the start: everything ends, one line says why. */
static void test_agent_leaves(void **state)
{
    const struct behaviour how = {
        .job = "good", .server = REAL_SERVER, .mount_name = "agent-leaves"};
    struct fleet fleet;

    (void)state;
    fleet_start(&fleet, 1, &how);
    fleet_finish(&fleet);
    assert_string_equal(fleet.err, "rank0: error: the agent exited with status 5\n");
    status_expect(&fleet, 1);
}

static void test_term_during_start(void **state)
{
    const struct behaviour how = {.job = "silent", .server = FAKE_SERVER};
    struct fleet fleet;

    (void)state;
    fleet_start(&fleet, 1, &how);
    fleet_signal(&fleet, SIGTERM);
    fleet_finish(&fleet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_two),
        cmocka_unit_test(test_launcher_gone),
        cmocka_unit_test(test_server_fails),
        cmocka_unit_test(test_server_dies),
        cmocka_unit_test(test_server_unconnected),
        cmocka_unit_test(test_server_silent),
        cmocka_unit_test(test_no_server_program),
        cmocka_unit_test(test_capacity),
        cmocka_unit_test(test_agent_fails),
        cmocka_unit_test(test_agent_dies),
        cmocka_unit_test(test_agent_leaves),
        cmocka_unit_test(test_term_during_start),
    };

    unsetenv("PMIX_NAMESPACE");
    unsetenv(HUB_FD_ENV);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

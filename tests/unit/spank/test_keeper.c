/* SPDX-License-Identifier: Apache-2.0
 * The keeper on its own: signals during the start, life without the hook, closed
 * descriptors. */
#include "unit.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spank/keeper.h"

/* Literals where exec's types want strings without const. */
#define STRINGS(...)                                                                   \
    ((char *const *)(uintptr_t)(const char *const[]){__VA_ARGS__, NULL})

struct fixture {
    pid_t pid;
    int socket;
};

static void start(struct fixture *fixture, const char *body)
{
    struct keeper_config config = {.argv = STRINGS("/bin/sh", "-c", body),
                                   .envp = STRINGS("PATH=/usr/bin:/bin")};

    assert_int_equal(keeper_start(&config, &fixture->pid, &fixture->socket), 0);
}

/* Reads until the text has come or the end. */
static void expect(struct fixture *fixture, const char *wanted)
{
    char got[1024] = "";
    size_t size = 0;

    while (!strstr(got, wanted)) {
        struct pollfd fd = {.fd = fixture->socket, .events = POLLIN};
        ssize_t part;

        assert_int_equal(poll(&fd, 1, 10000), 1);
        part = read(fixture->socket, got + size, sizeof(got) - 1 - size);
        if (part <= 0)
            fail_msg("wanted \"%s\", got \"%s\"", wanted, got);
        size += (size_t)part;
        got[size] = '\0';
    }
}

static int reap(struct fixture *fixture)
{
    int status;

    assert_int_equal(waitpid(fixture->pid, &status, 0), fixture->pid);
    if (fixture->socket >= 0)
        close(fixture->socket);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_passes_lines_and_status(void **state)
{
    struct fixture fixture;

    (void)state;
    start(&fixture, "echo one; echo two; exit 9");
    expect(&fixture, "one\ntwo\nexit 9\n");
    assert_int_equal(reap(&fixture), 9);
}

static void test_interrupt_ends_the_start(void **state)
{
    struct fixture fixture;

    (void)state;
    start(&fixture, "echo up; exec sleep 600");
    expect(&fixture, "up\n");
    assert_int_equal(kill(fixture.pid, SIGINT), 0);
    expect(&fixture, "exit 143\n");
    assert_int_equal(reap(&fixture), 143);
}

static void test_interrupt_later_is_not_for_us(void **state)
{
    struct fixture fixture;
    char release = KEEPER_RELEASE, abort_it = KEEPER_ABORT;

    (void)state;
    start(&fixture, "echo up; exec sleep 600");
    expect(&fixture, "up\n");
    assert_int_equal(write(fixture.socket, &release, 1), 1);
    assert_int_equal(kill(fixture.pid, SIGCONT), 0);
    assert_int_equal(write(fixture.socket, &abort_it, 1), 1);
    expect(&fixture, "exit 143\n");
    assert_int_equal(reap(&fixture), 143);
}

static void test_abort_of_what_ignores_it(void **state)
{
    struct fixture fixture;
    char abort_it = KEEPER_ABORT;

    (void)state;
    start(&fixture, "trap '' TERM; echo up; while :; do sleep 1; done");
    expect(&fixture, "up\n");
    assert_int_equal(write(fixture.socket, &abort_it, 1), 1);
    expect(&fixture, "exit 137\n");
    assert_int_equal(reap(&fixture), 137);
}

static void test_lives_on_without_the_hook(void **state)
{
    struct fixture fixture;

    (void)state;
    /* Writes to both when nobody listens any more: must neither block nor die. */
    start(&fixture, "echo up; sleep 0.2; echo more; echo error >&2; exit 4");
    expect(&fixture, "up\n");
    close(fixture.socket);
    fixture.socket = -1;
    assert_int_equal(reap(&fixture), 4);
}

static void test_holds_no_descriptor_of_the_process(void **state)
{
    struct fixture fixture;
    int pipe_fds[2];
    char byte;

    (void)state;
    assert_int_equal(pipe(pipe_fds), 0);
    start(&fixture, "echo up; exec sleep 600");
    expect(&fixture, "up\n");
    close(pipe_fds[1]);
    /* End of file, though keeper and program live. */
    assert_int_equal(read(pipe_fds[0], &byte, 1), 0);
    close(pipe_fds[0]);
    assert_int_equal(kill(fixture.pid, SIGTERM), 0);
    assert_int_equal(reap(&fixture), 143);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passes_lines_and_status),
        cmocka_unit_test(test_interrupt_ends_the_start),
        cmocka_unit_test(test_interrupt_later_is_not_for_us),
        cmocka_unit_test(test_abort_of_what_ignores_it),
        cmocka_unit_test(test_lives_on_without_the_hook),
        cmocka_unit_test(test_holds_no_descriptor_of_the_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

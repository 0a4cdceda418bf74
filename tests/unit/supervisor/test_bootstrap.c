/* SPDX-License-Identifier: Apache-2.0
 * Two daemons, each a thread, over a real launcher's hub. */
#include "unit.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "launch/hub.h"
#include "supervisor/bootstrap.h"
#include "supervisor/round.h"

#define LONG_MS 10000

static int wait_plain(void *arg, int fd, struct deadline deadline)
{
    struct pollfd poller = {.fd = fd, .events = POLLIN};

    (void)arg;
    return poll(&poller, 1, deadline_remaining_ms(deadline)) == 0 ? -ETIMEDOUT : 0;
}

struct member {
    pthread_t thread;
    struct bootstrap *bootstrap;
    bool fails; /* says so in the second round */
    int rc;
    struct benchfs_error err;
};

static void *member_main(void *arg)
{
    struct member *member = arg;
    uint32_t rank = bootstrap_rank(member->bootstrap);
    struct round_record mine = {.verdict = ROUND_OK, .value = 10 + rank};
    struct round_result result;

    member->rc = round_run(
        member->bootstrap, &mine, deadline_after_ms(LONG_MS), &result, &member->err);
    if (member->rc == 0
        && (result.records[0].value != 10 || result.records[1].value != 11))
        member->rc = -EPROTO;
    round_result_fini(&result);
    if (member->rc)
        return NULL;
    if (member->fails)
        mine = (struct round_record){
            .verdict = ROUND_FAILED, .data = (const uint8_t *)"no luck", .len = 7};
    member->rc = round_run(
        member->bootstrap, &mine, deadline_after_ms(LONG_MS), &result, &member->err);
    round_result_fini(&result);
    return NULL;
}

static void members_open(struct hub *hub, struct member members[2])
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    char text[16];

    for (uint32_t i = 0; i < 2; i++) {
        members[i] = (struct member){.fails = false};
        snprintf(text, sizeof(text), "%d", dup(hub_child_fd(hub, i)));
        setenv(HUB_FD_ENV, text, 1);
        assert_int_equal(bootstrap_create(wait_plain,
                                          NULL,
                                          deadline_after_ms(LONG_MS),
                                          &members[i].bootstrap,
                                          &err),
                         0);
        assert_int_equal(bootstrap_rank(members[i].bootstrap), i);
        assert_int_equal(bootstrap_size(members[i].bootstrap), 2);
        hub_child_fd_close(hub, i);
    }
    unsetenv(HUB_FD_ENV);
}

static void hub_serve(struct hub *hub, unsigned n_messages)
{
    while (n_messages > 0) {
        struct pollfd pollers[2] = {{.fd = hub_fd(hub, 0), .events = POLLIN},
                                    {.fd = hub_fd(hub, 1), .events = POLLIN}};

        assert_true(poll(pollers, 2, LONG_MS) > 0);
        for (uint32_t i = 0; i < 2; i++) {
            if (!pollers[i].revents)
                continue;
            assert_int_equal(hub_receive(hub, i), 0);
            n_messages--;
        }
    }
}

static void rounds_run(struct hub *hub, struct member members[2])
{
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            pthread_create(&members[i].thread, NULL, member_main, &members[i]), 0);
    hub_serve(hub, 4);
    for (int i = 0; i < 2; i++)
        pthread_join(members[i].thread, NULL);
}

static void test_hub(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct member members[2];
    struct hub *hub;

    (void)state;
    assert_int_equal(hub_create(2, &hub, &err), 0);
    members_open(hub, members);
    rounds_run(hub, members);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(members[i].rc, 0);
        bootstrap_destroy(members[i].bootstrap);
    }
    hub_destroy(hub);
}

static void test_failure_reaches_peer(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct member members[2];
    struct hub *hub;

    (void)state;
    assert_int_equal(hub_create(2, &hub, &err), 0);
    members_open(hub, members);
    members[1].fails = true;
    rounds_run(hub, members);
    assert_int_equal(members[0].rc, -ECONNABORTED);
    assert_non_null(strstr(members[0].err.text, "node 1 has failed: no luck"));
    assert_int_equal(members[1].rc, 0); /* its own it knows */
    for (int i = 0; i < 2; i++)
        bootstrap_destroy(members[i].bootstrap);
    hub_destroy(hub);
}

static void test_launcher_gone(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct member members[2];
    struct hub *hub;

    (void)state;
    assert_int_equal(hub_create(2, &hub, &err), 0);
    members_open(hub, members);
    hub_destroy(hub);
    assert_true(
        bootstrap_barrier(members[0].bootstrap, deadline_after_ms(LONG_MS), &err) < 0);
    for (int i = 0; i < 2; i++)
        bootstrap_destroy(members[i].bootstrap);
}

static void test_bad_descriptor(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct bootstrap *bootstrap;

    (void)state;
    setenv(HUB_FD_ENV, "x", 1);
    assert_int_equal(
        bootstrap_create(
            wait_plain, NULL, deadline_after_ms(LONG_MS), &bootstrap, &err),
        -EINVAL);
    setenv(HUB_FD_ENV, "987", 1);
    assert_int_equal(
        bootstrap_create(
            wait_plain, NULL, deadline_after_ms(LONG_MS), &bootstrap, &err),
        -EINVAL);
    unsetenv(HUB_FD_ENV);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hub),
        cmocka_unit_test(test_failure_reaches_peer),
        cmocka_unit_test(test_launcher_gone),
        cmocka_unit_test(test_bad_descriptor),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * The launcher's end: rounds, and daemons that go. */
#include "unit.h"

#include <unistd.h>

#include "control/control.h"
#include "launch/hub.h"

#define LONG_MS 10000

static void record_send(int fd, const char *text)
{
    assert_int_equal(
        control_send(fd, HUB_EXCHANGE, text, strlen(text), deadline_after_ms(LONG_MS)),
        0);
}

static void welcome_expect(int fd, uint32_t rank, uint32_t size)
{
    struct control_message message;
    struct hub_welcome welcome;

    control_message_init(&message);
    assert_int_equal(control_recv(fd, &message, deadline_after_ms(LONG_MS)), 0);
    assert_int_equal(message.type, HUB_WELCOME);
    assert_int_equal(hub_welcome_decode(&welcome, message.data.data, message.data.size),
                     0);
    assert_int_equal(welcome.rank, rank);
    assert_int_equal(welcome.size, size);
    control_message_fini(&message);
}

static void all_expect(int fd, const char *first, const char *second)
{
    const char *const wanted[] = {first, second};
    struct control_message message;
    struct bytes all[2] = {BYTES_INIT(100), BYTES_INIT(100)};

    control_message_init(&message);
    assert_int_equal(control_recv(fd, &message, deadline_after_ms(LONG_MS)), 0);
    assert_int_equal(message.type, HUB_ALL);
    assert_int_equal(hub_all_decode(all, 2, message.data.data, message.data.size), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(all[i].size, strlen(wanted[i]));
        assert_memory_equal(all[i].data, wanted[i], all[i].size);
        bytes_fini(&all[i]);
    }
    control_message_fini(&message);
}

static void test_rounds(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct hub *hub;
    int fds[2];

    (void)state;
    assert_int_equal(hub_create(2, &hub, &err), 0);
    for (uint32_t i = 0; i < 2; i++) {
        fds[i] = hub_child_fd(hub, i);
        welcome_expect(fds[i], i, 2);
    }
    for (int round = 0; round < 3; round++) {
        record_send(fds[1], "two");
        assert_int_equal(hub_receive(hub, 1), 0);
        record_send(fds[0], "one");
        assert_int_equal(hub_receive(hub, 0), 0);
        all_expect(fds[0], "one", "two");
        all_expect(fds[1], "one", "two");
    }
    hub_destroy(hub);
}

static void test_gone(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct hub *hub;

    (void)state;
    assert_int_equal(hub_create(2, &hub, &err), 0);
    hub_child_fd_close(hub, 1);
    assert_int_equal(hub_receive(hub, 1), -EPIPE);
    assert_int_equal(hub_fd(hub, 1), -1);
    assert_true(hub_fd(hub, 0) >= 0);
    hub_destroy(hub);
}

/* Twice in one round, or nonsense, ends the connection, not the launcher. */
static void test_bad_daemon(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct hub *hub;

    (void)state;
    assert_int_equal(hub_create(2, &hub, &err), 0);
    record_send(hub_child_fd(hub, 0), "one");
    record_send(hub_child_fd(hub, 0), "again");
    assert_int_equal(hub_receive(hub, 0), 0);
    assert_int_equal(hub_receive(hub, 0), -EPROTO);
    assert_int_equal(hub_fd(hub, 0), -1);
    assert_int_equal(write(hub_child_fd(hub, 1), "nonsense", 8), 8);
    assert_true(hub_receive(hub, 1) < 0);
    hub_destroy(hub);
}

static void test_size(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct hub *hub;

    (void)state;
    assert_int_equal(hub_create(0, &hub, &err), -EINVAL);
    assert_int_equal(hub_create(HUB_DAEMONS_MAX + 1, &hub, &err), -EINVAL);
    hub_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounds),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_bad_daemon),
        cmocka_unit_test(test_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

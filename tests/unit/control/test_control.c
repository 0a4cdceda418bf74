/* SPDX-License-Identifier: Apache-2.0
 * Messages between supervisor and server over a socketpair: of every size, late, cut
 * short, and after the other end has gone. */
#include "unit.h"

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/control.h"
#include "proto/wire.h"

#define LARGE_SIZE (3u << 20) /* more than a socket's buffer takes */
#define WAIT_MS    10000u

struct fixture {
    int fds[2];
    struct control_message message;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    if (!f)
        return -1;
    *state = f;
    control_message_init(&f->message);
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, f->fds);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 2; i++) {
        if (f->fds[i] >= 0)
            close(f->fds[i]);
    }
    control_message_fini(&f->message);
    free(f);
    return 0;
}

static struct deadline soon(void)
{
    return deadline_after_ms(WAIT_MS);
}

static void end_close(struct fixture *f, int end)
{
    close(f->fds[end]);
    f->fds[end] = -1;
}

static void expect_message(struct fixture *f, uint32_t type, const void *data, size_t n)
{
    assert_int_equal(control_recv(f->fds[1], &f->message, soon()), 0);
    assert_int_equal(f->message.type, type);
    assert_int_equal(f->message.data.size, n);
    if (n > 0)
        assert_memory_equal(f->message.data.data, data, n);
}

static void test_both_ways(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(control_send(f->fds[0], CONTROL_RECORD, "record", 6, soon()), 0);
    assert_int_equal(control_send(f->fds[0], CONTROL_CONNECTED, NULL, 0, soon()), 0);
    assert_int_equal(control_send(f->fds[1], CONTROL_STOP, "x", 1, soon()), 0);
    expect_message(f, CONTROL_RECORD, "record", 6);
    expect_message(f, CONTROL_CONNECTED, NULL, 0); /* replaces what was there */
    assert_int_equal(control_recv(f->fds[0], &f->message, soon()), 0);
    assert_int_equal(f->message.type, CONTROL_STOP);
}

static void *large_send(void *arg)
{
    struct fixture *f = arg;
    uint8_t *data = malloc(LARGE_SIZE);
    intptr_t rc;

    if (!data)
        return (void *)1; /* no status of control_send() */
    memset(data, 0xa5, LARGE_SIZE);
    rc = control_send(f->fds[0], CONTROL_TABLE, data, LARGE_SIZE, soon());
    free(data);
    return (void *)rc; /* NOLINT(performance-no-int-to-ptr) */
}

static void test_large(void **state)
{
    struct fixture *f = *state;
    pthread_t thread;
    void *status;

    assert_int_equal(pthread_create(&thread, NULL, large_send, f), 0);
    assert_int_equal(control_recv(f->fds[1], &f->message, soon()), 0);
    pthread_join(thread, &status);
    assert_null(status);
    assert_int_equal(f->message.data.size, LARGE_SIZE);
    for (size_t i = 0; i < LARGE_SIZE; i++) {
        if (f->message.data.data[i] != 0xa5)
            fail_msg("byte %zu differs", i);
    }
}

static void test_deadline(void **state)
{
    struct fixture *f = *state;
    uint8_t *data = calloc(1, LARGE_SIZE);
    uint64_t before = clock_now_ms();

    assert_non_null(data);
    assert_int_equal(control_recv(f->fds[1], &f->message, deadline_after_ms(20)),
                     -ETIMEDOUT);
    assert_in_range(clock_now_ms() - before, 20, WAIT_MS);
    /* nobody reads: the socket is full before the message is out */
    assert_int_equal(
        control_send(f->fds[0], CONTROL_TABLE, data, LARGE_SIZE, deadline_after_ms(20)),
        -ETIMEDOUT);
    free(data);
}

static void test_other_end_gone(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(control_send(f->fds[0], CONTROL_FAILED, "why", 3, soon()), 0);
    end_close(f, 0);
    expect_message(f, CONTROL_FAILED, "why", 3); /* said before it went */
    assert_int_equal(control_recv(f->fds[1], &f->message, soon()), -EPIPE);
    assert_int_equal(control_send(f->fds[1], CONTROL_STOP, NULL, 0, soon()), -EPIPE);
}

/* The first `len` bytes of a message that says it has `said` bytes, then the end. */
static void cut_send(struct fixture *f, uint32_t said, size_t len)
{
    uint8_t raw[16] = {0};
    struct wire_writer w = {.data = raw, .capacity = sizeof(raw)};

    wire_put_u32(&w, CONTROL_RECORD);
    wire_put_u32(&w, said);
    assert_int_equal(write(f->fds[0], raw, len), len);
    end_close(f, 0);
}

static void test_cut_header(void **state)
{
    struct fixture *f = *state;

    cut_send(f, 4, 7);
    assert_int_equal(control_recv(f->fds[1], &f->message, soon()), -EPIPE);
}

static void test_cut_data(void **state)
{
    struct fixture *f = *state;

    cut_send(f, 4, 11);
    assert_int_equal(control_recv(f->fds[1], &f->message, soon()), -EPIPE);
}

static void test_too_long(void **state)
{
    struct fixture *f = *state;
    uint8_t byte = 0;

    assert_int_equal(
        control_send(
            f->fds[1], CONTROL_TABLE, &byte, (size_t)CONTROL_MESSAGE_MAX + 1, soon()),
        -EMSGSIZE);
    cut_send(f, CONTROL_MESSAGE_MAX + 1, 16);
    assert_int_equal(control_recv(f->fds[1], &f->message, soon()), -EPROTO);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_both_ways),
        TEST(test_large),
        TEST(test_deadline),
        TEST(test_cut_data),
        TEST(test_other_end_gone),
        TEST(test_cut_header),
        TEST(test_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * Requests without an answer: what the client does about them behind its user's back.
 */
#include "client_unit.h"

#include "base/clock.h"
#include "client/client_internal.h"
#include "proto/ops.h"
#include "proto/placement.h"

#define RDWR (OPEN_READ | OPEN_WRITE)

static struct client_file *create(const struct client_unit *unit)
{
    struct msg_create_request what = {.mode = S_IFREG | 0644, .base = BASE_HOME};
    struct client_file *file;

    assert_int_equal(
        client_file_create(
            unit->client, PLACEMENT_ROOT_INO, "f", &what, RDWR, NULL, &file),
        0);
    return file;
}

/* Two chunks, of two targets. */
static ssize_t write_chunks(struct client_file *file)
{
    static uint8_t data[2 * FAKE_CHUNK_SIZE];
    struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};

    return client_file_writev(file, &iov, 1, 0);
}

static void wait_over(const struct client_unit *unit)
{
    struct deadline deadline = deadline_after_ms(10000);

    while (atomic_load(&unit->client->n_lates) > 0) {
        assert_false(deadline_expired(deadline));
        client_late_look(unit->client);
    }
}

static void test_write(void **state)
{
    struct client_file *file;
    struct client_unit unit;

    (void)state;
    client_unit_start(&unit, FAKE_TARGETS, CLIENT_ROUTE_AUTO);
    file = create(&unit);
    fake_service_lose(unit.service, OP_WRITE, 2, false);
    assert_int_equal(write_chunks(file), -ETIMEDOUT);
    /* not closed before both have been asked, however often */
    fake_service_lose(unit.service, OP_SETTLE, 3, false);
    assert_int_equal(client_file_close(file), 0);
    assert_int_equal(fake_service_opens(unit.service), 1);
    wait_over(&unit);
    assert_int_equal(fake_service_count(unit.service, OP_SETTLE), 5);
    assert_int_equal(fake_service_count(unit.service, OP_CLOSE), 1);
    assert_int_equal(fake_service_opens(unit.service), 0);
    client_unit_stop(&unit);
}

/* A truncation and a sync wait for such a write. */
static void test_write_and_go_on(void **state)
{
    struct msg_setattr_request change = {.mask = SETATTR_SIZE};
    struct client_file *file;
    struct client_unit unit;
    struct wire_attr attr;

    (void)state;
    client_unit_start(&unit, FAKE_TARGETS, CLIENT_ROUTE_AUTO);
    file = create(&unit);
    change.ino = client_file_ino(file);
    fake_service_lose(unit.service, OP_WRITE, 1, false);
    assert_int_equal(write_chunks(file), -ETIMEDOUT);
    fake_service_lose(unit.service, OP_SETTLE, 2, false);
    assert_int_equal(client_setattr(unit.client, &change, &attr), -ETIMEDOUT);
    assert_int_equal(fake_service_count(unit.service, OP_SETATTR), 0);
    assert_int_equal(client_file_sync(file, false), -ETIMEDOUT);
    assert_int_equal(client_setattr(unit.client, &change, &attr), 0);
    assert_int_equal(fake_service_count(unit.service, OP_SETTLE), 3);
    /* it is settled */
    assert_int_equal(client_file_sync(file, true), 0);
    assert_int_equal(client_file_close(file), 0);
    assert_int_equal(fake_service_count(unit.service, OP_SETTLE), 3);
    assert_int_equal(fake_service_opens(unit.service), 0);
    client_unit_stop(&unit);
}

static void test_close(void **state)
{
    struct client_file *file;
    struct client_unit unit;

    for (int is_done = 0; is_done < 2; is_done++) {
        (void)state;
        client_unit_start(&unit, FAKE_TARGETS, CLIENT_ROUTE_AUTO);
        file = create(&unit);
        fake_service_lose(unit.service, OP_CLOSE, 3, is_done);
        assert_int_equal(client_file_close(file), -ETIMEDOUT);
        wait_over(&unit);
        assert_int_equal(fake_service_count(unit.service, OP_CLOSE), 4);
        assert_int_equal(fake_service_opens(unit.service), 0);
        client_unit_stop(&unit);
    }
}

static void test_open(void **state)
{
    struct client_file *file, *other;
    struct client_unit unit;

    for (int is_done = 0; is_done < 2; is_done++) {
        (void)state;
        client_unit_start(&unit, FAKE_TARGETS, CLIENT_ROUTE_AUTO);
        file = create(&unit);
        fake_service_lose(unit.service, OP_OPEN, 2, is_done);
        assert_int_equal(
            client_file_open(unit.client, client_file_ino(file), OPEN_READ, &other),
            -ETIMEDOUT);
        wait_over(&unit);
        assert_int_equal(fake_service_count(unit.service, OP_CLOSE), is_done);
        assert_int_equal(fake_service_opens(unit.service), 1);
        assert_int_equal(client_file_close(file), 0);
        client_unit_stop(&unit);
    }
}

/* The client ends while it is about to. */
static void test_end(void **state)
{
    struct client_file *file;
    struct client_unit unit;

    (void)state;
    client_unit_start(&unit, FAKE_TARGETS, CLIENT_ROUTE_AUTO);
    file = create(&unit);
    fake_service_lose(unit.service, OP_CLOSE, UINT32_MAX, false);
    assert_int_equal(client_file_close(file), -ETIMEDOUT);
    client_unit_stop(&unit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_write_and_go_on),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

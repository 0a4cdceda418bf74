/* SPDX-License-Identifier: Apache-2.0
 * Copying by the daemons: which pieces are asked for, and what is refused. */
#include "client_unit.h"

#include "proto/ops.h"
#include "proto/placement.h"

#define RDWR (OPEN_READ | OPEN_WRITE)

enum { SIZE = 100 * FAKE_CHUNK_SIZE + 777 };

struct copy_unit {
    struct client_unit client;
    struct client_file *from, *to;
    uint8_t *data;
};

static struct client_file *
create(const struct client_unit *unit, const char *name, uint32_t flags)
{
    struct msg_create_request what = {.mode = S_IFREG | 0644, .base = BASE_HOME};
    struct client_file *file;
    struct wire_attr attr;

    assert_int_equal(
        client_file_create(
            unit->client, PLACEMENT_ROOT_INO, name, &what, flags, &attr, &file),
        0);
    return file;
}

/* Two files, the first of which has SIZE bytes. */
static void copy_unit_start(struct copy_unit *unit)
{
    struct iovec iov;

    client_unit_start(&unit->client, 2, CLIENT_ROUTE_AUTO);
    unit->data = malloc(2 * SIZE);
    for (size_t i = 0; i < SIZE; i++)
        unit->data[i] = (uint8_t)(i * 7 + i / 251);
    unit->from = create(&unit->client, "from", RDWR);
    unit->to = create(&unit->client, "to", RDWR);
    iov = (struct iovec){.iov_base = unit->data, .iov_len = SIZE};
    assert_int_equal(client_file_writev(unit->from, &iov, 1, 0), SIZE);
    assert_int_equal(client_file_sync(unit->from, false), 0);
}

static void copy_unit_stop(struct copy_unit *unit)
{
    assert_int_equal(client_file_close(unit->from), 0);
    assert_int_equal(client_file_close(unit->to), 0);
    client_unit_stop(&unit->client);
    free(unit->data);
}

static int copy(struct copy_unit *unit, uint64_t from, uint64_t to, uint64_t length)
{
    uint64_t copied = 0;
    int status =
        client_file_copy_range(unit->from, from, unit->to, to, length, &copied);

    return status < 0 ? status : (int)copied;
}

static void to_has(struct copy_unit *unit, uint64_t at, const uint8_t *data, size_t n)
{
    struct iovec iov = {.iov_base = unit->data + SIZE, .iov_len = n};

    assert_int_equal(client_file_readv(unit->to, &iov, 1, at), n);
    assert_memory_equal(unit->data + SIZE, data, n);
}

/* One request per piece, more than go out at once, and no bytes. */
static void test_same_borders(void **state)
{
    struct copy_unit unit;
    struct wire_attr attr;

    (void)state;
    copy_unit_start(&unit);
    assert_int_equal(copy(&unit, 0, 0, SIZE), SIZE);
    assert_int_equal(fake_service_count(unit.client.service, OP_COPY), 101);
    assert_int_equal(fake_service_count(unit.client.service, OP_READ), 0);
    to_has(&unit, 0, unit.data, SIZE);
    assert_int_equal(client_file_sync(unit.to, false), 0);
    assert_int_equal(
        client_getattr(unit.client.client, client_file_ino(unit.to), &attr), 0);
    assert_int_equal(attr.size, SIZE);
    copy_unit_stop(&unit);
}

static void test_other_borders(void **state)
{
    struct copy_unit unit;

    (void)state;
    copy_unit_start(&unit);
    assert_int_equal(copy(&unit, 100, 7, 3 * FAKE_CHUNK_SIZE), 3 * FAKE_CHUNK_SIZE);
    /* cut at the borders of both: 3 of the one, 3 of the other */
    assert_int_equal(fake_service_count(unit.client.service, OP_COPY), 7);
    to_has(&unit, 7, unit.data + 100, 3 * FAKE_CHUNK_SIZE);
    copy_unit_stop(&unit);
}

static void test_end_of_source(void **state)
{
    struct copy_unit unit;

    (void)state;
    copy_unit_start(&unit);
    assert_int_equal(copy(&unit, SIZE - 10, 0, 1000), 10);
    assert_int_equal(copy(&unit, SIZE, 0, 1000), 0);
    assert_int_equal(copy(&unit, SIZE + 5, 0, 1000), 0);
    assert_int_equal(copy(&unit, 0, 0, 0), 0);
    to_has(&unit, 0, unit.data + SIZE - 10, 10);
    copy_unit_stop(&unit);
}

static void test_refused(void **state)
{
    struct client_file *append, *reader;
    struct copy_unit unit;
    uint64_t n;

    (void)state;
    copy_unit_start(&unit);
    append = create(&unit.client, "append", RDWR | OPEN_APPEND);
    reader = create(&unit.client, "reader", OPEN_READ);
    assert_int_equal(client_file_copy_range(unit.from, 0, append, 0, 1, &n), -EBADF);
    assert_int_equal(client_file_copy_range(unit.from, 0, reader, 0, 1, &n), -EBADF);
    assert_int_equal(client_file_copy_range(unit.from, 0, unit.from, 9, 10, &n),
                     -EINVAL);
    assert_int_equal(client_file_copy_range(unit.from, 9, unit.from, 0, 10, &n),
                     -EINVAL);
    assert_int_equal(client_file_copy_range(unit.from, 10, unit.from, 0, 10, &n), 0);
    assert_int_equal(n, 10);
    assert_int_equal(copy(&unit, 0, INT64_MAX - 1, 10), -EFBIG);
    assert_int_equal(copy(&unit, UINT64_MAX, 0, 10), -EINVAL);
    client_file_close(append);
    client_file_close(reader);
    copy_unit_stop(&unit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_borders),
        cmocka_unit_test(test_other_borders),
        cmocka_unit_test(test_end_of_source),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

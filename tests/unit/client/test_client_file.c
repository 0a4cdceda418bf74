/* SPDX-License-Identifier: Apache-2.0
 * Open files: what the home is told, and data across chunks and targets. */
#include "client_unit.h"

#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "client/client_internal.h"
#include "client/engine_impl.h"
#include "proto/ops.h"
#include "proto/placement.h"

#define RDWR (OPEN_READ | OPEN_WRITE)

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
    assert_int_equal(attr.ino, client_file_ino(file));
    return file;
}

static uint64_t size_of(const struct client_unit *unit, uint64_t ino)
{
    struct wire_attr attr;

    assert_int_equal(client_getattr(unit->client, ino, &attr), 0);
    return attr.size;
}

static void pattern_fill(uint8_t *data, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(seed + i * 7 + i / 251);
}

static ssize_t
write_at(struct client_file *file, const void *data, size_t n, uint64_t at)
{
    struct iovec iov = {.iov_base = (void *)data, .iov_len = n};

    return client_file_writev(file, &iov, 1, at);
}

static ssize_t read_at(struct client_file *file, void *data, size_t n, uint64_t at)
{
    struct iovec iov = {.iov_base = data, .iov_len = n};

    return client_file_readv(file, &iov, 1, at);
}

/* More chunks than go out at once, from scattered memory, at odd offsets. */
static void test_across_chunks(void **state)
{
    enum { SIZE = 150 * FAKE_CHUNK_SIZE + 777 };
    uint8_t *out = malloc(SIZE);
    uint8_t *in = calloc(1, SIZE);
    struct iovec iov[3] = {
        {.iov_base = out, .iov_len = 1000},
        {.iov_base = out + 1000, .iov_len = 50001},
        {.iov_base = out + 51001, .iov_len = SIZE - 51001},
    };
    struct client_file *file;
    struct client_unit unit;
    uint64_t ino;

    (void)state;
    client_unit_start(&unit, 2, CLIENT_ROUTE_AUTO);
    file = create(&unit, "big", RDWR);
    ino = client_file_ino(file);
    pattern_fill(out, SIZE, 3);
    assert_int_equal(client_file_writev(file, iov, 3, 333), SIZE);
    iov[0].iov_base = in;
    iov[1].iov_base = in + 1000;
    iov[2].iov_base = in + 51001;
    assert_int_equal(client_file_readv(file, iov, 3, 333), SIZE);
    assert_memory_equal(in, out, SIZE);
    assert_int_equal(fake_service_count(unit.service, OP_WRITE), 151);
    assert_int_equal(client_file_close(file), 0);
    assert_int_equal(size_of(&unit, ino), SIZE + 333);
    assert_int_equal(fake_service_opens(unit.service), 0);
    free(out);
    free(in);
    client_unit_stop(&unit);
}

static void test_holes_and_end(void **state)
{
    uint8_t buf[4 * FAKE_CHUNK_SIZE];
    struct client_file *file;
    struct client_unit unit;

    (void)state;
    client_unit_start(&unit, FAKE_TARGETS, CLIENT_ROUTE_AUTO);
    file = create(&unit, "holes", RDWR);
    assert_int_equal(read_at(file, buf, 100, 0), 0);
    assert_int_equal(write_at(file, "abc", 3, 10), 3);
    assert_int_equal(write_at(file, "xyz", 3, 2 * FAKE_CHUNK_SIZE + 5), 3);
    memset(buf, 0xff, sizeof(buf));
    /* the last bytes prove that the file goes on, so the chunk between is a hole */
    assert_int_equal(read_at(file, buf, 2 * FAKE_CHUNK_SIZE + 6, 0),
                     2 * FAKE_CHUNK_SIZE + 6);
    assert_int_equal(buf[9], 0);
    assert_memory_equal(buf + 10, "abc", 3);
    assert_int_equal(buf[13], 0);
    assert_int_equal(buf[FAKE_CHUNK_SIZE + 1], 0);
    assert_int_equal(buf[2 * FAKE_CHUNK_SIZE + 4], 0);
    assert_int_equal(buf[2 * FAKE_CHUNK_SIZE + 5], 'x');
    /* past the end: nothing more of the buffer is touched */
    assert_int_equal(client_file_sync(file, false), 0);
    memset(buf, 0xff, sizeof(buf));
    assert_int_equal(read_at(file, buf, sizeof(buf), 5), 2 * FAKE_CHUNK_SIZE + 3);
    assert_int_equal(buf[2 * FAKE_CHUNK_SIZE + 3], 0xff);
    assert_int_equal(read_at(file, buf, 10, 2 * FAKE_CHUNK_SIZE + 8), 0);
    assert_int_equal(read_at(file, buf, 10, 100 * FAKE_CHUNK_SIZE), 0);
    client_file_close(file);
    client_unit_stop(&unit);
}

/* A hole at the end of the file, which only its home knows of. */
static void test_hole_at_end(void **state)
{
    struct msg_setattr_request change = {.mask = SETATTR_SIZE};
    uint8_t buf[2 * FAKE_CHUNK_SIZE];
    struct client_file *file;
    struct wire_attr attr;
    struct client_unit unit;

    (void)state;
    client_unit_start(&unit, FAKE_TARGETS, CLIENT_ROUTE_AUTO);
    file = create(&unit, "f", RDWR);
    change.ino = client_file_ino(file);
    change.size = FAKE_CHUNK_SIZE + 100;
    assert_int_equal(client_setattr(unit.client, &change, &attr), 0);
    memset(buf, 0xff, sizeof(buf));
    assert_int_equal(read_at(file, buf, sizeof(buf), 50), FAKE_CHUNK_SIZE + 50);
    assert_int_equal(buf[0], 0);
    assert_int_equal(buf[FAKE_CHUNK_SIZE + 49], 0);
    assert_int_equal(buf[FAKE_CHUNK_SIZE + 50], 0xff);
    /* in a chunk that is not the home's */
    assert_int_equal(read_at(file, buf, 300, FAKE_CHUNK_SIZE), 100);
    client_file_close(file);
    client_unit_stop(&unit);
}

/* The end of a write that a truncation has overtaken is not reported at close. */
static void test_truncate_forgets_end(void **state)
{
    struct msg_setattr_request change = {.mask = SETATTR_SIZE, .size = 7};
    struct client_file *file;
    struct client_file *again;
    struct wire_attr attr;
    struct client_unit unit;
    uint64_t ino;

    (void)state;
    client_unit_start(&unit, FAKE_TARGETS, CLIENT_ROUTE_AUTO);
    file = create(&unit, "f", RDWR);
    ino = client_file_ino(file);
    change.ino = ino;
    assert_int_equal(write_at(file, "abc", 3, FAKE_CHUNK_SIZE), 3);
    assert_int_equal(client_setattr(unit.client, &change, &attr), 0);
    assert_int_equal(client_file_close(file), 0);
    assert_int_equal(size_of(&unit, ino), 7);

    assert_int_equal(client_file_open(unit.client, ino, RDWR, &file), 0);
    assert_int_equal(write_at(file, "abc", 3, FAKE_CHUNK_SIZE), 3);
    assert_int_equal(
        client_file_open(unit.client, ino, OPEN_WRITE | OPEN_TRUNCATE, &again), 0);
    assert_int_equal(client_file_close(again), 0);
    assert_int_equal(client_file_close(file), 0);
    assert_int_equal(size_of(&unit, ino), 0);
    client_unit_stop(&unit);
}

/* A SETATTR that the home answers only when it is let go on. */
struct change {
    struct client_unit unit;
    struct client_file *file;
    struct msg_setattr_request request;
    pthread_t thread;
    int status;
};

static void change_open(struct change *change)
{
    client_unit_start(&change->unit, FAKE_TARGETS, CLIENT_ROUTE_AUTO);
    change->file = create(&change->unit, "f", RDWR);
    change->request.ino = client_file_ino(change->file);
}

static void *change_run(void *arg)
{
    struct change *change = arg;
    struct wire_attr attr;

    change->status = client_setattr(change->unit.client, &change->request, &attr);
    return NULL;
}

static void change_begin(struct change *change)
{
    struct fake_service *service = change->unit.service;
    struct deadline deadline = deadline_after_ms(5000);

    fake_service_hold(service, OP_SETATTR);
    assert_int_equal(pthread_create(&change->thread, NULL, change_run, change), 0);
    while (fake_service_count(service, OP_SETATTR) == 0) {
        assert_false(deadline_expired(deadline));
        usleep(1000);
    }
}

static void change_end(struct change *change)
{
    fake_service_hold(change->unit.service, OP_COUNT);
    pthread_join(change->thread, NULL);
    assert_int_equal(change->status, 0);
}

static uint64_t change_size(const struct change *change)
{
    return size_of(&change->unit, change->request.ino);
}

/* The close must not leave to a change that is under way what only it can tell. */
static void test_close_during_setattr(void **state)
{
    struct change change = {.request = {.mask = SETATTR_MTIME, .mtime_ns = 1}};

    (void)state;
    change_open(&change);
    assert_int_equal(write_at(change.file, "abc", 3, FAKE_CHUNK_SIZE), 3);
    change_begin(&change);
    assert_int_equal(client_file_close(change.file), 0);
    assert_int_equal(change_size(&change), FAKE_CHUNK_SIZE + 3);
    change_end(&change);
    client_unit_stop(&change.unit);
}

/* Nor does a change overrule what was written since it was asked for. */
static void test_write_during_setattr(void **state)
{
    struct change change = {.request = {.mask = SETATTR_SIZE, .size = 7}};

    (void)state;
    change_open(&change);
    change_begin(&change);
    assert_int_equal(write_at(change.file, "abc", 3, FAKE_CHUNK_SIZE), 3);
    change_end(&change);
    assert_int_equal(client_file_close(change.file), 0);
    assert_int_equal(change_size(&change), FAKE_CHUNK_SIZE + 3);
    client_unit_stop(&change.unit);
}

static void test_end_is_reported(void **state)
{
    struct client_file *file;
    struct client_unit unit;
    uint64_t ino;

    (void)state;
    client_unit_start(&unit, FAKE_TARGETS, CLIENT_ROUTE_AUTO);
    file = create(&unit, "f", OPEN_WRITE);
    ino = client_file_ino(file);
    assert_int_equal(write_at(file, "abc", 3, 4 * FAKE_CHUNK_SIZE), 3);
    assert_int_equal(client_file_sync(file, false), 0);
    assert_int_equal(size_of(&unit, ino), 4 * FAKE_CHUNK_SIZE + 3);
    /* nothing new to say */
    assert_int_equal(client_file_sync(file, false), 0);
    assert_int_equal(fake_service_count(unit.service, OP_SYNC), 1);
    assert_int_equal(write_at(file, "abc", 3, 5 * FAKE_CHUNK_SIZE), 3);
    assert_int_equal(client_file_close(file), 0);
    assert_int_equal(size_of(&unit, ino), 5 * FAKE_CHUNK_SIZE + 3);
    client_unit_stop(&unit);
}

/* The home hears of the first open and the last close of a kind only. */
static void test_opens_are_shared(void **state)
{
    struct client_file *files[4];
    struct client_unit unit;
    uint64_t ino;

    (void)state;
    client_unit_start(&unit, FAKE_TARGETS, CLIENT_ROUTE_AUTO);
    files[0] = create(&unit, "f", OPEN_WRITE);
    ino = client_file_ino(files[0]);
    assert_int_equal(client_file_open(unit.client, ino, RDWR, &files[1]), 0);
    assert_int_equal(fake_service_opens(unit.service), 1);
    assert_int_equal(client_file_open(unit.client, ino, OPEN_READ, &files[2]), 0);
    assert_int_equal(client_file_open(unit.client, ino, OPEN_READ, &files[3]), 0);
    assert_int_equal(fake_service_opens(unit.service), 2);
    client_file_close(files[0]);
    client_file_close(files[2]);
    assert_int_equal(fake_service_opens(unit.service), 2);
    client_file_close(files[1]);
    assert_int_equal(fake_service_opens(unit.service), 1);
    client_file_close(files[3]);
    assert_int_equal(fake_service_opens(unit.service), 0);
    client_unit_stop(&unit);
}

/* A home that has not answered for long is asked whether it still knows; if it does
 * not, what was open is lost, and what is opened then is not. */
static void test_given_up(void **state)
{
    struct client_file *file, *reader, *again;
    struct client_unit unit;
    uint8_t data[100] = {1};
    uint64_t ino;

    (void)state;
    client_unit_start(&unit, FAKE_TARGETS, CLIENT_ROUTE_AUTO);
    file = create(&unit, "f", RDWR);
    ino = client_file_ino(file);
    assert_int_equal(client_file_open(unit.client, ino, OPEN_READ, &reader), 0);
    assert_int_equal(write_at(file, data, sizeof(data), 0), sizeof(data));
    assert_int_equal(fake_service_count(unit.service, OP_OPEN_CHECK), 0);
    unit.client->engine->hold_ns = 0; /* every answer is long ago */
    assert_int_equal(write_at(file, data, sizeof(data), 0), sizeof(data));
    assert_int_equal(client_file_sync(file, false), 0);
    assert_int_equal(write_at(file, data, sizeof(data), 0), sizeof(data));
    assert_int_equal(fake_service_count(unit.service, OP_OPEN_CHECK), 3);
    fake_service_give_up(unit.service);
    assert_int_equal(read_at(reader, data, sizeof(data), 0), -EIO);
    assert_int_equal(read_at(file, data, sizeof(data), 0), -EIO);
    assert_int_equal(write_at(file, data, sizeof(data), 0), -EIO);
    assert_int_equal(client_file_sync(file, true), -EIO);
    assert_int_equal(client_file_fallocate(file, 0, 0, 10), -EIO);
    assert_int_equal(fake_service_count(unit.service, OP_OPEN_CHECK), 4);
    assert_int_equal(client_file_open(unit.client, ino, RDWR, &again), 0);
    assert_int_equal(write_at(again, data, sizeof(data), 0), sizeof(data));
    assert_int_equal(client_file_close(reader), 0);
    assert_int_equal(client_file_close(file), -EIO);
    assert_int_equal(fake_service_opens(unit.service), 1);
    assert_int_equal(write_at(again, data, sizeof(data), 0), sizeof(data));
    assert_int_equal(client_file_close(again), 0);
    assert_int_equal(fake_service_opens(unit.service), 0);
    client_unit_stop(&unit);
}

/* The same, when it is the open that asks first, and the close. */
static void test_given_up_unnoticed(void **state)
{
    struct client_file *file, *again;
    struct client_unit unit;
    uint64_t ino;

    (void)state;
    client_unit_start(&unit, FAKE_TARGETS, CLIENT_ROUTE_AUTO);
    file = create(&unit, "f", RDWR);
    ino = client_file_ino(file);
    fake_service_give_up(unit.service);
    unit.client->engine->hold_ns = 0;
    assert_int_equal(client_file_open(unit.client, ino, RDWR, &again), 0);
    assert_int_equal(fake_service_opens(unit.service), 1);
    assert_int_equal(client_file_sync(file, true), -EIO);
    assert_int_equal(client_file_close(file), -EIO);
    fake_service_give_up(unit.service);
    assert_int_equal(client_file_close(again), -EIO);
    client_unit_stop(&unit);
}

static void test_create_existing(void **state)
{
    struct msg_create_request what = {
        .mode = S_IFREG | 0644, .base = BASE_HOME, .flags = CREATE_EXCL};
    struct client_file *file;
    struct client_file *again;
    struct wire_attr attr;
    struct client_unit unit;

    (void)state;
    client_unit_start(&unit, FAKE_TARGETS, CLIENT_ROUTE_AUTO);
    file = create(&unit, "f", RDWR);
    again = create(&unit, "f", OPEN_READ);
    assert_int_equal(client_file_ino(file), client_file_ino(again));
    client_file_close(file);
    client_file_close(again);
    assert_int_equal(
        client_file_create(
            unit.client, PLACEMENT_ROOT_INO, "f", &what, RDWR, &attr, &file),
        -EEXIST);
    what.flags = 0;
    assert_int_equal(client_create(unit.client, PLACEMENT_ROOT_INO, "f", &what, &attr),
                     0);
    assert_int_equal(fake_service_opens(unit.service), 0);
    client_unit_stop(&unit);
}

static void test_append(void **state)
{
    uint8_t buf[16];
    struct iovec iov = {.iov_base = (void *)"0123456789", .iov_len = 10};
    struct client_file *file;
    struct client_unit unit;
    uint64_t offset = 99;

    (void)state;
    client_unit_start(&unit, FAKE_TARGETS, CLIENT_ROUTE_AUTO);
    file = create(&unit, "log", RDWR | OPEN_APPEND);
    assert_int_equal(client_file_append(file, &iov, 1, &offset), 10);
    assert_int_equal(offset, 0);
    assert_int_equal(client_file_append(file, &iov, 1, &offset), 10);
    assert_int_equal(offset, 10);
    /* any write to such a file is one */
    assert_int_equal(client_file_writev(file, &iov, 1, 3), 10);
    assert_int_equal(size_of(&unit, client_file_ino(file)), 30);
    assert_int_equal(read_at(file, buf, 10, 15), 10);
    assert_memory_equal(buf, "5678901234", 10);
    client_file_close(file);
    client_unit_stop(&unit);
}

static void test_wrong_use(void **state)
{
    uint8_t buf[4];
    struct iovec huge[2] = {{.iov_base = buf, .iov_len = SIZE_MAX},
                            {.iov_base = buf, .iov_len = 4}};
    struct client_file *file;
    struct client_unit unit;

    (void)state;
    client_unit_start(&unit, FAKE_TARGETS, CLIENT_ROUTE_AUTO);
    file = create(&unit, "f", OPEN_WRITE);
    assert_int_equal(read_at(file, buf, 4, 0), -EBADF);
    assert_int_equal(write_at(file, buf, 4, INT64_MAX - 1), -EFBIG);
    assert_int_equal(write_at(file, buf, 4, UINT64_MAX), -EINVAL);
    assert_int_equal(client_file_writev(file, huge, 2, 0), -EINVAL);
    assert_int_equal(client_file_writev(file, huge, -1, 0), -EINVAL);
    assert_int_equal(write_at(file, buf, 0, 0), 0);
    assert_int_equal(client_file_writev(file, NULL, 0, 0), 0);
    client_file_close(file);
    assert_int_equal(client_file_open(unit.client, 12345 << 16, OPEN_READ, &file),
                     -ENOENT);
    client_unit_stop(&unit);
}

struct opener {
    struct client *client;
    uint64_t ino;
    unsigned number;
    unsigned n_wrong;
    pthread_t thread;
};

static void *opener_run(void *arg)
{
    struct opener *opener = arg;
    uint8_t data[64];
    uint8_t back[64];

    memset(data, (int)opener->number + 1, sizeof(data));
    for (unsigned i = 0; i < 40; i++) {
        uint64_t at = (uint64_t)opener->number * 3 * FAKE_CHUNK_SIZE + i * 64;
        struct client_file *file;

        if (client_file_open(opener->client, opener->ino, RDWR, &file) < 0
            || write_at(file, data, 64, at) != 64 || read_at(file, back, 64, at) != 64
            || memcmp(data, back, 64) != 0 || client_file_close(file) < 0)
            opener->n_wrong++;
    }
    return NULL;
}

/* Opens and closes of one inode by many threads don't overtake each other. */
static void test_threads(void **state)
{
    enum { N = 4 };
    struct opener openers[N];
    struct client_file *file;
    struct client_unit unit;
    uint64_t ino;

    (void)state;
    client_unit_start(&unit, FAKE_TARGETS, CLIENT_ROUTE_AUTO);
    file = create(&unit, "f", RDWR);
    ino = client_file_ino(file);
    assert_int_equal(client_file_close(file), 0);
    for (unsigned i = 0; i < N; i++) {
        openers[i] = (struct opener){.client = unit.client, .ino = ino, .number = i};
        assert_int_equal(
            pthread_create(&openers[i].thread, NULL, opener_run, &openers[i]), 0);
    }
    for (unsigned i = 0; i < N; i++) {
        pthread_join(openers[i].thread, NULL);
        assert_int_equal(openers[i].n_wrong, 0);
    }
    assert_int_equal(fake_service_opens(unit.service), 0);
    assert_int_equal(size_of(&unit, ino), (N - 1) * 3 * FAKE_CHUNK_SIZE + 40 * 64);
    client_unit_stop(&unit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_across_chunks),
        cmocka_unit_test(test_holes_and_end),
        cmocka_unit_test(test_hole_at_end),
        cmocka_unit_test(test_truncate_forgets_end),
        cmocka_unit_test(test_close_during_setattr),
        cmocka_unit_test(test_write_during_setattr),
        cmocka_unit_test(test_end_is_reported),
        cmocka_unit_test(test_opens_are_shared),
        cmocka_unit_test(test_given_up),
        cmocka_unit_test(test_given_up_unnoticed),
        cmocka_unit_test(test_create_existing),
        cmocka_unit_test(test_append),
        cmocka_unit_test(test_wrong_use),
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

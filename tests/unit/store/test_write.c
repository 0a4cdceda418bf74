/* SPDX-License-Identifier: Apache-2.0
 * Prepared writes: what they reserve, and what comes of several at a time. */
#include "store_unit.h"

#define B STORE_BLOCK_SIZE

static struct store_write prepare(struct fixture *f, uint32_t offset, uint32_t length)
{
    struct store_write write;

    assert_int_equal(store_write_prepare(f->store, 5, 0, offset, length, &write), 0);
    return write;
}

static void fill(struct store_write *write, int value)
{
    for (int i = 0; i < write->n_iov; i++)
        memset(write->iov[i].iov_base, value, write->iov[i].iov_len);
}

static void finish(struct fixture *f, struct store_write *write)
{
    assert_int_equal(store_write_commit(f->store, write, 1), 0);
    assert_null(write->iov);
}

/* "aaa...bbb" as runs: value, length, ..., -1. */
static void expect(struct fixture *f, const int *runs)
{
    static uint8_t data[64 * B];
    uint32_t got = get_bytes(f->store, 5, 0, 0, data, sizeof(data));
    uint32_t at = 0;

    for (; *runs >= 0; runs += 2) {
        for (int i = 0; i < runs[1]; i++, at++) {
            if (data[at] != runs[0])
                fail_msg("byte %u is %02x, not %02x", at, data[at], runs[0]);
        }
    }
    assert_int_equal(got, at);
}
#define EXPECT(f, ...) expect(f, (const int[]){__VA_ARGS__, -1})

static void test_bad_ranges(void **state)
{
    struct store_write write;
    struct fixture f;

    (void)state;
    fixture_init(&f, 16 * MIB);
    begin(&f);
    assert_int_equal(store_write_prepare(f.store, 5, 0, 0, 0, &write), -EINVAL);
    assert_int_equal(store_write_prepare(f.store, 5, 0, STORE_CHUNK_MAX, 1, &write),
                     -EINVAL);
    assert_int_equal(store_write_prepare(f.store, 5, 0, UINT32_MAX, 2, &write),
                     -EINVAL);
    assert_int_equal(store_write_prepare(f.store, 5, 0, 0, STORE_CHUNK_MAX, &write),
                     -ENOSPC);
    memset(&write, 0, sizeof(write));
    store_write_abort(f.store, &write);
    assert_int_equal(store_write_commit(f.store, &write, 1), -EINVAL);
    assert_int_equal(store_write_prepare(f.store, 5, 0, STORE_CHUNK_MAX - 1, 1, &write),
                     0);
    fill(&write, 1);
    finish(&f, &write);
    commit(&f);
    fixture_fini(&f);
}

static void test_one(void **state)
{
    struct store_file_usage usage;
    struct store_write write;
    struct fixture f;

    (void)state;
    fixture_init(&f, 16 * MIB);
    begin(&f);
    write = prepare(&f, 10, 2 * B);
    assert_int_equal(write.n_iov, 1);
    assert_int_equal(write.iov[0].iov_len, 2 * B);
    assert_int_equal(used_bytes(&f), 3 * B);
    EXPECT(&f, -1);
    commit(&f);
    /* over transactions; aborted ones do not touch it */
    begin(&f);
    store_txn_abort(f.store);
    begin(&f);
    fill(&write, 'a');
    assert_int_equal(store_write_commit(f.store, &write, 77), 0);
    EXPECT(&f, 0, 10, 'a', 2 * B);
    commit(&f);
    begin(&f);
    write = prepare(&f, 2 * B, B);
    fill(&write, 'b');
    finish(&f, &write);
    EXPECT(&f, 0, 10, 'a', 2 * B - 10, 'b', B);
    assert_int_equal(store_file_usage_get(f.store, 5, &usage), 0);
    assert_int_equal(usage.mtime_ns, 77);
    assert_int_equal(usage.bytes, 3 * B);
    commit(&f);
    assert_int_equal(used_bytes(&f), 3 * B);
    begin(&f);
    write = prepare(&f, 10 * B, 5 * B);
    commit(&f);
    store_write_abort(f.store, &write);
    store_write_abort(f.store, &write);
    assert_int_equal(used_bytes(&f), 3 * B);
    fixture_fini(&f);
}

/* Both reserve the same missing blocks. */
static void test_same_missing_blocks(void **state)
{
    struct store_write a, b;
    struct fixture f;

    (void)state;
    fixture_init(&f, 16 * MIB);
    begin(&f);
    a = prepare(&f, 100, 2 * B);
    b = prepare(&f, B, 3 * B);
    assert_int_equal(used_bytes(&f), 6 * B);
    fill(&b, 'b');
    fill(&a, 'a');
    finish(&f, &a);
    EXPECT(&f, 0, 100, 'a', 2 * B);
    finish(&f, &b);
    EXPECT(&f, 0, 100, 'a', B - 100, 'b', 3 * B);
    commit(&f);
    assert_int_equal(used_bytes(&f), 4 * B);
    /* the other way round, in one block */
    begin(&f);
    a = prepare(&f, 10 * B + 100, 50);
    b = prepare(&f, 10 * B + 120, 50);
    fill(&a, 'x');
    fill(&b, 'y');
    finish(&f, &b);
    finish(&f, &a);
    EXPECT(&f, 0, 100, 'a', B - 100, 'b', 3 * B, 0, 6 * B + 100, 'x', 50, 'y', 20);
    commit(&f);
    assert_int_equal(used_bytes(&f), 5 * B);
    fixture_reopen(&f);
    fixture_fini(&f);
}

/* Blocks behind the end that two write to at a time: neither takes the other's bytes
 * for a gap to be zeroed; and what an aborted one left there is never seen. */
static void test_in_place_behind_end(void **state)
{
    struct store_write a, b, c;
    struct fixture f;

    (void)state;
    fixture_init(&f, 16 * MIB);
    begin(&f);
    assert_int_equal(store_chunk_allocate(f.store, 5, 0, 0, 8 * B), 0);
    a = prepare(&f, 100, 100);
    b = prepare(&f, 300, 100);
    c = prepare(&f, 2 * B, 2 * B);
    fill(&a, 'a');
    fill(&b, 'b');
    fill(&c, 'c');
    finish(&f, &b);
    EXPECT(&f, 0, 300, 'b', 100);
    finish(&f, &a);
    EXPECT(&f, 0, 100, 'a', 100, 0, 100, 'b', 100);
    commit(&f);
    begin(&f);
    a = prepare(&f, 5 * B, 10);
    fill(&a, 'A');
    finish(&f, &a);
    EXPECT(&f, 0, 100, 'a', 100, 0, 100, 'b', 100, 0, 5 * B - 400, 'A', 10);
    store_write_abort(f.store, &c);
    EXPECT(&f, 0, 100, 'a', 100, 0, 100, 'b', 100, 0, 5 * B - 400, 'A', 10);
    b = prepare(&f, 5 * B + 20, 100);
    fill(&b, 'z');
    store_write_abort(f.store, &b);
    a = prepare(&f, 5 * B + 200, 1);
    fill(&a, 'A');
    finish(&f, &a);
    EXPECT(&f,
           0,
           100,
           'a',
           100,
           0,
           100,
           'b',
           100,
           0,
           5 * B - 400,
           'A',
           10,
           0,
           190,
           'A',
           1);
    commit(&f);
    fixture_fini(&f);
}

/* Truncation, punching and removal under a write: it happens after them, and nobody
 * gets its memory while the network still writes to it. */
static void test_freed_while_written(void **state)
{
    static const char want[30] = "B\0\0\0\0\0\0\0\0\0dd";
    struct store_write a, b, other;
    struct fixture f;
    uint8_t data[40];

    (void)state;
    fixture_init(&f, MIB);
    begin(&f);
    a = prepare(&f, 0, 200 * B);
    fill(&a, 'a');
    finish(&f, &a);
    commit(&f);
    begin(&f);
    a = prepare(&f, 100, 150 * B);
    b = prepare(&f, 160 * B, B);
    commit(&f);
    begin(&f);
    assert_int_equal(store_chunk_truncate(f.store, 5, 0, 0), 0);
    commit(&f);
    begin(&f);
    assert_int_equal(used_bytes(&f), 152 * B);
    assert_int_equal(store_write_prepare(f.store, 6, 0, 0, 105 * B, &other), -ENOSPC);
    assert_int_equal(store_write_prepare(f.store, 6, 0, 0, 104 * B, &other), 0);
    fill(&other, 'o');
    assert_int_equal(store_write_commit(f.store, &other, 1), 0);
    fill(&a, 'b');
    fill(&b, 'B');
    /* no room for the copy: the write fails, and gives back all it had */
    assert_int_equal(store_write_commit(f.store, &a, 1), -ENOSPC);
    finish(&f, &b);
    commit(&f);
    assert_int_equal(used_bytes(&f), 105 * B);
    begin(&f);
    a = prepare(&f, 160 * B + 10, 20);
    assert_int_equal(store_chunk_truncate(f.store, 5, 160 * B + 5, MIB), 0);
    fill(&a, 'c');
    finish(&f, &a);
    a = prepare(&f, 160 * B + 10, 2);
    assert_int_equal(store_chunk_punch(f.store, 5, 0, 160 * B + 1, 100), 0);
    fill(&a, 'd');
    finish(&f, &a);
    commit(&f);
    begin(&f);
    assert_int_equal(get_bytes(f.store, 5, 0, 160 * B, data, 40), 30);
    assert_memory_equal(data, want, 30);
    commit(&f);
    fixture_fini(&f);
}

/* A write prepared on what a transaction did, which then was aborted. */
static void test_prepared_in_aborted(void **state)
{
    struct store_write a, b;
    struct fixture f;

    (void)state;
    fixture_init(&f, 16 * MIB);
    begin(&f);
    a = prepare(&f, 0, 4 * B);
    fill(&a, 'a');
    finish(&f, &a);
    b = prepare(&f, 2 * B, 4 * B);
    store_txn_abort(f.store);
    begin(&f);
    EXPECT(&f, -1);
    a = prepare(&f, 0, B);
    fill(&a, 'x');
    finish(&f, &a);
    fill(&b, 'b');
    finish(&f, &b);
    EXPECT(&f, 'x', B, 0, B, 'b', 4 * B);
    commit(&f);
    assert_int_equal(used_bytes(&f), 5 * B);
    begin(&f);
    assert_int_equal(store_chunk_truncate(f.store, 5, 0, 0), 0);
    a = prepare(&f, 3 * B, B);
    store_txn_abort(f.store);
    begin(&f);
    fill(&a, 'y');
    finish(&f, &a);
    EXPECT(&f, 'x', B, 0, B, 'b', B, 'y', B, 'b', 2 * B);
    commit(&f);
    assert_int_equal(used_bytes(&f), 5 * B);
    fixture_fini(&f);
}

static void test_fragmented(void **state)
{
    static uint8_t data[256 * B];
    struct store_write a;
    struct fixture f;

    (void)state;
    fixture_init(&f, MIB);
    begin(&f);
    memset(data, 'f', sizeof(data));
    for (uint64_t chunk = 0; chunk < 256; chunk++)
        assert_int_equal(put_bytes(f.store, 7, chunk, 0, data, 1), 0);
    commit(&f);
    begin(&f);
    for (uint64_t chunk = 0; chunk < 256; chunk += 2)
        assert_int_equal(store_chunk_punch(f.store, 7, chunk, 0, B), 0);
    commit(&f);
    begin(&f);
    a = prepare(&f, 0, 64 * B);
    assert_int_equal(a.n_iov, 64);
    fill(&a, 'a');
    finish(&f, &a);
    EXPECT(&f, 'a', 64 * B);
    assert_int_equal(put_bytes(f.store, 5, 1, 0, data, 65 * B), -ENOSPC);
    assert_int_equal(put_bytes(f.store, 5, 1, 0, data, 64 * B), 0);
    assert_int_equal(put_bytes(f.store, 5, 2, 0, data, 1), -ENOSPC);
    /* in place still works, also over many extents */
    a = prepare(&f, 5, 64 * B - 10);
    fill(&a, 'b');
    finish(&f, &a);
    EXPECT(&f, 'a', 5, 'b', 64 * B - 10, 'a', 5);
    assert_int_equal(store_chunk_punch(f.store, 5, 0, 10, 5), 0);
    EXPECT(&f, 'a', 5, 'b', 5, 0, 5, 'b', 64 * B - 20, 'a', 5);
    commit(&f);
    fixture_reopen(&f);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_ranges),
        cmocka_unit_test(test_one),
        cmocka_unit_test(test_same_missing_blocks),
        cmocka_unit_test(test_in_place_behind_end),
        cmocka_unit_test(test_freed_while_written),
        cmocka_unit_test(test_prepared_in_aborted),
        cmocka_unit_test(test_fragmented),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

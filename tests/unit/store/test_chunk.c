/* SPDX-License-Identifier: Apache-2.0
 * Chunks: reading, truncation, holes, allocation, seeking, usage, pins. */
#include "store_unit.h"

#define B STORE_BLOCK_SIZE

static void expect_bytes(
    struct fixture *f, uint64_t chunk, uint32_t offset, uint32_t length, int value)
{
    static uint8_t data[STORE_CHUNK_MAX];

    assert_int_equal(get_bytes(f->store, 5, chunk, offset, data, length), length);
    for (uint32_t i = 0; i < length; i++) {
        if (data[i] != (uint8_t)value)
            fail_msg("byte %u is %02x, not %02x", offset + i, data[i], value);
    }
}

static void
fill(struct fixture *f, uint64_t chunk, uint32_t offset, uint32_t length, int value)
{
    uint8_t *data = malloc(length);

    memset(data, value, length);
    assert_int_equal(put_bytes(f->store, 5, chunk, offset, data, length), 0);
    free(data);
}

static void test_read(void **state)
{
    struct fixture f;
    struct iovec *iov;
    uint8_t data[64];
    uint32_t length;
    int n;

    (void)state;
    fixture_init(&f, 16 * MIB);
    begin(&f);
    assert_int_equal(store_read(f.store, 5, 0, 0, 100, &iov, &n, &length), 0);
    assert_null(iov);
    assert_int_equal(length, 0);
    fill(&f, 0, 3 * B + 10, B, 1);
    assert_int_equal(get_bytes(f.store, 5, 0, 4 * B, data, 64), 10);
    assert_int_equal(get_bytes(f.store, 5, 0, 4 * B + 10, data, 64), 0);
    assert_int_equal(get_bytes(f.store, 5, 0, STORE_CHUNK_MAX - 64, data, 64), 0);
    expect_bytes(&f, 0, 0, 3 * B + 10, 0);
    expect_bytes(&f, 0, 3 * B + 10, B, 1);
    assert_int_equal(store_read(f.store, 5, 0, 0, STORE_CHUNK_MAX, &iov, &n, &length),
                     0);
    assert_int_equal(n, 2);
    assert_int_equal(length, 4 * B + 10);
    free(iov);
    assert_int_equal(store_read(f.store, 5, 0, 1, STORE_CHUNK_MAX, &iov, &n, &length),
                     -EINVAL);
    assert_int_equal(store_chunk_punch(f.store, 5, 0, UINT32_MAX, 2), -EINVAL);
    assert_int_equal(store_chunk_allocate(f.store, 5, 0, 2, UINT32_MAX), -EINVAL);
    commit(&f);
    fixture_fini(&f);
}

static void test_truncate(void **state)
{
    struct store_file_usage usage;
    struct fixture f;

    (void)state;
    fixture_init(&f, 64 * MIB);
    begin(&f);
    for (uint64_t chunk = 0; chunk < 6; chunk++)
        fill(&f, chunk, 0, 4 * B, 7);
    assert_int_equal(put_bytes(f.store, 4, 9, 0, "x", 1), 0);
    assert_int_equal(put_bytes(f.store, 6, 0, 0, "x", 1), 0);
    assert_int_equal(store_chunk_truncate(f.store, 5, 1, 0), -EINVAL);
    commit(&f);
    assert_int_equal(used_bytes(&f), 26 * B);
    begin(&f);
    assert_int_equal(store_chunk_truncate(f.store, 5, 8 * B + B + 1, 4 * B), 0);
    assert_int_equal(store_file_usage_get(f.store, 5, &usage), 0);
    assert_int_equal(usage.last_chunk, 2);
    assert_int_equal(usage.last_end, B + 1);
    assert_int_equal(usage.bytes, 10 * B);
    assert_int_equal(usage.mtime_ns, 1);
    commit(&f);
    assert_int_equal(used_bytes(&f), 12 * B);
    begin(&f);
    /* grows again: what was cut off is zeros */
    fill(&f, 2, 3 * B, 1, 9);
    expect_bytes(&f, 2, B, 1, 7);
    expect_bytes(&f, 2, B + 1, 2 * B - 1, 0);
    /* exactly at a chunk's end */
    assert_int_equal(store_chunk_truncate(f.store, 5, 4 * B, 4 * B), 0);
    assert_int_equal(store_file_usage_get(f.store, 5, &usage), 0);
    assert_int_equal(usage.last_chunk, 0);
    assert_int_equal(usage.last_end, 4 * B);
    assert_int_equal(store_chunk_truncate(f.store, 5, 0, 0), 0);
    assert_int_equal(store_file_usage_get(f.store, 5, &usage), 0);
    assert_false(usage.has_data);
    assert_int_equal(usage.bytes, 0);
    commit(&f);
    assert_int_equal(used_bytes(&f), 2 * B);
    fixture_fini(&f);
}

/* What a transaction cut off is there again when it is not committed. */
static void test_truncate_aborted(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, 16 * MIB);
    begin(&f);
    fill(&f, 0, 0, 4 * B, 7);
    commit(&f);
    begin(&f);
    assert_int_equal(store_chunk_truncate(f.store, 5, 100, B * 4), 0);
    fill(&f, 0, 2 * B + 200, 100, 9);
    expect_bytes(&f, 0, 100, 2 * B + 100, 0);
    assert_int_equal(store_chunk_punch(f.store, 5, 0, 10, 20), 0);
    expect_bytes(&f, 0, 10, 20, 0);
    store_txn_abort(f.store);
    begin(&f);
    expect_bytes(&f, 0, 0, 4 * B, 7);
    store_txn_abort(f.store);
    assert_int_equal(used_bytes(&f), 4 * B);
    fixture_fini(&f);
}

static void test_truncate_many_chunks(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, 256 * MIB);
    begin(&f);
    for (uint64_t chunk = 0; chunk < 60000; chunk++) {
        assert_int_equal(put_bytes(f.store, 5, chunk, 0, "x", 1), 0);
        if (store_txn_is_large(f.store)) {
            commit(&f);
            begin(&f);
        }
    }
    commit(&f);
    assert_int_equal(used_bytes(&f), UINT64_C(60000) * B);
    begin(&f);
    assert_int_equal(store_chunk_truncate(f.store, 5, 0, 0), 0);
    commit(&f);
    assert_int_equal(used_bytes(&f), 0);
    fixture_fini(&f);
}

static void test_punch(void **state)
{
    struct fixture f;
    uint8_t data[1];

    (void)state;
    fixture_init(&f, 16 * MIB);
    begin(&f);
    fill(&f, 0, 0, 8 * B, 7);
    assert_int_equal(store_chunk_punch(f.store, 5, 0, 0, 0), 0);
    assert_int_equal(store_chunk_punch(f.store, 5, 0, B + 1, 4 * B), 0);
    expect_bytes(&f, 0, 0, B + 1, 7);
    expect_bytes(&f, 0, B + 1, 4 * B, 0);
    expect_bytes(&f, 0, 5 * B + 1, 3 * B - 1, 7);
    commit(&f);
    assert_int_equal(used_bytes(&f), 5 * B);
    fixture_reopen(&f);
    begin(&f);
    expect_bytes(&f, 0, B + 1, 4 * B, 0);
    /* within a block; over the end; behind it; of nothing */
    assert_int_equal(store_chunk_punch(f.store, 5, 0, 10, 20), 0);
    expect_bytes(&f, 0, 10, 20, 0);
    expect_bytes(&f, 0, 30, 10, 7);
    assert_int_equal(store_chunk_punch(f.store, 5, 0, 6 * B, 20 * B), 0);
    expect_bytes(&f, 0, 6 * B, 2 * B, 0);
    assert_int_equal(get_bytes(f.store, 5, 0, 8 * B, data, 1), 0);
    assert_int_equal(store_chunk_punch(f.store, 5, 0, 9 * B, B), 0);
    assert_int_equal(store_chunk_punch(f.store, 5, 3, 9 * B, B), 0);
    commit(&f);
    assert_int_equal(used_bytes(&f), 3 * B);
    fixture_fini(&f);
}

static void test_allocate(void **state)
{
    struct store_file_usage usage;
    struct fixture f;

    (void)state;
    fixture_init(&f, 16 * MIB);
    begin(&f);
    /* dirty blocks, so that zeros are made, not found */
    fill(&f, 1, 0, 32 * B, 0xff);
    assert_int_equal(store_chunk_truncate(f.store, 5, 0, 0), 0);
    fill(&f, 0, 4 * B, 1, 7);
    commit(&f);
    begin(&f);
    assert_int_equal(store_chunk_allocate(f.store, 5, 0, 10, 20 * B), 0);
    assert_int_equal(store_chunk_allocate(f.store, 5, 0, 0, B), 0);
    assert_int_equal(store_chunk_allocate(f.store, 5, 2, 0, B), 0);
    expect_bytes(&f, 0, 0, 4 * B, 0);
    expect_bytes(&f, 0, 4 * B, 1, 7);
    assert_int_equal(store_file_usage_get(f.store, 5, &usage), 0);
    assert_int_equal(usage.bytes, 22 * B);
    assert_int_equal(usage.last_chunk, 0);
    assert_int_equal(usage.last_end, 4 * B + 1);
    /* later writes find zeros between */
    fill(&f, 0, 12 * B + 5, 1, 8);
    expect_bytes(&f, 0, 4 * B + 1, 8 * B + 4, 0);
    commit(&f);
    assert_int_equal(used_bytes(&f), 22 * B);
    fixture_reopen(&f);
    begin(&f);
    assert_int_equal(store_chunk_allocate(f.store, 5, 0, 0, 16 * MIB), -ENOSPC);
    assert_int_equal(used_bytes(&f), 22 * B);
    commit(&f);
    fixture_fini(&f);
}

static void expect_seek(struct fixture *f, uint32_t offset, bool data, int64_t want)
{
    uint32_t got = 0;
    int rc = store_chunk_seek(f->store, 5, 0, offset, data, &got);

    assert_int_equal(rc < 0 ? rc : (int64_t)got, want);
}

static void test_seek(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, 16 * MIB);
    begin(&f);
    expect_seek(&f, 0, true, -ENXIO);
    expect_seek(&f, 0, false, 0);
    fill(&f, 0, 2 * B, B, 1);
    fill(&f, 0, 5 * B, 10, 1);
    expect_seek(&f, 0, true, 2 * B);
    expect_seek(&f, 0, false, 0);
    expect_seek(&f, 7, false, 7);
    expect_seek(&f, 2 * B + 5, true, 2 * B + 5);
    expect_seek(&f, 2 * B + 5, false, 3 * B);
    expect_seek(&f, 3 * B, true, 5 * B);
    expect_seek(&f, 5 * B, false, 6 * B);
    expect_seek(&f, 9 * B + 3, false, 9 * B + 3);
    expect_seek(&f, 5 * B + 10, true, -ENXIO);
    commit(&f);
    fixture_fini(&f);
}

/* Blocks in the hands of the network are not given to another file. */
static void test_pin(void **state)
{
    struct store_pin *pin;
    struct fixture f;
    struct iovec *iov;
    uint32_t length;
    int n;

    (void)state;
    fixture_init(&f, MIB);
    begin(&f);
    fill(&f, 0, B, 255 * B, 7);
    assert_int_equal(store_read(f.store, 5, 0, 0, MIB, &iov, &n, &length), 0);
    assert_int_equal(store_pin(f.store, iov, n, &pin), 0);
    assert_int_equal(store_chunk_truncate(f.store, 5, 0, 0), 0);
    commit(&f);
    begin(&f);
    assert_int_equal(put_bytes(f.store, 6, 0, 0, iov[1].iov_base, 2 * B), -ENOSPC);
    assert_int_equal(((uint8_t *)iov[1].iov_base)[100], 7);
    store_unpin(f.store, pin);
    store_unpin(f.store, NULL);
    assert_int_equal(used_bytes(&f), 0);
    free(iov);
    fill(&f, 0, 0, 256 * B, 8);
    commit(&f);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_truncate),
        cmocka_unit_test(test_truncate_aborted),
        cmocka_unit_test(test_truncate_many_chunks),
        cmocka_unit_test(test_punch),
        cmocka_unit_test(test_allocate),
        cmocka_unit_test(test_seek),
        cmocka_unit_test(test_pin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

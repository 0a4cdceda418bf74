/* SPDX-License-Identifier: Apache-2.0
 * Chunk records: extents against an array, encoding, malformed records. */
#include "unit.h"

#include "store/chunk_record.h"

#define N 64u

static void check_sorted_and_merged(const struct chunk_record *record)
{
    for (uint32_t i = 1; i < record->n_extents; i++) {
        const struct chunk_extent *a = &record->extents[i - 1];
        const struct chunk_extent *b = &record->extents[i];

        assert_true(a->block + a->n <= b->block);
        assert_false(a->block + a->n == b->block
                     && a->arena_block + a->n == b->arena_block);
    }
}

static void test_set_random(void **state)
{
    struct chunk_record record = {0};
    uint64_t model[N], at;
    uint64_t seed = 0x9e3779b97f4a7c15u;

    (void)state;
    for (uint32_t i = 0; i < N; i++)
        model[i] = CHUNK_HOLE;
    for (int round = 0; round < 20000; round++) {
        uint32_t block, n;
        uint64_t arena;

        seed = seed * 6364136223846793005u + 1442695040888963407u;
        block = (uint32_t)(seed >> 33) % N;
        n = 1 + (uint32_t)(seed >> 40) % (N - block < 9 ? N - block : 9);
        /* often adjacent to what is there, so that merging is tried */
        arena = (seed >> 60) < 5 ? CHUNK_HOLE : 1000 * ((seed >> 50) % 3) + block;
        assert_int_equal(chunk_record_set(&record, block, n, arena), 0);
        for (uint32_t i = 0; i < n; i++)
            model[block + i] = arena == CHUNK_HOLE ? CHUNK_HOLE : arena + i;
        check_sorted_and_merged(&record);
        for (uint32_t i = 0; i < N; i++) {
            uint32_t run = chunk_record_map(&record, i, N - i, &at);

            assert_true(at == model[i]);
            assert_in_range(run, 1, N - i);
            for (uint32_t k = 1; k < run; k++)
                assert_true(model[i + k] == (at == CHUNK_HOLE ? at : at + k));
        }
    }
    chunk_record_fini(&record);
}

static void test_encoding(void **state)
{
    struct chunk_record a = {.end = 70000, .mtime_ns = -5}, b = {0};
    uint8_t bytes[256], key[CHUNK_KEY_SIZE];
    uint64_t ino, chunk;
    size_t size;

    (void)state;
    assert_int_equal(chunk_record_set(&a, 0, 3, 17), 0);
    assert_int_equal(chunk_record_set(&a, 9, 2, 1), 0);
    size = chunk_record_size(&a);
    assert_int_equal(size, CHUNK_HEADER_SIZE + 2 * CHUNK_EXTENT_SIZE);
    chunk_record_encode(&a, bytes);
    assert_int_equal(chunk_record_decode(&b, bytes, size), 0);
    assert_int_equal(b.end, 70000);
    assert_int_equal(b.mtime_ns, -5);
    assert_int_equal(b.n_extents, 2);
    assert_int_equal(b.extents[1].block, 9);
    assert_int_equal(b.extents[1].n, 2);
    assert_int_equal(b.extents[1].arena_block, 1);

    chunk_key_encode(key, 0x0102030405060708u, 258);
    assert_int_equal(key[0], 1);
    assert_int_equal(key[14], 1);
    assert_int_equal(chunk_key_decode(key, sizeof(key), &ino, &chunk), 0);
    assert_true(ino == 0x0102030405060708u);
    assert_int_equal(chunk, 258);
    assert_int_equal(chunk_key_decode(key, 15, &ino, &chunk), -EUCLEAN);
    chunk_record_fini(&a);
    chunk_record_fini(&b);
}

static void test_malformed(void **state)
{
    struct chunk_record a = {.end = 4096}, b = {0};
    uint8_t bytes[256], bad[256];
    size_t size;
    uint8_t *extent = bad + CHUNK_HEADER_SIZE;

    (void)state;
    assert_int_equal(chunk_record_set(&a, 4, 3, 17), 0);
    assert_int_equal(chunk_record_set(&a, 9, 2, 1), 0);
    size = chunk_record_size(&a);
    chunk_record_encode(&a, bytes);
    for (size_t cut = 0; cut < size; cut++) {
        /* without its last extents it is a record as well */
        if (cut < CHUNK_HEADER_SIZE || (cut - CHUNK_HEADER_SIZE) % CHUNK_EXTENT_SIZE)
            assert_int_equal(chunk_record_decode(&b, bytes, cut), -EUCLEAN);
    }
#define WITH(change)                                                                   \
    memcpy(bad, bytes, size);                                                          \
    change;                                                                            \
    assert_int_equal(chunk_record_decode(&b, bad, size), -EUCLEAN)
    WITH(bad[0] = 2);                    /* version */
    WITH(bad[4] = 0xff);                 /* end beyond the chunk */
    WITH(extent[4] = 0);                 /* no blocks */
    WITH(extent[4] = 6);                 /* overlaps the next */
    WITH(extent[3] = 1);                 /* block out of the chunk */
    WITH(extent[7] = 1);                 /* as many */
    WITH(extent[15] = 1);                /* absurd arena block */
    WITH(extent[CHUNK_EXTENT_SIZE] = 3); /* out of order */
#undef WITH
    chunk_record_fini(&a);
    chunk_record_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_random),
        cmocka_unit_test(test_encoding),
        cmocka_unit_test(test_malformed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

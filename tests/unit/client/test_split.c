/* SPDX-License-Identifier: Apache-2.0
 * Ranges cut at chunk borders. */
#include "unit.h"

#include "client/split.h"

static void test_empty(void **state)
{
    struct split split = {.offset = 5, .length = 0, .chunk_size = 10};

    (void)state;
    assert_int_equal(split_count(&split), 0);
    assert_int_equal(split_data_end(&split, NULL), 0);
    assert_true(split_is_full(&split, NULL));
}

static void test_inside_one(void **state)
{
    struct split split = {.offset = 23, .length = 7, .chunk_size = 10};
    struct split_piece piece;

    (void)state;
    assert_int_equal(split_count(&split), 1);
    piece = split_piece(&split, 0);
    assert_int_equal(piece.chunk, 2);
    assert_int_equal(piece.offset, 3);
    assert_int_equal(piece.length, 7);
    assert_int_equal(piece.start, 0);
}

static void test_across(void **state)
{
    struct split split = {.offset = 8, .length = 15, .chunk_size = 10};
    const struct split_piece expected[] = {
        {.chunk = 0, .offset = 8, .length = 2, .start = 0},
        {.chunk = 1, .offset = 0, .length = 10, .start = 2},
        {.chunk = 2, .offset = 0, .length = 3, .start = 12},
    };

    (void)state;
    assert_int_equal(split_count(&split), 3);
    for (uint64_t i = 0; i < 3; i++) {
        struct split_piece piece = split_piece(&split, i);

        assert_int_equal(piece.chunk, expected[i].chunk);
        assert_int_equal(piece.offset, expected[i].offset);
        assert_int_equal(piece.length, expected[i].length);
        assert_int_equal(piece.start, expected[i].start);
    }
}

/* Pieces are without gap, and as long as the range, for every place of its ends. */
static void test_all_small(void **state)
{
    (void)state;
    for (uint64_t offset = 0; offset < 25; offset++) {
        for (uint64_t length = 1; length < 35; length++) {
            struct split split = {.offset = offset, .length = length, .chunk_size = 10};
            uint64_t at = 0;

            for (uint64_t i = 0; i < split_count(&split); i++) {
                struct split_piece piece = split_piece(&split, i);

                assert_int_equal(piece.start, at);
                assert_int_equal(piece.chunk * 10 + piece.offset, offset + at);
                assert_true(piece.length > 0 && piece.offset + piece.length <= 10);
                at += piece.length;
            }
            assert_int_equal(at, length);
        }
    }
}

static void test_far(void **state)
{
    struct split split = {
        .offset = INT64_MAX - 15, .length = 15, .chunk_size = 64u << 20};
    struct split_piece piece = split_piece(&split, split_count(&split) - 1);

    (void)state;
    assert_int_equal(piece.start + piece.length, 15);
}

static void test_received(void **state)
{
    struct split split = {.offset = 8, .length = 15, .chunk_size = 10};

    (void)state;
    assert_int_equal(split_data_end(&split, (uint32_t[]){0, 0, 0}), 0);
    assert_int_equal(split_data_end(&split, (uint32_t[]){1, 0, 0}), 1);
    assert_int_equal(split_data_end(&split, (uint32_t[]){2, 4, 0}), 6);
    assert_int_equal(split_data_end(&split, (uint32_t[]){0, 0, 1}), 13);
    assert_false(split_is_full(&split, (uint32_t[]){2, 10, 2}));
    assert_true(split_is_full(&split, (uint32_t[]){2, 10, 3}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_inside_one),
        cmocka_unit_test(test_across),
        cmocka_unit_test(test_all_small),
        cmocka_unit_test(test_far),
        cmocka_unit_test(test_received),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

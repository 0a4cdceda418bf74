/* SPDX-License-Identifier: Apache-2.0
 * Hash table, against a plain array, with churn and removal during a walk. */
#include "unit.h"

#include "base/hash.h"
#include "base/table.h"

#define KEYS 500

static int values[KEYS];

static void test_basics(void **state)
{
    struct table table;

    (void)state;
    table_init(&table);
    assert_null(table_get(&table, 0));
    assert_null(table_remove(&table, 0));
    assert_int_equal(table_put(&table, 0, &values[0]), 0);
    assert_int_equal(table_put(&table, UINT64_MAX, &values[1]), 0);
    assert_int_equal(table_put(&table, 0, &values[2]), -EEXIST);
    assert_ptr_equal(table_get(&table, 0), &values[0]);
    assert_ptr_equal(table_remove(&table, 0), &values[0]);
    assert_null(table_get(&table, 0));
    assert_int_equal(table_count(&table), 1);
    table_fini(&table);
    table_fini(NULL);
}

static void check_all(const struct table *table, int *const expected[KEYS])
{
    size_t count = 0;
    size_t seen = 0;
    size_t cursor = 0;
    uint64_t key;
    const int *value;

    for (uint64_t i = 0; i < KEYS; i++) {
        assert_ptr_equal(table_get(table, i), expected[i]);
        count += expected[i] != NULL;
    }
    assert_int_equal(table_count(table), count);
    while ((value = table_next(table, &cursor, &key))) {
        assert_ptr_equal(value, expected[key]);
        seen++;
    }
    assert_int_equal(seen, count);
}

static void test_churn(void **state)
{
    static int *expected[KEYS];
    struct table table;

    (void)state;
    table_init(&table);
    for (uint64_t i = 0; i < 100000; i++) {
        uint64_t key = hash_u64(i + 1) % KEYS;

        if (expected[key]) {
            assert_ptr_equal(table_remove(&table, key), expected[key]);
            expected[key] = NULL;
        } else {
            expected[key] = &values[key];
            assert_int_equal(table_put(&table, key, expected[key]), 0);
        }
        if (i % 5000 == 0)
            check_all(&table, expected);
    }
    /* Churn at the same size does not grow it without end. */
    assert_in_range(table.capacity, KEYS / 2, KEYS * 8);
    table_fini(&table);
}

static void test_remove_in_walk(void **state)
{
    struct table table;
    size_t cursor = 0;
    size_t seen = 0;
    uint64_t key;

    (void)state;
    table_init(&table);
    for (uint64_t i = 0; i < KEYS; i++)
        assert_int_equal(table_put(&table, i, &values[i]), 0);
    while (table_next(&table, &cursor, &key)) {
        assert_non_null(table_remove(&table, key));
        seen++;
    }
    assert_int_equal(seen, KEYS);
    assert_int_equal(table_count(&table), 0);
    assert_int_equal(table.used, 0);
    table_fini(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_basics),
        cmocka_unit_test(test_churn),
        cmocka_unit_test(test_remove_in_walk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

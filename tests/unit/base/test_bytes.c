/* SPDX-License-Identifier: Apache-2.0
 * Growable buffer: growth, limit, front removal, hand-over. */
#include "unit.h"

#include "base/bytes.h"

static void test_append(void **state)
{
    struct bytes bytes = BYTES_INIT(1000);

    (void)state;
    assert_int_equal(bytes_append(&bytes, "abc", 3), 0);
    assert_int_equal(bytes_printf(&bytes, "-%d", 42), 0);
    assert_int_equal(bytes_append_zero(&bytes, 1), 0);
    assert_int_equal(bytes_append(&bytes, NULL, 0), 0);
    assert_int_equal(bytes.size, 7);
    assert_string_equal((char *)bytes.data, "abc-42");
    bytes_clear(&bytes);
    assert_int_equal(bytes.size, 0);
    bytes_fini(&bytes);
    bytes_fini(NULL);
}

static void test_limit(void **state)
{
    struct bytes bytes;
    char block[100] = {0};

    (void)state;
    bytes_init(&bytes, 150);
    assert_int_equal(bytes_append(&bytes, block, 100), 0);
    assert_int_equal(bytes_append(&bytes, block, 51), -EMSGSIZE);
    assert_int_equal(bytes_reserve(&bytes, SIZE_MAX), -EMSGSIZE);
    assert_int_equal(bytes.size, 100);
    assert_int_equal(bytes_append(&bytes, block, 50), 0);
    assert_int_equal(bytes.capacity, 150);
    assert_int_equal(bytes_append(&bytes, block, 1), -EMSGSIZE);
    bytes_fini(&bytes);
}

static void test_consume(void **state)
{
    struct bytes bytes = BYTES_INIT(100);

    (void)state;
    bytes_append(&bytes, "abcdef", 6);
    bytes_consume(&bytes, 2);
    assert_int_equal(bytes.size, 4);
    assert_memory_equal(bytes.data, "cdef", 4);
    bytes_consume(&bytes, 100);
    assert_int_equal(bytes.size, 0);
    bytes_fini(&bytes);
}

static void test_take(void **state)
{
    struct bytes bytes = BYTES_INIT(100);
    size_t size;
    uint8_t *data;

    (void)state;
    assert_null(bytes_take(&bytes, &size));
    assert_int_equal(size, 0);
    bytes_append(&bytes, "xy", 2);
    data = bytes_take(&bytes, &size);
    assert_int_equal(size, 2);
    assert_memory_equal(data, "xy", 2);
    assert_null(bytes.data);
    assert_int_equal(bytes.limit, 100);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_consume),
        cmocka_unit_test(test_take),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

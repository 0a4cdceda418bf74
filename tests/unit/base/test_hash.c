/* SPDX-License-Identifier: Apache-2.0
 * Hashes: fixed values (they stand on the wire and in stores), streams. */
#include "unit.h"

#include "base/hash.h"

static void test_fixed_values(void **state)
{
    (void)state;
    /* XXH3's own value of the empty input with seed 0. */
    assert_true(hash_bytes(0, NULL, 0) == UINT64_C(0x2d06800538d394c2));
    assert_true(hash_bytes(0, "a", 1) == UINT64_C(0xe6c632b61e964e1f));
    assert_true(hash_bytes(1, "a", 1) != hash_bytes(0, "a", 1));
    assert_true(hash_u64(0) == 0);
    assert_true(hash_u64(1) == UINT64_C(0x5692161d100b05e5));
}

static void test_stream(void **state)
{
    static uint8_t data[5000];
    struct hash_stream stream;

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7);
    for (size_t step = 1; step < sizeof(data); step = step * 3 + 1) {
        hash_stream_init(&stream, 9);
        for (size_t done = 0; done < sizeof(data); done += step) {
            size_t size = sizeof(data) - done < step ? sizeof(data) - done : step;

            assert_true(hash_stream_value(&stream) == hash_bytes(9, data, done));
            hash_stream_update(&stream, data + done, size);
        }
        assert_true(hash_stream_value(&stream) == hash_bytes(9, data, sizeof(data)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixed_values),
        cmocka_unit_test(test_stream),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * Messages between launcher and daemons: both ways, cut, too long. */
#include "unit.h"

#include "launch/hub_message.h"

static void test_welcome(void **state)
{
    const struct hub_welcome welcome = {.rank = 2, .size = 3};
    struct bytes out = BYTES_INIT(64);
    struct hub_welcome got;

    (void)state;
    assert_int_equal(hub_welcome_encode(&welcome, &out), 0);
    assert_int_equal(hub_welcome_decode(&got, out.data, out.size), 0);
    assert_int_equal(got.rank, 2);
    assert_int_equal(got.size, 3);
    assert_int_equal(hub_welcome_decode(&got, out.data, out.size - 1), -EPROTO);
    out.data[0] = 3; /* a rank beyond the end */
    assert_int_equal(hub_welcome_decode(&got, out.data, out.size), -EPROTO);
    bytes_fini(&out);
}

static void all_init(struct bytes *all, size_t n)
{
    for (size_t i = 0; i < n; i++)
        bytes_init(&all[i], HUB_RECORD_MAX);
}

static void all_fini(struct bytes *all, size_t n)
{
    for (size_t i = 0; i < n; i++)
        bytes_fini(&all[i]);
}

static void test_all(void **state)
{
    struct bytes records[3], got[3], out = BYTES_INIT(4096);

    (void)state;
    all_init(records, 3);
    assert_int_equal(bytes_printf(&records[0], "first"), 0);
    assert_int_equal(bytes_append_zero(&records[2], 100), 0);
    assert_int_equal(hub_all_encode(records, 3, &out), 0);

    all_init(got, 3);
    assert_int_equal(hub_all_decode(got, 3, out.data, out.size), 0);
    assert_int_equal(got[0].size, 5);
    assert_memory_equal(got[0].data, "first", 5);
    assert_int_equal(got[1].size, 0);
    assert_int_equal(got[2].size, 100);
    all_fini(got, 3);

    for (size_t len = 0; len < out.size; len++) {
        all_init(got, 3);
        assert_int_equal(hub_all_decode(got, 3, out.data, len), -EPROTO);
        all_fini(got, 3);
    }
    all_init(got, 3);
    assert_int_equal(hub_all_decode(got, 2, out.data, out.size), -EPROTO);
    all_fini(got, 3);
    all_fini(records, 3);
    bytes_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_welcome),
        cmocka_unit_test(test_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

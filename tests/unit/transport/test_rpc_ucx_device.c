/* SPDX-License-Identifier: Apache-2.0
 * Devices for traffic between nodes. */
#include "unit.h"

#include "transport/rpc_ucx_device.h"

static void test_list(void **state)
{
    char text[4096], small[2];
    int rc = ucx_device_list(text, sizeof(text));

    (void)state;
    if (rc == -ENOENT) {
        assert_string_equal(text, "");
        return;
    }
    assert_int_equal(rc, 0);
    assert_true(text[0] != '\0' && text[0] != ',');
    for (const char *at = text; at; at = strchr(at + 1, ','))
        assert_true(strncmp(at + (*at == ','), "lo,", 3) != 0
                    && strcmp(at + (*at == ','), "lo") != 0);
    assert_int_equal(ucx_device_list(small, sizeof(small)), -ENOSPC);
}

static void test_loopback(void **state)
{
    (void)state;
    assert_true(ucx_address_is_loopback("127.0.0.1"));
    assert_true(ucx_address_is_loopback("127.1.2.3"));
    assert_true(ucx_address_is_loopback("::1"));
    assert_false(ucx_address_is_loopback("10.1.2.3"));
    assert_false(ucx_address_is_loopback("fd00::1"));
    assert_false(ucx_address_is_loopback("eth0"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_loopback),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

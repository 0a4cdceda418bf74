/* SPDX-License-Identifier: Apache-2.0
 * Choosing an address: by name, by subnet, by default, and not loopback. */
#include "unit.h"

#include "supervisor/address.h"

static void test_loopback(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    char text[ADDRESS_TEXT_MAX] = "";

    (void)state;
    assert_int_equal(address_choose("lo", false, text, &err), 0);
    assert_string_equal(text, "127.0.0.1");
    assert_int_equal(address_choose("127.0.0.0/8", false, text, &err), 0);
    assert_string_equal(text, "127.0.0.1");
    assert_int_equal(address_choose("lo", true, text, &err), -EADDRNOTAVAIL);
    assert_non_null(strstr(err.text, "loopback"));
}

static void test_none_fits(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    char text[ADDRESS_TEXT_MAX] = "";

    (void)state;
    assert_int_equal(address_choose("nosuch0", false, text, &err), -EADDRNOTAVAIL);
    assert_non_null(strstr(err.text, "nosuch0"));
    assert_int_equal(address_choose("203.0.113.0/24", false, text, &err),
                     -EADDRNOTAVAIL);
    assert_string_equal(text, "");
}

static void test_default(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    char text[ADDRESS_TEXT_MAX] = "";
    int rc = address_choose("", true, text, &err);

    (void)state;
    if (rc == 0)
        assert_int_not_equal(strncmp(text, "127.", 4), 0);
    else
        assert_int_equal(rc, -EADDRNOTAVAIL); /* a machine without network */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_none_fits),
        cmocka_unit_test(test_default),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

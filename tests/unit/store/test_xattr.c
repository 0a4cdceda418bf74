/* SPDX-License-Identifier: Apache-2.0
 * Extended attributes. */
#include "store_unit.h"

#include <sys/xattr.h>

static void test_calls(void **state)
{
    static char large[STORE_XATTR_MAX + 1];
    const void *value;
    struct fixture f;
    size_t len;

    (void)state;
    memset(large, 'v', sizeof(large));
    fixture_init(&f, 16 * MIB);
    begin(&f);
    assert_int_equal(store_xattr_get(f.store, 1, "user.a", 6, &value, &len), -ENODATA);
    assert_int_equal(store_xattr_set(f.store, 1, "user.a", 6, "x", 1, XATTR_REPLACE),
                     -ENODATA);
    assert_int_equal(store_xattr_set(f.store, 1, "user.a", 6, "x", 1, XATTR_CREATE), 0);
    assert_int_equal(store_xattr_set(f.store, 1, "user.a", 6, "y", 1, XATTR_CREATE),
                     -EEXIST);
    assert_int_equal(store_xattr_set(f.store, 1, "user.a", 6, "yy", 2, XATTR_REPLACE),
                     0);
    assert_int_equal(store_xattr_set(f.store, 1, "user.e", 6, "", 0, 0), 0);
    assert_int_equal(
        store_xattr_set(f.store, 1, "user.l", 6, large, STORE_XATTR_MAX, 0), 0);
    assert_int_equal(store_xattr_set(f.store, 1, "user.l", 6, large, sizeof(large), 0),
                     -E2BIG);
    assert_int_equal(store_xattr_set(f.store, 1, large, 256, "x", 1, 0), -ERANGE);
    assert_int_equal(store_xattr_set(f.store, 1, "", 0, "x", 1, 0), -EINVAL);
    commit(&f);
    fixture_reopen(&f);
    begin(&f);
    assert_int_equal(store_xattr_get(f.store, 1, "user.a", 6, &value, &len), 0);
    assert_int_equal(len, 2);
    assert_memory_equal(value, "yy", 2);
    assert_int_equal(store_xattr_get(f.store, 1, "user.e", 6, &value, &len), 0);
    assert_int_equal(len, 0);
    assert_int_equal(store_xattr_get(f.store, 1, "user.l", 6, &value, &len), 0);
    assert_int_equal(len, STORE_XATTR_MAX);
    assert_memory_equal(value, large, len);
    assert_int_equal(store_xattr_get(f.store, 2, "user.a", 6, &value, &len), -ENODATA);
    assert_int_equal(store_xattr_remove(f.store, 1, "user.l", 6), 0);
    assert_int_equal(store_xattr_remove(f.store, 1, "user.l", 6), -ENODATA);
    commit(&f);
    fixture_fini(&f);
}

static int collect(void *arg, const char *name, size_t len)
{
    char *text = arg;

    strncat(text, name, len);
    strcat(text, ",");
    return strstr(text, "stop") ? 7 : 0;
}

static void test_scan(void **state)
{
    char text[100] = "";
    struct fixture f;

    (void)state;
    fixture_init(&f, 16 * MIB);
    begin(&f);
    assert_int_equal(store_xattr_set(f.store, 1, "before", 6, "x", 1, 0), 0);
    assert_int_equal(store_xattr_set(f.store, 3, "after", 5, "x", 1, 0), 0);
    assert_int_equal(store_xattr_scan(f.store, 2, collect, text), 0);
    assert_string_equal(text, "");
    assert_int_equal(store_xattr_set(f.store, 2, "b", 1, "x", 1, 0), 0);
    assert_int_equal(store_xattr_set(f.store, 2, "a", 1, "x", 1, 0), 0);
    assert_int_equal(store_xattr_scan(f.store, 2, collect, text), 0);
    assert_string_equal(text, "a,b,");
    assert_int_equal(store_xattr_set(f.store, 2, "aa-stop", 7, "x", 1, 0), 0);
    text[0] = '\0';
    assert_int_equal(store_xattr_scan(f.store, 2, collect, text), 7);
    assert_string_equal(text, "a,aa-stop,");
    commit(&f);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_scan),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

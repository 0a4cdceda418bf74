/* SPDX-License-Identifier: Apache-2.0
 * Sizes, durations, counts: parsing and printing, with junk and overflow. */
#include "unit.h"

#include "base/units.h"

struct parse_case {
    const char *text;
    int status;
    uint64_t value;
};

static void test_size_parse(void **state)
{
    static const struct parse_case cases[] = {
        {"0", 0, 0},
        {"4096", 0, 4096},
        {"1B", 0, 1},
        {"10G", 0, 10 * UNITS_GIB},
        {"10 GiB", 0, 10 * UNITS_GIB},
        {"10gib", 0, 10 * UNITS_GIB},
        {"512MiB", 0, 512 * UNITS_MIB},
        {"1.5T", 0, UNITS_TIB + UNITS_TIB / 2},
        {"0.3K", 0, 307},
        {"100KB", 0, 100000},
        {"1MB", 0, 1000000},
        {"15.999999999E", 0, UINT64_C(18446744072556630111)},
        {"18446744073709551615", 0, UINT64_MAX},
        {"18446744073709551616", -ERANGE, 0},
        {"16E", -ERANGE, 0},
        {"15.9999999999999999999999E", -EINVAL, 0},
        {"18446744073709551615K", -ERANGE, 0},
        {"", -EINVAL, 0},
        {"G", -EINVAL, 0},
        {"12Q", -EINVAL, 0},
        {"1.5", -EINVAL, 0},
        {"1.5B", -EINVAL, 0},
        {"1.", -EINVAL, 0},
        {".5G", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {"+1", -EINVAL, 0},
        {" 1", -EINVAL, 0},
        {"1G ", -EINVAL, 0},
        {"1GG", -EINVAL, 0},
        {"0x10", -EINVAL, 0},
        {"1e9", -EINVAL, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct benchfs_error err = BENCHFS_ERROR_INIT;
        uint64_t value = 77;

        assert_int_equal(units_size_parse(cases[i].text, &value, &err),
                         cases[i].status);
        if (cases[i].status == 0 && value != cases[i].value)
            fail_msg("%s: %llu", cases[i].text, (unsigned long long)value);
        if (cases[i].status < 0) {
            assert_true(value == 77);
            assert_true(err.text[0] != '\0');
        }
    }
}

static void test_duration_parse(void **state)
{
    static const struct parse_case cases[] = {
        {"0", 0, 0},
        {"0s", 0, 0},
        {"500ms", 0, 500},
        {"30s", 0, 30000},
        {"1.5s", 0, 1500},
        {"0.0001s", 0, 0},
        {"10m", 0, 600000},
        {"10min", 0, 600000},
        {"2h", 0, 7200000},
        {"1d", 0, 86400000},
        {"30", -EINVAL, 0},
        {"0.5", -EINVAL, 0},
        {"s", -EINVAL, 0},
        {"-1s", -EINVAL, 0},
        {"1 year", -EINVAL, 0},
        {"18446744073709551615d", -ERANGE, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t value = 77;

        assert_int_equal(units_duration_parse(cases[i].text, &value, NULL),
                         cases[i].status);
        assert_true(value == (cases[i].status == 0 ? cases[i].value : 77));
    }
}

static void test_count_parse(void **state)
{
    uint64_t value;

    (void)state;
    assert_int_equal(units_count_parse("1024", &value, NULL), 0);
    assert_int_equal(value, 1024);
    assert_int_equal(units_count_parse("", &value, NULL), -EINVAL);
    assert_int_equal(units_count_parse("1k", &value, NULL), -EINVAL);
    assert_int_equal(units_count_parse("-1", &value, NULL), -EINVAL);
    assert_int_equal(units_count_parse("99999999999999999999", &value, NULL), -ERANGE);
}

static void check_size(uint64_t bytes, const char *expected)
{
    char text[UNITS_TEXT_MAX];

    assert_string_equal(units_size_format(text, sizeof(text), bytes), expected);
}

static void check_seconds(uint64_t ns, const char *expected)
{
    char text[UNITS_TEXT_MAX];

    assert_string_equal(units_seconds_format(text, sizeof(text), ns), expected);
}

static void test_format(void **state)
{
    char text[UNITS_TEXT_MAX];

    (void)state;
    check_size(0, "0 B");
    check_size(1023, "1023 B");
    check_size(1024, "1.0 KiB");
    check_size(UNITS_MIB - 1, "1.0 MiB");
    check_size(UNITS_GIB + UNITS_GIB / 2, "1.5 GiB");
    check_size(UINT64_MAX, "16.0 EiB");
    check_seconds(300000, "0.3 ms");
    check_seconds(UINT64_C(1240000000), "1.24 s");
    check_seconds(UINT64_C(9999000000), "10.0 s");
    check_seconds(UINT64_C(75000000000), "75.0 s");
    check_seconds(UINT64_C(725000000000), "12 min 5 s");
    check_seconds(UINT64_C(10920000000000), "3 h 2 min");
    check_seconds(UINT64_MAX, "5124095 h 34 min");
    assert_string_equal(
        units_rate_format(text, sizeof(text), UNITS_GIB, UINT64_C(2000000000)),
        "512.0 MiB/s");
    assert_string_equal(units_rate_format(text, sizeof(text), 1, 0), "-");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_size_parse),
        cmocka_unit_test(test_duration_parse),
        cmocka_unit_test(test_count_parse),
        cmocka_unit_test(test_format),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

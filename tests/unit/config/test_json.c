/* SPDX-License-Identifier: Apache-2.0
 * JSON: limits and errors of the parser, cursors with paths, building and writing. */
#include "unit.h"

#include <fcntl.h>
#include <math.h>

#include "base/fs.h"
#include "config/json.h"

static struct json *parse(const char *text)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct json *json = NULL;

    if (json_parse(text, strlen(text), "doc", &json, &err) < 0)
        fail_msg("%s", err.text);
    return json;
}

static void check_rejected(const char *text, const char *expected)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct json *json = NULL;

    assert_int_equal(json_parse(text, strlen(text), "doc", &json, &err), -EINVAL);
    assert_null(json);
    if (strncmp(err.text, expected, strlen(expected)) != 0)
        fail_msg("%s: %s", text, err.text);
}

static void test_parse_rejects(void **state)
{
    struct benchfs_error err;
    struct json *json;
    char deep[200];

    (void)state;
    check_rejected("", "doc:1:1: not valid JSON");
    check_rejected("{\"a\"", "doc:1:5: not valid JSON: unexpected end of data");
    check_rejected("{\n \"a\": x}", "doc:2:7: not valid JSON");
    check_rejected("{} {}", "doc:1:4: not valid JSON");
    check_rejected("{\"a\":1,}", "doc:1:8: not valid JSON");
    check_rejected("{\"a\":\"\xff\"}", "doc:1:7: not valid JSON");
    check_rejected("12", "doc: must be a JSON object or array");
    check_rejected("\"text\"", "doc: must be a JSON object or array");
    check_rejected("null", "doc: must be a JSON object or array");
    memset(deep, '[', 100);
    memset(deep + 100, ']', 99);
    deep[199] = '\0';
    check_rejected(deep, "doc:1:33: not valid JSON: nesting too deep");
    assert_int_equal(json_parse("{}\0", 3, "doc", &json, &err), -EINVAL);
    assert_string_equal(err.text, "doc:1:3: not valid JSON: a NUL byte");
}

static void test_parse_file(void **state)
{
    struct benchfs_error err;
    struct unit_dir dir;
    struct json *json;
    char path[128];

    (void)state;
    unit_dir_create(&dir);
    snprintf(path, sizeof(path), "%s/f.json", dir.path);
    assert_int_equal(json_file_read(path, 100, &json, &err), -ENOENT);
    assert_non_null(strstr(err.text, "f.json: No such file"));
    assert_int_equal(fs_file_write_atomic(AT_FDCWD, path, " [1] \n", 6, 0600), 0);
    assert_int_equal(json_file_read(path, 6, &json, &err), 0);
    assert_int_equal(json_kind(json), JSON_KIND_ARRAY);
    json_destroy(json);
    assert_int_equal(json_file_read(path, 5, &json, &err), -EFBIG);
    unit_dir_remove(&dir);
}

static void test_read(void **state)
{
    struct json *json = parse("{\"text\":\"x\",\"yes\":true,\"n\":[7,{\"deep\":-1}],"
                              "\"real\":1.5,\"big\":18446744073709551616,"
                              "\"none\":null,\"nul\":\"a\\u0000b\",\"inf\":1e999}");
    struct json_cursor root = json_cursor_root(json, "doc");
    struct json_cursor array;
    struct json_cursor element;
    struct benchfs_error err;
    const char *text;
    uint64_t number;
    double real;
    bool flag;
    size_t count;

    (void)state;
    assert_int_equal(json_member_string(&root, "text", &text, &err), 0);
    assert_string_equal(text, "x");
    assert_int_equal(json_member_bool(&root, "yes", &flag, &err), 0);
    assert_true(flag);
    assert_int_equal(json_member_real(&root, "real", &real, &err), 0);
    assert_true(real == 1.5);
    assert_int_equal(json_cursor_member(&root, "n", &array, &err), 0);
    assert_int_equal(json_get_count(&array, &count, &err), 0);
    assert_int_equal(count, 2);
    element = json_cursor_element(&array, 0);
    assert_int_equal(json_get_u64(&element, 7, 7, &number, &err), 0);
    assert_int_equal(number, 7);
    assert_int_equal(json_get_real(&element, &real, &err), 0);
    assert_true(real == 7);
    assert_int_equal(json_get_u64(&element, 8, 9, &number, &err), -EINVAL);
    assert_string_equal(err.text, "doc: n[0]: must be from 8 to 9");

    element = json_cursor_element(&array, 1);
    assert_int_equal(json_member_u64(&element, "deep", 0, 9, &number, &err), -EINVAL);
    assert_string_equal(err.text, "doc: n[1].deep: must be from 0 to 9");
    assert_int_equal(json_member_u64(&element, "lost", 0, 9, &number, &err), -EINVAL);
    assert_string_equal(err.text, "doc: n[1].lost: missing");
    assert_int_equal(json_member_u64(&root, "big", 0, UINT64_MAX - 1, &number, &err),
                     -EINVAL);
    assert_int_equal(json_member_u64(&root, "big", 0, UINT64_MAX, &number, &err),
                     -EINVAL);
    assert_int_equal(json_member_u64(&root, "text", 0, 9, &number, &err), -EINVAL);
    assert_string_equal(err.text, "doc: text: must be an integer, not a string");
    assert_int_equal(json_member_string(&root, "none", &text, &err), -EINVAL);
    assert_string_equal(err.text, "doc: none: must be a string, not null");
    assert_int_equal(json_member_string(&root, "nul", &text, &err), -EINVAL);
    assert_int_equal(json_member_bool(&root, "text", &flag, &err), -EINVAL);
    assert_int_equal(json_member_real(&root, "inf", &real, &err), -EINVAL);
    assert_int_equal(json_member_real(&root, "text", &real, NULL), -EINVAL);
    assert_int_equal(json_get_count(&root, &count, &err), -EINVAL);
    assert_string_equal(err.text, "doc: must be an array, not an object");
    assert_int_equal(json_cursor_member(&array, "x", &element, &err), -EINVAL);
    assert_true(json_has_member(&root, "none"));
    assert_false(json_has_member(&root, "lost"));
    assert_false(json_has_member(&array, "n"));
    json_destroy(json);
}

static void test_members(void **state)
{
    static const char *const both[] = {"a", "b", NULL};
    static const char *const one[] = {"a", NULL};
    struct json *json = parse("{\"a\":1,\"b\":null}");
    struct json *array = parse("[]");
    struct json_cursor root = json_cursor_root(json, "doc");
    struct json_cursor other = json_cursor_root(array, "doc");
    struct json_cursor member;
    struct benchfs_error err;
    const void *position = NULL;

    (void)state;
    assert_true(json_next_member(&root, &position, &member));
    assert_string_equal(member.key, "a");
    assert_true(json_next_member(&root, &position, &member));
    assert_string_equal(member.key, "b");
    assert_int_equal(json_kind(member.json), JSON_KIND_NULL);
    assert_false(json_next_member(&root, &position, &member));
    position = NULL;
    assert_false(json_next_member(&other, &position, &member));
    assert_int_equal(json_check_keys(&root, both, &err), 0);
    assert_int_equal(json_check_keys(&root, one, &err), -EINVAL);
    assert_string_equal(err.text, "doc: b: unknown key");
    assert_int_equal(json_check_keys(&other, one, &err), -EINVAL);
    json_destroy(json);
    json_destroy(array);
}

static void test_write(void **state)
{
    struct json *object = json_make_object();
    struct json *array = json_make_array();
    size_t size;
    char *text;

    (void)state;
    assert_int_equal(json_append(array, json_make_u64(UINT64_MAX)), 0);
    assert_int_equal(json_append(array, json_make_i64(-5)), 0);
    assert_int_equal(json_append(array, json_make_real(0.1)), 0);
    assert_int_equal(json_append(array, json_make_real((double)NAN)), 0);
    assert_int_equal(json_append(array, json_make_bool(false)), 0);
    assert_int_equal(json_set(object, "list", array), 0);
    assert_int_equal(json_set(object, "text", json_make_string("a/\"\n")), 0);
    assert_int_equal(json_write(object, false, &text, &size), 0);
    assert_string_equal(text,
                        "{\"list\":[18446744073709551615,-5,0.1,0,false],"
                        "\"text\":\"a/\\\"\\n\"}");
    assert_int_equal(size, strlen(text));
    free(text);
    assert_int_equal(json_write(object, true, &text, NULL), 0);
    assert_non_null(strchr(text, '\n'));
    json_destroy(parse(text));
    free(text);
    json_destroy(object);
    /* A failed constructor surfaces where its result is put. */
    assert_int_equal(json_set(NULL, "x", json_make_bool(true)), -ENOMEM);
    assert_int_equal(json_append(NULL, json_make_bool(true)), -ENOMEM);
    json_destroy(NULL);
}

static void test_string_repair(void **state)
{
    static const struct {
        const char *in;
        const char *out;
    } cases[] = {
        {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
         "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"a\xff"
         "b",
         "a\xef\xbf\xbd"
         "b"},
        {"\xc3", "\xef\xbf\xbd"},
        {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct json *json = json_make_string(cases[i].in);
        struct json_cursor root = json_cursor_root(json, "doc");
        const char *text;

        assert_int_equal(json_get_string(&root, &text, NULL), 0);
        assert_string_equal(text, cases[i].out);
        assert_int_equal(json_text_is_utf8(cases[i].in),
                         strcmp(cases[i].in, cases[i].out) == 0);
        json_destroy(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_rejects),
        cmocka_unit_test(test_parse_file),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_string_repair),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * The bytes of items, ranges of large files, names of temporary files, directives. */
#include "unit.h"

#include "stage/item.h"
#include "stage/resolve.h"

static void test_round_trip(void **state)
{
    struct bytes entries = BYTES_INIT(STAGE_ITEM_MAX), out = BYTES_INIT(STAGE_ITEM_MAX);
    struct item item = {
        .type = ITEM_FILES,
        .flags = ITEM_IS_ROOT,
        .ino = 1,
        .parent = 2,
        .offset = 3,
        .length = UINT64_MAX,
        .mode = 07777,
        .atime_ns = -5,
        .mtime_ns = INT64_MAX,
        .path = "/pfs/in",
        .name = "x y",
    };
    struct item back;
    char name[NAME_MAX + 1];
    uint64_t ino;

    (void)state;
    assert_int_equal(item_entry_put(&entries, 7, "one"), 0);
    assert_int_equal(item_entry_put(&entries, 8, "\xff\n"), 0);
    item.entries = entries.data;
    item.entries_len = entries.size;
    assert_int_equal(item_encode(&item, &out), 0);
    assert_int_equal(item_decode(&back, out.data, out.size), 0);
    assert_int_equal(back.type, item.type);
    assert_int_equal(back.flags, item.flags);
    assert_int_equal(back.ino, 1);
    assert_int_equal(back.parent, 2);
    assert_int_equal(back.offset, 3);
    assert_true(back.length == UINT64_MAX);
    assert_int_equal(back.mode, 07777);
    assert_int_equal(back.atime_ns, -5);
    assert_true(back.mtime_ns == INT64_MAX);
    assert_string_equal(back.path, "/pfs/in");
    assert_string_equal(back.name, "x y");
    assert_int_equal(item_entry_next(&back, &ino, name), 1);
    assert_int_equal(ino, 7);
    assert_string_equal(name, "one");
    assert_int_equal(item_entry_next(&back, &ino, name), 1);
    assert_int_equal(ino, 8);
    assert_string_equal(name, "\xff\n");
    assert_int_equal(item_entry_next(&back, &ino, name), 0);
    bytes_fini(&entries);
    bytes_fini(&out);
}

/* Every shorter prefix is refused, or has fewer entries; nothing is read beyond it. */
static void test_short(void **state)
{
    struct bytes out = BYTES_INIT(STAGE_ITEM_MAX);
    struct item item = {.type = ITEM_DIR, .path = "/p", .name = "n"};
    struct item back;

    (void)state;
    assert_int_equal(item_encode(&item, &out), 0);
    for (size_t len = 0; len < out.size; len++) {
        uint8_t *exact = malloc(len + 1);

        memcpy(exact, out.data, len);
        assert_int_equal(item_decode(&back, exact, len), -EPROTO);
        free(exact);
    }
    out.data[0] = ITEM_FILE_END + 1;
    assert_int_equal(item_decode(&back, out.data, out.size), -EPROTO);
    bytes_fini(&out);
}

static void test_ranges(void **state)
{
    static const uint64_t sizes[] = {1,
                                     ITEM_RANGE_BYTES,
                                     65ull * ITEM_RANGE_BYTES + 1,
                                     1ull << 50,
                                     (1ull << 62) - 1};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint64_t step = item_range_length(sizes[i]);

        assert_true(step >= ITEM_RANGE_BYTES && step % ITEM_RANGE_BYTES == 0);
        assert_true((sizes[i] + step - 1) / step <= ITEM_RANGES_MAX);
    }
    assert_true(item_range_length(1ull << 30) == ITEM_RANGE_BYTES);
}

static void test_temporary_name(void **state)
{
    char name[NAME_MAX + 1], ret[NAME_MAX + 1];

    (void)state;
    item_temporary_name("data", "42", 0xabc, ret);
    assert_string_equal(ret, ".data.benchfs-42-0000000000000abc");
    memset(name, 'n', NAME_MAX);
    name[NAME_MAX] = '\0';
    item_temporary_name(name, "a-very-long-job-name-that-does-not-end", 1, ret);
    assert_int_equal(strlen(ret), NAME_MAX);
    assert_string_equal(ret + NAME_MAX - 17, "-0000000000000001");
}

static void test_paths(void **state)
{
    char ret[PATH_MAX], longest[PATH_MAX];

    (void)state;
    assert_int_equal(item_path_join("/", "a", ret), 0);
    assert_string_equal(ret, "/a");
    assert_int_equal(item_path_join("/a", "b", ret), 0);
    assert_string_equal(ret, "/a/b");
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(item_path_join(longest, "b", ret), -ENAMETOOLONG);
    resolve_dir_name("/a", ret);
    assert_string_equal(ret, "/");
    resolve_dir_name("/a/b/c", ret);
    assert_string_equal(ret, "/a/b");
    resolve_dir_name("/", ret);
    assert_string_equal(ret, "/");
    assert_string_equal(resolve_base_name("/a/b"), "b");
    assert_true(resolve_is_pattern("/a/[b]") && resolve_is_pattern("/?"));
    assert_false(resolve_is_pattern("/a{b}"));
}

static void test_directives(void **state)
{
    struct config_stage items[] = {
        {.source = (char[]){"/a"}, .target = (char[]){"/bc"}}};
    struct config_stage_list list = {.items = items, .count = 1};
    struct bytes out = BYTES_INIT(100);

    (void)state;
    assert_int_equal(resolve_directives_encode(&list, &out), 0);
    assert_int_equal(out.size, 9);
    assert_memory_equal(out.data, "\2\0/a\3\0/bc", 9);
    bytes_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_short),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_temporary_name),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_directives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * Paths of the command line, lists of names, the node's side of a copy. The scratch's
 * side: tests/integration/0200-run.t. */
#include "unit.h"

#include <unistd.h>

#include "cli/tree.h"

static void path_expect(const char *text, bool is_scratch, const char *wanted)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    bool got;
    char *path;

    assert_int_equal(tree_path_parse(text, &got, &path, &err), 0);
    assert_string_equal(path, wanted);
    assert_int_equal(got, is_scratch);
    free(path);
}

static void test_paths(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    bool is_scratch;
    char *path;

    (void)state;
    setenv("BENCHFS_MOUNT", "/benchfs/", 1);
    path_expect(":/in/a", true, "/in/a");
    path_expect(":/", true, "/");
    path_expect(":///a//./b/", true, "/a/b");
    path_expect("/benchfs", true, "/");
    path_expect("/benchfs/x", true, "/x");
    path_expect("/benchfsx", false, "/benchfsx");
    path_expect("/etc/", false, "/etc");
    unsetenv("BENCHFS_MOUNT");
    path_expect("/benchfs/x", false, "/benchfs/x");
    assert_int_equal(chdir("/usr"), 0);
    path_expect("lib", false, "/usr/lib");
    assert_int_equal(tree_path_parse("", &is_scratch, &path, &err), -EINVAL);
    assert_int_equal(tree_path_parse(":in", &is_scratch, &path, &err), -EINVAL);
}

static void test_names(void **state)
{
    struct tree_names names = {.count = 0};
    char name[16];

    (void)state;
    for (int i = 99; i >= 0; i--) {
        snprintf(name, sizeof(name), "f%02d", i);
        assert_int_equal(tree_names_add(&names, name), 0);
    }
    tree_names_sort(&names);
    assert_int_equal(names.count, 100);
    assert_string_equal(names.items[0], "f00");
    assert_string_equal(names.items[99], "f99");
    tree_names_free(&names);
    assert_int_equal(names.count, 0);
}

static void test_local(void **state)
{
    struct tree tree = {.ops = &tree_local_ops};
    struct tree_names names = {.count = 0};
    struct tree_file *file;
    struct tree_stat st;
    struct unit_dir dir;
    char path[64], data[8];

    (void)state;
    unit_dir_create(&dir);
    snprintf(path, sizeof(path), "%s/d", dir.path);
    assert_int_equal(tree.ops->mkdir(&tree, path, 0750), 0);
    assert_int_equal(tree.ops->mkdir(&tree, path, 0750), 0);
    snprintf(path, sizeof(path), "%s/f", dir.path);
    assert_int_equal(tree.ops->create(&tree, path, 0640, &file), 0);
    assert_int_equal(tree.ops->write(file, "hello", 5, 0), 5);
    assert_int_equal(tree.ops->close(file), 0);
    assert_int_equal(tree.ops->truncate(&tree, path, 4), 0);
    assert_int_equal(tree.ops->mkdir(&tree, path, 0750), -ENOTDIR);
    assert_int_equal(tree.ops->stat(&tree, path, true, &st), 0);
    assert_int_equal(st.size, 4);
    st.mtime_ns = -1500000000; /* before the epoch, with a fraction */
    assert_int_equal(tree.ops->attributes_set(&tree, path, &st), 0);
    assert_int_equal(tree.ops->stat(&tree, path, true, &st), 0);
    assert_true(st.mtime_ns == -1500000000);
    assert_int_equal(tree.ops->open(&tree, path, &file), 0);
    assert_int_equal(tree.ops->read(file, data, sizeof(data), 1), 3);
    assert_memory_equal(data, "ell", 3);
    assert_int_equal(tree.ops->close(file), 0);
    assert_int_equal(tree.ops->list(&tree, dir.path, &names), 0);
    assert_int_equal(names.count, 2);
    assert_string_equal(names.items[0], "d");
    tree_names_free(&names);
    assert_int_equal(tree.ops->open(&tree, "/no/such", &file), -ENOENT);
    unit_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_local),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <sys/stat.h>

#include "fuse/dir_attrs.h"

static const struct wire_attr sample = {
    .ino = 0x10002, .mode = S_IFDIR | 0755, .nlink = 3};

static void keeps_for_its_lifetime(void **state)
{
    struct dir_attrs *attrs = dir_attrs_create(60.0);
    struct wire_attr found;
    double left_s;

    (void)state;
    assert_non_null(attrs);
    assert_false(dir_attrs_find(attrs, sample.ino, &found, &left_s));
    dir_attrs_note(attrs, &sample, dir_attrs_begin(attrs, sample.ino));
    assert_true(dir_attrs_find(attrs, sample.ino, &found, &left_s));
    assert_int_equal(found.nlink, 3);
    assert_true(left_s > 0 && left_s <= 60.0);
    dir_attrs_destroy(attrs);
    dir_attrs_destroy(NULL);
}

static void nothing_outlives_its_time(void **state)
{
    struct dir_attrs *attrs = dir_attrs_create(0.0);
    struct wire_attr found;
    double left_s;

    (void)state;
    dir_attrs_note(attrs, &sample, dir_attrs_begin(attrs, sample.ino));
    assert_false(dir_attrs_find(attrs, sample.ino, &found, &left_s));
    dir_attrs_destroy(attrs);
}

static void a_change_drops_what_is_known_and_what_is_under_way(void **state)
{
    struct dir_attrs *attrs = dir_attrs_create(60.0);
    struct wire_attr found;
    uint64_t begin;
    double left_s;

    (void)state;
    dir_attrs_note(attrs, &sample, dir_attrs_begin(attrs, sample.ino));
    begin = dir_attrs_begin(attrs, sample.ino);
    dir_attrs_forget(attrs, sample.ino);
    assert_false(dir_attrs_find(attrs, sample.ino, &found, &left_s));
    dir_attrs_note(attrs, &sample, begin); /* asked before the change */
    assert_false(dir_attrs_find(attrs, sample.ino, &found, &left_s));
    dir_attrs_note(attrs, &sample, dir_attrs_begin(attrs, sample.ino));
    assert_true(dir_attrs_find(attrs, sample.ino, &found, &left_s));
    dir_attrs_destroy(attrs);
}

static void files_are_not_kept(void **state)
{
    struct wire_attr file = {.ino = 7, .mode = S_IFREG | 0644};
    struct dir_attrs *attrs = dir_attrs_create(60.0);
    struct wire_attr found;
    double left_s;

    (void)state;
    dir_attrs_note(attrs, &file, dir_attrs_begin(attrs, file.ino));
    assert_false(dir_attrs_find(attrs, file.ino, &found, &left_s));
    dir_attrs_destroy(attrs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_for_its_lifetime),
        cmocka_unit_test(nothing_outlives_its_time),
        cmocka_unit_test(a_change_drops_what_is_known_and_what_is_under_way),
        cmocka_unit_test(files_are_not_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

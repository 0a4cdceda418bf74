/* SPDX-License-Identifier: Apache-2.0
 * Settings as options. */
#include "unit.h"

#include "cli/options.h"

#define FIRST 512

static int id_of(const struct options *options, const char *name)
{
    for (size_t i = 0; i < options->n_longs; i++) {
        if (strcmp(options->longs[i].name, name) == 0)
            return options->longs[i].val;
    }
    return -1;
}

static void test_both_names(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct benchfs_config *config;
    struct options options;

    (void)state;
    options_init(&options, FIRST);
    assert_int_equal(id_of(&options, "benchfs"), -1);
    assert_int_equal(id_of(&options, "shards"), -1); /* not a user's option */
    assert_int_equal(options_take(&options, id_of(&options, "capacity"), FIRST, "3M"),
                     0);
    assert_int_equal(
        options_take(&options, id_of(&options, "benchfs-store"), FIRST, "disk"), 0);
    assert_int_equal(
        options_take(&options, id_of(&options, "stage-in"), FIRST, "/a:/b"), 0);
    assert_int_equal(
        options_take(&options, id_of(&options, "stage-in"), FIRST, "/c:/d"), 0);
    assert_string_equal(options_value(&options, "store"), "disk");
    assert_null(options_value(&options, "mount"));
    assert_int_equal(options_config_load(&options, &config, &err), 0);
    assert_int_equal(config->capacity_bytes, 3 << 20);
    assert_string_equal(config->store, "disk");
    assert_int_equal(config->stage_in.count, 2);
    config_destroy(config);
}

static void test_not_ours(void **state)
{
    struct options options;

    (void)state;
    options_init(&options, FIRST);
    assert_int_equal(options_take(&options, 'n', FIRST, "x"), -ENOENT);
    assert_int_equal(options_take(&options, FIRST + 1000, FIRST, "x"), -ENOENT);
    for (int i = 0; i < OPTIONS_VALUES_MAX; i++)
        assert_int_equal(options_take(&options, FIRST, FIRST, "x"), 0);
    assert_int_equal(options_take(&options, FIRST, FIRST, "x"), -E2BIG);
}

/* What a job around us has set says nothing about where we mount. */
static void test_mount_of_environment(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct benchfs_config *config;
    struct options options;

    (void)state;
    setenv("BENCHFS_MOUNT", "/elsewhere", 1);
    options_init(&options, FIRST);
    assert_int_equal(options_config_load(&options, &config, &err), 0);
    assert_string_equal(config->mount, "/benchfs");
    config_destroy(config);
    unsetenv("BENCHFS_MOUNT");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_names),
        cmocka_unit_test(test_not_ours),
        cmocka_unit_test(test_mount_of_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * The table of settings is consistent, and can be searched. */
#include "unit.h"

#include "config/builder.h"

static void test_find(void **state)
{
    (void)state;
    assert_string_equal(config_setting_find("chunk_size")->env, "BENCHFS_CHUNK_SIZE");
    assert_string_equal(config_setting_find_option("benchfs")->name, "enable");
    assert_string_equal(config_setting_find_option("benchfs-stage-in")->name,
                        "stage_in");
    assert_null(config_setting_find("none"));
    assert_null(config_setting_find(""));
    assert_null(config_setting_find_option("benchfs-run-dir"));
}

static void test_table(void **state)
{
    const struct config_setting *setting = NULL;
    size_t count = 0;

    (void)state;
    while ((setting = config_setting_next(setting))) {
        bool is_option = (setting->flags & CONFIG_SETTING_OPTION) != 0;

        assert_int_equal(config_setting_index(setting), count);
        assert_ptr_equal(config_setting_find(setting->name), setting);
        assert_int_equal(is_option, setting->option != NULL);
        assert_false(is_option && (setting->flags & CONFIG_SETTING_PRIVILEGED));
        assert_non_null(setting->help);
        assert_non_null(setting->argument);
        assert_non_null(config_setting_type_name(setting));
        assert_true(setting->offset < sizeof(struct benchfs_config));
        assert_true(setting->min <= setting->max);
        count++;
    }
    assert_int_equal(count, config_setting_count());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

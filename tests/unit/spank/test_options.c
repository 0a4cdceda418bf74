/* SPDX-License-Identifier: Apache-2.0
 * Options, environment and file of a new job; a step's options against its job's. */
#include "unit.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/fs.h"
#include "spank/options.h"

static int
give(struct options *options, const char *name, const char *value, char *ret_text)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    int status = options_set(options, config_setting_find(name), value, &err);

    if (ret_text)
        strcpy(ret_text, err.text);
    return status;
}

static void write_config(const struct unit_dir *dir, const char *text, char *ret_path)
{
    sprintf(ret_path, "%s/benchfs.json", dir->path);
    assert_int_equal(fs_file_write_atomic(AT_FDCWD, ret_path, text, strlen(text), 0644),
                     0);
}

static void test_no_option_is_no_burst_buffer(void **state)
{
    struct options options;
    struct benchfs_config *config;
    struct benchfs_error err = BENCHFS_ERROR_INIT;

    (void)state;
    options_init(&options, NULL);
    assert_int_equal(options_resolve(&options, &config, &err), 0);
    assert_null(config);
    options_fini(&options);
}

static void test_on_with_values(void **state)
{
    struct options options;
    struct benchfs_config *config;
    struct benchfs_error err = BENCHFS_ERROR_INIT;

    (void)state;
    options_init(&options, NULL);
    assert_int_equal(give(&options, "enable", "on", NULL), 0);
    assert_int_equal(give(&options, "capacity", "1G", NULL), 0);
    assert_int_equal(give(&options, "stage_in", "/a:/b", NULL), 0);
    assert_int_equal(give(&options, "stage_in", "/c:/d", NULL), 0);
    assert_int_equal(options_resolve(&options, &config, &err), 0);
    assert_non_null(config);
    assert_int_equal(config->capacity_bytes, 1 << 30);
    assert_int_equal(config->stage_in.count, 2);
    assert_string_equal(config->stage_in.items[1].source, "/c");
    config_destroy(config);
}

static void test_bad_value_names_option_value_and_reason(void **state)
{
    struct options options;
    char text[BENCHFS_ERROR_TEXT_MAX];

    (void)state;
    options_init(&options, NULL);
    assert_int_equal(give(&options, "capacity", "12Q", text), -EINVAL);
    assert_non_null(strstr(text, "--benchfs-capacity=12Q: not a size"));
    assert_int_equal(give(&options, "mount", "rel", text), -EINVAL);
    assert_non_null(strstr(text, "--benchfs-mount=rel: not an absolute path"));
    assert_int_equal(give(&options, "enable", NULL, text), -EINVAL);
    options_fini(&options);
}

static void test_values_without_on_are_refused(void **state)
{
    struct options options;
    struct benchfs_config *config;
    struct benchfs_error err = BENCHFS_ERROR_INIT;

    (void)state;
    options_init(&options, NULL);
    assert_int_equal(give(&options, "capacity", "1G", NULL), 0);
    assert_int_equal(options_resolve(&options, &config, &err), -EINVAL);
    assert_non_null(strstr(err.text, "--benchfs=on"));
}

static void test_off_wins(void **state)
{
    struct options options;
    struct benchfs_config *config;
    struct benchfs_error err = BENCHFS_ERROR_INIT;

    (void)state;
    setenv("BENCHFS", "on", 1);
    options_init(&options, NULL);
    assert_int_equal(give(&options, "enable", "off", NULL), 0);
    assert_int_equal(options_resolve(&options, &config, &err), 0);
    assert_null(config);
    options_fini(&options);
    unsetenv("BENCHFS");
}

static void test_order_option_environment_file(void **state)
{
    struct options options;
    struct benchfs_config *config;
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct unit_dir dir;
    char path[64];

    (void)state;
    unit_dir_create(&dir);
    write_config(&dir,
                 "{\"mount\": \"/file\", \"capacity\": \"1G\", \"chunk_size\": \"2M\"}",
                 path);
    setenv("BENCHFS_CAPACITY", "2G", 1);
    setenv("BENCHFS_CHUNK_SIZE", "4M", 1);
    options_init(&options, path);
    assert_int_equal(give(&options, "enable", "on", NULL), 0);
    assert_int_equal(give(&options, "chunk_size", "8M", NULL), 0);
    assert_int_equal(options_resolve(&options, &config, &err), 0);
    assert_string_equal(config->mount, "/file");
    assert_int_equal(config->capacity_bytes, UINT64_C(2) << 30);
    assert_int_equal(config->chunk_size_bytes, 8 << 20);
    config_destroy(config);
    unsetenv("BENCHFS_CAPACITY");
    unsetenv("BENCHFS_CHUNK_SIZE");
    unit_dir_remove(&dir);
}

static void test_root_directories_come_from_the_file_only(void **state)
{
    struct benchfs_config *config;
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct unit_dir dir;
    char path[64];

    (void)state;
    if (geteuid() != 0)
        skip();
    unit_dir_create(&dir);
    write_config(&dir, "{\"run_dir\": \"/run/other\"}", path);
    setenv("BENCHFS_RUN_DIR", "/home/evil", 1);
    setenv("BENCHFS_MOUNT", "/etc", 1);
    assert_int_equal(options_load_admin(path, &config, &err), 0);
    assert_string_equal(config->run_dir, "/run/other");
    assert_string_equal(config->mount, "/benchfs");
    config_destroy(config);
    assert_int_equal(chmod(path, 0666), 0);
    assert_true(options_load_admin(path, &config, &err) < 0);
    unsetenv("BENCHFS_RUN_DIR");
    unsetenv("BENCHFS_MOUNT");
    unit_dir_remove(&dir);
}

static const char job_json[] =
    "{\"enable\": true, \"capacity\": \"1G\", \"stage_in\": [\"/a:/b\"]}";

static void test_step_has_its_own_directives_only(void **state)
{
    struct options options;
    struct benchfs_config *job, *step;
    struct benchfs_error err = BENCHFS_ERROR_INIT;

    (void)state;
    options_init(&options, NULL);
    assert_int_equal(give(&options, "stage_out", "/o:/p", NULL), 0);
    assert_int_equal(options_resolve_step(&options, job_json, &job, &step, &err), 0);
    assert_int_equal(job->stage_in.count, 1);
    assert_int_equal(job->stage_out.count, 0);
    assert_int_equal(step->stage_in.count, 0);
    assert_int_equal(step->stage_out.count, 1);
    config_destroy(job);
    config_destroy(step);
}

static void test_step_with_the_same_values_joins(void **state)
{
    struct options options;
    struct benchfs_config *job, *step;
    struct benchfs_error err = BENCHFS_ERROR_INIT;

    (void)state;
    options_init(&options, NULL);
    assert_int_equal(give(&options, "enable", "on", NULL), 0);
    assert_int_equal(give(&options, "capacity", "1024M", NULL), 0);
    assert_int_equal(options_resolve_step(&options, job_json, &job, &step, &err), 0);
    config_destroy(job);
    config_destroy(step);
}

static void test_step_with_other_values_is_refused(void **state)
{
    struct options options;
    struct benchfs_config *job, *step;
    struct benchfs_error err = BENCHFS_ERROR_INIT;

    (void)state;
    options_init(&options, NULL);
    assert_int_equal(give(&options, "capacity", "3G", NULL), 0);
    assert_int_equal(options_resolve_step(&options, job_json, &job, &step, &err),
                     -EINVAL);
    assert_non_null(strstr(err.text, "--benchfs-capacity"));
    options_init(&options, NULL);
    assert_true(options_resolve_step(&options, "nonsense", &job, &step, &err) < 0);
}

static void test_inherited_options_are_forgotten(void **state)
{
    (void)state;
    setenv("SLURM_SPANK__SLURM_SPANK_OPTION_benchfs_benchfs", "on", 1);
    setenv("SLURM_SPANK__SLURM_SPANK_OPTION_benchfs_benchfs_stage_in", "/a:/b", 1);
    setenv("SLURM_SPANK__SLURM_SPANK_OPTION_other_x", "1", 1);
    options_forget_inherited();
    assert_null(getenv("SLURM_SPANK__SLURM_SPANK_OPTION_benchfs_benchfs"));
    assert_null(getenv("SLURM_SPANK__SLURM_SPANK_OPTION_benchfs_benchfs_stage_in"));
    assert_non_null(getenv("SLURM_SPANK__SLURM_SPANK_OPTION_other_x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_option_is_no_burst_buffer),
        cmocka_unit_test(test_on_with_values),
        cmocka_unit_test(test_bad_value_names_option_value_and_reason),
        cmocka_unit_test(test_values_without_on_are_refused),
        cmocka_unit_test(test_off_wins),
        cmocka_unit_test(test_order_option_environment_file),
        cmocka_unit_test(test_root_directories_come_from_the_file_only),
        cmocka_unit_test(test_step_has_its_own_directives_only),
        cmocka_unit_test(test_step_with_the_same_values_joins),
        cmocka_unit_test(test_step_with_other_values_is_refused),
        cmocka_unit_test(test_inherited_options_are_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

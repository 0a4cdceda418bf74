/* SPDX-License-Identifier: Apache-2.0
 * Sources and their order, lists, the file, the environment, privileged loading. */
#include "unit.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/fs.h"
#include "config/builder.h"

static struct unit_dir dir;
static char file_path[128];
static struct config_builder *builder;

static int set_up(void **state)
{
    (void)state;
    unit_dir_create(&dir);
    snprintf(file_path, sizeof(file_path), "%s/benchfs.json", dir.path);
    return config_builder_create(false, &builder, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    config_builder_destroy(builder);
    unit_dir_remove(&dir);
    return 0;
}

static void write_file(const char *text, mode_t mode)
{
    assert_int_equal(
        fs_file_write_atomic(AT_FDCWD, file_path, text, strlen(text), mode), 0);
}

/* The context is an array of name, value, ..., NULL. */
static const char *list_env(void *context, const char *name)
{
    const char *const *list = context;

    for (; *list; list += 2) {
        if (strcmp(list[0], name) == 0)
            return list[1];
    }
    return NULL;
}

static int load_env(const char *name, const char *value, struct benchfs_error *err)
{
    const char *list[] = {name, value, NULL};

    return config_builder_load_env(builder, list_env, list, err);
}

static int load_file(const char *text, struct benchfs_error *err)
{
    write_file(text, 0644);
    return config_builder_load_file(builder, file_path, err);
}

static struct benchfs_config *finish(void)
{
    struct benchfs_config *config = NULL;

    assert_int_equal(config_builder_finish(builder, &config, NULL), 0);
    return config;
}

static void test_order_of_sources(void **state)
{
    const struct config_setting *mount = config_setting_find("mount");
    struct benchfs_config *config;

    (void)state;
    assert_int_equal(config_builder_source(builder, mount), CONFIG_SOURCE_DEFAULT);
    assert_int_equal(config_set(builder, CONFIG_SOURCE_OPTION, "mount", "/first", NULL),
                     0);
    assert_int_equal(
        config_set(builder, CONFIG_SOURCE_OPTION, "mount", "/option", NULL), 0);
    assert_int_equal(load_file("{\"mount\":\"/file\",\"store\":\"disk\","
                               "\"capacity\":2097152,\"enable\":true,\"shards\":\"3\"}",
                               NULL),
                     0);
    assert_int_equal(load_env("BENCHFS_MOUNT", "/env", NULL), 0);
    assert_int_equal(load_env("BENCHFS_STORE", "/env", NULL), 0);
    assert_int_equal(load_env("BENCHFS_CAPACITY", "", NULL), 0);
    assert_int_equal(config_builder_source(builder, mount), CONFIG_SOURCE_OPTION);
    config = finish();
    assert_string_equal(config->mount, "/option");
    assert_string_equal(config->store, "/env");
    assert_int_equal(config->capacity_bytes, 2097152);
    assert_true(config->enable);
    assert_int_equal(config->shards, 3);
    assert_int_equal(config->client_limit, 1024);
    config_destroy(config);
}

/* A bad value is an error also where another source wins. */
static void test_overridden_is_checked(void **state)
{
    struct benchfs_error err;

    (void)state;
    assert_int_equal(config_set(builder, CONFIG_SOURCE_OPTION, "mount", "/x", NULL), 0);
    assert_int_equal(load_env("BENCHFS_MOUNT", "y", &err), -EINVAL);
    assert_string_equal(err.text, "BENCHFS_MOUNT=y: not an absolute path");
    config_set(builder, CONFIG_SOURCE_OPTION, "stage_in", "/x:/y", NULL);
    assert_int_equal(load_env("BENCHFS_STAGE_IN", "/a:/b", &err), 0);
    assert_int_equal(load_env("BENCHFS_STAGE_IN", "/a:/b,c", &err), -EINVAL);
}

static void test_lists(void **state)
{
    struct benchfs_config *config;

    (void)state;
    assert_int_equal(load_file("{\"stage_in\":[\"/f:/f\",\"/g:/g\"],"
                               "\"stage_out\":[\"/a,b:/c,d\"]}",
                               NULL),
                     0);
    assert_int_equal(load_env("BENCHFS_STAGE_IN", "/p:/q,/r:/s\n/t:/u\n", NULL), 0);
    config = finish();
    assert_int_equal(config->stage_in.count, 3);
    assert_string_equal(config->stage_in.items[0].source, "/p");
    assert_string_equal(config->stage_in.items[2].target, "/u");
    assert_int_equal(config->stage_out.count, 1);
    assert_string_equal(config->stage_out.items[0].source, "/a,b");
    config_destroy(config);
}

static void test_list_failure_changes_nothing(void **state)
{
    struct benchfs_config *config;

    (void)state;
    assert_int_equal(load_env("BENCHFS_STAGE_IN", "/p:/q", NULL), 0);
    assert_int_equal(config_set(builder, CONFIG_SOURCE_OPTION, "stage_in", "bad", NULL),
                     -EINVAL);
    assert_int_equal(config_set(builder, CONFIG_SOURCE_ENV, "stage_in", "bad", NULL),
                     -EINVAL);
    assert_int_equal(config_set(builder, CONFIG_SOURCE_OPTION, "mount", "bad", NULL),
                     -EINVAL);
    config = finish();
    assert_int_equal(config->stage_in.count, 1);
    assert_string_equal(config->stage_in.items[0].source, "/p");
    assert_string_equal(config->mount, "/benchfs");
    config_destroy(config);
}

static void check_file_refused(const char *text, const char *expected)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    char full[512];

    assert_int_equal(load_file(text, &err), -EINVAL);
    snprintf(full, sizeof(full), "%s:%s", file_path, expected);
    assert_string_equal(err.text, full);
}

static void test_file_errors(void **state)
{
    struct benchfs_error err;

    (void)state;
    assert_int_equal(config_builder_load_file(builder, file_path, &err), -ENOENT);
    check_file_refused("[]", " must be an object");
    check_file_refused("{\"colour\":1}", " colour: unknown key");
    check_file_refused("{\"capacity\":\"12Q\"}",
                       " capacity: \"12Q\": not a size (such as 4096, 512MiB, 10G or "
                       "1.5T)");
    check_file_refused("{\"mount\":1}", " mount: must be a string, not an integer");
    check_file_refused("{\"capacity\":1.5}",
                       " capacity: must be a string, not a number");
    check_file_refused("{\"stage_in\":\"/a:/b\"}",
                       " stage_in: must be an array, not a string");
    check_file_refused("{\"stage_in\":[\"/a:/b\",3]}",
                       " stage_in[1]: must be a string, not an integer");
    check_file_refused("{\"enable\":", "1:11: not valid JSON: unexpected end of data");
    assert_int_equal(config_builder_load_file(builder, dir.path, &err), -EINVAL);
    assert_non_null(strstr(err.text, "not a file"));
}

static void test_privileged_environment(void **state)
{
    struct benchfs_config *config;

    (void)state;
    config_builder_destroy(builder);
    assert_int_equal(config_builder_create(true, &builder, NULL), 0);
    assert_int_equal(load_env("BENCHFS_RUN_DIR", "/evil", NULL), 0);
    assert_int_equal(load_env("BENCHFS_MOUNT", "/fine", NULL), 0);
    config = finish();
    assert_string_equal(config->run_dir, "/run/benchfs");
    assert_string_equal(config->mount, "/fine");
    config_destroy(config);
}

static void test_privileged_file(void **state)
{
    struct benchfs_error err;

    (void)state;
    config_builder_destroy(builder);
    assert_int_equal(config_builder_create(true, &builder, NULL), 0);
    write_file("{}", 0664);
    assert_int_equal(config_builder_load_file(builder, file_path, &err), -EPERM);
    assert_non_null(strstr(err.text, "must belong to root"));
    assert_int_equal(load_file("{}", &err), geteuid() == 0 ? 0 : -EPERM);
    if (geteuid() != 0)
        return;
    assert_int_equal(chown(file_path, 65534, 65534), 0);
    assert_int_equal(config_builder_load_file(builder, file_path, &err), -EPERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order_of_sources, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_overridden_is_checked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lists, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_list_failure_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_privileged_environment, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_privileged_file, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * Loading from all sources, serialising and back, comparing, derived values. */
#include "unit.h"

#include <fcntl.h>

#include "base/fs.h"
#include "base/units.h"
#include "config/config.h"

static const char *empty_env(void *context, const char *name)
{
    (void)context;
    (void)name;
    return NULL;
}

/* BENCHFS_CONFIG is the context; no other variable is set. */
static const char *config_env(void *context, const char *name)
{
    return strcmp(name, CONFIG_FILE_ENV) == 0 ? context : NULL;
}

static void test_default(void **state)
{
    struct benchfs_config *config;

    (void)state;
    assert_int_equal(config_default(&config, NULL), 0);
    assert_false(config->enable);
    assert_string_equal(config->mount, "/benchfs");
    assert_string_equal(config->store, "memory");
    assert_int_equal(config->capacity_bytes, 0);
    assert_int_equal(config->chunk_size_bytes, UNITS_MIB);
    assert_int_equal(config->stage_in.count, 0);
    assert_string_equal(config->report, "");
    assert_string_equal(config->interface, "");
    assert_int_equal(config->request_timeout_ms, 30000);
    assert_int_equal(config->connection_mode, CONFIG_CONNECTION_SOCKET);
    assert_int_equal(config->log_level, LOG_LEVEL_WARN);
    config_destroy(config);
    config_destroy(NULL);
}

static struct benchfs_config *load_rich(void)
{
    static const struct config_option options[] = {
        {"enable", "on"},
        {"capacity", "3G"},
        {"stage_in", "/a:/b"},
        {"stage_in", "/c,d:/e"},
        {"stage_out", "/out:/p\xc3\xa4th \"quoted\""},
        {"request_timeout", "1500ms"},
        {"connection_mode", "address"},
        {"interface", "10.0.0.0/8"},
        {"store", "/local/ssd"},
    };
    struct config_sources sources = {
        .options = options,
        .option_count = sizeof(options) / sizeof(options[0]),
        .env_get = empty_env,
    };
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct benchfs_config *config = NULL;

    if (config_load(&sources, &config, &err) < 0)
        fail_msg("%s", err.text);
    return config;
}

static void test_round_trip(void **state)
{
    struct benchfs_config *config = load_rich();
    struct benchfs_config *copy;
    struct benchfs_error err;
    char *text;

    (void)state;
    for (int is_pretty = 0; is_pretty < 2; is_pretty++) {
        assert_int_equal(config_to_json_string(config, is_pretty, &text), 0);
        assert_int_equal(config_from_json_string(text, &copy, &err), 0);
        assert_null(config_difference(config, copy));
        assert_int_equal(copy->stage_in.count, 2);
        assert_string_equal(copy->stage_in.items[1].source, "/c,d");
        assert_int_equal(copy->request_timeout_ms, 1500);
        config_destroy(copy);
        free(text);
    }
    config_destroy(config);
}

static void test_from_json_errors(void **state)
{
    struct benchfs_config *config;
    struct benchfs_error err;

    (void)state;
    assert_int_equal(config_from_json_string("", &config, &err), -EINVAL);
    assert_int_equal(config_from_json_string("[]", &config, &err), -EINVAL);
    assert_int_equal(config_from_json_string("{\"x\":1}", &config, &err), -EINVAL);
    assert_string_equal(err.text, "--config-json: x: unknown key");
    assert_int_equal(config_from_json_string("{\"store\":\"x\"}", &config, &err),
                     -EINVAL);
    assert_string_equal(err.text,
                        "--config-json: store: \"x\": not memory, disk or an absolute "
                        "path");
}

static void test_difference(void **state)
{
    struct benchfs_config *rich = load_rich();
    struct benchfs_config *plain;

    (void)state;
    assert_int_equal(config_default(&plain, NULL), 0);
    assert_string_equal(config_difference(rich, plain), "enable");
    assert_null(config_difference(rich, rich));
    plain->enable = true;
    assert_string_equal(config_difference(rich, plain), "store");
    config_destroy(plain);
    config_destroy(rich);
}

static void test_file_choice(void **state)
{
    struct config_sources sources = {.env_get = config_env};
    struct benchfs_config *config;
    struct benchfs_error err;
    struct unit_dir dir;
    char path[128];

    (void)state;
    unit_dir_create(&dir);
    snprintf(path, sizeof(path), "%s/c.json", dir.path);
    sources.env_context = path;
    assert_int_equal(config_load(&sources, &config, &err), -ENOENT);
    assert_int_equal(
        fs_file_write_atomic(AT_FDCWD, path, "{\"mount\":\"/m\"}", 14, 0644), 0);
    assert_int_equal(config_load(&sources, &config, &err), 0);
    assert_string_equal(config->mount, "/m");
    config_destroy(config);
    /* Root's part does not let the environment choose the file. */
    sources.is_privileged = true;
    assert_int_equal(config_load(&sources, &config, &err), 0);
    assert_string_not_equal(config->mount, "/m");
    config_destroy(config);
    sources.is_privileged = false;
    sources.file = "/nonexistent/benchfs.json";
    assert_int_equal(config_load(&sources, &config, &err), -ENOENT);
    assert_string_equal(err.text,
                        "/nonexistent/benchfs.json: No such file or directory");
    unit_dir_remove(&dir);
}

static void test_derived(void **state)
{
    struct benchfs_config *config;
    static const unsigned cases[][2] = {
        {0, 1}, {1, 1}, {8, 1}, {16, 2}, {32, 4}, {33, 4}, {256, 4}};

    (void)state;
    assert_int_equal(config_default(&config, NULL), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(config_shard_count(config, cases[i][0]), cases[i][1]);
    config->shards = 7;
    assert_int_equal(config_shard_count(config, 1), 7);
    assert_string_equal(config_store_dir(config), "/dev/shm/benchfs");
    free(config->store);
    config->store = strdup("disk");
    assert_string_equal(config_store_dir(config), "/var/tmp/benchfs");
    free(config->store);
    config->store = strdup("/x");
    assert_string_equal(config_store_dir(config), "/x");
    config_destroy(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_from_json_errors),
        cmocka_unit_test(test_difference),
        cmocka_unit_test(test_file_choice),
        cmocka_unit_test(test_derived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * Values of every type: what is taken, how it is stored, what is refused and why. */
#include "unit.h"

#include "base/units.h"
#include "config/builder.h"

/* Sets one value as an option over the defaults. */
static int set(const char *name,
               const char *value,
               struct benchfs_config **ret_config,
               struct benchfs_error *err)
{
    struct config_builder *builder;
    int status = config_builder_create(false, &builder, err);

    assert_int_equal(status, 0);
    status = config_set(builder, CONFIG_SOURCE_OPTION, name, value, err);
    if (status == 0)
        status = config_builder_finish(builder, ret_config, err);
    config_builder_destroy(builder);
    return status;
}

static struct benchfs_config *accept(const char *name, const char *value)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct benchfs_config *config = NULL;

    if (set(name, value, &config, &err) < 0)
        fail_msg("%s", err.text);
    return config;
}

static void refuse(const char *name, const char *value, const char *expected)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct benchfs_config *config = NULL;

    assert_true(set(name, value, &config, &err) < 0);
    assert_string_equal(err.text, expected);
}

static void test_text_types(void **state)
{
    static const char *const cases[][3] = {
        {"mount", "/a//b/./c/", "/a/b/c"},
        {"store", "disk", "disk"},
        {"store", "/local/ssd/", "/local/ssd"},
        {"report", "", ""},
        {"report", "/r.json", "/r.json"},
        {"interface", "eth0", "eth0"},
        {"interface", "ib0.8001", "ib0.8001"},
        {"interface", "10.0.0.0/8", "10.0.0.0/8"},
        {"interface", "fd00::/64", "fd00::/64"},
        {"interface", "", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct benchfs_config *config = accept(cases[i][0], cases[i][1]);
        const struct config_setting *setting = config_setting_find(cases[i][0]);

        assert_string_equal(*(char **)((char *)config + setting->offset), cases[i][2]);
        config_destroy(config);
    }
}

static void test_number_types(void **state)
{
    static const struct {
        const char *name;
        const char *value;
        uint64_t expected;
    } cases[] = {
        {"capacity", "10G", 10 * UNITS_GIB},
        {"capacity", "1MiB", UNITS_MIB},
        {"capacity", "auto", 0},
        {"chunk_size", "64K", 64 * UNITS_KIB},
        {"chunk_size", "64MiB", 64 * UNITS_MIB},
        {"shards", "64", 64},
        {"shards", "auto", 0},
        {"client_limit", "1000000", 1000000},
        {"request_timeout", "100ms", 100},
        {"start_timeout", "1h", 3600000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct benchfs_config *config = accept(cases[i].name, cases[i].value);
        const struct config_setting *setting = config_setting_find(cases[i].name);

        assert_true(*(uint64_t *)(void *)((char *)config + setting->offset)
                    == cases[i].expected);
        config_destroy(config);
    }
}

static void test_choices(void **state)
{
    struct benchfs_config *config = accept("connection_mode", "address");

    (void)state;
    assert_int_equal(config->connection_mode, CONFIG_CONNECTION_ADDRESS);
    config_destroy(config);
    config = accept("log_level", "debug");
    assert_int_equal(config->log_level, LOG_LEVEL_DEBUG);
    config_destroy(config);
    config = accept("enable", "on");
    assert_true(config->enable);
    config_destroy(config);
}

static void test_stage(void **state)
{
    struct benchfs_config *config = accept("stage_in", "/pfs/in//*.dat:/in/");

    (void)state;
    assert_int_equal(config->stage_in.count, 1);
    assert_string_equal(config->stage_in.items[0].source, "/pfs/in/*.dat");
    assert_string_equal(config->stage_in.items[0].target, "/in");
    config_destroy(config);
    config = accept("stage_out", "/:/pfs/a:b");
    assert_string_equal(config->stage_out.items[0].source, "/");
    assert_string_equal(config->stage_out.items[0].target, "/pfs/a:b");
    config_destroy(config);
}

static void test_refused(void **state)
{
    (void)state;
    refuse("enable", "maybe", "--benchfs=maybe: not on or off");
    refuse("mount", "benchfs", "--benchfs-mount=benchfs: not an absolute path");
    refuse("mount", "", "--benchfs-mount=: not an absolute path");
    refuse("mount", "//", "--benchfs-mount=//: must not be the root directory");
    refuse("mount", "/a/../b", "--benchfs-mount=/a/../b: a path with \"..\"");
    refuse("mount", "/a\nb", "--benchfs-mount=/a\nb: a path with a control character");
    refuse("mount", "/\xff", "--benchfs-mount=/\xff: a path that is not valid UTF-8");
    refuse(
        "store", "tape", "--benchfs-store=tape: not memory, disk or an absolute path");
    refuse("capacity",
           "12Q",
           "--benchfs-capacity=12Q: not a size (such as 4096, 512MiB, 10G or 1.5T)");
    refuse("capacity", "1K", "--benchfs-capacity=1K: must be from 1.0 MiB to 1.0 EiB");
    refuse("capacity", "99999E", "--benchfs-capacity=99999E: too large");
    refuse("chunk_size", "3M", "--benchfs-chunk-size=3M: not a power of two");
    refuse("chunk_size",
           "auto",
           "--benchfs-chunk-size=auto: not a size (such as 4096, 512MiB, 10G or 1.5T)");
    refuse(
        "stage_in",
        "/a",
        "--benchfs-stage-in=/a: not SRC:DST, two absolute paths with a colon between");
    refuse("stage_in",
           "a:/b",
           "--benchfs-stage-in=a:/b: not SRC:DST, two absolute paths with a colon "
           "between");
    refuse("stage_in",
           "/a:/b:/c",
           "--benchfs-stage-in=/a:/b:/c: more than one \":/\", so SRC and DST can't be "
           "told apart");
    refuse("stage_out",
           "/a/..:/b",
           "--benchfs-stage-out=/a/..:/b: SRC: a path with \"..\"");
    refuse("stage_out",
           "/a:/../b",
           "--benchfs-stage-out=/a:/../b: DST: a path with \"..\"");
    refuse("shards", "65", "--shards=65: must be from 1 to 64");
    refuse("shards", "-1", "--shards=-1: not a number");
    refuse("request_timeout",
           "30",
           "--request_timeout=30: not a duration (such as 500ms, 30s, 10m or 2h)");
    refuse("request_timeout",
           "1ms",
           "--request_timeout=1ms: must be from 100ms to 86400s");
    refuse("connection_mode", "x", "--connection_mode=x: not socket or address");
    refuse("log_level", "x", "--log_level=x: not error, warn, info or debug");
    refuse("interface",
           "10.0.0.0/33",
           "--interface=10.0.0.0/33: not an interface (such as eth0) or a subnet "
           "(10.1.0.0/16)");
    refuse("colour", "red", "colour: unknown setting");
}

static void test_long_paths(void **state)
{
    char big[5000] = "/";
    struct benchfs_config *config;
    struct benchfs_error err;

    (void)state;
    memset(big + 1, 'a', sizeof(big) - 2);
    big[sizeof(big) - 1] = '\0';
    assert_int_equal(set("mount", big, &config, &err), -EINVAL);
    assert_non_null(strstr(err.text, "aaa...: too long a path"));
    big[4000] = '\0';
    assert_int_equal(set("mount", big, &config, &err), -EINVAL);
    assert_non_null(strstr(err.text, "aaa...: a path with too long a name"));
}

static void test_together(void **state)
{
    struct config_builder *builder;
    struct benchfs_config *config;
    struct benchfs_error err;

    (void)state;
    assert_int_equal(config_builder_create(false, &builder, &err), 0);
    config_set(builder, CONFIG_SOURCE_OPTION, "capacity", "1M", &err);
    config_set(builder, CONFIG_SOURCE_OPTION, "chunk_size", "2M", &err);
    assert_int_equal(config_builder_finish(builder, &config, &err), -EINVAL);
    assert_string_equal(
        err.text, "capacity: 1048576 bytes are less than one chunk_size of 2097152");
    config_set(builder, CONFIG_SOURCE_OPTION, "capacity", "2M", &err);
    config_set(builder, CONFIG_SOURCE_OPTION, "stage_in", "/benchfs/x:/y", &err);
    assert_int_equal(config_builder_finish(builder, &config, &err), -EINVAL);
    assert_string_equal(err.text,
                        "stage_in: /benchfs/x lies within the mount /benchfs");
    config_set(builder, CONFIG_SOURCE_OPTION, "mount", "/bench", &err);
    assert_int_equal(config_builder_finish(builder, &config, &err), 0);
    config_destroy(config);
    config_builder_destroy(builder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_types),
        cmocka_unit_test(test_number_types),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_stage),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_long_paths),
        cmocka_unit_test(test_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

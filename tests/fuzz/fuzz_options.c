/* SPDX-License-Identifier: Apache-2.0
 * Values of options and of environment variables, for every setting: the first byte
 * says of which. */
#include "fuzz.h"

#include "base/units.h"
#include "config/builder.h"
#include "config/config.h"
#include "config/settings.h"

static void units(const char *text)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    uint64_t value;

    (void)units_size_parse(text, &value, &err);
    (void)units_duration_parse(text, &value, &err);
    (void)units_count_parse(text, &value, &err);
}

static void option(uint8_t which, const char *text)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    const struct config_setting *setting = NULL;
    struct config_builder *builder;
    struct benchfs_config *config;
    size_t index = which % config_setting_count();

    do
        setting = config_setting_next(setting);
    while (config_setting_index(setting) != index);
    FUZZ_CHECK(config_builder_create(false, &builder, &err) == 0);
    if (config_builder_set(builder, CONFIG_SOURCE_OPTION, setting, text, &err))
        FUZZ_CHECK(err.code != 0 && err.text[0] != '\0');
    else if (config_builder_finish(builder, &config, &err) == 0)
        config_destroy(config);
    config_builder_destroy(builder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text;

    if (size == 0)
        return 0;
    text = fuzz_text(data + 1, size - 1);
    units(text);
    option(data[0], text);
    free(text);
    return 0;
}

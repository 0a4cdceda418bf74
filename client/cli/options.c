/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/settings.h"

#define PREFIX "benchfs-"

void options_init(struct options *options, int first_id)
{
    const struct config_setting *setting = NULL;
    size_t n = 0;

    *options = (struct options){.n_longs = 0};
    while ((setting = config_setting_next(setting))) {
        const char *name = setting->option;

        /* "enable" has nothing to switch here */
        if (!name || strncmp(name, PREFIX, strlen(PREFIX)) != 0
            || n + 2 > 2 * OPTIONS_SETTINGS_MAX)
            continue;
        options->settings[n] = options->settings[n + 1] = setting->name;
        options->longs[n] =
            (struct option){name, required_argument, NULL, first_id + (int)n};
        n++;
        options->longs[n] = (struct option){
            name + strlen(PREFIX), required_argument, NULL, first_id + (int)n};
        n++;
    }
    options->n_longs = n;
}

int options_take(struct options *options, int id, int first_id, const char *value)
{
    if (id < first_id || (size_t)(id - first_id) >= options->n_longs)
        return -ENOENT;
    if (options->n_values == OPTIONS_VALUES_MAX)
        return -E2BIG;
    options->values[options->n_values++] = (struct config_option){
        .name = options->settings[id - first_id], .value = value};
    return 0;
}

const char *options_value(const struct options *options, const char *setting)
{
    for (size_t i = options->n_values; i > 0; i--) {
        if (strcmp(options->values[i - 1].name, setting) == 0)
            return options->values[i - 1].value;
    }
    return NULL;
}

static const char *env_get(void *context, const char *name)
{
    (void)context;
    return strcmp(name, "BENCHFS_MOUNT") == 0 ? NULL : getenv(name);
}

int options_config_load(const struct options *options,
                        struct benchfs_config **ret,
                        struct benchfs_error *err)
{
    const struct config_sources sources = {
        .options = options->values,
        .option_count = options->n_values,
        .env_get = env_get,
    };

    return config_load(&sources, ret, err);
}

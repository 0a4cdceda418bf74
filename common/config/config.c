/* SPDX-License-Identifier: Apache-2.0
 * Loading and serialising the configuration. */
#include "config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/builder.h"
#include "config/types.h"

void config_destroy(struct benchfs_config *config)
{
    const struct config_setting *setting = NULL;

    if (!config)
        return;
    while ((setting = config_setting_next(setting))) {
        if (setting->type->clear)
            setting->type->clear((char *)config + setting->offset);
    }
    free(config);
}

static const char *find_env(const struct config_sources *sources, const char *name)
{
    return sources->env_get ? sources->env_get(sources->env_context, name)
                            : getenv(name);
}

static int load_file(struct config_builder *builder,
                     const struct config_sources *sources,
                     struct benchfs_error *err)
{
    const char *path = sources->file;
    int status;

    if (!path && !sources->is_privileged)
        path = find_env(sources, CONFIG_FILE_ENV);
    if (path && path[0] != '\0')
        return config_builder_load_file(builder, path, err);
    status = config_builder_load_file(builder, CONFIG_FILE_DEFAULT, err);
    return status == -ENOENT ? 0 : status;
}

static int load_options(struct config_builder *builder,
                        const struct config_sources *sources,
                        struct benchfs_error *err)
{
    int status = 0;

    for (size_t i = 0; status == 0 && i < sources->option_count; i++)
        status = config_set(builder,
                            CONFIG_SOURCE_OPTION,
                            sources->options[i].name,
                            sources->options[i].value,
                            err);
    return status;
}

int config_load(const struct config_sources *sources,
                struct benchfs_config **ret_config,
                struct benchfs_error *err)
{
    struct config_builder *builder;
    int status = config_builder_create(sources->is_privileged, &builder, err);

    if (status < 0)
        return status;
    /* The command line first: what a user typed just now is the likeliest mistake. */
    status = load_options(builder, sources, err);
    if (status == 0)
        status = config_builder_load_env(
            builder, sources->env_get, sources->env_context, err);
    if (status == 0)
        status = load_file(builder, sources, err);
    if (status == 0)
        status = config_builder_finish(builder, ret_config, err);
    config_builder_destroy(builder);
    return status;
}

int config_default(struct benchfs_config **ret_config, struct benchfs_error *err)
{
    struct config_builder *builder;
    int status = config_builder_create(false, &builder, err);

    if (status < 0)
        return status;
    status = config_builder_finish(builder, ret_config, err);
    config_builder_destroy(builder);
    return status;
}

static struct json *field_to_json(const struct benchfs_config *config,
                                  const struct config_setting *setting)
{
    return setting->type->to_json(setting, (const char *)config + setting->offset);
}

int config_to_json_string(const struct benchfs_config *config,
                          bool is_pretty,
                          char **ret_text)
{
    const struct config_setting *setting = NULL;
    struct json *object = json_make_object();
    int status = 0;

    while (status == 0 && (setting = config_setting_next(setting)))
        status = json_set(object, setting->name, field_to_json(config, setting));
    if (status == 0)
        status = json_write(object, is_pretty, ret_text, NULL);
    json_destroy(object);
    return status;
}

static int
load_text(struct config_builder *builder, const char *text, struct benchfs_error *err)
{
    static const char source[] = "--config-json";
    struct json_cursor root;
    struct json *json;
    int status = json_parse(text, strlen(text), source, &json, err);

    if (status < 0)
        return status;
    root = json_cursor_root(json, source);
    status = config_builder_load_json(builder, &root, err);
    json_destroy(json);
    return status;
}

int config_from_json_string(const char *text,
                            struct benchfs_config **ret_config,
                            struct benchfs_error *err)
{
    struct config_builder *builder;
    int status = config_builder_create(false, &builder, err);

    if (status < 0)
        return status;
    status = load_text(builder, text, err);
    if (status == 0)
        status = config_builder_finish(builder, ret_config, err);
    config_builder_destroy(builder);
    return status;
}

static bool is_equal(const struct benchfs_config *a,
                     const struct benchfs_config *b,
                     const struct config_setting *setting)
{
    struct json *json_a = field_to_json(a, setting);
    struct json *json_b = field_to_json(b, setting);
    char *text_a = NULL;
    char *text_b = NULL;
    bool result = json_a && json_b && json_write(json_a, false, &text_a, NULL) == 0
                  && json_write(json_b, false, &text_b, NULL) == 0
                  && strcmp(text_a, text_b) == 0;

    free(text_a);
    free(text_b);
    json_destroy(json_a);
    json_destroy(json_b);
    return result;
}

const char *config_difference(const struct benchfs_config *a,
                              const struct benchfs_config *b)
{
    const struct config_setting *setting = NULL;

    while ((setting = config_setting_next(setting))) {
        if (!is_equal(a, b, setting))
            return setting->name;
    }
    return NULL;
}

const char *config_store_dir(const struct benchfs_config *config)
{
    if (strcmp(config->store, "memory") == 0)
        return config->memory_dir;
    if (strcmp(config->store, "disk") == 0)
        return config->disk_dir;
    return config->store;
}

bool config_store_is_durable(const struct benchfs_config *config)
{
    return strcmp(config->store, "memory") != 0;
}

unsigned config_shard_count(const struct benchfs_config *config, unsigned cpus)
{
    unsigned count = cpus / 8;

    if (config->shards != 0)
        return (unsigned)config->shards;
    return count < 1 ? 1 : count > 4 ? 4 : count;
}

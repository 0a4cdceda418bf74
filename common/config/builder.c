/* SPDX-License-Identifier: Apache-2.0
 * Collects values from sources by rank. */
#include "config/builder.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "config/types.h"

#define FILE_SIZE_MAX (1024 * 1024)
/* Of a value shown in an error. */
#define SHOWN_MAX 160

struct config_builder {
    bool is_privileged;
    struct benchfs_config *config;
    const char *file; /* named in errors while it is read */
    enum config_source sources[];
};

/* What an error begins with: where the value stands, and the value. */
static void prefix_error(const struct config_builder *builder,
                         enum config_source source,
                         const struct config_setting *setting,
                         const char *value,
                         struct benchfs_error *err)
{
    const char *dots = strlen(value) > SHOWN_MAX ? "..." : "";

    switch (source) {
    case CONFIG_SOURCE_OPTION:
        benchfs_error_prefix(err,
                             "--%s=%.*s%s: ",
                             setting->option ? setting->option : setting->name,
                             SHOWN_MAX,
                             value,
                             dots);
        break;
    case CONFIG_SOURCE_ENV:
        benchfs_error_prefix(err, "%s=%.*s%s: ", setting->env, SHOWN_MAX, value, dots);
        break;
    case CONFIG_SOURCE_FILE:
    case CONFIG_SOURCE_DEFAULT:
        benchfs_error_prefix(err,
                             "%s: %s: \"%.*s%s\": ",
                             builder->file ? builder->file : "default",
                             setting->name,
                             SHOWN_MAX,
                             value,
                             dots);
        break;
    }
}

/* Only checks the value: a source that wins has set the setting. */
static int check_value(const struct config_setting *setting,
                       const char *value,
                       struct benchfs_error *err)
{
    struct benchfs_config scratch = {.enable = false};
    void *field = (char *)&scratch + setting->offset;
    int status = setting->type->parse(setting, value, field, err);

    if (setting->type->clear)
        setting->type->clear(field);
    return status;
}

/* A list set by a lesser source is replaced, not added to: the first value of the new
 * source is parsed into an empty one. */
static int restart_list(const struct config_setting *setting,
                        const char *value,
                        void *field,
                        struct benchfs_error *err)
{
    struct config_stage_list old = *(struct config_stage_list *)field;
    int status;

    *(struct config_stage_list *)field = (struct config_stage_list){.items = NULL};
    status = setting->type->parse(setting, value, field, err);
    if (status < 0) {
        setting->type->clear(field);
        *(struct config_stage_list *)field = old;
    } else {
        setting->type->clear(&old);
    }
    return status;
}

static int set_field(struct config_builder *builder,
                     enum config_source source,
                     const struct config_setting *setting,
                     const char *value,
                     struct benchfs_error *err)
{
    enum config_source *current = &builder->sources[config_setting_index(setting)];
    void *field = (char *)builder->config + setting->offset;
    int status;

    if (source < *current)
        return check_value(setting, value, err);
    if ((setting->flags & CONFIG_SETTING_REPEAT) && source > *current)
        status = restart_list(setting, value, field, err);
    else
        status = setting->type->parse(setting, value, field, err);
    if (status == 0)
        *current = source;
    return status;
}

int config_builder_set(struct config_builder *builder,
                       enum config_source source,
                       const struct config_setting *setting,
                       const char *value,
                       struct benchfs_error *err)
{
    int status = set_field(builder, source, setting, value, err);

    if (status < 0)
        prefix_error(builder, source, setting, value, err);
    return status;
}

int config_set(struct config_builder *builder,
               enum config_source source,
               const char *name,
               const char *value,
               struct benchfs_error *err)
{
    const struct config_setting *setting = config_setting_find(name);

    if (!setting)
        return benchfs_error_set(err, EINVAL, "%s: unknown setting", name);
    return config_builder_set(builder, source, setting, value, err);
}

static int set_defaults(struct config_builder *builder, struct benchfs_error *err)
{
    const struct config_setting *setting = NULL;

    while ((setting = config_setting_next(setting))) {
        int status;

        if (setting->flags & CONFIG_SETTING_REPEAT)
            continue;
        status = config_builder_set(
            builder, CONFIG_SOURCE_DEFAULT, setting, setting->default_text, err);
        if (status < 0)
            return status;
    }
    return 0;
}

int config_builder_create(bool is_privileged,
                          struct config_builder **ret_builder,
                          struct benchfs_error *err)
{
    struct config_builder *builder = calloc(
        1, sizeof(*builder) + config_setting_count() * sizeof(builder->sources[0]));
    int status = -ENOMEM;

    if (!builder)
        return benchfs_error_set(err, ENOMEM, "out of memory");
    builder->is_privileged = is_privileged;
    builder->config = calloc(1, sizeof(*builder->config));
    if (!builder->config) {
        benchfs_error_set(err, ENOMEM, "out of memory");
        goto fail;
    }
    status = set_defaults(builder, err);
    if (status < 0)
        goto fail;
    *ret_builder = builder;
    return 0;
fail:
    config_builder_destroy(builder);
    return status;
}

void config_builder_destroy(struct config_builder *builder)
{
    if (!builder)
        return;
    config_destroy(builder->config);
    free(builder);
}

enum config_source config_builder_source(const struct config_builder *builder,
                                         const struct config_setting *setting)
{
    return builder->sources[config_setting_index(setting)];
}

/* ---- file ---- */

/* Whole numbers and true or false are fine where text is: a count, a size in bytes. */
static int set_from_scalar(struct config_builder *builder,
                           const struct config_setting *setting,
                           const struct json_cursor *at,
                           struct benchfs_error *err)
{
    bool is_boolean = setting->type == &config_type_boolean;
    bool is_number = setting->max > 0 && setting->type != &config_type_duration;
    char number_text[24];
    const char *text;
    uint64_t number;
    bool flag;
    int status;

    if (is_boolean && json_kind(at->json) == JSON_KIND_BOOL) {
        status = json_get_bool(at, &flag, err);
        text = status == 0 && flag ? "on" : "off";
    } else if (is_number && json_kind(at->json) == JSON_KIND_INTEGER) {
        status = json_get_u64(at, 0, UINT64_MAX - 1, &number, err);
        if (status == 0)
            snprintf(number_text, sizeof(number_text), "%" PRIu64, number);
        text = number_text;
    } else {
        status = json_get_string(at, &text, err);
    }
    if (status < 0)
        return status;
    return config_builder_set(builder, CONFIG_SOURCE_FILE, setting, text, err);
}

static int set_from_array(struct config_builder *builder,
                          const struct config_setting *setting,
                          const struct json_cursor *at,
                          struct benchfs_error *err)
{
    size_t count;
    int status = json_get_count(at, &count, err);

    for (size_t i = 0; status == 0 && i < count; i++) {
        struct json_cursor element = json_cursor_element(at, i);

        status = set_from_scalar(builder, setting, &element, err);
    }
    return status;
}

int config_builder_load_json(struct config_builder *builder,
                             const struct json_cursor *at,
                             struct benchfs_error *err)
{
    const void *position = NULL;
    struct json_cursor member;
    int status = 0;

    if (json_kind(at->json) != JSON_KIND_OBJECT)
        return json_cursor_error(at, err, "must be an object");
    builder->file = at->key;
    while (status == 0 && json_next_member(at, &position, &member)) {
        const struct config_setting *setting = config_setting_find(member.key);

        if (!setting)
            status = json_cursor_error(&member, err, "unknown key");
        else if (setting->flags & CONFIG_SETTING_REPEAT)
            status = set_from_array(builder, setting, &member, err);
        else
            status = set_from_scalar(builder, setting, &member, err);
    }
    builder->file = NULL;
    return status;
}

static int
check_file(bool is_privileged, int fd, const char *path, struct benchfs_error *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return benchfs_error_set(err, errno, "%s: %m", path);
    if (!S_ISREG(st.st_mode))
        return benchfs_error_set(err, EINVAL, "%s: not a file", path);
    if (is_privileged && (st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH))))
        return benchfs_error_set(
            err, EPERM, "%s: must belong to root and be writable by nobody else", path);
    return 0;
}

static int read_checked(bool is_privileged,
                        const char *path,
                        char **ret_text,
                        size_t *ret_size,
                        struct benchfs_error *err)
{
    /* Not blocking: it may be a pipe. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int status;

    if (fd < 0)
        return benchfs_error_set(err, errno, "%s: %m", path);
    status = check_file(is_privileged, fd, path, err);
    if (status == 0) {
        status = fs_fd_read(fd, FILE_SIZE_MAX, ret_text, ret_size);
        if (status < 0)
            benchfs_error_set(err, status, "%s: %s", path, strerror(-status));
    }
    close(fd);
    return status;
}

int config_builder_load_file(struct config_builder *builder,
                             const char *path,
                             struct benchfs_error *err)
{
    struct json_cursor root;
    struct json *json;
    char *text;
    size_t size;
    int status = read_checked(builder->is_privileged, path, &text, &size, err);

    if (status < 0)
        return status;
    status = json_parse(text, size, path, &json, err);
    free(text);
    if (status < 0)
        return status;
    root = json_cursor_root(json, path);
    status = config_builder_load_json(builder, &root, err);
    json_destroy(json);
    return status;
}

/* ---- environment ---- */

static int set_from_env_list(struct config_builder *builder,
                             const struct config_setting *setting,
                             const char *value,
                             struct benchfs_error *err)
{
    char *copy = strdup(value);
    char *rest = copy;
    char *entry;
    int status = 0;

    if (!copy)
        return benchfs_error_set(err, ENOMEM, "%s: out of memory", setting->env);
    while (status == 0 && (entry = strsep(&rest, ",\n"))) {
        if (entry[0] != '\0')
            status =
                config_builder_set(builder, CONFIG_SOURCE_ENV, setting, entry, err);
    }
    free(copy);
    return status;
}

static const char *process_env_get(void *context, const char *name)
{
    (void)context;
    return getenv(name);
}

int config_builder_load_env(struct config_builder *builder,
                            const char *(*env_get)(void *context, const char *name),
                            void *context,
                            struct benchfs_error *err)
{
    const struct config_setting *setting = NULL;
    int status = 0;

    if (!env_get)
        env_get = process_env_get;
    while (status == 0 && (setting = config_setting_next(setting))) {
        const char *value;

        if (builder->is_privileged && (setting->flags & CONFIG_SETTING_PRIVILEGED))
            continue;
        value = env_get(context, setting->env);
        if (!value || value[0] == '\0')
            continue;
        if (setting->flags & CONFIG_SETTING_REPEAT)
            status = set_from_env_list(builder, setting, value, err);
        else
            status =
                config_builder_set(builder, CONFIG_SOURCE_ENV, setting, value, err);
    }
    return status;
}

/* ---- the whole ---- */

static int check_stage_sides(const char *mount,
                             const char *name,
                             const char *outside,
                             struct benchfs_error *err)
{
    if (!config_path_is_within(outside, mount))
        return 0;
    return benchfs_error_set(
        err, EINVAL, "%s: %s lies within the mount %s", name, outside, mount);
}

static int check_together(const struct benchfs_config *config,
                          struct benchfs_error *err)
{
    int status = 0;

    if (config->capacity_bytes != 0
        && config->capacity_bytes < config->chunk_size_bytes)
        return benchfs_error_set(err,
                                 EINVAL,
                                 "capacity: %" PRIu64
                                 " bytes are less than one chunk_size of %" PRIu64,
                                 config->capacity_bytes,
                                 config->chunk_size_bytes);
    for (size_t i = 0; status == 0 && i < config->stage_in.count; i++)
        status = check_stage_sides(
            config->mount, "stage_in", config->stage_in.items[i].source, err);
    for (size_t i = 0; status == 0 && i < config->stage_out.count; i++)
        status = check_stage_sides(
            config->mount, "stage_out", config->stage_out.items[i].target, err);
    return status;
}

int config_builder_finish(struct config_builder *builder,
                          struct benchfs_config **ret_config,
                          struct benchfs_error *err)
{
    int status = check_together(builder->config, err);

    if (status < 0)
        return status;
    *ret_config = builder->config;
    builder->config = NULL;
    return 0;
}

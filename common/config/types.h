/* SPDX-License-Identifier: Apache-2.0
 * Private to this component: how the text of each type of setting becomes a field of
 * struct benchfs_config, and comes back. */
#ifndef BENCHFS_CONFIG_TYPES_H
#define BENCHFS_CONFIG_TYPES_H

#include "base/error.h"
#include "config/config.h"
#include "config/json.h"
#include "config/settings.h"

struct config_type {
    const char *name;
    /* Replaces the field, or adds to a list. Error text without the value. On failure
     * the field is unchanged. */
    int (*parse)(const struct config_setting *setting,
                 const char *text,
                 void *field,
                 struct benchfs_error *err);
    /* Frees what the field owns and makes it all zero; NULL when it owns nothing. */
    void (*clear)(void *field);
    /* NULL when memory is short. */
    struct json *(*to_json)(const struct config_setting *setting, const void *field);
};

extern const struct config_type config_type_boolean;
extern const struct config_type config_type_path;
extern const struct config_type config_type_store;
extern const struct config_type config_type_size;
extern const struct config_type config_type_size_power;
extern const struct config_type config_type_count;
extern const struct config_type config_type_duration;
extern const struct config_type config_type_choice;
extern const struct config_type config_type_interface;
extern const struct config_type config_type_stage;

/* Makes a normal absolute path (free() it) of size bytes of text: no empty, "." or ".."
 * component, UTF-8 without control characters, below PATH_MAX. */
int config_path_parse(const char *text,
                      size_t size,
                      char **ret_path,
                      struct benchfs_error *err);

/* Whether the path is `dir` or lies beneath it; both normal. */
bool config_path_is_within(const char *path, const char *dir);

#endif

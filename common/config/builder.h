/* SPDX-License-Identifier: Apache-2.0
 * Collects values from sources, in any order, into a configuration. config_load() is
 * this for ordinary programs; the plugin, whose options come one by one, uses it
 * itself. */
#ifndef BENCHFS_CONFIG_BUILDER_H
#define BENCHFS_CONFIG_BUILDER_H

#include <stdbool.h>

#include "config/config.h"
#include "config/json.h"
#include "config/settings.h"

/* Later ones win. */
enum config_source {
    CONFIG_SOURCE_DEFAULT,
    CONFIG_SOURCE_FILE,
    CONFIG_SOURCE_ENV,
    CONFIG_SOURCE_OPTION,
};

struct config_builder;

/* Starts with the defaults. is_privileged: see struct config_sources. */
int config_builder_create(bool is_privileged,
                          struct config_builder **ret_builder,
                          struct benchfs_error *err);
/* NULL is fine. */
void config_builder_destroy(struct config_builder *builder);

/* Sets one value. It is checked also when a source that wins has set it already. A list
 * grows when the same source sets it again. `source` also words the error:
 * "--benchfs-capacity=12Q: not a size". Returns 0, -EINVAL, -ERANGE or -ENOMEM; after a
 * failure the builder is still usable and unchanged. */
int config_builder_set(struct config_builder *builder,
                       enum config_source source,
                       const struct config_setting *setting,
                       const char *value,
                       struct benchfs_error *err);

/* The same by the setting's name; an unknown one is -EINVAL. */
int config_set(struct config_builder *builder,
               enum config_source source,
               const char *name,
               const char *value,
               struct benchfs_error *err);

/* Reads a file; when it is privileged, checks owner and mode too. -ENOENT when it does
 * not exist. A failure may leave some of its values set. */
int config_builder_load_file(struct config_builder *builder,
                             const char *path,
                             struct benchfs_error *err);

/* Takes the settings from a parsed object. */
int config_builder_load_json(struct config_builder *builder,
                             const struct json_cursor *at,
                             struct benchfs_error *err);

/* Reads the environment: see struct config_sources. An empty variable counts as unset.
 * Entries of a list are separated by commas or newlines. */
int config_builder_load_env(struct config_builder *builder,
                            const char *(*env_get)(void *context, const char *name),
                            void *context,
                            struct benchfs_error *err);

/* The source that the setting's value comes from now. */
enum config_source config_builder_source(const struct config_builder *builder,
                                         const struct config_setting *setting);

/* Checks the settings against each other and hands out the configuration; the builder
 * is then empty and may only be destroyed. On failure (-EINVAL) it stays as it was. */
int config_builder_finish(struct config_builder *builder,
                          struct benchfs_config **ret_config,
                          struct benchfs_error *err);

#endif

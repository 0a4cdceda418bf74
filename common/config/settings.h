/* SPDX-License-Identifier: Apache-2.0
 * The table of all settings, which drives file, environment, options, help and checks.
 */
#ifndef BENCHFS_CONFIG_SETTINGS_H
#define BENCHFS_CONFIG_SETTINGS_H

#include <stddef.h>
#include <stdint.h>

enum config_setting_flag {
    CONFIG_SETTING_OPTION = 1 << 0,     /* users have it as --option */
    CONFIG_SETTING_REPEAT = 1 << 1,     /* a list: each option adds one */
    CONFIG_SETTING_PRIVILEGED = 1 << 2, /* root's: file only where root is concerned */
    CONFIG_SETTING_AUTO = 1 << 3,       /* "auto" is a value, stored as 0 */
};

struct config_type;

struct config_setting {
    const char *name;         /* key in the file: "chunk_size" */
    const char *env;          /* "BENCHFS_CHUNK_SIZE" */
    const char *option;       /* without dashes: "benchfs-chunk-size"; NULL: none */
    const char *argument;     /* what help calls the value: "SIZE" */
    const char *default_text; /* as a user would write it; "" is "none" */
    const char *help;         /* one line, lower case, no full stop */
    const struct config_type *type;
    unsigned flags;
    size_t offset; /* in struct benchfs_config */
    uint64_t min;  /* of numbers, in bytes, milliseconds or units */
    uint64_t max;
    const char *const *choices; /* NULL-ended, in the order of the enum */
};

/* NULL when there is none. */
const struct config_setting *config_setting_find(const char *name);
/* By option, without dashes. */
const struct config_setting *config_setting_find_option(const char *option);

/* Walks the table: start with NULL, NULL is the end. */
const struct config_setting *config_setting_next(const struct config_setting *setting);

size_t config_setting_count(void);
size_t config_setting_index(const struct config_setting *setting);

/* "boolean", "path", "size"...: what docs and schema call the type. */
const char *config_setting_type_name(const struct config_setting *setting);

#endif

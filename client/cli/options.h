/* SPDX-License-Identifier: Apache-2.0
 * Settings as options of the command: --capacity or --benchfs-capacity, for every
 * setting that users have as an option. */
#ifndef BENCHFS_CLI_OPTIONS_H
#define BENCHFS_CLI_OPTIONS_H

#include <getopt.h>
#include <stddef.h>

#include "config/config.h"

#define OPTIONS_SETTINGS_MAX 32
#define OPTIONS_VALUES_MAX   64

/* Values given so far; they point into argv. */
struct options {
    struct option longs[2 * OPTIONS_SETTINGS_MAX + 1]; /* for getopt_long() */
    const char *settings[2 * OPTIONS_SETTINGS_MAX];    /* names, as longs */
    size_t n_longs;
    struct config_option values[OPTIONS_VALUES_MAX];
    size_t n_values;
};

/* `first_id`: the ids of longs count from here. */
void options_init(struct options *options, int first_id);

/* Takes the value of an id of longs. 0, -ENOENT (not one of these), -E2BIG. */
int options_take(struct options *options, int id, int first_id, const char *value);

/* Whether the setting was given as an option; its last value, or NULL. */
const char *options_value(const struct options *options, const char *setting);

/* Options, environment, file, defaults. The environment's `mount` counts for nothing: a
 * job or another run has set it. */
int options_config_load(const struct options *options,
                        struct benchfs_config **ret,
                        struct benchfs_error *err);

#endif

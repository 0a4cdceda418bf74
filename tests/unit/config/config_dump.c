/* SPDX-License-Identifier: Apache-2.0
 * For check_schema.py. Without arguments: the table of settings as JSON. With a file:
 * the configuration it gives, or exit status 1 and the error. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "config/builder.h"

static struct json *describe_choices(const struct config_setting *setting)
{
    struct json *array = json_make_array();

    for (size_t i = 0; setting->choices && setting->choices[i]; i++)
        json_append(array, json_make_string(setting->choices[i]));
    return array;
}

static struct json *describe(const struct config_setting *setting)
{
    struct json *object = json_make_object();
    const char *option = setting->option ? setting->option : "";

    json_set(object, "name", json_make_string(setting->name));
    json_set(object, "env", json_make_string(setting->env));
    json_set(object, "option", json_make_string(option));
    json_set(object, "argument", json_make_string(setting->argument));
    json_set(object, "default", json_make_string(setting->default_text));
    json_set(object, "help", json_make_string(setting->help));
    json_set(object, "type", json_make_string(config_setting_type_name(setting)));
    json_set(object, "min", json_make_u64(setting->min));
    json_set(object, "max", json_make_u64(setting->max));
    json_set(
        object, "is_auto", json_make_bool((setting->flags & CONFIG_SETTING_AUTO) != 0));
    json_set(object,
             "is_privileged",
             json_make_bool((setting->flags & CONFIG_SETTING_PRIVILEGED) != 0));
    json_set(object, "choices", describe_choices(setting));
    return object;
}

static int print_settings(void)
{
    const struct config_setting *setting = NULL;
    struct json *array = json_make_array();
    char *text;

    while ((setting = config_setting_next(setting)))
        json_append(array, describe(setting));
    if (json_write(array, true, &text, NULL) < 0)
        return EXIT_FAILURE;
    puts(text);
    free(text);
    json_destroy(array);
    return EXIT_SUCCESS;
}

static const char *no_env(void *context, const char *name)
{
    (void)context;
    (void)name;
    return NULL;
}

static int print_file(const char *path)
{
    struct config_sources sources = {.file = path, .env_get = no_env};
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct benchfs_config *config;
    char *text;

    if (config_load(&sources, &config, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return EXIT_FAILURE;
    }
    if (config_to_json_string(config, true, &text) == 0)
        puts(text);
    free(text);
    config_destroy(config);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    return argc > 1 ? print_file(argv[1]) : print_settings();
}

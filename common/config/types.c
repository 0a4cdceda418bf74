/* SPDX-License-Identifier: Apache-2.0
 * Types of settings: from text to field, and from field to JSON. */
#include "config/types.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/units.h"

/* ---- texts, owned by the field ---- */

static void text_clear(void *field)
{
    char **text = field;

    free(*text);
    *text = NULL;
}

static void text_replace(void *field, char *text)
{
    text_clear(field);
    *(char **)field = text;
}

static int text_copy(void *field, const char *text, struct benchfs_error *err)
{
    char *copy = strdup(text);

    if (!copy)
        return benchfs_error_set(err, ENOMEM, "out of memory");
    text_replace(field, copy);
    return 0;
}

static struct json *text_to_json(const struct config_setting *setting,
                                 const void *field)
{
    (void)setting;
    return json_make_string(*(char *const *)field);
}

static int path_parse(const struct config_setting *setting,
                      const char *text,
                      void *field,
                      struct benchfs_error *err)
{
    char *path;
    int status;

    if (text[0] == '\0' && setting->default_text[0] == '\0')
        return text_copy(field, "", err);
    status = config_path_parse(text, strlen(text), &path, err);
    if (status < 0)
        return status;
    if (strcmp(path, "/") == 0) {
        free(path);
        return benchfs_error_set(err, EINVAL, "must not be the root directory");
    }
    text_replace(field, path);
    return 0;
}

const struct config_type config_type_path = {
    .name = "path",
    .parse = path_parse,
    .clear = text_clear,
    .to_json = text_to_json,
};

static int store_parse(const struct config_setting *setting,
                       const char *text,
                       void *field,
                       struct benchfs_error *err)
{
    if (strcmp(text, "memory") == 0 || strcmp(text, "disk") == 0)
        return text_copy(field, text, err);
    if (text[0] != '/')
        return benchfs_error_set(err, EINVAL, "not memory, disk or an absolute path");
    return path_parse(setting, text, field, err);
}

const struct config_type config_type_store = {
    .name = "store",
    .parse = store_parse,
    .clear = text_clear,
    .to_json = text_to_json,
};

static bool is_subnet(const char *text)
{
    char address[INET6_ADDRSTRLEN];
    unsigned char binary[sizeof(struct in6_addr)];
    const char *slash = strchr(text, '/');
    uint64_t prefix;

    if (!slash || (size_t)(slash - text) >= sizeof(address)
        || units_count_parse(slash + 1, &prefix, NULL) < 0)
        return false;
    snprintf(address, sizeof(address), "%.*s", (int)(slash - text), text);
    if (inet_pton(AF_INET, address, binary) == 1)
        return prefix <= 32;
    return inet_pton(AF_INET6, address, binary) == 1 && prefix <= 128;
}

static bool is_interface_name(const char *text)
{
    size_t length = strlen(text);

    for (size_t i = 0; i < length; i++) {
        if (text[i] <= ' ' || text[i] >= 0x7f || text[i] == '/')
            return false;
    }
    return length > 0 && length < IFNAMSIZ;
}

static int interface_parse(const struct config_setting *setting,
                           const char *text,
                           void *field,
                           struct benchfs_error *err)
{
    (void)setting;
    if (text[0] != '\0' && !is_subnet(text) && !is_interface_name(text))
        return benchfs_error_set(
            err, EINVAL, "not an interface (such as eth0) or a subnet (10.1.0.0/16)");
    return text_copy(field, text, err);
}

const struct config_type config_type_interface = {
    .name = "interface",
    .parse = interface_parse,
    .clear = text_clear,
    .to_json = text_to_json,
};

/* ---- booleans and choices ---- */

static int boolean_parse(const struct config_setting *setting,
                         const char *text,
                         void *field,
                         struct benchfs_error *err)
{
    (void)setting;
    if (strcmp(text, "on") != 0 && strcmp(text, "off") != 0)
        return benchfs_error_set(err, EINVAL, "not on or off");
    *(bool *)field = strcmp(text, "on") == 0;
    return 0;
}

static struct json *boolean_to_json(const struct config_setting *setting,
                                    const void *field)
{
    (void)setting;
    return json_make_bool(*(const bool *)field);
}

const struct config_type config_type_boolean = {
    .name = "boolean",
    .parse = boolean_parse,
    .to_json = boolean_to_json,
};

/* Fields of this type are enums, which both compilers make unsigned int. */
_Static_assert(sizeof(enum config_connection_mode) == sizeof(unsigned), "enum size");
_Static_assert(sizeof(enum log_level) == sizeof(unsigned), "enum size");

static int choice_error(const struct config_setting *setting, struct benchfs_error *err)
{
    benchfs_error_set(err, EINVAL, "not ");
    for (size_t i = 0; setting->choices[i]; i++) {
        const char *joint = i == 0 ? "" : setting->choices[i + 1] ? ", " : " or ";

        benchfs_error_append(err, "%s%s", joint, setting->choices[i]);
    }
    return -EINVAL;
}

static int choice_parse(const struct config_setting *setting,
                        const char *text,
                        void *field,
                        struct benchfs_error *err)
{
    for (unsigned i = 0; setting->choices[i]; i++) {
        if (strcmp(text, setting->choices[i]) == 0) {
            memcpy(field, &i, sizeof(i));
            return 0;
        }
    }
    return choice_error(setting, err);
}

static struct json *choice_to_json(const struct config_setting *setting,
                                   const void *field)
{
    unsigned i;

    memcpy(&i, field, sizeof(i));
    return json_make_string(setting->choices[i]);
}

const struct config_type config_type_choice = {
    .name = "choice",
    .parse = choice_parse,
    .to_json = choice_to_json,
};

/* ---- numbers ---- */

static bool is_auto(const struct config_setting *setting, const char *text)
{
    return (setting->flags & CONFIG_SETTING_AUTO) && strcmp(text, "auto") == 0;
}

static int number_store(const struct config_setting *setting,
                        uint64_t value,
                        const char *min_text,
                        const char *max_text,
                        void *field,
                        struct benchfs_error *err)
{
    if (value < setting->min || value > setting->max)
        return benchfs_error_set(
            err, ERANGE, "must be from %s to %s", min_text, max_text);
    *(uint64_t *)field = value;
    return 0;
}

static struct json *number_to_json(const struct config_setting *setting,
                                   const void *field)
{
    uint64_t value = *(const uint64_t *)field;

    if (value == 0 && (setting->flags & CONFIG_SETTING_AUTO))
        return json_make_string("auto");
    return json_make_u64(value);
}

static int size_parse(const struct config_setting *setting,
                      const char *text,
                      void *field,
                      struct benchfs_error *err)
{
    char min_text[UNITS_TEXT_MAX];
    char max_text[UNITS_TEXT_MAX];
    uint64_t value;
    int status;

    if (is_auto(setting, text)) {
        *(uint64_t *)field = 0;
        return 0;
    }
    status = units_size_parse(text, &value, err);
    if (status < 0)
        return status;
    units_size_format(min_text, sizeof(min_text), setting->min);
    units_size_format(max_text, sizeof(max_text), setting->max);
    return number_store(setting, value, min_text, max_text, field, err);
}

const struct config_type config_type_size = {
    .name = "size",
    .parse = size_parse,
    .to_json = number_to_json,
};

static int size_power_parse(const struct config_setting *setting,
                            const char *text,
                            void *field,
                            struct benchfs_error *err)
{
    uint64_t value;
    int status = size_parse(setting, text, &value, err);

    if (status < 0)
        return status;
    if ((value & (value - 1)) != 0)
        return benchfs_error_set(err, EINVAL, "not a power of two");
    *(uint64_t *)field = value;
    return 0;
}

const struct config_type config_type_size_power = {
    .name = "size",
    .parse = size_power_parse,
    .to_json = number_to_json,
};

static int count_parse(const struct config_setting *setting,
                       const char *text,
                       void *field,
                       struct benchfs_error *err)
{
    char min_text[UNITS_TEXT_MAX];
    char max_text[UNITS_TEXT_MAX];
    uint64_t value;
    int status;

    if (is_auto(setting, text)) {
        *(uint64_t *)field = 0;
        return 0;
    }
    status = units_count_parse(text, &value, err);
    if (status < 0)
        return status;
    snprintf(min_text, sizeof(min_text), "%" PRIu64, setting->min);
    snprintf(max_text, sizeof(max_text), "%" PRIu64, setting->max);
    return number_store(setting, value, min_text, max_text, field, err);
}

const struct config_type config_type_count = {
    .name = "count",
    .parse = count_parse,
    .to_json = number_to_json,
};

static char *duration_format(char *text, size_t size, uint64_t ms)
{
    if (ms % 1000 == 0)
        snprintf(text, size, "%" PRIu64 "s", ms / 1000);
    else
        snprintf(text, size, "%" PRIu64 "ms", ms);
    return text;
}

static int duration_parse(const struct config_setting *setting,
                          const char *text,
                          void *field,
                          struct benchfs_error *err)
{
    char min_text[UNITS_TEXT_MAX];
    char max_text[UNITS_TEXT_MAX];
    uint64_t value;
    int status = units_duration_parse(text, &value, err);

    if (status < 0)
        return status;
    duration_format(min_text, sizeof(min_text), setting->min);
    duration_format(max_text, sizeof(max_text), setting->max);
    return number_store(setting, value, min_text, max_text, field, err);
}

static struct json *duration_to_json(const struct config_setting *setting,
                                     const void *field)
{
    char text[UNITS_TEXT_MAX];

    (void)setting;
    return json_make_string(
        duration_format(text, sizeof(text), *(const uint64_t *)field));
}

const struct config_type config_type_duration = {
    .name = "duration",
    .parse = duration_parse,
    .to_json = duration_to_json,
};

/* SPDX-License-Identifier: Apache-2.0
 * Parsing, building and writing JSON on top of json-c. */
#include "config/json.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fs.h"
#include "config/json_impl.h"

static const char blanks[] = " \t\r\n";

static int syntax_error(const char *text,
                        size_t offset,
                        const char *source,
                        const char *reason,
                        struct benchfs_error *err)
{
    size_t line = 1;
    size_t column = 1;

    for (size_t i = 0; i < offset; i++) {
        column = text[i] == '\n' ? 1 : column + 1;
        line += text[i] == '\n';
    }
    return benchfs_error_set(
        err, EINVAL, "%s:%zu:%zu: not valid JSON: %s", source, line, column, reason);
}

/* text[size] is NUL, which tells json-c that this is all. */
static int parse_with(struct json_tokener *tokener,
                      const char *text,
                      size_t size,
                      const char *source,
                      struct json_object **ret_object,
                      struct benchfs_error *err)
{
    struct json_object *object = json_tokener_parse_ex(tokener, text, (int)size + 1);
    enum json_tokener_error error = json_tokener_get_error(tokener);
    size_t end = json_tokener_get_parse_end(tokener);

    if (error != json_tokener_success)
        return syntax_error(text, end, source, json_tokener_error_desc(error), err);
    end += strspn(text + end, blanks);
    if (end < size) {
        json_object_put(object);
        return syntax_error(text, end, source, "something follows its end", err);
    }
    *ret_object = object;
    return 0;
}

static int parse_terminated(const char *text,
                            size_t size,
                            const char *source,
                            struct json **ret_json,
                            struct benchfs_error *err)
{
    struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
    struct json_object *object = NULL;
    int status;

    if (!tokener)
        return benchfs_error_set(err, ENOMEM, "%s: out of memory", source);
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    status = parse_with(tokener, text, size, source, &object, err);
    json_tokener_free(tokener);
    if (status < 0)
        return status;
    if (!json_object_is_type(object, json_type_object)
        && !json_object_is_type(object, json_type_array)) {
        json_object_put(object);
        return benchfs_error_set(
            err, EINVAL, "%s: must be a JSON object or array", source);
    }
    *ret_json = json_from_c(object);
    return 0;
}

int json_parse(const char *text,
               size_t size,
               const char *source,
               struct json **ret_json,
               struct benchfs_error *err)
{
    const char *nul = memchr(text, '\0', size);
    char *copy;
    int status;

    if (nul)
        return syntax_error(text, (size_t)(nul - text), source, "a NUL byte", err);
    if (size >= INT_MAX)
        return benchfs_error_set(err, EINVAL, "%s: too long", source);
    copy = strndup(text, size);
    if (!copy)
        return benchfs_error_set(err, ENOMEM, "%s: out of memory", source);
    status = parse_terminated(copy, size, source, ret_json, err);
    free(copy);
    return status;
}

int json_file_read(const char *path,
                   size_t size_max,
                   struct json **ret_json,
                   struct benchfs_error *err)
{
    char *text;
    size_t size;
    int status = fs_file_read(path, size_max, &text, &size);

    if (status < 0)
        return benchfs_error_set(err, status, "%s: %s", path, strerror(-status));
    status = json_parse(text, size, path, ret_json, err);
    free(text);
    return status;
}

void json_destroy(struct json *json)
{
    json_object_put(json_to_c(json));
}

enum json_kind json_kind(const struct json *json)
{
    switch (json_object_get_type(json_to_c(json))) {
    case json_type_null:
        return JSON_KIND_NULL;
    case json_type_boolean:
        return JSON_KIND_BOOL;
    case json_type_int:
        return JSON_KIND_INTEGER;
    case json_type_double:
        return JSON_KIND_REAL;
    case json_type_string:
        return JSON_KIND_STRING;
    case json_type_array:
        return JSON_KIND_ARRAY;
    case json_type_object:
        return JSON_KIND_OBJECT;
    }
    return JSON_KIND_NULL;
}

const char *json_kind_name(enum json_kind kind)
{
    static const char *const names[] = {
        [JSON_KIND_NULL] = "null",
        [JSON_KIND_BOOL] = "true or false",
        [JSON_KIND_INTEGER] = "an integer",
        [JSON_KIND_REAL] = "a number",
        [JSON_KIND_STRING] = "a string",
        [JSON_KIND_ARRAY] = "an array",
        [JSON_KIND_OBJECT] = "an object",
    };

    return names[kind];
}

struct json *json_make_object(void)
{
    return json_from_c(json_object_new_object());
}

struct json *json_make_array(void)
{
    return json_from_c(json_object_new_array());
}

/* Length of the valid UTF-8 sequence at text, 0 when there is none. */
static size_t utf8_sequence(const unsigned char *text)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = text[0] < 0x80             ? 1
                    : (text[0] & 0xe0) == 0xc0 ? 2
                    : (text[0] & 0xf0) == 0xe0 ? 3
                    : (text[0] & 0xf8) == 0xf0 ? 4
                                               : 0;
    uint32_t code;

    if (length <= 1)
        return length;
    code = text[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (text[i] & 0x3fu);
    }
    if (code < smallest[length] || code > 0x10ffff
        || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    return length;
}

bool json_text_is_utf8(const char *text)
{
    while (*text) {
        size_t length = utf8_sequence((const unsigned char *)text);

        if (length == 0)
            return false;
        text += length;
    }
    return true;
}

static struct json *make_repaired_string(const char *text)
{
    struct bytes bytes = BYTES_INIT(INT_MAX);
    struct json_object *object = NULL;
    int status = 0;

    while (*text && status == 0) {
        size_t length = utf8_sequence((const unsigned char *)text);

        status = length > 0 ? bytes_append(&bytes, text, length)
                            : bytes_append(&bytes, "\xef\xbf\xbd", 3);
        text += length > 0 ? length : 1;
    }
    if (status == 0)
        object = json_object_new_string_len((const char *)bytes.data, (int)bytes.size);
    bytes_fini(&bytes);
    return json_from_c(object);
}

struct json *json_make_string(const char *text)
{
    if (!json_text_is_utf8(text))
        return make_repaired_string(text);
    return json_from_c(json_object_new_string(text));
}

struct json *json_make_bool(bool value)
{
    return json_from_c(json_object_new_boolean(value));
}

struct json *json_make_u64(uint64_t value)
{
    return json_from_c(json_object_new_uint64(value));
}

struct json *json_make_i64(int64_t value)
{
    return json_from_c(json_object_new_int64(value));
}

struct json *json_make_real(double value)
{
    char text[32];

    if (!isfinite(value))
        value = 0;
    /* json-c itself prints 0.1 as 0.10000000000000001. */
    snprintf(text, sizeof(text), "%.9g", value);
    return json_from_c(json_object_new_double_s(value, text));
}

int json_set(struct json *object, const char *key, struct json *value)
{
    if (!object || !value
        || json_object_object_add(json_to_c(object), key, json_to_c(value)) < 0) {
        json_destroy(value);
        return -ENOMEM;
    }
    return 0;
}

int json_append(struct json *array, struct json *value)
{
    if (!array || !value
        || json_object_array_add(json_to_c(array), json_to_c(value)) < 0) {
        json_destroy(value);
        return -ENOMEM;
    }
    return 0;
}

int json_write(const struct json *json,
               bool is_pretty,
               char **ret_text,
               size_t *ret_size)
{
    int flags = JSON_C_TO_STRING_NOSLASHESCAPE;
    const char *text;
    size_t size;
    char *copy;

    if (is_pretty)
        flags |= JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
    text = json_object_to_json_string_length(json_to_c(json), flags, &size);
    copy = text ? malloc(size + 1) : NULL;
    if (!copy)
        return -ENOMEM;
    memcpy(copy, text, size + 1);
    *ret_text = copy;
    if (ret_size)
        *ret_size = size;
    return 0;
}

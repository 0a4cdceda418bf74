/* SPDX-License-Identifier: Apache-2.0
 * Reading a parsed document through cursors that know their path. */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "config/json.h"
#include "config/json_impl.h"

#define PATH_TEXT_MAX 384

struct json_cursor json_cursor_root(const struct json *json, const char *source)
{
    struct json_cursor root = {.json = json, .key = source};

    return root;
}

/* Appends "a.b[3]" for the cursor, nothing for the root. Cursors are at most as deep as
 * documents. What doesn't fit is left out: the text is for people. */
static void append_path(struct bytes *path, const struct json_cursor *at)
{
    if (!at->above)
        return;
    append_path(path, at->above);
    if (!at->key)
        bytes_printf(path, "[%zu]", at->index);
    else
        bytes_printf(path, "%s%s", path->size > 0 ? "." : "", at->key);
}

static const char *source_of(const struct json_cursor *at)
{
    while (at->above)
        at = at->above;
    return at->key;
}

int json_cursor_error(const struct json_cursor *at,
                      struct benchfs_error *err,
                      const char *fmt,
                      ...)
{
    struct bytes path = BYTES_INIT(PATH_TEXT_MAX);
    va_list args;

    if (!err)
        return -EINVAL;
    va_start(args, fmt);
    benchfs_error_vset(err, EINVAL, fmt, args);
    va_end(args);
    append_path(&path, at);
    if (path.size > 0)
        benchfs_error_prefix(err, "%.*s: ", (int)path.size, (const char *)path.data);
    benchfs_error_prefix(err, "%s: ", source_of(at));
    bytes_fini(&path);
    return -EINVAL;
}

static int require_kind(const struct json_cursor *at,
                        enum json_kind wanted,
                        struct benchfs_error *err)
{
    enum json_kind kind = json_kind(at->json);

    if (kind == wanted)
        return 0;
    return json_cursor_error(
        at, err, "must be %s, not %s", json_kind_name(wanted), json_kind_name(kind));
}

int json_cursor_member(const struct json_cursor *at,
                       const char *key,
                       struct json_cursor *ret_member,
                       struct benchfs_error *err)
{
    struct json_cursor member = {.above = at, .key = key};
    struct json_object *object;
    int status = require_kind(at, JSON_KIND_OBJECT, err);

    if (status < 0)
        return status;
    if (!json_object_object_get_ex(json_to_c(at->json), key, &object)) {
        json_cursor_error(&member, err, "missing");
        return -EINVAL;
    }
    member.json = json_from_c(object);
    *ret_member = member;
    return 0;
}

bool json_has_member(const struct json_cursor *at, const char *key)
{
    return json_kind(at->json) == JSON_KIND_OBJECT
           && json_object_object_get_ex(json_to_c(at->json), key, NULL);
}

bool json_next_member(const struct json_cursor *at,
                      const void **position,
                      struct json_cursor *ret_member)
{
    const struct lh_entry *entry = *position;

    if (json_kind(at->json) != JSON_KIND_OBJECT)
        return false;
    entry = entry ? entry->next : json_object_get_object(json_to_c(at->json))->head;
    if (!entry)
        return false;
    *position = entry;
    *ret_member = (struct json_cursor){
        .above = at,
        .key = lh_entry_k(entry),
        .json = json_from_c(lh_entry_v(entry)),
    };
    return true;
}

int json_get_count(const struct json_cursor *at,
                   size_t *ret_count,
                   struct benchfs_error *err)
{
    int status = require_kind(at, JSON_KIND_ARRAY, err);

    if (status == 0)
        *ret_count = json_object_array_length(json_to_c(at->json));
    return status;
}

struct json_cursor json_cursor_element(const struct json_cursor *at, size_t index)
{
    struct json_cursor element = {
        .above = at,
        .index = index,
        .json = json_from_c(json_object_array_get_idx(json_to_c(at->json), index)),
    };

    return element;
}

int json_get_string(const struct json_cursor *at,
                    const char **ret_text,
                    struct benchfs_error *err)
{
    int status = require_kind(at, JSON_KIND_STRING, err);
    const char *text;

    if (status < 0)
        return status;
    text = json_object_get_string(json_to_c(at->json));
    if (strlen(text) != (size_t)json_object_get_string_len(json_to_c(at->json)))
        return json_cursor_error(at, err, "must not contain a NUL");
    *ret_text = text;
    return 0;
}

int json_get_bool(const struct json_cursor *at,
                  bool *ret_value,
                  struct benchfs_error *err)
{
    int status = require_kind(at, JSON_KIND_BOOL, err);

    if (status == 0)
        *ret_value = json_object_get_boolean(json_to_c(at->json));
    return status;
}

int json_get_u64(const struct json_cursor *at,
                 uint64_t min,
                 uint64_t max,
                 uint64_t *ret_value,
                 struct benchfs_error *err)
{
    int status = require_kind(at, JSON_KIND_INTEGER, err);
    uint64_t value;
    bool is_negative;

    if (status < 0)
        return status;
    is_negative = json_object_get_int64(json_to_c(at->json)) < 0;
    value = json_object_get_uint64(json_to_c(at->json));
    if (is_negative || value < min || value > max)
        return json_cursor_error(
            at, err, "must be from %" PRIu64 " to %" PRIu64, min, max);
    /* json-c saturates, so this may stand for anything beyond. */
    if (value == UINT64_MAX)
        return json_cursor_error(at, err, "too large");
    *ret_value = value;
    return 0;
}

int json_get_real(const struct json_cursor *at,
                  double *ret_value,
                  struct benchfs_error *err)
{
    double value;

    if (json_kind(at->json) != JSON_KIND_INTEGER) {
        int status = require_kind(at, JSON_KIND_REAL, err);

        if (status < 0)
            return status;
    }
    value = json_object_get_double(json_to_c(at->json));
    if (!isfinite(value))
        return json_cursor_error(at, err, "must be a finite number");
    *ret_value = value;
    return 0;
}

int json_member_string(const struct json_cursor *at,
                       const char *key,
                       const char **ret_text,
                       struct benchfs_error *err)
{
    struct json_cursor member;
    int status = json_cursor_member(at, key, &member, err);

    return status < 0 ? status : json_get_string(&member, ret_text, err);
}

int json_member_bool(const struct json_cursor *at,
                     const char *key,
                     bool *ret_value,
                     struct benchfs_error *err)
{
    struct json_cursor member;
    int status = json_cursor_member(at, key, &member, err);

    return status < 0 ? status : json_get_bool(&member, ret_value, err);
}

int json_member_u64(const struct json_cursor *at,
                    const char *key,
                    uint64_t min,
                    uint64_t max,
                    uint64_t *ret_value,
                    struct benchfs_error *err)
{
    struct json_cursor member;
    int status = json_cursor_member(at, key, &member, err);

    return status < 0 ? status : json_get_u64(&member, min, max, ret_value, err);
}

int json_member_real(const struct json_cursor *at,
                     const char *key,
                     double *ret_value,
                     struct benchfs_error *err)
{
    struct json_cursor member;
    int status = json_cursor_member(at, key, &member, err);

    return status < 0 ? status : json_get_real(&member, ret_value, err);
}

static bool is_in_list(const char *const *keys, const char *key)
{
    for (; *keys; keys++) {
        if (strcmp(*keys, key) == 0)
            return true;
    }
    return false;
}

int json_check_keys(const struct json_cursor *at,
                    const char *const *keys,
                    struct benchfs_error *err)
{
    const void *position = NULL;
    struct json_cursor member;
    int status = require_kind(at, JSON_KIND_OBJECT, err);

    if (status < 0)
        return status;
    while (json_next_member(at, &position, &member)) {
        if (!is_in_list(keys, member.key))
            return json_cursor_error(&member, err, "unknown key");
    }
    return 0;
}

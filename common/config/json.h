/* SPDX-License-Identifier: Apache-2.0
 * JSON for everyone: parse with limits, read with errors that name the path, build and
 * write. The only user of json-c. Not thread-safe per document. */
#ifndef BENCHFS_CONFIG_JSON_H
#define BENCHFS_CONFIG_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define JSON_DEPTH_MAX 32

struct json;

enum json_kind {
    JSON_KIND_NULL,
    JSON_KIND_BOOL,
    JSON_KIND_INTEGER,
    JSON_KIND_REAL,
    JSON_KIND_STRING,
    JSON_KIND_ARRAY,
    JSON_KIND_OBJECT,
};

/* ---- parse ---- */

/* Parses one document, an object or an array, with nothing but blanks behind it.
 * Invalid UTF-8, NUL bytes and more than JSON_DEPTH_MAX levels are errors. `source`
 * begins the error text: "source:line:column: reason". Of a key that stands twice, the
 * last counts. Returns 0, -EINVAL or -ENOMEM. json_destroy() the result. */
int json_parse(const char *text,
               size_t size,
               const char *source,
               struct json **ret_json,
               struct benchfs_error *err);

/* Reads and parses a file of at most size_max bytes. Returns also what open and read
 * return, and -EFBIG. */
int json_file_read(const char *path,
                   size_t size_max,
                   struct json **ret_json,
                   struct benchfs_error *err);

/* NULL is fine. Frees everything that was set in or appended to it. */
void json_destroy(struct json *json);

/* Whether every byte belongs to a valid sequence. */
bool json_text_is_utf8(const char *text);

enum json_kind json_kind(const struct json *json);
/* "a string", "an object".. */
const char *json_kind_name(enum json_kind kind);

/* ---- read ---- */

/* A place in a document that knows its path. Cursors are plain values that refer to the
 * one above, which must outlive them: keep them on the stack. */
struct json_cursor {
    const struct json *json;
    const struct json_cursor *above; /* NULL at the root */
    const char *key;                 /* of a member; at the root the source's name */
    size_t index;                    /* of an element, when key is NULL */
};

struct json_cursor json_cursor_root(const struct json *json, const char *source);

/* Sets err to "source: path: text" (err may be NULL) and returns -EINVAL. */
int json_cursor_error(const struct json_cursor *at,
                      struct benchfs_error *err,
                      const char *fmt,
                      ...) __attribute__((format(printf, 3, 4)));

/* Steps to a member. Returns 0 or -EINVAL (no object, or no such key). */
int json_cursor_member(const struct json_cursor *at,
                       const char *key,
                       struct json_cursor *ret_member,
                       struct benchfs_error *err);
bool json_has_member(const struct json_cursor *at, const char *key);

/* Walks the members: start with *position = NULL; false is the end, and what is
 * returned for anything but an object. */
bool json_next_member(const struct json_cursor *at,
                      const void **position,
                      struct json_cursor *ret_member);

/* The elements of an array; -EINVAL when it is none. */
int json_get_count(const struct json_cursor *at,
                   size_t *ret_count,
                   struct benchfs_error *err);
/* index must be below the count. */
struct json_cursor json_cursor_element(const struct json_cursor *at, size_t index);

/* The value at the cursor, or -EINVAL with a text that says what must stand there. A
 * string belongs to the document and contains no NUL. max must be below UINT64_MAX:
 * that value and all beyond are refused. An integer is fine as a real. */
int json_get_string(const struct json_cursor *at,
                    const char **ret_text,
                    struct benchfs_error *err);
int json_get_bool(const struct json_cursor *at,
                  bool *ret_value,
                  struct benchfs_error *err);
int json_get_u64(const struct json_cursor *at,
                 uint64_t min,
                 uint64_t max,
                 uint64_t *ret_value,
                 struct benchfs_error *err);
int json_get_real(const struct json_cursor *at,
                  double *ret_value,
                  struct benchfs_error *err);

/* The same of a member of the object at the cursor. */
int json_member_string(const struct json_cursor *at,
                       const char *key,
                       const char **ret_text,
                       struct benchfs_error *err);
int json_member_bool(const struct json_cursor *at,
                     const char *key,
                     bool *ret_value,
                     struct benchfs_error *err);
int json_member_u64(const struct json_cursor *at,
                    const char *key,
                    uint64_t min,
                    uint64_t max,
                    uint64_t *ret_value,
                    struct benchfs_error *err);
int json_member_real(const struct json_cursor *at,
                     const char *key,
                     double *ret_value,
                     struct benchfs_error *err);

/* -EINVAL naming the first key of the object that is not in the NULL-ended list. */
int json_check_keys(const struct json_cursor *at,
                    const char *const *keys,
                    struct benchfs_error *err);

/* ---- build and write ---- */

/* Return NULL when memory is short. Bytes of a string that are not UTF-8 become U+FFFD.
 * A real that is not finite becomes 0. */
struct json *json_make_object(void);
struct json *json_make_array(void);
struct json *json_make_string(const char *text);
struct json *json_make_bool(bool value);
struct json *json_make_u64(uint64_t value);
struct json *json_make_i64(int64_t value);
struct json *json_make_real(double value);

/* Put `value` into an object (replacing what has the key) or at the end of an array,
 * and take it over, also on failure. NULL for either is fine and gives -ENOMEM, so that
 * calls nest: json_set(object, "name", json_make_string(name)). Return 0 or -ENOMEM. */
int json_set(struct json *object, const char *key, struct json *value);
int json_append(struct json *array, struct json *value);

/* Writes the document as text (free() it), on one line or indented; no newline at the
 * end. ret_size may be NULL. Returns 0 or -ENOMEM. */
int json_write(const struct json *json,
               bool is_pretty,
               char **ret_text,
               size_t *ret_size);

#endif

/* SPDX-License-Identifier: Apache-2.0
 * Error text for a person. */
#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void mark_cut(char *text, size_t size)
{
    memcpy(text + size - 4, "...", 4);
}

static void format_text(char *text, size_t size, const char *fmt, va_list args)
    __attribute__((format(printf, 3, 0)));

static void format_text(char *text, size_t size, const char *fmt, va_list args)
{
    int length = vsnprintf(text, size, fmt, args);

    if (length < 0)
        text[0] = '\0';
    else if ((size_t)length >= size)
        mark_cut(text, size);
}

static void join_text(struct benchfs_error *err, const char *first, const char *second)
{
    char text[BENCHFS_ERROR_TEXT_MAX];

    if (snprintf(text, sizeof(text), "%s%s", first, second) >= (int)sizeof(text))
        mark_cut(text, sizeof(text));
    memcpy(err->text, text, sizeof(text));
}

int benchfs_error_vset(struct benchfs_error *err,
                       int code,
                       const char *fmt,
                       va_list args)
{
    char text[BENCHFS_ERROR_TEXT_MAX];
    int positive = code < 0 ? -code : code;

    if (err) {
        format_text(text, sizeof(text), fmt, args);
        err->code = positive;
        memcpy(err->text, text, sizeof(text));
    }
    return -positive;
}

int(benchfs_error_set)(struct benchfs_error *err, int code, const char *fmt, ...)
{
    va_list args;
    int status;

    va_start(args, fmt);
    status = benchfs_error_vset(err, code, fmt, args);
    va_end(args);
    return status;
}

void benchfs_error_prefix(struct benchfs_error *err, const char *fmt, ...)
{
    char text[BENCHFS_ERROR_TEXT_MAX];
    va_list args;

    if (!err)
        return;
    va_start(args, fmt);
    format_text(text, sizeof(text), fmt, args);
    va_end(args);
    join_text(err, text, err->text);
}

void benchfs_error_append(struct benchfs_error *err, const char *fmt, ...)
{
    char text[BENCHFS_ERROR_TEXT_MAX];
    va_list args;

    if (!err)
        return;
    va_start(args, fmt);
    format_text(text, sizeof(text), fmt, args);
    va_end(args);
    join_text(err, err->text, text);
}

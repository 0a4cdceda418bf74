/* SPDX-License-Identifier: Apache-2.0
 * An error for a person: a positive errno and one line of text that names the cause
 * (file, key, host, value). Travels as the last argument of a call that can fail. */
#ifndef BENCHFS_BASE_ERROR_H
#define BENCHFS_BASE_ERROR_H

#include <stdarg.h>

#define BENCHFS_ERROR_TEXT_MAX 512

struct benchfs_error {
    int code; /* positive errno, 0 when nothing was set */
    char text[BENCHFS_ERROR_TEXT_MAX];
};

/* A fresh one: struct benchfs_error err = BENCHFS_ERROR_INIT; */
#define BENCHFS_ERROR_INIT                                                             \
    {                                                                                  \
        .code = 0, .text = ""                                                          \
    }

/* Sets code and text and returns -code. `code` may be given as errno or -errno; err may
 * be NULL, then only the return value is made. %m prints the errno at the call. Text
 * that does not fit is cut and ends in "...". The arguments may point into err->text.
 */
int benchfs_error_set(struct benchfs_error *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int benchfs_error_vset(struct benchfs_error *err,
                       int code,
                       const char *fmt,
                       va_list args) __attribute__((format(printf, 3, 0)));

/* Puts text before ("host n3: ") or after what is there; the code stays. err may be
 * NULL. */
void benchfs_error_prefix(struct benchfs_error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void benchfs_error_append(struct benchfs_error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#ifdef __clang_analyzer__
/* The analyzer can't see that the result is negative, and would follow callers past it.
 */
#define benchfs_error_set(err, code, ...)                                              \
    ((benchfs_error_set)(err, code, __VA_ARGS__), -1)
#endif

#endif

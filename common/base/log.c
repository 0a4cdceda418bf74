/* SPDX-License-Identifier: Apache-2.0
 * Log lines on stderr. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOG_LINE_MAX   2048
#define LOG_PREFIX_MAX 64

static _Atomic int current_level = LOG_LEVEL_WARN;
static char current_prefix[LOG_PREFIX_MAX];

static const char *const level_names[] = {
    [LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARN] = "warn",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
};

void log_level_set(enum log_level level)
{
    atomic_store_explicit(&current_level, (int)level, memory_order_relaxed);
}

enum log_level log_level_get(void)
{
    return (enum log_level)atomic_load_explicit(&current_level, memory_order_relaxed);
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

int log_level_parse(const char *name, enum log_level *ret_level)
{
    for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

void log_prefix_set(const char *prefix)
{
    snprintf(current_prefix, sizeof(current_prefix), "%s", prefix);
}

bool log_is_on(enum log_level level)
{
    return level <= log_level_get();
}

/* Returns the line's length without a newline, at most size - 1. */
static size_t format_head(char *line, size_t size, enum log_level level)
{
    int length = snprintf(line,
                          size,
                          "%s%s%s: ",
                          current_prefix,
                          current_prefix[0] ? ": " : "",
                          level_names[level]);

    return length < 0 ? 0 : (size_t)length;
}

void log_write(enum log_level level, const char *fmt, ...)
{
    char line[LOG_LINE_MAX];
    int saved_errno = errno;
    size_t used = format_head(line, sizeof(line), level);
    size_t left = sizeof(line) - used;
    va_list args;
    int length;

    errno = saved_errno;
    va_start(args, fmt);
    length = vsnprintf(line + used, left, fmt, args);
    va_end(args);
    if (length < 0)
        length = 0;
    if ((size_t)length >= left) {
        length = (int)left - 1;
        memcpy(line + sizeof(line) - 4, "...", 3);
    }
    used += (size_t)length;
    for (size_t i = 0; i < used; i++) {
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            line[i] = '?';
    }
    line[used] = '\n';
    /* Nobody is left to be told when stderr is gone. */
    if (write(STDERR_FILENO, line, used + 1) < 0) {
    }
    errno = saved_errno;
}

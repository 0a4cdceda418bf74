/* SPDX-License-Identifier: Apache-2.0
 * Log lines on stderr: "prefix: level: text". Level and prefix are the process's only
 * state here; both are set once, before threads start. Libraries log at debug only. */
#ifndef BENCHFS_BASE_LOG_H
#define BENCHFS_BASE_LOG_H

#include <stdbool.h>

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARN,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG,
};

/* Default level: LOG_LEVEL_WARN. May be changed at any time, from any thread. */
void log_level_set(enum log_level level);
enum log_level log_level_get(void);

/* "error", "warn", "info", "debug". */
const char *log_level_name(enum log_level level);
/* Returns 0, or -EINVAL when the name is none of these. */
int log_level_parse(const char *name, enum log_level *ret_level);

/* What each line begins with, e.g. "benchfsd[n1]"; ": " is added. Cut at 63 bytes. Call
 * before other threads log. */
void log_prefix_set(const char *prefix);

bool log_is_on(enum log_level level);

/* One line, one write(2); a longer text is cut at about 2000 bytes and ends in "...".
 * Control characters become '?', so that a file name can't forge a line. Keeps errno,
 * and %m prints it. Any thread; not async-signal-safe. */
void log_write(enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#define log_at(level, ...)                                                             \
    do {                                                                               \
        if (log_is_on(level))                                                          \
            log_write(level, __VA_ARGS__);                                             \
    } while (0)

#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif

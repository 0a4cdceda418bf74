/* SPDX-License-Identifier: Apache-2.0
 * The argument list of a program to start. Errors are kept, and asked for at the end.
 */
#ifndef BENCHFS_LAUNCH_ARGUMENTS_H
#define BENCHFS_LAUNCH_ARGUMENTS_H

#include <stddef.h>

struct arguments {
    char **items; /* NULL-ended once something was added */
    size_t count;
    int status; /* 0 or the first -errno */
};

void arguments_init(struct arguments *arguments);
void arguments_fini(struct arguments *arguments);

/* Adds copies. */
void arguments_add(struct arguments *arguments, const char *text);
void arguments_add_pair(struct arguments *arguments,
                        const char *option,
                        const char *value);
void arguments_printf(struct arguments *arguments, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif

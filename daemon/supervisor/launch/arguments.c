/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/arguments.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void arguments_init(struct arguments *arguments)
{
    *arguments = (struct arguments){.items = NULL};
}

void arguments_fini(struct arguments *arguments)
{
    for (size_t i = 0; i < arguments->count; i++)
        free(arguments->items[i]);
    free(arguments->items);
    arguments_init(arguments);
}

/* Takes `text` over; NULL: memory was short. */
static void arguments_take(struct arguments *arguments, char *text)
{
    char **items = NULL;

    if (text && arguments->status == 0)
        items = reallocarray(arguments->items, arguments->count + 2, sizeof(*items));
    if (!items) {
        arguments->status = arguments->status ? arguments->status : -ENOMEM;
        free(text);
        return;
    }
    items[arguments->count++] = text;
    items[arguments->count] = NULL;
    arguments->items = items;
}

void arguments_add(struct arguments *arguments, const char *text)
{
    arguments_take(arguments, strdup(text));
}

void arguments_add_pair(struct arguments *arguments,
                        const char *option,
                        const char *value)
{
    arguments_add(arguments, option);
    arguments_add(arguments, value);
}

void arguments_printf(struct arguments *arguments, const char *fmt, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        text = NULL;
    va_end(args);
    arguments_take(arguments, text);
}

/* SPDX-License-Identifier: Apache-2.0
 * Growable byte buffer with a limit. */
#include "base/bytes.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_CAPACITY_MIN 64

void bytes_init(struct bytes *bytes, size_t limit)
{
    *bytes = (struct bytes)BYTES_INIT(limit);
}

void bytes_fini(struct bytes *bytes)
{
    if (!bytes)
        return;
    free(bytes->data);
    bytes_init(bytes, bytes->limit);
}

void bytes_clear(struct bytes *bytes)
{
    bytes->size = 0;
}

/* Doubles, from the minimum up to the limit; `needed` is within the limit. */
static size_t next_capacity(const struct bytes *bytes, size_t needed)
{
    size_t capacity =
        bytes->capacity < BYTES_CAPACITY_MIN ? BYTES_CAPACITY_MIN : bytes->capacity;

    while (capacity < needed) {
        if (capacity > bytes->limit / 2)
            return bytes->limit;
        capacity *= 2;
    }
    return capacity;
}

int bytes_reserve(struct bytes *bytes, size_t extra)
{
    size_t capacity;
    uint8_t *data;

    if (extra > bytes->limit - bytes->size)
        return -EMSGSIZE;
    if (extra <= bytes->capacity - bytes->size)
        return 0;
    capacity = next_capacity(bytes, bytes->size + extra);
    data = realloc(bytes->data, capacity);
    if (!data)
        return -ENOMEM;
    bytes->data = data;
    bytes->capacity = capacity;
    return 0;
}

int bytes_append(struct bytes *bytes, const void *data, size_t size)
{
    int status = bytes_reserve(bytes, size);

    if (status < 0)
        return status;
    if (size > 0)
        memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
    return 0;
}

int bytes_append_zero(struct bytes *bytes, size_t size)
{
    int status = bytes_reserve(bytes, size);

    if (status < 0)
        return status;
    if (size > 0)
        memset(bytes->data + bytes->size, 0, size);
    bytes->size += size;
    return 0;
}

int bytes_printf(struct bytes *bytes, const char *fmt, ...)
{
    va_list args;
    char *text = NULL;
    int length;
    int status;

    va_start(args, fmt);
    length = vasprintf(&text, fmt, args);
    va_end(args);
    if (length < 0)
        return -ENOMEM;
    status = bytes_append(bytes, text, (size_t)length);
    free(text);
    return status;
}

void bytes_consume(struct bytes *bytes, size_t size)
{
    if (size >= bytes->size) {
        bytes->size = 0;
        return;
    }
    memmove(bytes->data, bytes->data + size, bytes->size - size);
    bytes->size -= size;
}

uint8_t *bytes_take(struct bytes *bytes, size_t *ret_size)
{
    uint8_t *data = bytes->data;

    *ret_size = bytes->size;
    bytes_init(bytes, bytes->limit);
    return data;
}

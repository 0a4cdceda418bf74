/* SPDX-License-Identifier: Apache-2.0
 * Growable byte buffer with a limit, so that input from outside can't grow it without
 * end. Not thread-safe. */
#ifndef BENCHFS_BASE_BYTES_H
#define BENCHFS_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>

struct bytes {
    uint8_t *data; /* NULL while nothing was reserved */
    size_t size;
    size_t capacity;
    size_t limit; /* size never exceeds it */
};

#define BYTES_INIT(limit_)                                                             \
    {                                                                                  \
        .data = NULL, .size = 0, .capacity = 0, .limit = (limit_)                      \
    }

void bytes_init(struct bytes *bytes, size_t limit);
/* Frees the memory; the buffer is empty and usable after it. NULL is fine. */
void bytes_fini(struct bytes *bytes);

/* Empties it and keeps the memory. */
void bytes_clear(struct bytes *bytes);

/* Makes room for `extra` bytes behind the end, at bytes->data + bytes->size, whose
 * content is undefined; the caller raises size by what it filled. Moves data. Returns
 * 0, -EMSGSIZE (beyond the limit) or -ENOMEM; on failure nothing changed. */
int bytes_reserve(struct bytes *bytes, size_t extra);

/* Return as bytes_reserve. `data` must not point into the buffer. */
int bytes_append(struct bytes *bytes, const void *data, size_t size);
int bytes_append_zero(struct bytes *bytes, size_t size);
/* No terminating NUL is counted. */
int bytes_printf(struct bytes *bytes, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Drops `size` bytes, at most all, from the front. Moves what is left. */
void bytes_consume(struct bytes *bytes, size_t size);

/* Hands the memory (free() it) to the caller and leaves the buffer empty. NULL when
 * nothing was ever reserved. */
uint8_t *bytes_take(struct bytes *bytes, size_t *ret_size);

#endif

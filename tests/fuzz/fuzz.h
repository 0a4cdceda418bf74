/* SPDX-License-Identifier: Apache-2.0
 * What a libFuzzer target has to define. Anything but a crash, a sanitizer's report or
 * a broken FUZZ_CHECK is fine. */
#ifndef BENCHFS_FUZZ_H
#define BENCHFS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(condition)                                                          \
    do {                                                                               \
        if (!(condition))                                                              \
            abort();                                                                   \
    } while (0)

/* The input as a string; to be freed. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    FUZZ_CHECK(text);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

#endif

/* SPDX-License-Identifier: Apache-2.0
 * Items of staging, as a worker gets them. */
#include "fuzz.h"

#include "stage/item.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct item *item = malloc(sizeof(*item));

    FUZZ_CHECK(item);
    (void)item_decode(item, data, size);
    free(item);
    return 0;
}

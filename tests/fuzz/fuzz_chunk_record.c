/* SPDX-License-Identifier: Apache-2.0
 * A chunk's record in the store: damage is noticed, or does no harm. */
#include "fuzz.h"

#include "store/chunk_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct chunk_record record = {0};
    uint64_t ino, chunk;

    (void)chunk_key_decode(data, size, &ino, &chunk);
    (void)chunk_record_decode(&record, data, size);
    chunk_record_fini(&record);
    return 0;
}

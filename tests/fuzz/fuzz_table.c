/* SPDX-License-Identifier: Apache-2.0
 * The endpoint table and a node's record of it. */
#include "fuzz.h"

#include "proto/endpoint_table.h"

static void table(const uint8_t *data, size_t size)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct bytes again = BYTES_INIT(64u << 20);
    struct endpoint_table decoded;

    if (endpoint_table_decode(&decoded, data, size, &err)) {
        FUZZ_CHECK(err.code != 0 && err.text[0] != '\0');
        return;
    }
    FUZZ_CHECK(endpoint_table_encode(&decoded, &again) == 0);
    FUZZ_CHECK(again.size == size && memcmp(again.data, data, size) == 0);
    bytes_fini(&again);
    endpoint_table_fini(&decoded);
}

static void record(const uint8_t *data, size_t size)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct endpoint *endpoints;
    uint32_t n;

    if (endpoint_record_decode(&endpoints, &n, data, size, &err) == 0)
        endpoint_list_free(endpoints, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    table(data, size);
    record(data, size);
    return 0;
}

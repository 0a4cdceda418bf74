/* SPDX-License-Identifier: Apache-2.0
 * The configuration as JSON: what is taken is written and read again as the same. */
#include "fuzz.h"

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    char *text = fuzz_text(data, size), *first, *second;
    struct benchfs_config *config, *again;

    if (config_from_json_string(text, &config, &err)) {
        FUZZ_CHECK(err.code != 0 && err.text[0] != '\0');
        free(text);
        return 0;
    }
    FUZZ_CHECK(config_to_json_string(config, false, &first) == 0);
    FUZZ_CHECK(config_from_json_string(first, &again, &err) == 0);
    FUZZ_CHECK(config_to_json_string(again, false, &second) == 0);
    FUZZ_CHECK(strcmp(first, second) == 0);
    config_destroy(again);
    config_destroy(config);
    free(second);
    free(first);
    free(text);
    return 0;
}

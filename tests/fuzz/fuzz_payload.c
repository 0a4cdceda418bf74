/* SPDX-License-Identifier: Apache-2.0
 * Lists that travel as payload, and what daemons tell each other before they serve. The
 * first byte says which. */
#include "fuzz.h"

#include "launch/hub_message.h"
#include "proto/survey.h"
#include "proto/wire.h"
#include "supervisor/round.h"

#define RANKS_MAX 8u

/* As many as there are; each is encoded again, to the same bytes. */
static void dirents(const uint8_t *data, size_t size)
{
    struct wire_reader reader = {.data = data, .length = size};
    uint8_t again[8 + 4 + 8 + 2 + WIRE_NAME_MAX];

    while (!reader.failed && reader.position < size) {
        size_t start = reader.position;
        struct wire_writer writer = {.data = again, .capacity = sizeof(again)};
        struct wire_dirent entry;

        wire_get_dirent(&reader, &entry);
        if (reader.failed)
            return;
        FUZZ_CHECK(entry.name.len > 0 && entry.name.len <= WIRE_NAME_MAX);
        FUZZ_CHECK(!memchr(entry.name.data, '/', entry.name.len));
        wire_put_dirent(&writer, &entry);
        FUZZ_CHECK(writer.length == reader.position - start);
        FUZZ_CHECK(memcmp(again, data + start, writer.length) == 0);
    }
}

static void survey(const uint8_t *data, size_t size)
{
    struct wire_reader reader = {.data = data, .length = size};
    struct survey_record record;

    while (!reader.failed && reader.position < size)
        survey_record_get(&reader, &record);
}

static void round_of_daemons(const uint8_t *data, size_t size)
{
    struct round_record record;

    if (round_record_decode(&record, data, size) == 0)
        FUZZ_CHECK(record.len <= size);
}

static void hub(const uint8_t *data, size_t size)
{
    struct bytes records[RANKS_MAX];
    struct hub_welcome welcome;
    uint32_t n = size ? data[0] % RANKS_MAX + 1 : 1;

    (void)hub_welcome_decode(&welcome, data, size);
    for (uint32_t i = 0; i < n; i++)
        records[i] = (struct bytes)BYTES_INIT(HUB_RECORD_MAX);
    (void)hub_all_decode(records, n, data, size);
    for (uint32_t i = 0; i < n; i++)
        bytes_fini(&records[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const decoders[])(const uint8_t *data, size_t size) = {
        dirents, survey, round_of_daemons, hub};

    if (size > 0)
        decoders[data[0] % (sizeof(decoders) / sizeof(decoders[0]))](data + 1,
                                                                     size - 1);
    return 0;
}

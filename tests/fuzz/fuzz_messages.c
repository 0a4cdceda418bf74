/* SPDX-License-Identifier: Apache-2.0
 * Headers and bodies of messages: what decodes encodes to the same bytes. The first
 * byte says which. */
#include "fuzz.h"

#include "proto/messages.h"
#include "proto/ops.h"

#define MSG_BEGIN(name)                                                                \
    static void body_##name(const uint8_t *data, size_t size)                          \
    {                                                                                  \
        uint8_t again[WIRE_BODY_MAX];                                                  \
        struct msg_##name msg;                                                         \
                                                                                       \
        if (msg_##name##_decode(&msg, data, size) == 0) {                              \
            FUZZ_CHECK(msg_##name##_encode(&msg, again, sizeof(again)) == size);       \
            FUZZ_CHECK(size == 0 || memcmp(again, data, size) == 0);                   \
        }                                                                              \
    }
#define MSG_FIELD(type, field)
#define MSG_END(name)
#include "proto/messages.def"
#undef MSG_BEGIN
#undef MSG_FIELD
#undef MSG_END

#define MSG_BEGIN(name) body_##name,
#define MSG_FIELD(type, field)
#define MSG_END(name)
static void (*const bodies[])(const uint8_t *data, size_t size) = {
#include "proto/messages.def"
};

#define N_BODIES (sizeof(bodies) / sizeof(bodies[0]))

static void header(const uint8_t *data, size_t size)
{
    uint8_t again[WIRE_HEADER_SIZE];
    struct wire_header decoded;

    if (wire_header_decode(&decoded, data, size))
        return;
    FUZZ_CHECK(decoded.body_len <= WIRE_BODY_MAX);
    FUZZ_CHECK(decoded.payload_len <= WIRE_PAYLOAD_MAX);
    wire_header_encode(&decoded, again);
    FUZZ_CHECK(memcmp(again, data, sizeof(again)) == 0);
    (void)op_find(decoded.opcode);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t which;

    if (size == 0)
        return 0;
    which = data[0] % (N_BODIES + 1);
    if (which == N_BODIES)
        header(data + 1, size - 1);
    else
        bodies[which](data + 1, size - 1);
    return 0;
}

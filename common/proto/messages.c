/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/messages.h"

#include <errno.h>

/* one put and one get per field type, called PUT_<type>, GET_<type> */
#define PUT_U8(w, value)    wire_put_u8(w, value)
#define PUT_U16(w, value)   wire_put_u16(w, value)
#define PUT_U32(w, value)   wire_put_u32(w, value)
#define PUT_U64(w, value)   wire_put_u64(w, value)
#define PUT_I64(w, value)   wire_put_i64(w, value)
#define PUT_NAME(w, value)  wire_put_text(w, value)
#define PUT_TEXT(w, value)  wire_put_text(w, value)
#define PUT_BYTES(w, value) wire_put_text(w, value)
#define PUT_ATTR(w, value)  wire_put_attr(w, &(value))

#define GET_U8(r, field)    (field) = wire_get_u8(r)
#define GET_U16(r, field)   (field) = wire_get_u16(r)
#define GET_U32(r, field)   (field) = wire_get_u32(r)
#define GET_U64(r, field)   (field) = wire_get_u64(r)
#define GET_I64(r, field)   (field) = wire_get_i64(r)
#define GET_NAME(r, field)  (field) = wire_get_name(r)
#define GET_TEXT(r, field)  (field) = wire_get_text(r, WIRE_TEXT_MAX)
#define GET_BYTES(r, field) (field) = wire_get_text(r, WIRE_TEXT_MAX)
#define GET_ATTR(r, field)  wire_get_attr(r, &(field))

#define MSG_BEGIN(name)                                                                \
    size_t msg_##name##_encode(const struct msg_##name *msg, uint8_t *buf, size_t cap) \
    {                                                                                  \
        struct wire_writer w = {.data = buf, .capacity = cap};                         \
        (void)msg;
#define MSG_FIELD(type, field) PUT_##type(&w, msg->field);
#define MSG_END(name)                                                                  \
    return w.failed ? 0 : w.length;                                                    \
    }
#include "proto/messages.def"
#undef MSG_BEGIN
#undef MSG_FIELD
#undef MSG_END

#define MSG_BEGIN(name)                                                                \
    int msg_##name##_decode(struct msg_##name *msg, const uint8_t *buf, size_t len)    \
    {                                                                                  \
        struct wire_reader r = {.data = buf, .length = len};                           \
        (void)msg;
#define MSG_FIELD(type, field) GET_##type(&r, msg->field);
#define MSG_END(name)                                                                  \
    return wire_reader_finish(&r);                                                     \
    }
#include "proto/messages.def"
#undef MSG_BEGIN
#undef MSG_FIELD
#undef MSG_END

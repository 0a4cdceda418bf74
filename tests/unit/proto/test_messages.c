/* SPDX-License-Identifier: Apache-2.0
 * Every message: filled with known values it gives the bytes in
 * tests/golden/messages.txt, comes back the same, and is refused when a byte is missing
 * or one too many. */
#include "unit.h"

#include "base/fs.h"
#include "proto/messages.h"

#define LINE_MAX_ (2 * WIRE_BODY_MAX + 64)

/* Values count up through a message, so that swapped fields show. */
static uint64_t counter;

static uint64_t next_value(void)
{
    return 0x0102030405060700u + ++counter;
}

static struct wire_text next_text(void)
{
    static const char texts[] = "abcdefghijklmnopqrstuvwxyz";
    uint16_t len = (uint16_t)(++counter % 20 + 1);

    return (struct wire_text){.data = texts, .len = len};
}

static struct wire_attr next_attr(void)
{
    return (struct wire_attr){
        .ino = next_value(),
        .parent = next_value(),
        .mode = (uint32_t)next_value(),
        .uid = (uint32_t)next_value(),
        .gid = (uint32_t)next_value(),
        .nlink = (uint32_t)next_value(),
        .size = next_value(),
        .bytes = next_value(),
        .atime_ns = -(int64_t)next_value(),
        .mtime_ns = (int64_t)next_value(),
        .ctime_ns = (int64_t)next_value(),
        .btime_ns = (int64_t)next_value(),
        .rdev = next_value(),
        .chunk_size = (uint32_t)next_value(),
        .base = (uint32_t)next_value(),
        .layout = (uint8_t)next_value(),
    };
}

#define FILL_U8    (uint8_t) next_value()
#define FILL_U16   (uint16_t) next_value()
#define FILL_U32   (uint32_t) next_value()
#define FILL_U64   next_value()
#define FILL_I64   (-(int64_t)next_value())
#define FILL_NAME  next_text()
#define FILL_TEXT  next_text()
#define FILL_BYTES next_text()
#define FILL_ATTR  next_attr()

static void hex_of(const uint8_t *data, size_t len, char *ret)
{
    for (size_t i = 0; i < len; i++)
        sprintf(ret + 2 * i, "%02x", data[i]);
    ret[2 * len] = '\0';
}

/* The golden line of a message, or the line to add to the file when it is new. */
static void
golden_check(const char *golden, const char *name, const uint8_t *buf, size_t len)
{
    char *line = malloc(LINE_MAX_);

    assert_non_null(line);
    snprintf(line, LINE_MAX_, "\n%s ", name);
    hex_of(buf, len, line + strlen(line));
    strcat(line, "\n");
    if (!strstr(golden, line))
        fail_msg("not in tests/golden/messages.txt (a change of the protocol?):%s",
                 line);
    free(line);
}

#define MSG_BEGIN(name)                                                                \
    static void check_##name(const char *golden)                                       \
    {                                                                                  \
        struct msg_##name msg, back;                                                   \
        uint8_t buf[WIRE_BODY_MAX], again[WIRE_BODY_MAX];                              \
        const char *message = #name;                                                   \
        size_t (*encode)(const struct msg_##name *, uint8_t *, size_t) =               \
            msg_##name##_encode;                                                       \
        int (*decode)(struct msg_##name *, const uint8_t *, size_t) =                  \
            msg_##name##_decode;                                                       \
        size_t len, longest = MSG_##name##_MAX;                                        \
        counter = 0;                                                                   \
        memset(&msg, 0, sizeof(msg));
#define MSG_FIELD(type, field) msg.field = FILL_##type;
#define MSG_END(name)                                                                  \
    len = encode(&msg, buf, sizeof(buf));                                              \
    assert_true(len <= longest && longest <= WIRE_BODY_MAX);                           \
    golden_check(golden, message, buf, len);                                           \
    assert_int_equal(decode(&back, buf, len), 0);                                      \
    assert_int_equal(encode(&back, again, sizeof(again)), len);                        \
    assert_memory_equal(buf, again, len);                                              \
    for (size_t cut = 0; cut < len; cut++) {                                           \
        assert_int_equal(decode(&back, buf, cut), -EPROTO);                            \
        assert_int_equal(encode(&msg, again, cut), 0);                                 \
    }                                                                                  \
    buf[len] = 0;                                                                      \
    assert_int_equal(decode(&back, buf, len + 1), -EPROTO);                            \
    }
#include "proto/messages.def"
#undef MSG_BEGIN
#undef MSG_FIELD
#undef MSG_END

static void all_messages(void **state)
{
    char *golden;

    (void)state;
    assert_int_equal(fs_file_read(GOLDEN_DIR "/messages.txt", 1 << 20, &golden, NULL),
                     0);
#define MSG_BEGIN(name) check_##name(golden);
#define MSG_FIELD(type, field)
#define MSG_END(name)
#include "proto/messages.def"
#undef MSG_BEGIN
#undef MSG_FIELD
#undef MSG_END
    free(golden);
}

static void bad_names_are_refused(void **state)
{
    struct msg_dentry_request msg = {.parent = 1, .name = {"a/b", 3}};
    uint8_t buf[64];
    size_t len = msg_dentry_request_encode(&msg, buf, sizeof(buf));

    (void)state;
    assert_int_equal(len, 8 + 2 + 3);
    assert_int_equal(msg_dentry_request_decode(&msg, buf, len), -EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_messages),
        cmocka_unit_test(bad_names_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

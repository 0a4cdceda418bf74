/* SPDX-License-Identifier: Apache-2.0
 * The bytes of the header, and that no field is read or written out of bounds. */
#include "unit.h"

#include "proto/wire.h"

static const struct wire_header sample = {
    .opcode = 0x0102,
    .is_reply = true,
    .client = 0x1112131415161718,
    .request = 0x2122232425262728,
    .target = 0x31323334,
    .status = -28,
    .body_len = 0x1234,
    .timeout_ms = 0x41424344,
    .payload_len = 0x0151525,
    .reply_space = 0x0161626,
    .slot = 0x0717,
};

static const uint8_t golden[WIRE_HEADER_SIZE] = {
    'B',  'F',  'S',  '1',  0x05, 0x01, 0x02, 0x01, 0x18, 0x17, 0x16, 0x15, 0x14,
    0x13, 0x12, 0x11, 0x28, 0x27, 0x26, 0x25, 0x24, 0x23, 0x22, 0x21, 0x34, 0x33,
    0x32, 0x31, 0xe4, 0xff, 0xff, 0xff, 0x34, 0x12, 0x00, 0x00, 0x44, 0x43, 0x42,
    0x41, 0x25, 0x15, 0x15, 0x00, 0x26, 0x16, 0x16, 0x00, 0x17, 0x07, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};

static void header_has_golden_bytes(void **state)
{
    uint8_t buf[WIRE_HEADER_SIZE];
    struct wire_header back;

    (void)state;
    wire_header_encode(&sample, buf);
    assert_memory_equal(buf, golden, sizeof(buf));
    assert_int_equal(wire_header_decode(&back, buf, sizeof(buf)), 0);
    assert_int_equal(back.opcode, sample.opcode);
    assert_true(back.is_reply);
    assert_int_equal(back.client, sample.client);
    assert_int_equal(back.request, sample.request);
    assert_int_equal(back.target, sample.target);
    assert_int_equal(back.status, sample.status);
    assert_int_equal(back.body_len, sample.body_len);
    assert_int_equal(back.timeout_ms, sample.timeout_ms);
    assert_int_equal(back.payload_len, sample.payload_len);
    assert_int_equal(back.reply_space, sample.reply_space);
    assert_int_equal(back.slot, sample.slot);
}

/* Each row breaks one byte of the golden header. */
static void bad_headers_are_refused(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
        int expected;
    } rows[] = {
        {0, 'X', -EPROTO},        /* magic */
        {4, 2, -EPROTONOSUPPORT}, /* version */
        {5, 0x80, -EPROTO},       /* unknown flag */
        {31, 0x00, -EPROTO},      /* status > 0 */
        {30, 0x00, -EPROTO},      /* status below -4095 */
        {34, 0x01, -EPROTO},      /* body_len over its limit */
        {43, 0x05, -EPROTO},      /* payload_len over its limit */
        {47, 0x05, -EPROTO},      /* reply_space over its limit */
        {49, 0x11, -EPROTO},      /* slot over its limit */
        {50, 0x01, -EPROTO},      /* not used, so 0 */
        {55, 0x01, -EPROTO},
        {63, 0x01, -EPROTO},
    };
    struct wire_header header = {.opcode = 7};
    uint8_t buf[WIRE_HEADER_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        memcpy(buf, golden, sizeof(buf));
        buf[rows[i].at] = rows[i].value;
        assert_int_equal(wire_header_decode(&header, buf, sizeof(buf)),
                         rows[i].expected);
    }
    assert_int_equal(wire_header_decode(&header, golden, sizeof(golden) - 1), -EPROTO);
    assert_int_equal(header.opcode, 7); /* untouched on failure */
}

static void writer_stops_at_its_capacity(void **state)
{
    uint8_t buf[8] = {0};
    struct wire_writer w = {.data = buf, .capacity = 5};

    (void)state;
    wire_put_u32(&w, 1);
    wire_put_u16(&w, 2);
    assert_true(w.failed);
    wire_put_u8(&w, 3); /* would fit, but the message is lost */
    assert_int_equal(w.length, 4);
    assert_int_equal(buf[4], 0);
}

static void reader_stops_at_the_end(void **state)
{
    uint8_t buf[3] = {1, 0, 9};
    struct wire_reader r = {.data = buf, .length = sizeof(buf)};

    (void)state;
    assert_int_equal(wire_get_u16(&r), 1);
    assert_int_equal(wire_get_u32(&r), 0);
    assert_true(r.failed);
    assert_int_equal(wire_get_u8(&r), 0);
    assert_int_equal(wire_reader_finish(&r), -EPROTO);
}

static void trailing_bytes_are_an_error(void **state)
{
    uint8_t buf[3] = {1, 0, 9};
    struct wire_reader r = {.data = buf, .length = sizeof(buf)};

    (void)state;
    assert_int_equal(wire_get_u16(&r), 1);
    assert_int_equal(wire_reader_finish(&r), -EPROTO);
    assert_int_equal(wire_get_u8(&r), 9);
    assert_int_equal(wire_reader_finish(&r), 0);
}

static void text_length_is_checked_twice(void **state)
{
    uint8_t longer_than_message[] = {5, 0, 'a', 'b'};
    uint8_t over_limit[] = {3, 0, 'a', 'b', 'c'};
    struct wire_reader r = {.data = longer_than_message, .length = 4};

    (void)state;
    assert_int_equal(wire_get_text(&r, 100).len, 0);
    assert_true(r.failed);
    r = (struct wire_reader){.data = over_limit, .length = 5};
    wire_get_text(&r, 2);
    assert_true(r.failed);
}

static void names_are_checked(void **state)
{
    char longest[256];

    (void)state;
    memset(longest, 'x', sizeof(longest));
    assert_true(wire_name_is_valid("a", 1));
    assert_true(wire_name_is_valid("..a", 3));
    assert_true(wire_name_is_valid("\xff\n", 2));
    assert_true(wire_name_is_valid(longest, 255));
    assert_false(wire_name_is_valid(longest, 256));
    assert_false(wire_name_is_valid("", 0));
    assert_false(wire_name_is_valid(".", 1));
    assert_false(wire_name_is_valid("..", 2));
    assert_false(wire_name_is_valid("a/b", 3));
    assert_false(wire_name_is_valid("a\0b", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_has_golden_bytes),
        cmocka_unit_test(bad_headers_are_refused),
        cmocka_unit_test(writer_stops_at_its_capacity),
        cmocka_unit_test(reader_stops_at_the_end),
        cmocka_unit_test(trailing_bytes_are_an_error),
        cmocka_unit_test(text_length_is_checked_twice),
        cmocka_unit_test(names_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

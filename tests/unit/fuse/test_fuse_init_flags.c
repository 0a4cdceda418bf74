/* SPDX-License-Identifier: Apache-2.0
 * INIT as kernels of several ages send it, and the reply with what was added. */
#include "unit.h"

#include <linux/fuse.h>

#include "fuse/fuse_init_flags.h"

#define ALLOW_MMAP (1u << 4) /* of flags2 */
#define UNIQUE     77

struct request {
    struct fuse_in_header header;
    struct fuse_init_in init;
};

struct reply {
    struct fuse_out_header header;
    struct fuse_init_out init;
};

static struct request request_make(uint32_t opcode, uint32_t flags, uint32_t flags2)
{
    return (struct request){
        .header = {.len = sizeof(struct request), .opcode = opcode, .unique = UNIQUE},
        .init = {.major = 7, .minor = 39, .flags = flags, .flags2 = flags2},
    };
}

static struct reply reply_make(void)
{
    return (struct reply){
        .header = {.len = sizeof(struct reply), .unique = UNIQUE},
        .init = {.major = 7,
                 .minor = 38,
                 .flags = FUSE_ASYNC_READ | FUSE_MAX_PAGES,
                 .max_pages = 256},
    };
}

/* In two pieces, as libfuse gives it. */
static size_t
patch(struct init_flags *flags, struct reply *reply, size_t size, uint8_t *buf)
{
    struct iovec iov[2] = {
        {.iov_base = &reply->header, .iov_len = sizeof(reply->header)},
        {.iov_base = &reply->init, .iov_len = size - sizeof(reply->header)},
    };

    return init_flags_patch_reply(flags, iov, 2, buf);
}

static void test_offered(void **state)
{
    struct request request = request_make(FUSE_INIT, FUSE_INIT_EXT, ALLOW_MMAP);
    struct reply reply = reply_make();
    struct init_flags flags = {0};
    uint8_t buf[INIT_REPLY_MAX];
    struct reply patched;

    (void)state;
    init_flags_note_request(&flags, &request, sizeof(request));
    assert_true(flags.is_seen && flags.offers_mmap && !flags.has_mmap);
    assert_int_equal(patch(&flags, &reply, sizeof(reply), buf), sizeof(reply));
    memcpy(&patched, buf, sizeof(patched));
    assert_true(flags.has_mmap);
    assert_int_equal(patched.init.flags,
                     FUSE_ASYNC_READ | FUSE_MAX_PAGES | FUSE_INIT_EXT);
    assert_int_equal(patched.init.flags2, ALLOW_MMAP);
    /* all else is as it was */
    patched.init.flags = reply.init.flags;
    patched.init.flags2 = reply.init.flags2;
    assert_memory_equal(&patched, &reply, sizeof(reply));
}

static void test_not_offered(void **state)
{
    const struct request requests[] = {
        request_make(FUSE_INIT, FUSE_INIT_EXT, ~ALLOW_MMAP),
        request_make(FUSE_INIT, ~FUSE_INIT_EXT, ALLOW_MMAP),
    };
    struct reply reply = reply_make();
    uint8_t buf[INIT_REPLY_MAX];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct init_flags flags = {0};

        init_flags_note_request(&flags, &requests[i], sizeof(requests[i]));
        assert_true(flags.is_seen);
        assert_int_equal(patch(&flags, &reply, sizeof(reply), buf), 0);
        assert_false(flags.has_mmap);
    }
}

/* Linux 5.10 sends 16 bytes of struct fuse_init_in. */
static void test_short_request(void **state)
{
    struct request request = request_make(FUSE_INIT, FUSE_INIT_EXT, ALLOW_MMAP);
    struct init_flags flags = {0};

    (void)state;
    init_flags_note_request(&flags, &request, sizeof(request.header) + 16);
    assert_true(flags.is_seen);
    assert_false(flags.offers_mmap);
    flags = (struct init_flags){0};
    init_flags_note_request(&flags, &request, sizeof(request.header) - 1);
    assert_false(flags.is_seen);
}

static void test_other_messages(void **state)
{
    struct request request = request_make(FUSE_LOOKUP, FUSE_INIT_EXT, ALLOW_MMAP);
    struct reply reply = reply_make();
    struct init_flags flags = {0};
    uint8_t buf[INIT_REPLY_MAX];

    (void)state;
    init_flags_note_request(&flags, &request, sizeof(request));
    assert_false(flags.is_seen);
    assert_int_equal(patch(&flags, &reply, sizeof(reply), buf), 0);

    request.header.opcode = FUSE_INIT;
    init_flags_note_request(&flags, &request, sizeof(request));
    reply.header.unique = UNIQUE + 2;
    assert_int_equal(patch(&flags, &reply, sizeof(reply), buf), 0);
    reply.header.unique = UNIQUE;
    reply.header.error = -EPROTO;
    assert_int_equal(patch(&flags, &reply, sizeof(reply), buf), 0);
    reply.header.error = 0;
    assert_int_equal(patch(&flags, &reply, sizeof(reply) - 4, buf), 0);
    assert_int_equal(patch(&flags, &reply, sizeof(reply), buf), sizeof(reply));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offered),
        cmocka_unit_test(test_not_offered),
        cmocka_unit_test(test_short_request),
        cmocka_unit_test(test_other_messages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

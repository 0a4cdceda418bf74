/* SPDX-License-Identifier: Apache-2.0
 * Attributes, times, flags, directory positions, errno: to the kernel and back. */
#define FUSE_USE_VERSION 312

#include "unit.h"

#include <fcntl.h>
#include <fuse_lowlevel.h>

#include "fuse/convert.h"

static void test_attr(void **state)
{
    const struct wire_attr attr = {
        .ino = 0x123450007,
        .mode = S_IFREG | 0640,
        .uid = 1000,
        .gid = 1001,
        .nlink = 3,
        .size = 5000000000,
        .bytes = 4097,
        .atime_ns = 1500000000,
        .mtime_ns = -1,
        .ctime_ns = -2000000000,
        .rdev = 0x0103,
        .chunk_size = 65536,
    };
    struct stat st;

    (void)state;
    convert_attr_to_stat(&attr, &st);
    assert_int_equal(st.st_ino, 0x123450007);
    assert_int_equal(st.st_mode, S_IFREG | 0640);
    assert_int_equal(st.st_uid, 1000);
    assert_int_equal(st.st_gid, 1001);
    assert_int_equal(st.st_nlink, 3);
    assert_int_equal(st.st_size, 5000000000);
    assert_int_equal(st.st_blocks, 9);
    assert_int_equal(st.st_rdev, 0x0103);
    assert_int_equal(st.st_blksize, 65536);
    assert_int_equal(st.st_atim.tv_sec, 1);
    assert_int_equal(st.st_atim.tv_nsec, 500000000);
    assert_int_equal(st.st_mtim.tv_sec, -1);
    assert_int_equal(st.st_mtim.tv_nsec, 999999999);
    assert_int_equal(st.st_ctim.tv_sec, -2);
    assert_int_equal(st.st_ctim.tv_nsec, 0);
}

static void test_block_size(void **state)
{
    struct wire_attr attr = {.mode = S_IFREG, .chunk_size = 64u << 20};
    struct stat st;

    (void)state;
    convert_attr_to_stat(&attr, &st);
    assert_int_equal(st.st_blksize, 1 << 20);
    attr.chunk_size = 0;
    convert_attr_to_stat(&attr, &st);
    assert_int_equal(st.st_blksize, 4096);
    attr.mode = S_IFDIR;
    attr.chunk_size = 1 << 20;
    convert_attr_to_stat(&attr, &st);
    assert_int_equal(st.st_blksize, 4096);
}

static void test_times(void **state)
{
    const int64_t values[] = {0, 1, -1, 999999999, -999999999, INT64_MAX, INT64_MIN};
    struct timespec far = {.tv_sec = INT64_C(1) << 40};

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct timespec time = convert_ns_to_timespec(values[i]);

        assert_in_range(time.tv_nsec, 0, 999999999);
        if (values[i] != INT64_MIN) /* its seconds alone are below what fits */
            assert_true(convert_timespec_to_ns(time) == values[i]);
    }
    assert_true(convert_timespec_to_ns(far) == INT64_MAX);
    far.tv_sec = -far.tv_sec;
    assert_true(convert_timespec_to_ns(far) == INT64_MIN);
}

static void test_setattr(void **state)
{
    const struct stat st = {
        .st_mode = S_IFREG | 04755,
        .st_uid = 5,
        .st_gid = 6,
        .st_size = 7,
        .st_atim = {.tv_sec = 8, .tv_nsec = 9},
        .st_mtim = {.tv_sec = 10},
    };
    struct msg_setattr_request change;

    (void)state;
    convert_setattr(42, &st, FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_SIZE, &change);
    assert_int_equal(change.ino, 42);
    assert_int_equal(change.mask, SETATTR_MODE | SETATTR_SIZE);
    assert_int_equal(change.mode, 04755);
    assert_int_equal(change.size, 7);

    convert_setattr(42, &st, FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID, &change);
    assert_int_equal(change.mask, SETATTR_UID | SETATTR_GID);
    assert_int_equal(change.uid, 5);
    assert_int_equal(change.gid, 6);

    convert_setattr(42, &st, FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME, &change);
    assert_int_equal(change.mask, SETATTR_ATIME | SETATTR_MTIME);
    assert_int_equal(change.atime_ns, 8000000009);
    assert_int_equal(change.mtime_ns, 10000000000);

    convert_setattr(42,
                    &st,
                    FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW | FUSE_SET_ATTR_MTIME
                        | FUSE_SET_ATTR_MTIME_NOW,
                    &change);
    assert_int_equal(change.mask, SETATTR_ATIME_NOW | SETATTR_MTIME_NOW);

    convert_setattr(42, &st, FUSE_SET_ATTR_CTIME, &change);
    assert_int_equal(change.mask, 0);
}

static void test_open_flags(void **state)
{
    (void)state;
    assert_int_equal(convert_open_flags(O_RDONLY), OPEN_READ);
    assert_int_equal(convert_open_flags(O_WRONLY | O_APPEND), OPEN_WRITE);
    assert_int_equal(convert_open_flags(O_RDWR | O_CREAT | O_EXCL),
                     OPEN_READ | OPEN_WRITE);
    assert_int_equal(convert_open_flags(O_WRONLY | O_TRUNC),
                     OPEN_WRITE | OPEN_TRUNCATE);
}

static void test_dir_positions(void **state)
{
    const uint64_t positions[] = {0, 1, 2, UINT64_C(1) << 48, UINT64_C(65534) << 48};

    (void)state;
    for (size_t i = 0; i < sizeof(positions) / sizeof(positions[0]); i++) {
        uint64_t offset = convert_dir_position_to_offset(positions[i]);

        assert_true(offset >= CONVERT_DIR_FIRST);
        assert_true(convert_dir_offset_to_position(offset) == positions[i]);
    }
    /* An entry's position is never 0: it can't be taken for the dots. */
    assert_true(convert_dir_position_to_offset(1) > CONVERT_DIR_AFTER_DOTDOT);
}

static void test_xattr_names(void **state)
{
    (void)state;
    assert_true(convert_xattr_is_ours("user.a"));
    assert_false(convert_xattr_is_ours("user."));
    assert_false(convert_xattr_is_ours("user"));
    assert_false(convert_xattr_is_ours("users.a"));
    assert_false(convert_xattr_is_ours("security.capability"));
    assert_false(convert_xattr_is_ours("system.posix_acl_access"));
    assert_false(convert_xattr_is_ours(""));
}

static void test_status(void **state)
{
    (void)state;
    assert_int_equal(convert_status_to_errno(-ENOENT), ENOENT);
    assert_int_equal(convert_status_to_errno(-EHOSTDOWN), EHOSTDOWN);
    assert_int_equal(convert_status_to_errno(-ENOSYS), EOPNOTSUPP);
    assert_int_equal(convert_status_to_errno(-512), EIO);
    assert_int_equal(convert_status_to_errno(INT64_MIN), EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attr),
        cmocka_unit_test(test_block_size),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_setattr),
        cmocka_unit_test(test_open_flags),
        cmocka_unit_test(test_dir_positions),
        cmocka_unit_test(test_xattr_names),
        cmocka_unit_test(test_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

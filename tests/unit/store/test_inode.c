/* SPDX-License-Identifier: Apache-2.0
 * Inodes, symlink texts, orphans. */
#include "store_unit.h"

static void test_inode(void **state)
{
    const struct store_inode in = {
        .ino = 0x1234500010003u,
        .parent = 1,
        .mode = S_IFREG | 0640,
        .uid = 1000,
        .gid = 1001,
        .nlink = 2,
        .size = UINT64_C(1) << 40,
        .atime_ns = -1,
        .mtime_ns = INT64_MAX,
        .ctime_ns = 3,
        .btime_ns = 4,
        .rdev = 5,
        .chunk_size = 1 << 20,
        .layout = 1,
        .base = 77,
    };
    struct store_inode out;
    struct fixture f;

    (void)state;
    fixture_init(&f, 16 * MIB);
    begin(&f);
    assert_int_equal(store_inode_get(f.store, in.ino, &out), -ENOENT);
    assert_int_equal(store_inode_remove(f.store, in.ino), -ENOENT);
    assert_int_equal(store_inode_put(f.store, &in), 0);
    commit(&f);
    fixture_reopen(&f);
    begin(&f);
    memset(&out, 0, sizeof(out));
    assert_int_equal(store_inode_get(f.store, in.ino, &out), 0);
    assert_true(out.ino == in.ino && out.parent == in.parent && out.mode == in.mode);
    assert_true(out.uid == in.uid && out.gid == in.gid && out.nlink == in.nlink);
    assert_true(out.size == in.size && out.atime_ns == -1 && out.mtime_ns == INT64_MAX);
    assert_true(out.ctime_ns == 3 && out.btime_ns == 4 && out.rdev == 5);
    assert_true(out.chunk_size == 1 << 20 && out.layout == 1 && out.base == 77);
    out.nlink = 1;
    assert_int_equal(store_inode_put(f.store, &out), 0);
    assert_int_equal(store_inode_get(f.store, in.ino, &out), 0);
    assert_int_equal(out.nlink, 1);
    commit(&f);
    fixture_fini(&f);
}

static void test_remove_takes_all(void **state)
{
    struct store_inode inode = {.mode = S_IFLNK};
    const char *text;
    const void *value;
    struct fixture f;
    size_t len;

    (void)state;
    fixture_init(&f, 16 * MIB);
    begin(&f);
    for (inode.ino = 10; inode.ino < 13; inode.ino++) {
        assert_int_equal(store_inode_put(f.store, &inode), 0);
        assert_int_equal(store_symlink_put(f.store, inode.ino, "../x", 4), 0);
        assert_int_equal(store_xattr_set(f.store, inode.ino, "user.a", 6, "1", 1, 0),
                         0);
        assert_int_equal(store_xattr_set(f.store, inode.ino, "user.b", 6, "2", 1, 0),
                         0);
    }
    assert_int_equal(store_inode_remove(f.store, 11), 0);
    for (uint64_t ino = 10; ino < 13; ino++) {
        bool is_gone = ino == 11;

        assert_int_equal(store_symlink_get(f.store, ino, &text, &len),
                         is_gone ? -ENOENT : 0);
        assert_int_equal(store_xattr_get(f.store, ino, "user.b", 6, &value, &len),
                         is_gone ? -ENODATA : 0);
    }
    commit(&f);
    fixture_fini(&f);
}

static void test_symlink(void **state)
{
    static char large[STORE_SYMLINK_MAX + 1];
    const char *text;
    struct fixture f;
    size_t len;

    (void)state;
    memset(large, 'p', sizeof(large));
    fixture_init(&f, 16 * MIB);
    begin(&f);
    assert_int_equal(store_symlink_put(f.store, 1, "", 0), -EINVAL);
    assert_int_equal(store_symlink_put(f.store, 1, large, sizeof(large)),
                     -ENAMETOOLONG);
    assert_int_equal(store_symlink_put(f.store, 1, large, STORE_SYMLINK_MAX), 0);
    assert_int_equal(store_symlink_put(f.store, 2, "a", 1), 0);
    commit(&f);
    begin(&f);
    assert_int_equal(store_symlink_get(f.store, 1, &text, &len), 0);
    assert_int_equal(len, STORE_SYMLINK_MAX);
    assert_memory_equal(text, large, len);
    assert_int_equal(store_symlink_get(f.store, 3, &text, &len), -ENOENT);
    commit(&f);
    fixture_fini(&f);
}

static void test_orphans(void **state)
{
    struct fixture f;
    uint64_t ino = 0;

    (void)state;
    fixture_init(&f, 16 * MIB);
    begin(&f);
    assert_int_equal(store_orphan_next(f.store, 0, &ino), -ENOENT);
    assert_int_equal(store_orphan_add(f.store, 300), 0);
    assert_int_equal(store_orphan_add(f.store, 7), 0);
    assert_int_equal(store_orphan_add(f.store, 7), 0);
    assert_int_equal(store_orphan_add(f.store, UINT64_MAX), 0);
    commit(&f);
    fixture_reopen(&f);
    begin(&f);
    assert_int_equal(store_orphan_next(f.store, 0, &ino), 0);
    assert_int_equal(ino, 7);
    assert_int_equal(store_orphan_next(f.store, 7, &ino), 0);
    assert_int_equal(ino, 300);
    assert_int_equal(store_orphan_next(f.store, 300, &ino), 0);
    assert_true(ino == UINT64_MAX);
    assert_int_equal(store_orphan_next(f.store, ino, &ino), -ENOENT);
    assert_int_equal(store_orphan_remove(f.store, 7), 0);
    assert_int_equal(store_orphan_remove(f.store, 7), 0);
    assert_int_equal(store_orphan_next(f.store, 0, &ino), 0);
    assert_int_equal(ino, 300);
    commit(&f);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inode),
        cmocka_unit_test(test_remove_takes_all),
        cmocka_unit_test(test_symlink),
        cmocka_unit_test(test_orphans),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

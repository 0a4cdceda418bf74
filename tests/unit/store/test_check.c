/* SPDX-License-Identifier: Apache-2.0
 * The check finds what is put wrong by hand. */
#include "store_unit.h"

#include <assert.h>

#include "store/codec.h"
#include "store/dentry.h"
#include "store/store_impl.h"

static void collect(void *arg, const char *text)
{
    char *all = arg;

    strncat(all, text, 1000 - strlen(all));
    strcat(all, "\n");
}

static void expect_fault(struct fixture *f, const char *text)
{
    char all[1200] = "";

    assert_int_equal(store_check(f->store, collect, all), -EUCLEAN);
    if (!strstr(all, text))
        fail_msg("no \"%s\" in: %s", text, all);
    store_txn_abort(f->store);
    fixture_check(f);
    begin(f);
}

static void put(struct fixture *f,
                enum index_db db,
                const void *key,
                size_t key_size,
                const void *value,
                size_t value_size)
{
    assert(f->store);
    assert_int_equal(
        index_put(f->store->index, db, key, key_size, value, value_size, INDEX_FREE),
        0);
}

static void put_extent(struct fixture *f, uint64_t block)
{
    uint8_t key[CHUNK_KEY_SIZE], value[CHUNK_HEADER_SIZE + CHUNK_EXTENT_SIZE] = {1};
    uint8_t *p = value + CHUNK_HEADER_SIZE;

    chunk_key_encode(key, 77, 3);
    codec_put(codec_put(codec_put(p, 0, 4), 1, 4), block, 8);
    put(f, INDEX_CHUNK, key, sizeof(key), value, sizeof(value));
}

static void test_faults(void **state)
{
    const struct store_dentry entry = {.ino = 5, .type = S_IFDIR};
    uint8_t key[DENTRY_KEY_HEAD + 1], value[13] = {1};
    struct store_inode inode = {.ino = 5};
    struct fixture f;

    (void)state;
    fixture_init(&f, 16 * MIB);
    begin(&f);
    assert_int_equal(store_inode_put(f.store, &inode), 0);
    assert_int_equal(store_xattr_set(f.store, 5, "user.a", 6, "x", 1, 0), 0);
    assert_int_equal(store_symlink_put(f.store, 5, "x", 1), 0);
    assert_int_equal(store_orphan_add(f.store, 5), 0);
    assert_int_equal(store_dentry_insert(f.store, 1, "a", 1, &entry, 1), 0);
    assert_int_equal(put_bytes(f.store, 5, 0, 0, "x", 1), 0);
    commit(&f);
    fixture_check(&f);

    begin(&f);
    put(&f, INDEX_INODE, "\0\0\0\0\0\0\0\11", 8, "x", 1);
    expect_fault(&f, "inode 9: malformed");
    put(&f, INDEX_INODE, "x", 1, "x", 1);
    expect_fault(&f, "inode: key of 1 bytes");
    put(&f, INDEX_SYMLINK, "12345678", 8, "", 0);
    expect_fault(&f, "symlink: text of 0 bytes");
    put(&f, INDEX_ORPHAN, "1234567", 7, "x", 1);
    expect_fault(&f, "orphan: key of 7 bytes");
    put(&f, INDEX_XATTR, "12345678", 8, "x", 1);
    expect_fault(&f, "xattr: key of 8 bytes");
    put(&f, INDEX_CHUNK, "12345678", 8, "x", 1);
    expect_fault(&f, "chunk: key of 8 bytes");
    put_extent(&f, 0);
    expect_fault(&f, "chunk 3 of inode 77: arena blocks 0+1 belong to another extent");
    put_extent(&f, 1000);
    expect_fault(&f, "arena blocks 1000+1 are not marked as used");
    put_extent(&f, 4096);
    expect_fault(&f, "arena blocks 4096+1 are not in the arena");
    put(&f, INDEX_DIRPART, "\0\0\0\0\0\0\0\2", 8, "x", 1);
    expect_fault(&f, "directory part: malformed");
    put(&f, INDEX_DENTRY, "12345678", 8, "x", 1);
    expect_fault(&f, "dentry: malformed");
    codec_put_be(codec_put_be(key, 1, 8), 0x1234567801, 6);
    key[DENTRY_KEY_HEAD] = 'b';
    put(&f, INDEX_DENTRY, key, sizeof(key), value, sizeof(value));
    expect_fault(&f, "dentry b of directory 1: wrong hash");
    put(&f, INDEX_DENTRY, key, sizeof(key), value, sizeof(value));
    expect_fault(&f, "directory 1: 2 entries, 1 directories, recorded 1, 1");
    codec_put_be(key, 8, 8);
    put(&f, INDEX_DENTRY, key, sizeof(key), value, sizeof(value));
    expect_fault(&f, "2 dentries, 1 in directory parts");
    store_txn_abort(f.store);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_faults)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

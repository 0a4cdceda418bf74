/* SPDX-License-Identifier: Apache-2.0
 * Dentries, directory parts, scans and their cookies. */
#include "store_unit.h"

#include <assert.h>

#include "store/codec.h"
#include "store/dentry.h"
#include "store/store_impl.h"

static const struct store_dentry file = {.ino = 10, .type = S_IFREG};
static const struct store_dentry dir = {.ino = 11, .type = S_IFDIR};

static void expect_part(
    struct fixture *f, uint64_t ino, uint64_t entries, uint64_t subdirs, int64_t mtime)
{
    struct store_dirpart part;

    assert_int_equal(store_dirpart_get(f->store, ino, &part), 0);
    assert_int_equal(part.n_entries, entries);
    assert_int_equal(part.n_subdirs, subdirs);
    assert_int_equal(part.mtime_ns, mtime);
}

static void test_calls(void **state)
{
    static char long_name[STORE_NAME_MAX + 1];
    struct store_dentry got;
    struct fixture f;

    (void)state;
    memset(long_name, 'n', sizeof(long_name));
    fixture_init(&f, 16 * MIB);
    begin(&f);
    expect_part(&f, 1, 0, 0, 0);
    assert_int_equal(store_dentry_get(f.store, 1, "a", 1, &got), -ENOENT);
    assert_int_equal(store_dentry_insert(f.store, 1, "a", 1, &file, 5), 0);
    assert_int_equal(store_dentry_insert(f.store, 1, "a", 1, &file, 6), -EEXIST);
    assert_int_equal(store_dentry_insert(f.store, 2, "a", 1, &dir, 6), 0);
    assert_int_equal(store_dentry_insert(f.store, 1, "ab", 2, &dir, 7), 0);
    assert_int_equal(store_dentry_insert(f.store, 1, "", 0, &dir, 7), -EINVAL);
    assert_int_equal(store_dentry_insert(f.store, 1, long_name, 256, &dir, 7),
                     -ENAMETOOLONG);
    assert_int_equal(store_dentry_insert(f.store, 1, long_name, 255, &file, 8), 0);
    expect_part(&f, 1, 3, 1, 8);
    assert_int_equal(store_dentry_replace(f.store, 1, "b", 1, &dir, 9), -ENOENT);
    assert_int_equal(store_dentry_replace(f.store, 1, "a", 1, &dir, 9), 0);
    expect_part(&f, 1, 3, 2, 9);
    assert_int_equal(store_dentry_get(f.store, 1, "a", 1, &got), 0);
    assert_int_equal(got.ino, 11);
    assert_int_equal(got.type, S_IFDIR);
    assert_int_equal(store_dentry_get(f.store, 1, long_name, 255, &got), 0);
    assert_int_equal(got.ino, 10);
    commit(&f);
    fixture_reopen(&f);
    begin(&f);
    assert_int_equal(store_dentry_remove(f.store, 1, "x", 1, 10), -ENOENT);
    assert_int_equal(store_dentry_remove(f.store, 1, "ab", 2, 10), 0);
    assert_int_equal(store_dentry_remove(f.store, 1, "ab", 2, 10), -ENOENT);
    expect_part(&f, 1, 2, 1, 10);
    /* a clock that goes back does not take the directory's time with it */
    assert_int_equal(store_dentry_remove(f.store, 1, "a", 1, 2), 0);
    expect_part(&f, 1, 1, 0, 10);
    expect_part(&f, 2, 1, 1, 6);
    commit(&f);
    fixture_fini(&f);
}

static void test_seal(void **state)
{
    struct store_dirpart part;
    struct fixture f;

    (void)state;
    fixture_init(&f, 16 * MIB);
    begin(&f);
    assert_int_equal(store_dentry_insert(f.store, 1, "a", 1, &file, 5), 0);
    assert_int_equal(store_dirpart_seal(f.store, 1, true), -ENOTEMPTY);
    assert_int_equal(store_dirpart_remove(f.store, 1), -ENOTEMPTY);
    assert_int_equal(store_dentry_remove(f.store, 1, "a", 1, 6), 0);
    assert_int_equal(store_dirpart_seal(f.store, 1, true), 0);
    assert_int_equal(store_dirpart_seal(f.store, 2, true), 0);
    assert_int_equal(store_dirpart_seal(f.store, 3, false), 0);
    commit(&f);
    fixture_reopen(&f);
    begin(&f);
    assert_int_equal(store_dentry_insert(f.store, 1, "a", 1, &file, 7), -ENOENT);
    assert_int_equal(store_dentry_insert(f.store, 2, "a", 1, &file, 7), -ENOENT);
    assert_int_equal(store_dirpart_seal(f.store, 1, false), 0);
    assert_int_equal(store_dentry_insert(f.store, 1, "a", 1, &file, 7), 0);
    assert_int_equal(store_dirpart_remove(f.store, 2), 0);
    assert_int_equal(store_dirpart_remove(f.store, 2), 0);
    assert_int_equal(store_dirpart_get(f.store, 2, &part), 0);
    assert_false(part.is_sealed);
    commit(&f);
    fixture_fini(&f);
}

/* ---- scans ---- */

#define NAMES 3000

struct seen {
    uint8_t count[NAMES];
    uint64_t cookie[NAMES];
    uint64_t last;
    int budget;
};

static int take(void *arg, const struct store_dirent *entry)
{
    struct seen *seen = arg;
    char name[16];
    int i;

    assert_in_range(entry->name_len, 2, 5);
    memcpy(name, entry->name, entry->name_len);
    name[entry->name_len] = '\0';
    i = atoi(name + 1);
    assert_in_range(i, 0, NAMES - 1);
    if (seen->budget-- == 0)
        return 1;
    assert_true(entry->cookie > seen->last);
    assert_true(entry->cookie < UINT64_C(1) << 48);
    assert_int_equal(entry->ino, 100 + i);
    if (seen->cookie[i])
        assert_true(seen->cookie[i] == entry->cookie);
    seen->cookie[i] = seen->last = entry->cookie;
    seen->count[i]++;
    return 0;
}

static void insert_name(struct fixture *f, int i)
{
    struct store_dentry entry = {.ino = 100 + (uint64_t)i, .type = S_IFREG};
    char name[16];
    int len = snprintf(name, sizeof(name), "n%d", i);

    if (store_txn_is_large(f->store)) {
        commit(f);
        begin(f);
    }
    assert_int_equal(store_dentry_insert(f->store, 5, name, (size_t)len, &entry, 1), 0);
}

static void remove_name(struct fixture *f, int i)
{
    char name[16];
    int len = snprintf(name, sizeof(name), "n%d", i);

    assert_int_equal(store_dentry_remove(f->store, 5, name, (size_t)len, 1), 0);
}

/* Whole scans in small parts, with names coming and going in between, also those a part
 * ended with: what stays is seen exactly once, under the same cookie each time. */
static void test_scan(void **state)
{
    static struct seen seen;
    struct fixture f;
    uint64_t cookie = 0;
    int next = 2000, rc;

    (void)state;
    fixture_init(&f, 16 * MIB);
    begin(&f);
    for (int i = 0; i < 2000; i++)
        insert_name(&f, i);
    assert_int_equal(store_dentry_insert(f.store, 4, "n1", 2, &file, 1), 0);
    assert_int_equal(store_dentry_insert(f.store, 6, "n1", 2, &file, 1), 0);
    commit(&f);
    for (int round = 0; round < 2; round++) {
        memset(seen.count, 0, sizeof(seen.count));
        cookie = seen.last = 0;
        do {
            begin(&f);
            seen.budget = 37;
            rc = store_dentry_scan(f.store, 5, cookie, take, &seen);
            cookie = seen.last;
            if (round == 0 && next < NAMES)
                insert_name(&f, next++);
            for (int i = 0; round == 0 && i < 10; i++) {
                if (seen.cookie[i] == cookie && cookie) /* the last one taken */
                    remove_name(&f, i), seen.cookie[i] = 0, seen.count[i] = 9;
            }
            commit(&f);
            if (cookie == seen.cookie[1000])
                fixture_reopen(&f);
        } while (rc == 1);
        assert_int_equal(rc, 0);
        for (int i = 10; i < 2000; i++)
            assert_int_equal(seen.count[i], 1);
    }
    begin(&f);
    assert_int_equal(store_dentry_scan(f.store, 5, (1ull << 48) - 1, take, &seen), 0);
    assert_int_equal(store_dentry_scan(f.store, 5, 1ull << 48, take, &seen), -EINVAL);
    commit(&f);
    fixture_fini(&f);
}

/* Names of equal hash can't be found by trying: their keys are made by hand, with a
 * dentry whose key says it has the hash of "aim". */
static int note_member(void *arg, uint32_t target)
{
    uint32_t *targets = arg;

    assert_true(targets[0] < 3);
    targets[++targets[0]] = target;
    return 0;
}

/* A directory's members, and that they go with its inode; the part's own knowledge. */
static void test_members(void **state)
{
    struct store_inode inode = {.ino = 5, .mode = S_IFDIR, .nlink = 2};
    uint32_t seen[4] = {0};
    struct store_dirpart part;
    struct fixture f;

    (void)state;
    fixture_init(&f, 16 * MIB);
    begin(&f);
    assert_int_equal(store_inode_put(f.store, &inode), 0);
    assert_int_equal(store_dirmember_add(f.store, 5, 300), 0);
    assert_int_equal(store_dirmember_add(f.store, 5, 2), 0);
    assert_int_equal(store_dirmember_add(f.store, 5, 2), 0);
    assert_int_equal(store_dirmember_add(f.store, 6, 1), 0);
    assert_int_equal(store_dirpart_member_set(f.store, 7), 0);
    assert_int_equal(store_dentry_insert(f.store, 7, "a", 1, &file, 9), 0);
    commit(&f);
    fixture_reopen(&f);
    begin(&f);
    assert_int_equal(store_dirmember_scan(f.store, 5, note_member, seen), 0);
    assert_true(seen[0] == 2 && seen[1] == 2 && seen[2] == 300);
    assert_int_equal(store_dirpart_get(f.store, 7, &part), 0);
    assert_true(part.is_member && !part.is_sealed && part.n_entries == 1);
    assert_int_equal(store_dirpart_get(f.store, 5, &part), 0);
    assert_false(part.is_member);
    assert_int_equal(store_inode_remove(f.store, 5), 0);
    memset(seen, 0, sizeof(seen));
    assert_int_equal(store_dirmember_scan(f.store, 5, note_member, seen), 0);
    assert_int_equal(seen[0], 0);
    assert_int_equal(store_dirmember_scan(f.store, 6, note_member, seen), 0);
    assert_int_equal(seen[0], 1);
    commit(&f);
    fixture_fini(&f);
}

static void test_equal_hashes(void **state)
{
    uint8_t key[DENTRY_KEY_HEAD + 5], value[13] = {1, 42};
    uint64_t hash = dentry_name_hash("aim", 3);
    struct store_dentry got;
    struct fixture f;

    (void)state;
    fixture_init(&f, 16 * MIB);
    assert(f.store);
    begin(&f);
    assert_int_equal(store_dentry_insert(f.store, 9, "other", 5, &file, 1), 0);
    for (unsigned ordinal = 1; ordinal <= 255; ordinal++) {
        if (ordinal == 3)
            continue;
        codec_put_be(codec_put_be(codec_put_be(key, 9, 8), hash, 5), ordinal, 1);
        memcpy(key + DENTRY_KEY_HEAD, "zzzz", 4);
        key[DENTRY_KEY_HEAD + 4] = (uint8_t)('a' + ordinal % 26);
        assert_int_equal(
            index_put(
                f.store->index, INDEX_DENTRY, key, sizeof(key), value, 13, INDEX_FREE),
            0);
    }
    assert_int_equal(store_dentry_get(f.store, 9, "aim", 3, &got), -ENOENT);
    assert_int_equal(store_dentry_insert(f.store, 9, "aim", 3, &file, 1), 0);
    assert_int_equal(store_dentry_get(f.store, 9, "aim", 3, &got), 0);
    assert_int_equal(got.ino, 10);
    codec_put_be(key + 13, 3, 1);
    memcpy(key + DENTRY_KEY_HEAD, "aim", 3);
    assert_int_equal(
        index_delete(f.store->index, INDEX_DENTRY, key, DENTRY_KEY_HEAD + 3), 0);
    store_txn_abort(f.store);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_seal),
        cmocka_unit_test(test_scan),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_equal_hashes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * Opening and removing stores, ours and others; inode numbers; transactions; usage. */
#include "store_unit.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "store/index.h"

static int open_again(const struct store_config *config, struct benchfs_error *err)
{
    struct store *store = NULL;
    int rc = store_open(config, &store, err);

    store_close(store);
    return rc;
}

static void expect_refused(const struct store_config *config, int rc, const char *text)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;

    assert_int_equal(open_again(config, &err), rc);
    if (!strstr(err.text, text))
        fail_msg("\"%s\" does not name %s", err.text, text);
}

static void test_open_remove(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct fixture f;
    void *base;
    size_t size;

    (void)state;
    fixture_init(&f, 16 * MIB + 5);
    store_arena_get(f.store, &base, &size);
    assert_non_null(base);
    assert_int_equal(size, 16 * MIB);
    expect_refused(&f.config, -EBUSY, "in use");
    assert_int_equal(store_remove(f.path, &err), -EBUSY);
    fixture_reopen(&f);
    store_close(f.store);
    assert_int_equal(store_remove(f.path, &err), 0);
    assert_int_equal(access(f.path, F_OK), -1);
    assert_int_equal(store_remove(f.path, &err), 0);
    unit_dir_remove(&f.dir);
    store_close(NULL);
}

/* A descriptor of the file that this process has open under that path. */
static int descriptor_find(const char *path)
{
    char name[64], target[PATH_MAX];

    for (int fd = 0; fd < 1024; fd++) {
        ssize_t n;

        snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
        n = readlink(name, target, sizeof(target) - 1);
        if (n < 0)
            continue;
        target[n] = '\0';
        if (strcmp(target, path) == 0)
            return fd;
    }
    fail_msg("%s is not open", path);
    return -1;
}

/* As the kernel does of a process that was killed, until a sync is over. */
static void test_open_while_files_are_kept_open(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    char path[PATH_MAX];
    struct fixture f;
    int fd;

    (void)state;
    fixture_init(&f, 16 * MIB);
    snprintf(path, sizeof(path), "%s/arena", f.path);
    fd = dup(descriptor_find(path));
    assert_true(fd >= 0);
    store_close(f.store);
    assert_int_equal(open_again(&f.config, &err), 0);
    close(fd);
    assert_int_equal(store_remove(f.path, &err), 0);
    unit_dir_remove(&f.dir);
}

static void test_refuse(void **state)
{
    struct store_config config;
    struct fixture f;

    (void)state;
    fixture_init(&f, 16 * MIB);
    store_close(f.store);
    config = f.config;
    config.job = "8";
    expect_refused(&config, -EINVAL, "of job 7, not 8");
    config = f.config;
    config.target = 4;
    expect_refused(&config, -EINVAL, "target is 3, not 4");
    config = f.config;
    config.capacity_bytes = 8 * MIB;
    expect_refused(&config, -EINVAL, "capacity");
    config.capacity_bytes = 100;
    expect_refused(&config, -EINVAL, "capacity");
    config = f.config;
    config.directory = "/nonexistent/x";
    expect_refused(&config, -ENOENT, "/nonexistent/x");
    f.config.capacity_bytes = 32 * MIB;
    fixture_open(&f);
    fixture_fini(&f);
}

/* Changes the index behind the store's back. */
static void put_record(struct fixture *f,
                       enum index_db db,
                       const void *key,
                       size_t key_size,
                       const void *value,
                       size_t value_size)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct index *index;

    assert_int_equal(index_open(f->path, 64 * MIB, NULL, &index, &err), 0);
    assert_int_equal(index_txn_begin(index), 0);
    assert_int_equal(index_put(index, db, key, key_size, value, value_size, INDEX_FREE),
                     0);
    assert_int_equal(index_txn_commit(index), 0);
    index_close(index);
}

static void test_corrupt_records(void **state)
{
    static const char key[16] = "\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0\2";
    /* version, end, mtime, {block, n, arena block} */
    static const char beyond[29] =
        "\1\0\20\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\377\377";
    static const char bad[3] = "\1\2\3";
    struct fixture f;
    char path[128];
    int fd;

    (void)state;
    fixture_init(&f, 16 * MIB);
    begin(&f);
    assert_int_equal(put_bytes(f.store, 5, 1, 0, "x", 1), 0);
    commit(&f);
    store_close(f.store);
    put_record(&f, INDEX_CHUNK, key, 16, bad, sizeof(bad));
    expect_refused(&f.config, -EUCLEAN, "index: chunk 2 of inode 5: malformed");
    put_record(&f, INDEX_CHUNK, key, 16, beyond, sizeof(beyond));
    expect_refused(&f.config, -EUCLEAN, "are not in the arena");
    put_record(&f,
               INDEX_CHUNK,
               key,
               16,
               "\1\0\20\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0",
               29);
    expect_refused(&f.config, -EUCLEAN, "belong to another extent too");
    put_record(&f, INDEX_CHUNK, key, 16, "\1\0\0\0\0\0\0\0\0\0\0\0\0", 13);
    put_record(&f, INDEX_CHUNK, key, 3, bad, sizeof(bad));
    expect_refused(&f.config, -EUCLEAN, "key is malformed");
    put_record(&f, INDEX_META, "inode-seq", 9, "", 1);
    expect_refused(&f.config, -EUCLEAN, "inode-seq");
    put_record(&f, INDEX_META, "store", 5, "", 1);
    expect_refused(&f.config, -EUCLEAN, "record \"store\": malformed");

    snprintf(path, sizeof(path), "%s/arena", f.path);
    assert_int_equal(truncate(path, 5), 0);
    expect_refused(&f.config, -EUCLEAN, "arena");
    snprintf(path, sizeof(path), "%s/index/data.mdb", f.path);
    fd = open(path, O_WRONLY | O_TRUNC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "not an index", 12), 12);
    close(fd);
    snprintf(path, sizeof(path), "%s/arena", f.path);
    assert_int_equal(truncate(path, 0), 0);
    expect_refused(&f.config, -EUCLEAN, "data.mdb");
    unit_dir_remove(&f.dir);
}

static void test_inode_numbers(void **state)
{
    struct fixture f;
    uint64_t ino, last = 0;

    (void)state;
    fixture_init(&f, 16 * MIB);
    for (int round = 0; round < 3; round++) {
        begin(&f);
        for (int i = 0; i < 5000; i++) {
            assert_int_equal(store_inode_allocate(f.store, &ino), 0);
            assert_true(ino > last);
            assert_int_equal(ino & 0xffff, 3);
            last = ino;
        }
        commit(&f);
        if (round == 1)
            fixture_reopen(&f);
    }
    /* numbers of an aborted reservation are reserved again before they are used */
    begin(&f);
    for (int i = 0; i < 6000; i++)
        assert_int_equal(store_inode_allocate(f.store, &ino), 0);
    store_txn_abort(f.store);
    begin(&f);
    assert_int_equal(store_inode_allocate(f.store, &last), 0);
    assert_true(last > ino);
    commit(&f);
    fixture_reopen(&f);
    begin(&f);
    assert_int_equal(store_inode_allocate(f.store, &ino), 0);
    assert_true(ino > last);
    store_txn_abort(f.store);
    assert_int_equal(last >> 16 > 16000, 1);
    fixture_fini(&f);
}

static void test_usage_and_limit(void **state)
{
    struct store_inode inode = {.mode = S_IFREG};
    struct store_usage usage;
    struct fixture f;
    uint64_t ino;

    (void)state;
    fixture_init(&f, 16 * MIB);
    store_close(f.store);
    f.config.inode_limit = 10;
    fixture_open(&f);
    begin(&f);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(store_inode_allocate(f.store, &inode.ino), 0);
        assert_int_equal(store_inode_put(f.store, &inode), 0);
    }
    assert_int_equal(store_inode_allocate(f.store, &ino), -ENOSPC);
    assert_int_equal(store_inode_put(f.store, &inode), 0);
    ino = inode.ino++;
    assert_int_equal(store_inode_put(f.store, &inode), -ENOSPC);
    commit(&f);
    fixture_reopen(&f);
    store_usage_get(f.store, &usage);
    assert_int_equal(usage.inodes_used, 10);
    assert_int_equal(usage.inodes_free, 0);
    assert_int_equal(usage.capacity_bytes, 16 * MIB);
    assert_int_equal(usage.used_bytes, 0);
    assert_int_equal(usage.metadata_capacity_bytes, 64 * MIB);
    assert_in_range(usage.metadata_used_bytes, 4096, MIB);
    begin(&f);
    assert_int_equal(store_inode_remove(f.store, ino), 0);
    store_usage_get(f.store, &usage); /* within a transaction too */
    commit(&f);
    store_usage_get(f.store, &usage);
    assert_int_equal(usage.inodes_free, 1);
    fixture_fini(&f);
}

static void test_transactions(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, 16 * MIB);
    assert_false(store_txn_is_open(f.store));
    store_txn_abort(f.store);
    begin(&f);
    assert_true(store_txn_is_open(f.store));
    assert_false(store_txn_is_large(f.store));
    assert_int_equal(put_bytes(f.store, 9, 0, 0, "abc", 3), 0);
    assert_int_equal(used_bytes(&f), 4096);
    store_txn_abort(f.store);
    assert_int_equal(used_bytes(&f), 0);
    begin(&f);
    assert_int_equal(put_bytes(f.store, 9, 0, 0, "abc", 3), 0);
    commit(&f);
    begin(&f);
    assert_int_equal(store_chunk_truncate(f.store, 9, 0, 0), 0);
    assert_int_equal(used_bytes(&f), 4096);
    store_txn_abort(f.store);
    assert_int_equal(used_bytes(&f), 4096);
    begin(&f);
    assert_int_equal(store_chunk_truncate(f.store, 9, 0, 0), 0);
    /* an open transaction is aborted */
    store_close(f.store);
    fixture_open(&f);
    assert_int_equal(used_bytes(&f), 4096);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_remove),
        cmocka_unit_test(test_open_while_files_are_kept_open),
        cmocka_unit_test(test_refuse),
        cmocka_unit_test(test_corrupt_records),
        cmocka_unit_test(test_inode_numbers),
        cmocka_unit_test(test_usage_and_limit),
        cmocka_unit_test(test_transactions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * The index: room, cursors, large values, files that are not one. */
#include "index_unit.h"

#include <fcntl.h>
#include <unistd.h>

static void make_key(uint8_t key[8], uint64_t number)
{
    for (int i = 0; i < 8; i++)
        key[i] = (uint8_t)(number >> (56 - 8 * i));
}

static int put_number(struct index *index, uint64_t number, size_t size)
{
    static const char value[70000];
    uint8_t key[8];

    make_key(key, number);
    return index_put(index, INDEX_XATTR, key, 8, value, size, INDEX_GROW);
}

static void test_cursor(void **state)
{
    struct unit_dir dir;
    struct index *index;
    MDB_val key, value;
    uint8_t k[8];

    (void)state;
    unit_dir_create(&dir);
    index = open_index(&dir);
    assert_int_equal(index_txn_begin(index), 0);
    for (uint64_t i = 1; i <= 100; i++)
        assert_int_equal(put_number(index, 2 * i, 3), 0);
    assert_int_equal(index_count(index, INDEX_XATTR), 100);
    make_key(k, 5);
    assert_int_equal(index_seek(index, INDEX_XATTR, k, 8, &key, &value), 0);
    assert_int_equal(((uint8_t *)key.mv_data)[7], 6);
    assert_int_equal(index_delete_current(index, INDEX_XATTR), 0);
    assert_int_equal(index_next(index, INDEX_XATTR, &key, &value), 0);
    assert_int_equal(((uint8_t *)key.mv_data)[7], 8);
    make_key(k, 8);
    assert_int_equal(index_seek_before(index, INDEX_XATTR, k, 8, &key, &value), 0);
    assert_int_equal(((uint8_t *)key.mv_data)[7], 4);
    make_key(k, 1000);
    assert_int_equal(index_seek(index, INDEX_XATTR, k, 8, &key, &value), -ENOENT);
    assert_int_equal(index_seek_before(index, INDEX_XATTR, k, 8, &key, &value), 0);
    assert_int_equal(((uint8_t *)key.mv_data)[7], 200);
    assert_int_equal(index_get(index, INDEX_XATTR, k, 8, &value), -ENOENT);
    assert_int_equal(index_delete(index, INDEX_XATTR, k, 8), -ENOENT);
    index_txn_fail(index, -EIO);
    assert_int_equal(index_get(index, INDEX_XATTR, k, 8, &value), -EIO);
    assert_int_equal(index_txn_commit(index), -EIO);
    assert_false(index_txn_is_open(index));
    assert_int_equal(index_txn_begin(index), 0);
    assert_int_equal(index_count(index, INDEX_XATTR), 0);
    index_close(index);
    unit_dir_remove(&dir);
}

/* Fills it up with values of a size, and empties it; over and over. */
static void fill_and_empty(struct index *index, size_t size, uint64_t batch)
{
    uint64_t n = 0, used, limit, filled;
    uint8_t key[8];
    int rc = 0;

    while (rc == 0) {
        uint64_t i;

        assert_int_equal(index_txn_begin(index), 0);
        for (i = 0; i < batch && rc == 0; i++) {
            rc = put_number(index, (n * 7919) % 1000003, size);
            if (rc == 0)
                n++;
        }
        assert_int_equal(index_txn_commit(index), 0);
        if (i > 1)
            rc = 0; /* in a transaction of its own there may be room */
    }
    assert_int_equal(rc, -ENOSPC);
    index_usage_get(index, &used, &filled);
    assert_true(used > LIMIT / 2);
    assert_in_range(n * size, LIMIT * 3 / 10, LIMIT);
    for (uint64_t i = 0; i < n;) {
        assert_int_equal(index_txn_begin(index), 0);
        for (uint64_t k = 0; k < 16 && i < n; k++, i++) {
            make_key(key, (i * 7919) % 1000003);
            assert_int_equal(index_delete(index, INDEX_XATTR, key, 8), 0);
        }
        assert_int_equal(index_txn_commit(index), 0);
    }
    index_usage_get(index, &used, &limit);
    assert_in_range(used, 1, LIMIT / 4);
    assert_int_equal(limit, filled);
}

static void test_fill(void **state)
{
    static const size_t sizes[] = {100, 900, 3000, 60000, 40};
    struct unit_dir dir;
    struct index *index;

    (void)state;
    unit_dir_create(&dir);
    index = open_index(&dir);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        fill_and_empty(index, sizes[i], 1 + 20 * (i % 2));
        index_close(index); /* all pages are looked at */
        index = open_index(&dir);
    }
    index_close(index);
    unit_dir_remove(&dir);
}

static void test_one_large_batch(void **state)
{
    struct unit_dir dir;
    struct index *index;
    uint64_t n = 0;
    int rc;

    (void)state;
    unit_dir_create(&dir);
    index = open_index(&dir);
    assert_int_equal(index_txn_begin(index), 0);
    assert_false(index_txn_is_large(index));
    while (!index_txn_is_large(index))
        assert_int_equal(put_number(index, n++, 100), 0);
    do {
        rc = put_number(index, n++, 100);
    } while (rc == 0);
    assert_int_equal(rc, -ENOSPC);
    assert_int_equal(index_txn_commit(index), 0);
    index_close(index);
    unit_dir_remove(&dir);
}

static void write_file(const struct unit_dir *dir, const void *data, size_t size)
{
    char path[128];
    int fd;

    snprintf(path, sizeof(path), "%s/index/data.mdb", dir->path);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), (ssize_t)size);
    close(fd);
}

static void test_not_an_index(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct unit_dir dir;
    struct index *index;
    char path[128];
    static uint8_t noise[70000];

    (void)state;
    unit_dir_create(&dir);
    index = open_index(&dir);
    index_close(index);
    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (uint8_t)(i * 131 >> 3);
    write_file(&dir, noise, sizeof(noise));
    assert_int_equal(index_open(dir.path, LIMIT, NULL, &index, &err), -EUCLEAN);
    assert_non_null(strstr(err.text, "data.mdb"));
    write_file(&dir, noise, 10);
    assert_int_equal(index_open(dir.path, LIMIT, NULL, &index, &err), -EUCLEAN);
    /* nothing yet: it is made */
    write_file(&dir, noise, 0);
    index_close(open_index(&dir));
    /* cut off: refused, again and again */
    snprintf(path, sizeof(path), "%s/index/data.mdb", dir.path);
    assert_int_equal(truncate(path, 8192), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(index_open(dir.path, LIMIT, NULL, &index, &err), -EUCLEAN);
        assert_non_null(strstr(err.text, "cut off"));
    }
    unit_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cursor),
        cmocka_unit_test(test_fill),
        cmocka_unit_test(test_one_large_batch),
        cmocka_unit_test(test_not_an_index),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

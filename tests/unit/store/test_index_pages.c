/* SPDX-License-Identifier: Apache-2.0
 * Damaged files: whatever bit of an index is turned, it is either found, or of no
 * consequence for any record. */
#include "index_unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/hash.h"
#include "store/index_pages.h"

#define RECORDS 3000u

struct damaged {
    struct unit_dir dir;
    char file[128];
    uint8_t *bytes; /* of the intact file */
    size_t size;
    uint64_t records; /* hash of all of them */
};

static uint64_t records_hash(struct index *index)
{
    uint64_t hash = 0;

    assert_int_equal(index_txn_begin(index), 0);
    for (int db = 0; db < INDEX_N_DBS; db++) {
        MDB_val key, value;
        int rc = index_seek(index, (enum index_db)db, "", 1, &key, &value);

        while (rc == 0) {
            hash = hash_bytes(hash + 1, key.mv_data, key.mv_size);
            hash = hash_bytes(hash, value.mv_data, value.mv_size);
            rc = index_next(index, (enum index_db)db, &key, &value);
        }
        assert_int_equal(rc, -ENOENT);
    }
    index_txn_abort(index);
    return hash;
}

static size_t value_size(unsigned i)
{
    return i % 100 == 0 ? 3000 + i : i % 50;
}

static void put_records(struct index *index)
{
    static uint8_t value[3000 + RECORDS];

    for (unsigned i = 0; i < RECORDS; i++) {
        uint64_t key = hash_u64(i);

        if (i % 500 == 0)
            assert_int_equal(index_txn_begin(index), 0);
        memset(value, (int)i, sizeof(value));
        assert_int_equal(index_put(index,
                                   i % 7 ? INDEX_INODE : INDEX_CHUNK,
                                   &key,
                                   sizeof(key),
                                   value,
                                   value_size(i),
                                   INDEX_GROW),
                         0);
        if (i % 500 == 499)
            assert_int_equal(index_txn_commit(index), 0);
    }
    assert_int_equal(index_txn_begin(index), 0);
    for (unsigned i = 0; i < RECORDS; i += 5) { /* for the list of free pages */
        uint64_t key = hash_u64(i);

        assert_int_equal(
            index_delete(index, i % 7 ? INDEX_INODE : INDEX_CHUNK, &key, sizeof(key)),
            0);
    }
    assert_int_equal(index_txn_commit(index), 0);
}

static void file_write(const struct damaged *damaged)
{
    int fd = open(damaged->file, O_WRONLY | O_TRUNC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, damaged->bytes, damaged->size), (ssize_t)damaged->size);
    close(fd);
}

static void damaged_init(struct damaged *damaged)
{
    struct index *index;
    int fd;

    unit_dir_create(&damaged->dir);
    index = open_index(&damaged->dir);
    put_records(index);
    damaged->records = records_hash(index);
    index_close(index);
    snprintf(
        damaged->file, sizeof(damaged->file), "%s/index/data.mdb", damaged->dir.path);
    fd = open(damaged->file, O_RDONLY);
    damaged->size = (size_t)lseek(fd, 0, SEEK_END);
    damaged->bytes = malloc(damaged->size);
    assert_non_null(damaged->bytes);
    assert_int_equal(pread(fd, damaged->bytes, damaged->size, 0),
                     (ssize_t)damaged->size);
    close(fd);
}

static void damaged_fini(struct damaged *damaged)
{
    free(damaged->bytes);
    unit_dir_remove(&damaged->dir);
}

static void
part_write(const struct damaged *damaged, size_t at, const void *part, size_t size)
{
    int fd = open(damaged->file, O_WRONLY);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, part, size, (off_t)at), (ssize_t)size);
    close(fd);
}

/* With that part in place of what was there. True: the damage was found. */
static bool
is_found(const struct damaged *damaged, size_t at, const void *part, size_t size)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct index *index;
    int rc;

    part_write(damaged, at, part, size);
    rc = index_pages_check(damaged->file, &err);
    if (rc) {
        assert_int_equal(rc, -EUCLEAN);
        assert_non_null(strstr(err.text, "data.mdb: "));
        assert_int_equal(index_open(damaged->dir.path, LIMIT, NULL, &index, &err),
                         -EUCLEAN);
        part_write(damaged, at, damaged->bytes + at, size);
        return true;
    }
    index = open_index(&damaged->dir);
    if (records_hash(index) != damaged->records)
        fail_msg("damaged records, and nobody has seen it");
    index_close(index);
    file_write(damaged); /* opening has changed it */
    return false;
}

static void test_turned_bits(void **state)
{
    struct damaged damaged;
    unsigned n_found = 0;
    size_t used;

    (void)state;
    damaged_init(&damaged);
    assert_false(is_found(&damaged, 0, damaged.bytes, damaged.size));
    for (used = damaged.size; damaged.bytes[used - 1] == 0; used--)
        continue;
    for (uint64_t i = 0; i < 600; i++) {
        uint64_t random = hash_u64(i + 1);
        /* often at the start of a page, where its bounds are */
        size_t at = i % 3 ? random % used : random % (used / 4096) * 4096 + i % 24;
        uint8_t byte = damaged.bytes[at] ^ (uint8_t)(1u << (random >> 60 & 7));

        n_found += is_found(&damaged, at, &byte, 1);
    }
    assert_in_range(n_found, 100, 600);
    damaged_fini(&damaged);
}

/* Of an older state, or of nothing at all. */
static void test_lost_pages(void **state)
{
    struct damaged damaged;
    uint8_t page[4096];
    unsigned n_found = 0;
    size_t n_pages;

    (void)state;
    damaged_init(&damaged);
    n_pages = damaged.size / sizeof(page);
    for (uint64_t i = 0; i < 120; i++) {
        size_t at = hash_u64(i + 1) % n_pages * sizeof(page);
        size_t from = hash_u64(i + 1001) % n_pages * sizeof(page);

        if (i % 2)
            memcpy(page, damaged.bytes + from, sizeof(page));
        else
            memset(page, (int)i, sizeof(page));
        n_found += is_found(&damaged, at, page, sizeof(page));
    }
    assert_in_range(n_found, 5, 120);
    damaged_fini(&damaged);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turned_bits),
        cmocka_unit_test(test_lost_pages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

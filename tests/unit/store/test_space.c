/* SPDX-License-Identifier: Apache-2.0
 * Full: the arena, the index, and the file system under them, which is a small tmpfs in
 * a mount namespace of the test's own (root needed, else skipped). Nothing may end in
 * SIGBUS; what removes things, reads and overwrites goes on; removing makes room. */
#include "store_unit.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#define B STORE_BLOCK_SIZE

static void test_full_arena(void **state)
{
    static uint8_t data[10 * B];
    struct fixture f;
    uint64_t ino = 0;
    int rc;

    (void)state;
    fixture_init(&f, 8 * MIB);
    for (int round = 0; round < 3; round++) {
        begin(&f);
        for (ino = 1; (rc = put_bytes(f.store, ino, 0, 0, data, sizeof(data))) == 0;)
            ino++;
        assert_int_equal(rc, -ENOSPC);
        assert_int_equal(ino - 1, 8 * MIB / sizeof(data));
        assert_int_equal(put_bytes(f.store, 7, 0, 5, data, sizeof(data) - 5), 0);
        commit(&f);
        fixture_reopen(&f);
        begin(&f);
        assert_int_equal(store_chunk_truncate(f.store, 7, 0, 0), 0);
        /* not before the commit: an abort would need the blocks */
        assert_int_equal(put_bytes(f.store, 999, 0, 0, data, sizeof(data)), -ENOSPC);
        commit(&f);
        begin(&f);
        assert_int_equal(put_bytes(f.store, 999, 0, 0, data, sizeof(data)), 0);
        for (uint64_t i = 1; i < 1000; i++)
            assert_int_equal(store_chunk_truncate(f.store, i, 0, 0), 0);
        commit(&f);
        assert_int_equal(used_bytes(&f), 0);
    }
    fixture_fini(&f);
}

/* ---- on a small tmpfs ---- */

static int mount_small(void **state)
{
    struct unit_dir *dir = malloc(sizeof(*dir));

    assert_non_null(dir);
    unit_dir_create(dir);
    *state = dir;
    if (unshare(CLONE_NEWNS) < 0
        || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0
        || mount("tmpfs", dir->path, "tmpfs", 0, "size=12m") < 0) {
        unit_dir_remove(dir);
        free(dir);
        *state = NULL;
    }
    return 0;
}

static int unmount_small(void **state)
{
    struct unit_dir *dir = *state;

    if (!dir)
        return 0;
    umount(dir->path);
    unit_dir_remove(dir);
    free(dir);
    return 0;
}

static bool is_mounted(void **state)
{
    if (*state)
        return true;
    print_message("skipped: needs root\n");
    skip();
    return false;
}

static void close_and_remove(struct fixture *f)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;

    fixture_check(f);
    store_close(f->store);
    assert_int_equal(store_remove(f->path, &err), 0);
}

static int create(struct fixture *f, int i)
{
    struct store_inode inode = {.mode = S_IFREG, .nlink = 1};
    struct store_dentry entry = {.type = S_IFREG};
    char name[32];
    int len = snprintf(name, sizeof(name), "file-%d", i);
    int rc = store_inode_allocate(f->store, &inode.ino);

    entry.ino = inode.ino;
    if (rc == 0)
        rc = store_inode_put(f->store, &inode);
    if (rc == 0)
        rc = store_dentry_insert(f->store, 1, name, (size_t)len, &entry, 1);
    return rc;
}

static void remove_created(struct fixture *f, int i)
{
    struct store_dentry entry;
    char name[32];
    size_t len;

    if (store_txn_is_large(f->store)) {
        commit(f);
        begin(f);
    }
    len = (size_t)snprintf(name, sizeof(name), "file-%d", i);

    assert_int_equal(store_dentry_get(f->store, 1, name, len, &entry), 0);
    assert_int_equal(store_orphan_add(f->store, entry.ino), 0);
    assert_int_equal(store_dentry_remove(f->store, 1, name, len, 1), 0);
    assert_int_equal(store_chunk_truncate(f->store, entry.ino, 0, 0), 0);
    assert_int_equal(store_inode_remove(f->store, entry.ino), 0);
    assert_int_equal(store_orphan_remove(f->store, entry.ino), 0);
}

/* Creates until ENOSPC, each batch committed; returns how many there are. */
static int create_until_full(struct fixture *f, int batch)
{
    int n = 0, rc = 0;

    while (rc == 0) {
        int n_committed = n;

        begin(f);
        for (int i = 0; i < batch && rc == 0 && !store_txn_is_large(f->store); i++) {
            rc = create(f, n);
            if (rc == 0)
                n++;
        }
        /* the last one failed half-way: it is the batch that is given up */
        if (rc < 0) {
            store_txn_abort(f->store);
            n = n_committed;
            break;
        }
        commit(f);
    }
    assert_int_equal(rc, -ENOSPC);
    return n;
}

static int count_names(void *arg, const struct store_dirent *entry)
{
    (void)entry;
    ++*(int *)arg;
    return 0;
}

static void test_metadata_full(void **state)
{
    struct store_usage usage;
    struct fixture f;
    static const char value[100];
    uint64_t ino = 0;
    int n[2], found = 0;

    if (!is_mounted(state))
        return;
    fixture_init_at(&f, ((struct unit_dir *)*state)->path, 64 * MIB);
    for (int round = 0; round < 2; round++) {
        n[round] = create_until_full(&f, 16);
        print_message("%d files\n", n[round]);
        assert_true(n[round] > 10000);
        store_usage_get(f.store, &usage);
        assert_in_range(usage.metadata_used_bytes, 4 * MIB, 12 * MIB);
        if (round == 1)
            fixture_reopen(&f);
        begin(&f);
        while (store_xattr_set(f.store, ++ino, "user.a", 6, value, 100, 0) == 0)
            assert_true(ino < 1000);
        assert_int_equal(store_inode_allocate(f.store, &ino), -ENOSPC);
        found = 0;
        assert_int_equal(store_dentry_scan(f.store, 1, 0, count_names, &found), 0);
        store_txn_abort(f.store);
        assert_int_equal(found, n[round]);
        ino = 0;
        begin(&f);
        for (int i = 0; i < found; i++)
            remove_created(&f, i);
        commit(&f);
        fixture_check(&f);
    }
    assert_true(n[1] > n[0] * 3 / 4);
    close_and_remove(&f);
}

static void test_data_full(void **state)
{
    static uint8_t data[64 * B];
    struct fixture f;
    uint64_t ino;
    int n_files, rc;

    if (!is_mounted(state))
        return;
    memset(data, 1, sizeof(data));
    fixture_init_at(&f, ((struct unit_dir *)*state)->path, 64 * MIB);
    begin(&f);
    for (ino = 1; (rc = put_bytes(f.store, ino, 0, 0, data, sizeof(data))) == 0;)
        ino++;
    commit(&f);
    assert_int_equal(rc, -ENOSPC);
    print_message("%d files of 256 KiB\n", (int)ino - 1);
    assert_true(ino > 4);
    fixture_reopen(&f);
    n_files = create_until_full(&f, 1);
    begin(&f);
    assert_int_equal(put_bytes(f.store, 1, 0, 10, data, sizeof(data) - 10), 0);
    assert_int_equal(store_chunk_punch(f.store, 2, 0, 10, sizeof(data) - 20), 0);
    assert_int_equal(store_chunk_truncate(f.store, 3, 100, MIB), 0);
    commit(&f);
    begin(&f);
    assert_int_equal(put_bytes(f.store, 1, 0, sizeof(data), data, 10 * B), 0);
    for (int i = 0; i < n_files && i < 100; i++)
        remove_created(&f, i);
    commit(&f);
    close_and_remove(&f);
}

/* Somebody else takes all that is left. */
static void test_file_system_full(void **state)
{
    static uint8_t data[64 * B];
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct fixture f;
    char path[128];
    int fd, rc, n;

    if (!is_mounted(state))
        return;
    fixture_init_at(&f, ((struct unit_dir *)*state)->path, 64 * MIB);
    begin(&f);
    assert_int_equal(put_bytes(f.store, 1, 0, 0, data, sizeof(data)), 0);
    commit(&f);
    snprintf(path, sizeof(path), "%s/other", ((struct unit_dir *)*state)->path);
    fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    while (write(fd, data, sizeof(data)) > 0 || write(fd, data, B) > 0)
        ;
    for (uint64_t ino = 2;; ino++) {
        begin(&f);
        rc = put_bytes(f.store, ino, 0, 0, data, sizeof(data));
        commit(&f);
        if (rc < 0)
            break;
    }
    assert_int_equal(rc, -ENOSPC);
    n = create_until_full(&f, 7);
    fixture_reopen(&f);
    for (int i = 0; i < n; i++) {
        begin(&f);
        remove_created(&f, i);
        commit(&f);
    }
    begin(&f);
    assert_int_equal(put_bytes(f.store, 1, 0, 0, data, sizeof(data)), 0);
    commit(&f);
    close_and_remove(&f);
    /* a new store where there is no space for one */
    while (write(fd, data, sizeof(data)) > 0 || write(fd, data, B) > 0)
        ;
    assert_int_equal(store_open(&f.config, &f.store, &err), -ENOSPC);
    assert_non_null(strstr(err.text, f.path));
    close(fd);
    unlink(path);
    fixture_open(&f);
    close_and_remove(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_arena),
        cmocka_unit_test_setup_teardown(test_metadata_full, mount_small, unmount_small),
        cmocka_unit_test_setup_teardown(test_data_full, mount_small, unmount_small),
        cmocka_unit_test_setup_teardown(
            test_file_system_full, mount_small, unmount_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

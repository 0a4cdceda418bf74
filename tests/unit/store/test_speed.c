/* SPDX-License-Identifier: Apache-2.0
 * What operations cost. For information: nothing is asserted about the times. */
#include "store_unit.h"

#include <unistd.h>

#include "base/clock.h"

#define N_FILES 32000
#define BATCH   64

static void report(const char *what, uint64_t start, uint64_t n, uint64_t bytes)
{
    uint64_t ns = clock_now_ns() - start;

    print_message("%-28s %8llu x %8llu ns",
                  what,
                  (unsigned long long)n,
                  (unsigned long long)(ns / n));
    if (bytes)
        print_message("  %6.2f GB/s", (double)bytes / (double)ns);
    print_message("\n");
}

static size_t name_of(int i, char name[32])
{
    return (size_t)snprintf(name, 32, "file-%d", i);
}

static void time_creates(struct fixture *f, uint64_t *inos)
{
    uint64_t start = clock_now_ns();
    struct store_inode inode = {.mode = S_IFREG, .nlink = 1};
    struct store_dentry entry = {.type = S_IFREG};
    char name[32];

    for (int i = 0; i < N_FILES; i++) {
        size_t len = name_of(i, name);

        if (i % BATCH == 0)
            begin(f);
        assert_int_equal(store_inode_allocate(f->store, &inode.ino), 0);
        assert_int_equal(store_inode_put(f->store, &inode), 0);
        inos[i] = entry.ino = inode.ino;
        assert_int_equal(store_dentry_insert(f->store, 1, name, len, &entry, i), 0);
        if (i % BATCH == BATCH - 1)
            commit(f);
    }
    report("create, 64 per txn", start, N_FILES, 0);
}

static void time_lookups(struct fixture *f)
{
    struct store_inode inode;
    struct store_dentry entry;
    uint64_t start = clock_now_ns();
    char name[32];

    begin(f);
    for (int i = 0; i < N_FILES; i++) {
        size_t len = name_of(i * 7919 % N_FILES, name);

        assert_int_equal(store_dentry_get(f->store, 1, name, len, &entry), 0);
        assert_int_equal(store_inode_get(f->store, entry.ino, &inode), 0);
    }
    commit(f);
    report("lookup + get", start, N_FILES, 0);
    start = clock_now_ns();
    for (int i = 0; i < N_FILES; i++) {
        begin(f);
        commit(f);
    }
    report("empty txn", start, N_FILES, 0);
}

static void time_writes(
    struct fixture *f, const char *what, const uint64_t *inos, int n, uint32_t size)
{
    uint8_t *data = malloc(size);
    uint64_t start = clock_now_ns();

    memset(data, 1, size);
    for (int i = 0; i < n; i++) {
        if (i % BATCH == 0)
            begin(f);
        assert_int_equal(put_bytes(f->store, inos[i], 0, 0, data, size), 0);
        if (i % BATCH == BATCH - 1)
            commit(f);
    }
    report(what, start, (uint64_t)n, (uint64_t)n * size);
    free(data);
}

static void time_reads(
    struct fixture *f, const char *what, const uint64_t *inos, int n, uint32_t size)
{
    uint64_t start = clock_now_ns();
    struct iovec *iov;
    uint32_t length;
    int n_iov;

    begin(f);
    for (int i = 0; i < n; i++) {
        assert_int_equal(
            store_read(f->store, inos[i], 0, 0, size, &iov, &n_iov, &length), 0);
        assert_int_equal(length, size);
        free(iov);
    }
    commit(f);
    report(what, start, (uint64_t)n, 0);
}

static void time_removes(struct fixture *f, const uint64_t *inos)
{
    uint64_t start = clock_now_ns();
    char name[32];

    for (int i = 0; i < N_FILES; i++) {
        size_t len = name_of(i, name);

        if (i % BATCH == 0)
            begin(f);
        assert_int_equal(store_dentry_remove(f->store, 1, name, len, i), 0);
        assert_int_equal(store_chunk_truncate(f->store, inos[i], 0, 0), 0);
        assert_int_equal(store_inode_remove(f->store, inos[i]), 0);
        if (i % BATCH == BATCH - 1)
            commit(f);
    }
    report("remove, 64 per txn", start, N_FILES, 0);
}

static void test_speed(void **state)
{
    static uint64_t inos[N_FILES];
    char shm[] = "/dev/shm/benchfs-unit.XXXXXX";
    struct fixture f;
    const char *parent = f.dir.path;
    uint64_t start;

    (void)state;
    /* a memory store, as jobs have it; where there is no such tmpfs, on the disk */
    unit_dir_create(&f.dir);
    if (mkdtemp(shm))
        parent = shm;
    fixture_init_at(&f, parent, 512 * MIB);
    time_creates(&f, inos);
    time_lookups(&f);
    time_writes(&f, "write 4 KiB, new", inos, N_FILES, 4096);
    time_writes(&f, "write 4 KiB, in place", inos, N_FILES, 4096);
    time_writes(&f, "write 1 MiB, new", inos, 256, 1 << 20);
    time_writes(&f, "write 1 MiB, in place", inos, 256, 1 << 20);
    time_reads(&f, "read 4 KiB (no copy)", inos, N_FILES, 4096);
    time_reads(&f, "read 1 MiB (no copy)", inos, 256, 1 << 20);
    store_close(f.store);
    start = clock_now_ns();
    fixture_open(&f);
    report("open, per chunk", start, N_FILES, 0);
    time_removes(&f, inos);
    fixture_fini(&f);
    if (parent == shm)
        assert_int_equal(rmdir(shm), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_speed)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

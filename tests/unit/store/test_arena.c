/* SPDX-License-Identifier: Apache-2.0
 * The arena: backing, giving back, allocation, pins. */
#include "unit.h"

#include <fcntl.h>
#include <unistd.h>

#include "store/arena.h"
#include "store/store.h"

struct place {
    struct unit_dir dir;
    int fd;
    struct arena *arena;
};

static void place_init(struct place *p, uint64_t n_blocks)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;

    unit_dir_create(&p->dir);
    p->fd = open(p->dir.path, O_RDONLY | O_DIRECTORY);
    assert_true(p->fd >= 0);
    if (arena_open(p->fd, "arena", n_blocks * STORE_BLOCK_SIZE, &p->arena, &err) < 0)
        fail_msg("%s", err.text);
}

static void place_fini(struct place *p)
{
    arena_close(p->arena);
    close(p->fd);
    unit_dir_remove(&p->dir);
}

static void test_allocate_all(void **state)
{
    struct arena_runs runs = {0};
    struct place p;

    (void)state;
    place_init(&p, 5000);
    assert_int_equal(arena_allocate(p.arena, UINT64_MAX, 5001, &runs), -ENOSPC);
    assert_int_equal(runs.count, 0);
    assert_int_equal(arena_used_bytes(p.arena), 0);
    assert_int_equal(arena_allocate(p.arena, UINT64_MAX, 5000, &runs), 0);
    assert_int_equal(runs.count, 1);
    memset(arena_memory(p.arena, 0), 1, 5000u * STORE_BLOCK_SIZE);
    assert_int_equal(arena_allocate(p.arena, UINT64_MAX, 1, &runs), -ENOSPC);
    /* every other block: then pieces are what there is */
    for (uint64_t i = 0; i < 5000; i += 2)
        arena_release(p.arena, i, 1);
    runs.count = 0;
    assert_int_equal(arena_allocate(p.arena, UINT64_MAX, 2501, &runs), -ENOSPC);
    assert_int_equal(arena_allocate(p.arena, UINT64_MAX, 2500, &runs), 0);
    assert_int_equal(runs.count, 2500);
    assert_true(arena_is_used(p.arena, 0, 5000));
    arena_runs_fini(&runs);
    place_fini(&p);
}

static void test_reopen(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct arena_runs runs = {0};
    struct arena *second;
    struct stat st;
    struct place p;

    (void)state;
    place_init(&p, 10000);
    assert_int_equal(arena_allocate(p.arena, UINT64_MAX, 1, &runs), 0);
    arena_runs_fini(&runs);
    arena_close(p.arena);
    p.arena = NULL;
    /* what is backed is what the file has, and has allocated */
    assert_int_equal(fstatat(p.fd, "arena", &st, 0), 0);
    assert_true(st.st_size > 0 && st.st_size < 10000 * (off_t)STORE_BLOCK_SIZE);
    assert_true(st.st_blocks * 512 >= st.st_size);
    assert_int_equal(arena_open(p.fd, "arena", 4096, &second, &err), -EINVAL);
    assert_int_equal(
        arena_open(p.fd, "arena", 10000u * STORE_BLOCK_SIZE, &p.arena, &err), 0);
    assert_int_equal(arena_used_bytes(p.arena), 0);
    assert_int_equal(arena_mark(p.arena, 7, 3), 0);
    assert_int_equal(arena_mark(p.arena, 9, 1), -EEXIST);
    assert_int_equal(arena_mark(p.arena, 9999, 1), -ERANGE);
    place_fini(&p);
}

static void test_pins(void **state)
{
    struct arena_pin a = {.is_write = true}, b = {0};
    struct arena_runs runs = {0};
    struct place p;
    uint64_t block;

    (void)state;
    place_init(&p, 4096);
    assert_int_equal(arena_allocate(p.arena, UINT64_MAX, 4096, &runs), 0);
    assert_int_equal(arena_runs_push(&a.runs, 10, 5), 0);
    assert_int_equal(arena_runs_push(&b.runs, 12, 1), 0);
    arena_pin(p.arena, &a);
    arena_pin(p.arena, &b);
    assert_true(arena_is_being_written(p.arena, 14, 1, NULL));
    assert_false(arena_is_being_written(p.arena, 15, 1, NULL));
    assert_false(arena_is_being_written(p.arena, 12, 1, &a));

    arena_release(p.arena, 14, 1);
    arena_release(p.arena, 12, 1);
    arena_release(p.arena, 100, 1);
    runs.count = 0;
    assert_int_equal(arena_allocate(p.arena, UINT64_MAX, 1, &runs), 0);
    assert_int_equal(runs.run[0].start, 100);
    assert_int_equal(arena_allocate(p.arena, UINT64_MAX, 1, &runs), -ENOSPC);
    arena_unpin(p.arena, &a);
    runs.count = 0;
    assert_int_equal(arena_allocate(p.arena, UINT64_MAX, 1, &runs), 0);
    assert_int_equal(runs.run[0].start, 14);
    assert_int_equal(arena_allocate(p.arena, UINT64_MAX, 1, &runs), -ENOSPC);
    arena_unpin(p.arena, &b);
    assert_int_equal(arena_allocate(p.arena, UINT64_MAX, 1, &runs), 0);

    assert_true(arena_block_of(p.arena, arena_memory(p.arena, 3) + 5, &block));
    assert_int_equal(block, 3);
    assert_false(arena_block_of(p.arena, &block, &block));
    arena_runs_fini(&a.runs);
    arena_runs_fini(&b.runs);
    arena_runs_fini(&runs);
    place_fini(&p);
}

static uint64_t disk_blocks(const struct place *p)
{
    struct stat st;

    assert_int_equal(fstatat(p->fd, "arena", &st, 0), 0);
    return (uint64_t)st.st_blocks * 512 / STORE_BLOCK_SIZE;
}

static void test_trim(void **state)
{
    const uint64_t n_blocks = 4 * (uint64_t)ARENA_TRIM_BLOCKS;
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct arena_runs runs = {0};
    struct place p;

    (void)state;
    place_init(&p, n_blocks);
    assert_int_equal(arena_trim(p.arena), 0);
    assert_int_equal(arena_allocate(p.arena, UINT64_MAX, n_blocks, &runs), 0);
    memset(arena_memory(p.arena, 0), 1, n_blocks * STORE_BLOCK_SIZE);
    assert_int_equal(arena_idle_low(p.arena), 0);
    /* one that is needed keeps its group */
    arena_release(p.arena, 1, n_blocks - 1);
    assert_int_equal(arena_idle_low(p.arena), 0);
    assert_int_equal(arena_idle_low(p.arena), (n_blocks - 1) * STORE_BLOCK_SIZE);
    for (int i = 0; i < 3; i++)
        assert_int_equal(arena_trim(p.arena),
                         (uint64_t)ARENA_TRIM_BLOCKS * STORE_BLOCK_SIZE);
    assert_int_equal(arena_trim(p.arena), 0);
    assert_true(disk_blocks(&p) <= ARENA_TRIM_BLOCKS + 16);
    assert_int_equal(arena_used_bytes(p.arena), STORE_BLOCK_SIZE);
    assert_int_equal(arena_idle_bytes(p.arena),
                     (ARENA_TRIM_BLOCKS - 1) * (uint64_t)STORE_BLOCK_SIZE);
    /* as much as before can be had, and be written */
    runs.count = 0;
    assert_int_equal(arena_allocate(p.arena, UINT64_MAX, n_blocks, &runs), -ENOSPC);
    assert_int_equal(arena_allocate(p.arena, UINT64_MAX, n_blocks - 1, &runs), 0);
    for (size_t i = 0; i < runs.count; i++)
        memset(arena_memory(p.arena, runs.run[i].start),
               2,
               runs.run[i].n * STORE_BLOCK_SIZE);
    assert_int_equal(arena_used_bytes(p.arena), n_blocks * STORE_BLOCK_SIZE);
    assert_true(disk_blocks(&p) >= n_blocks);

    /* what was given back is known after a restart, beside what is in use */
    arena_release(p.arena, 0, n_blocks);
    for (int i = 0; i < 4; i++)
        assert_true(arena_trim(p.arena) > 0);
    runs.count = 0;
    assert_int_equal(arena_allocate(p.arena, UINT64_MAX, 10, &runs), 0);
    assert_int_equal(runs.count, 1);
    memset(arena_memory(p.arena, runs.run[0].start), 3, 10 * STORE_BLOCK_SIZE);
    arena_close(p.arena);
    assert_int_equal(
        arena_open(p.fd, "arena", n_blocks * STORE_BLOCK_SIZE, &p.arena, &err), 0);
    assert_int_equal(arena_mark(p.arena, runs.run[0].start, 10), 0);
    assert_int_equal(arena_holes_find(p.arena), 0);
    assert_int_equal(arena_used_bytes(p.arena), 10 * STORE_BLOCK_SIZE);
    assert_true(arena_idle_bytes(p.arena)
                <= (uint64_t)ARENA_TRIM_BLOCKS * STORE_BLOCK_SIZE);
    runs.count = 0;
    assert_int_equal(arena_allocate(p.arena, UINT64_MAX, n_blocks - 10, &runs), 0);
    assert_true(disk_blocks(&p) >= n_blocks);
    assert_int_equal(arena_allocate(p.arena, UINT64_MAX, 1, &runs), -ENOSPC);
    arena_runs_fini(&runs);
    place_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allocate_all),
        cmocka_unit_test(test_reopen),
        cmocka_unit_test(test_pins),
        cmocka_unit_test(test_trim),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

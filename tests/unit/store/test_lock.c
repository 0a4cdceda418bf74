/* SPDX-License-Identifier: Apache-2.0
 * Locks over a restart. */
#include "store_unit.h"

struct seen {
    unsigned n;
    struct store_lock_key key[8];
    struct store_lock lock[8];
};

static int
see(void *arg, const struct store_lock_key *key, const struct store_lock *lock)
{
    struct seen *seen = arg;

    assert_true(seen->n < 8);
    seen->key[seen->n] = *key;
    seen->lock[seen->n++] = *lock;
    return 0;
}

static unsigned count(struct fixture *f)
{
    struct seen seen = {.n = 0};

    assert_int_equal(store_lock_scan(f->store, see, &seen), 0);
    return seen.n;
}

static void test_calls(void **state)
{
    const struct store_lock_key keys[] = {
        {.ino = 1, .space = 0, .client = 5, .owner = 1},
        {.ino = 1, .space = 0, .client = 5, .owner = 2},
        {.ino = 1, .space = 1, .client = 5, .owner = 1},
        {.ino = 1, .space = 0, .client = 4, .owner = 9},
        {.ino = 2, .space = 0, .client = 5, .owner = 1},
    };
    struct store_lock lock = {.start = 10, .end = UINT64_MAX, .type = 2, .pid = 99};
    struct seen seen = {.n = 0};
    struct fixture f;

    (void)state;
    fixture_init(&f, 16 * MIB);
    begin(&f);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(store_lock_put(f.store, &keys[i], &lock), 0);
    lock.start = 0;
    lock.end = 5;
    assert_int_equal(store_lock_put(f.store, &keys[0], &lock), 0);
    commit(&f);
    fixture_reopen(&f);
    begin(&f);
    assert_int_equal(store_lock_scan(f.store, see, &seen), 0);
    assert_int_equal(seen.n, 6);
    assert_true(seen.key[0].client == 4 && seen.key[0].owner == 9);
    assert_true(seen.lock[0].start == 10 && seen.lock[0].end == UINT64_MAX);
    assert_int_equal(seen.lock[0].type, 2);
    assert_int_equal(seen.lock[0].pid, 99);
    assert_true(seen.key[1].client == 5 && seen.lock[1].end == 5);
    assert_int_equal(store_lock_remove(f.store, &keys[0]), 0);
    assert_int_equal(count(&f), 4);
    assert_int_equal(store_lock_remove(f.store, &keys[0]), 0);
    assert_int_equal(store_lock_remove_client(f.store, 1, 5), 0);
    assert_int_equal(count(&f), 2); /* another client's, and of another file */
    assert_int_equal(store_lock_remove_client(f.store, 2, 5), 0);
    assert_int_equal(store_lock_remove_client(f.store, 1, 4), 0);
    assert_int_equal(count(&f), 0);
    commit(&f);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

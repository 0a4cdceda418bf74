/* SPDX-License-Identifier: Apache-2.0
 * Who holds a key, who has to wait for it, and in which order they are woken. */
#include "unit.h"

#include "daemon/keylock.h"

struct fixture {
    struct keylock locks;
    struct list ready;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    if (!f)
        return -1;
    list_init(&f->ready);
    keylock_init(&f->locks, &f->ready);
    *state = f;
    return 0;
}

/* Every test leaves all keys free: nothing is kept for a free key. */
static int teardown(void **state)
{
    struct fixture *f = *state;
    size_t n_left = table_count(&f->locks.entries);

    keylock_fini(&f->locks);
    free(f);
    return n_left == 0 ? 0 : -1;
}

static void test_exclusive(void **state)
{
    struct fixture *f = *state;

    assert_false(keylock_is_locked(&f->locks, 1, 10));
    assert_int_equal(keylock_lock(&f->locks, 1, 10), 0);
    assert_int_equal(keylock_lock(&f->locks, 1, 11), -EBUSY);
    assert_int_equal(keylock_share(&f->locks, 1), -EBUSY);
    assert_true(keylock_is_locked(&f->locks, 1, 11));
    assert_true(keylock_is_locked(&f->locks, 1, 0));
    assert_false(keylock_is_locked(&f->locks, 1, 10));
    assert_int_equal(keylock_lock(&f->locks, 2, 11), 0); /* another key */
    keylock_unlock(&f->locks, 2, 11);
    keylock_unlock(&f->locks, 1, 11); /* not the holder: nothing happens */
    assert_true(keylock_is_locked(&f->locks, 1, 11));
    keylock_unlock(&f->locks, 1, 10);
    assert_int_equal(keylock_lock(&f->locks, 1, 11), 0);
    keylock_unlock(&f->locks, 1, 11);
    keylock_unlock(&f->locks, 1, 11); /* free already */
}

static void test_same_owner_again(void **state)
{
    struct fixture *f = *state;
    struct list_node waiter;

    assert_int_equal(keylock_lock(&f->locks, 1, 10), 0);
    assert_int_equal(keylock_lock(&f->locks, 1, 10), 0);
    keylock_wait(&f->locks, 1, &waiter);
    keylock_unlock(&f->locks, 1, 10);
    assert_true(keylock_is_locked(&f->locks, 1, 11));
    assert_true(list_is_empty(&f->ready));
    keylock_unlock(&f->locks, 1, 10);
    assert_false(keylock_is_locked(&f->locks, 1, 11));
    assert_ptr_equal(list_pop_front(&f->ready), &waiter);
}

static void test_shared(void **state)
{
    struct fixture *f = *state;
    struct list_node waiter;

    assert_int_equal(keylock_share(&f->locks, 1), 0);
    assert_int_equal(keylock_share(&f->locks, 1), 0);
    assert_int_equal(keylock_lock(&f->locks, 1, 10), -EBUSY);
    assert_false(keylock_is_locked(&f->locks, 1, 10));
    keylock_wait(&f->locks, 1, &waiter);
    /* who waits to change it does not starve */
    assert_int_equal(keylock_share(&f->locks, 1), -EBUSY);
    keylock_unshare(&f->locks, 1);
    assert_true(list_is_empty(&f->ready));
    keylock_unshare(&f->locks, 1);
    assert_ptr_equal(list_pop_front(&f->ready), &waiter);
    assert_int_equal(keylock_lock(&f->locks, 1, 10), 0);
    keylock_unlock(&f->locks, 1, 10);
}

static void test_order_of_waiters(void **state)
{
    struct fixture *f = *state;
    struct list_node waiters[3], other;

    assert_int_equal(keylock_lock(&f->locks, 1, 10), 0);
    assert_int_equal(keylock_lock(&f->locks, 2, 10), 0);
    keylock_wait(&f->locks, 2, &other);
    for (unsigned i = 0; i < 3; i++)
        keylock_wait(&f->locks, 1, &waiters[i]);
    keylock_unlock(&f->locks, 1, 10);
    for (unsigned i = 0; i < 3; i++)
        assert_ptr_equal(list_pop_front(&f->ready), &waiters[i]);
    assert_true(list_is_empty(&f->ready));
    keylock_unlock(&f->locks, 2, 10);
    assert_ptr_equal(list_pop_front(&f->ready), &other);
}

static void test_waiter_gives_up(void **state)
{
    struct fixture *f = *state;
    struct list_node waiter;

    assert_int_equal(keylock_lock(&f->locks, 1, 10), 0);
    keylock_wait(&f->locks, 1, &waiter);
    list_remove(&waiter);
    keylock_unlock(&f->locks, 1, 10);
    assert_true(list_is_empty(&f->ready));
}

static void test_owner_gone(void **state)
{
    struct fixture *f = *state;
    struct list_node waiter;

    for (uint64_t key = 0; key < 100; key++)
        assert_int_equal(keylock_lock(&f->locks, key, 10 + key % 2), 0);
    assert_int_equal(keylock_lock(&f->locks, 4, 10), 0); /* twice */
    keylock_wait(&f->locks, 4, &waiter);
    keylock_owner_gone(&f->locks, 10);
    for (uint64_t key = 0; key < 100; key++)
        assert_int_equal(keylock_is_locked(&f->locks, key, 99), key % 2 != 0);
    assert_ptr_equal(list_pop_front(&f->ready), &waiter);
    keylock_owner_gone(&f->locks, 10);
    keylock_owner_gone(&f->locks, 11);
}

static void test_keys(void **state)
{
    (void)state;
    assert_int_equal(keylock_key_dentry(1, "abc", 2), keylock_key_dentry(1, "ab", 2));
    assert_int_not_equal(keylock_key_dentry(1, "ab", 2),
                         keylock_key_dentry(2, "ab", 2));
    assert_int_not_equal(keylock_key_dentry(1, "ab", 2),
                         keylock_key_dentry(1, "ac", 2));
    assert_int_not_equal(keylock_key_inode(1), keylock_key_inode(2));
}

static int key_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* Who holds a directory's key takes that of a file's size: for good, were it the same.
 */
static void test_keys_of_neighbours(void **state)
{
    static uint64_t keys[3 * 16 * 256];
    size_t n = 0;

    (void)state;
    for (uint64_t home = 0; home < 16; home++) {
        for (uint64_t i = 0; i < 256; i++) {
            uint64_t ino = (home << 20) + i;

            keys[n++] = keylock_key_inode(ino);
            keys[n++] = keylock_key_size(ino);
            keys[n++] = keylock_key_dir(ino);
        }
    }
    qsort(keys, n, sizeof(keys[0]), key_compare);
    for (size_t i = 1; i < n; i++)
        assert_int_not_equal(keys[i - 1], keys[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_exclusive),
        TEST(test_same_owner_again),
        TEST(test_shared),
        TEST(test_order_of_waiters),
        TEST(test_waiter_gives_up),
        TEST(test_owner_gone),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_keys_of_neighbours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * What clients have open and locked at a shard, and what is left of it when they die.
 */
#include "unit.h"

#include "daemon/op.h"
#include "daemon/session.h"

#define CLIENT UINT64_C(0x1001)
#define OTHER  UINT64_C(0x1002)
#define INO    UINT64_C(0x30000)

/* As much of a shard as sessions need: no store, no network. */
static int setup(void **state)
{
    struct shard *shard = calloc(1, sizeof(*shard));

    if (!shard || fiber_pool_create(8, &shard->fibers))
        return -1;
    list_init(&shard->ready);
    list_init(&shard->outgoing);
    list_init(&shard->calls);
    list_init(&shard->fiber_waiters);
    table_init(&shard->sessions);
    table_init(&shard->open_inodes);
    keylock_init(&shard->locks, &shard->ready);
    shard->n_targets = 1;
    *state = shard;
    return 0;
}

static int teardown(void **state)
{
    struct shard *shard = *state;

    session_fini(shard);
    keylock_fini(&shard->locks);
    fiber_pool_destroy(shard->fibers);
    free(shard);
    return 0;
}

/* A batch of the shard's thread. */
static void batch_run(struct shard *shard)
{
    struct list_node *node;

    while ((node = list_pop_front(&shard->ready))) {
        struct task *task = list_entry(node, struct task, link);

        task->run(task);
    }
    op_flush(shard, 0);
}

static void expect_opens(const struct shard *shard,
                         unsigned n_opens,
                         unsigned n_writers,
                         unsigned n_free_writers)
{
    const struct open_inode *inode = session_inode(shard, INO);

    assert_non_null(inode);
    assert_true(inode->ino == INO);
    assert_int_equal(inode->n_opens, n_opens);
    assert_int_equal(inode->n_writers, n_writers);
    assert_int_equal(inode->n_free_writers, n_free_writers);
}

static void test_counts(void **state)
{
    struct shard *shard = *state;
    const uint32_t append = OPEN_WRITE | OPEN_APPEND;

    assert_null(session_inode(shard, INO));
    assert_int_equal(session_open(shard, CLIENT, INO, OPEN_READ), 0);
    expect_opens(shard, 1, 0, 0);
    assert_int_equal(session_open(shard, CLIENT, INO, append), 0);
    expect_opens(shard, 2, 1, 0);
    assert_int_equal(session_open(shard, OTHER, INO, OPEN_READ | OPEN_WRITE), 0);
    assert_int_equal(session_open(shard, OTHER, INO, OPEN_WRITE), 0);
    expect_opens(shard, 4, 3, 2);
    assert_int_equal(session_close(shard, OTHER, INO, OPEN_WRITE), 0);
    expect_opens(shard, 3, 2, 1);
    assert_int_equal(session_close(shard, OTHER, INO, OPEN_WRITE), 0);
    assert_int_equal(session_close(shard, CLIENT, INO, OPEN_READ), 0);
    expect_opens(shard, 1, 1, 0);
    assert_int_equal(session_close(shard, CLIENT, INO, append), 0);
    assert_null(session_inode(shard, INO));
}

static void test_close_without_open(void **state)
{
    struct shard *shard = *state;

    assert_int_equal(session_close(shard, CLIENT, INO, OPEN_READ), -EBADF);
    assert_int_equal(session_open(shard, CLIENT, INO, OPEN_READ), 0);
    assert_int_equal(session_close(shard, CLIENT, INO, OPEN_WRITE), -EBADF);
    assert_int_equal(session_close(shard, CLIENT, INO + 1, OPEN_READ), -EBADF);
    assert_int_equal(session_close(shard, OTHER, INO, OPEN_READ), -EBADF);
    expect_opens(shard, 1, 0, 0);
    assert_int_equal(session_close(shard, CLIENT, INO, OPEN_READ), 0);
    assert_int_equal(session_close(shard, CLIENT, INO, OPEN_READ), -EBADF);
}

/* Opens that nobody closes are freed with the shard; LeakSanitizer looks. */
static void test_left_open(void **state)
{
    struct shard *shard = *state;

    assert_int_equal(session_open(shard, CLIENT, INO, OPEN_READ), 0);
    assert_int_equal(session_open(shard, CLIENT, INO + 1, OPEN_WRITE), 0);
    assert_int_equal(session_lock_add(shard, OTHER, 1, 2), 0);
}

static void test_locks_of_a_dead_client(void **state)
{
    struct shard *shard = *state;

    for (uint64_t key = 1; key <= 4; key++) {
        assert_int_equal(keylock_lock(&shard->locks, key, 10 + key), 0);
        assert_int_equal(
            session_lock_add(shard, key < 4 ? CLIENT : OTHER, key, 10 + key), 0);
    }
    /* given back in time: locked by somebody else since */
    session_lock_remove(shard, CLIENT, 2, 12);
    session_lock_remove(shard, CLIENT, 2, 12);
    session_lock_remove(shard, CLIENT, 4, 14); /* not its own */
    keylock_unlock(&shard->locks, 2, 12);
    assert_int_equal(keylock_lock(&shard->locks, 2, 99), 0);

    session_client_gone(shard, CLIENT);
    batch_run(shard);
    assert_false(keylock_is_locked(&shard->locks, 1, 0));
    assert_true(keylock_is_locked(&shard->locks, 2, 0));
    assert_false(keylock_is_locked(&shard->locks, 3, 0));
    assert_true(keylock_is_locked(&shard->locks, 4, 0));
    session_client_gone(shard, OTHER);
    batch_run(shard);
    assert_false(keylock_is_locked(&shard->locks, 4, 0));
}

static void test_unknown_client_gone(void **state)
{
    struct shard *shard = *state;

    session_client_gone(shard, CLIENT);
    assert_true(list_is_empty(&shard->ready));
    assert_int_equal(session_note_forward(shard, CLIENT), 0);
    session_client_gone(shard, CLIENT); /* with one target there is nobody to tell */
    batch_run(shard);
    assert_int_equal(fiber_pool_active(shard->fibers), 0);
    assert_int_equal(table_count(&shard->sessions), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_counts),
        TEST(test_close_without_open),
        TEST(test_left_open),
        TEST(test_locks_of_a_dead_client),
        TEST(test_unknown_client_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

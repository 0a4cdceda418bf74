/* SPDX-License-Identifier: Apache-2.0
 * Who has and who waits for locks, over a restart and the end of clients. */
#include "shard_unit.h"

#define INO UINT64_C(0x10000)

static struct lock lock_of(uint64_t client, uint8_t type, uint64_t start, uint64_t end)
{
    return (struct lock){
        .type = type, .owner = {.client = client}, .start = start, .end = end};
}

static struct op *op_new(struct shard *shard)
{
    struct op *op = calloc(1, sizeof(*op));

    op->shard = shard;
    list_node_init(&op->link);
    return op;
}

static int ask(struct shard *shard, struct op *op, const struct lock *lock, bool waits)
{
    (void)shard;
    return lock_table_lock(op, lock, INO, waits);
}

/* One that is answered at once. */
static int ask_now(struct shard *shard, const struct lock *lock)
{
    struct op *op = op_new(shard);
    int rc = ask(shard, op, lock, false);

    free(op);
    return rc;
}

static bool is_finished(const struct op *op)
{
    return list_node_is_linked(&op->link);
}

static void op_free(struct op *op)
{
    list_remove(&op->link);
    free(op);
}

static void test_wait_in_turn(void **state)
{
    struct shard *shard = *state;
    struct lock first = lock_of(1, LOCK_TYPE_WRITE, 0, 9);
    struct lock second = lock_of(2, LOCK_TYPE_WRITE, 5, 20);
    struct lock third = lock_of(3, LOCK_TYPE_WRITE, 5, 20);
    struct op *op2 = op_new(shard), *op3 = op_new(shard);

    assert_int_equal(ask_now(shard, &first), 0);
    assert_int_equal(ask_now(shard, &second), -EAGAIN);
    assert_int_equal(ask(shard, op2, &second, true), OP_PENDING);
    assert_int_equal(ask(shard, op3, &third, true), OP_PENDING);
    first.type = LOCK_TYPE_NONE;
    assert_int_equal(ask_now(shard, &first), 0);
    assert_true(is_finished(op2) && op2->status == 0);
    assert_false(is_finished(op3));
    /* canceled by a signal */
    lock_table_cancel(shard, &third, INO);
    assert_true(is_finished(op3) && op3->status == -EINTR);
    second.type = LOCK_TYPE_NONE;
    assert_int_equal(ask_now(shard, &second), 0);
    assert_int_equal(table_count(&shard->lock_files), 0);
    op_free(op2);
    op_free(op3);
}

/* Who was told to ask again has kept its place. */
static void test_place_is_kept(void **state)
{
    struct shard *shard = *state;
    struct lock first = lock_of(1, LOCK_TYPE_WRITE, 0, 9);
    struct lock second = lock_of(2, LOCK_TYPE_WRITE, 0, 9);
    struct lock third = lock_of(3, LOCK_TYPE_WRITE, 0, 9);
    struct op *op2 = op_new(shard), *op3 = op_new(shard), *again = op_new(shard);
    struct shard_timer *timer;

    assert_int_equal(ask_now(shard, &first), 0);
    assert_int_equal(ask(shard, op2, &second, true), OP_PENDING);
    assert_int_equal(ask(shard, op3, &third, true), OP_PENDING);
    timer = list_entry(list_front(&shard->timers), struct shard_timer, link);
    shard_timer_cancel(timer);
    timer->run(timer);
    assert_true(is_finished(op2) && op2->status == -EINPROGRESS);
    assert_int_equal(ask(shard, again, &second, true), OP_PENDING);
    first.type = LOCK_TYPE_NONE;
    assert_int_equal(ask_now(shard, &first), 0);
    assert_true(is_finished(again) && again->status == 0);
    assert_false(is_finished(op3));
    lock_table_cancel(shard, &third, INO);
    op_free(op2);
    op_free(op3);
    op_free(again);
}

/* Who does not come back loses it. */
static void test_place_is_lost(void **state)
{
    struct shard *shard = *state;
    struct lock first = lock_of(1, LOCK_TYPE_WRITE, 0, 9);
    struct lock second = lock_of(2, LOCK_TYPE_WRITE, 0, 9);
    struct op *op2 = op_new(shard);

    assert_int_equal(ask_now(shard, &first), 0);
    assert_int_equal(ask(shard, op2, &second, true), OP_PENDING);
    for (int i = 0; i < 2; i++) {
        struct shard_timer *timer =
            list_entry(list_front(&shard->timers), struct shard_timer, link);

        shard_timer_cancel(timer);
        timer->run(timer);
    }
    assert_true(is_finished(op2) && op2->status == -EINPROGRESS);
    assert_true(list_is_empty(&shard->timers));
    first.type = LOCK_TYPE_NONE;
    assert_int_equal(ask_now(shard, &first), 0);
    assert_int_equal(table_count(&shard->lock_files), 0);
    op_free(op2);
}

static void test_deadlock(void **state)
{
    struct shard *shard = *state;
    struct lock a = lock_of(1, LOCK_TYPE_WRITE, 0, 0);
    struct lock b = lock_of(2, LOCK_TYPE_WRITE, 1, 1);
    struct lock c = lock_of(3, LOCK_TYPE_WRITE, 2, 2);
    struct lock a_wants_b = lock_of(1, LOCK_TYPE_READ, 1, 1);
    struct lock b_wants_c = lock_of(2, LOCK_TYPE_READ, 2, 2);
    struct lock c_wants_a = lock_of(3, LOCK_TYPE_READ, 0, 0);
    struct op *op1 = op_new(shard), *op2 = op_new(shard), *op3 = op_new(shard);

    assert_int_equal(ask_now(shard, &a), 0);
    assert_int_equal(ask_now(shard, &b), 0);
    assert_int_equal(ask_now(shard, &c), 0);
    assert_int_equal(ask(shard, op1, &a_wants_b, true), OP_PENDING);
    assert_int_equal(ask(shard, op2, &b_wants_c, true), OP_PENDING);
    assert_int_equal(ask(shard, op3, &c_wants_a, true), -EDEADLK);
    lock_table_client_gone(shard, 2);
    assert_true(is_finished(op2) && op2->status == -EINTR);
    assert_true(is_finished(op1) && op1->status == 0);
    op_free(op1);
    op_free(op2);
    op_free(op3);
}

static void test_restart(void **state)
{
    struct shard_unit *unit = *state;
    struct shard *shard = &unit->shard;
    struct lock first = lock_of(1, LOCK_TYPE_WRITE, 0, 9);
    struct lock part = lock_of(1, LOCK_TYPE_NONE, 3, 4);
    struct lock whole = lock_of(2, LOCK_TYPE_READ, 0, UINT64_MAX);
    struct lock other = lock_of(9, LOCK_TYPE_WRITE, 4, 4);

    whole.space = LOCK_SPACE_WHOLE;
    assert_int_equal(ask_now(shard, &first), 0);
    assert_int_equal(ask_now(shard, &part), 0);
    assert_int_equal(ask_now(shard, &whole), 0);
    shard_unit_restart(unit);
    assert_int_equal(ask_now(shard, &other), 0);
    other.start = 3;
    other.end = 5;
    assert_int_equal(ask_now(shard, &other), -EAGAIN);
    session_client_gone(shard, 1);
    session_client_gone(shard, 2);
    session_client_gone(shard, 9);
    shard_unit_batch(shard);
    shard_unit_restart(unit);
    assert_int_equal(table_count(&shard->lock_files), 0);
}

#define TEST(name)                                                                     \
    cmocka_unit_test_setup_teardown(name, shard_unit_setup, shard_unit_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_wait_in_turn),
        TEST(test_place_is_kept),
        TEST(test_place_is_lost),
        TEST(test_deadlock),
        TEST(test_restart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

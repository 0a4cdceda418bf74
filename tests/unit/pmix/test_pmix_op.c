/* SPDX-License-Identifier: Apache-2.0
 * Waiting for an operation: completed before, meanwhile, never, and late. */
#include "unit.h"

#include <pthread.h>

#include "pmix/pmix_op.h"

static void test_completed_before(void **state)
{
    struct pmix_op *op = pmix_op_create();
    int status = 0;

    (void)state;
    assert_non_null(op);
    pmix_op_complete(op, -17);
    assert_int_equal(pmix_op_wait(op, NULL, NULL, deadline_after_ms(0), &status), 0);
    assert_int_equal(status, -17);
}

static void *complete(void *op)
{
    pmix_op_complete(op, 5);
    return NULL;
}

static void test_completed_by_another_thread(void **state)
{
    struct pmix_op *op = pmix_op_create();
    pthread_t thread;
    int status = 0;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, complete, op), 0);
    assert_int_equal(pmix_op_wait(op, NULL, NULL, deadline_after_ms(10000), &status),
                     0);
    assert_int_equal(status, 5);
    pthread_join(thread, NULL);
}

/* The completion of what was given up must find valid memory. */
static void test_completed_too_late(void **state)
{
    struct pmix_op *op = pmix_op_create();
    int status = 99;

    (void)state;
    assert_int_equal(pmix_op_wait(op, NULL, NULL, deadline_after_ms(1), &status),
                     -ETIMEDOUT);
    assert_int_equal(status, 99);
    pmix_op_complete(op, 0);
}

static int interrupted(void *arg, int fd, struct deadline deadline)
{
    (void)fd;
    (void)deadline;
    ++*(int *)arg;
    return -EINTR;
}

static void test_wait_of_the_caller(void **state)
{
    struct pmix_op *op = pmix_op_create();
    int calls = 0, status;

    (void)state;
    assert_int_equal(
        pmix_op_wait(op, interrupted, &calls, deadline_after_ms(1000), &status),
        -EINTR);
    assert_int_equal(calls, 1);
    pmix_op_cancel(op);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_completed_before),
        cmocka_unit_test(test_completed_by_another_thread),
        cmocka_unit_test(test_completed_too_late),
        cmocka_unit_test(test_wait_of_the_caller),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * Fibers stop and go on with their stacks as they were, are used again after their end,
 * and never number more than the limit. Under a sanitizer: it follows every switch. */
#include "unit.h"

#include "daemon/fiber.h"

#define MANY 500u

struct probe {
    struct fiber_pool *pool;
    struct fiber *self;
    unsigned n_yields; /* asked for */
    unsigned n_steps;  /* made */
    bool is_intact;    /* the stack was, at the end */
};

/* Fills a good part of the stack before each yield and reads it after. */
static void probe_run(void *arg)
{
    struct probe *probe = arg;
    volatile unsigned marks[4096];

    probe->self = fiber_current(probe->pool);
    probe->is_intact = true;
    for (unsigned i = 0; i < probe->n_yields; i++) {
        for (unsigned k = 0; k < 4096; k++)
            marks[k] = i ^ k ^ (unsigned)(uintptr_t)probe;
        probe->n_steps++;
        fiber_yield(probe->pool);
        probe->is_intact =
            probe->is_intact && fiber_current(probe->pool) == probe->self;
        for (unsigned k = 0; k < 4096; k++)
            probe->is_intact =
                probe->is_intact && marks[k] == (i ^ k ^ (unsigned)(uintptr_t)probe);
    }
    probe->n_steps++;
}

static struct fiber_pool *pool_make(unsigned limit)
{
    struct fiber_pool *pool;

    assert_int_equal(fiber_pool_create(limit, &pool), 0);
    assert_int_equal(fiber_pool_active(pool), 0);
    assert_null(fiber_current(pool));
    return pool;
}

static void probe_start(struct fiber_pool *pool, struct probe *probe, unsigned n_yields)
{
    *probe = (struct probe){.pool = pool, .n_yields = n_yields};
    assert_int_equal(fiber_start(pool, probe_run, probe), 0);
}

static void test_no_yield(void **state)
{
    struct fiber_pool *pool = pool_make(1);
    struct probe probe;

    (void)state;
    probe_start(pool, &probe, 0);
    assert_int_equal(probe.n_steps, 1);
    assert_non_null(probe.self);
    assert_null(fiber_current(pool));
    assert_int_equal(fiber_pool_active(pool), 0);
    fiber_pool_destroy(pool);
}

static void test_yield_and_resume(void **state)
{
    struct fiber_pool *pool = pool_make(1);
    struct probe probe;

    (void)state;
    probe_start(pool, &probe, 3);
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(probe.n_steps, i);
        assert_int_equal(fiber_pool_active(pool), 1);
        assert_null(fiber_current(pool));
        fiber_resume(pool, probe.self);
    }
    assert_int_equal(probe.n_steps, 4);
    assert_true(probe.is_intact);
    assert_int_equal(fiber_pool_active(pool), 0);
    fiber_pool_destroy(pool);
}

static void test_reuse(void **state)
{
    struct fiber_pool *pool = pool_make(4);
    struct probe first, second;

    (void)state;
    probe_start(pool, &first, 1);
    fiber_resume(pool, first.self);
    for (unsigned i = 0; i < 3; i++) {
        probe_start(pool, &second, 1);
        assert_ptr_equal(second.self, first.self);
        fiber_resume(pool, second.self);
        assert_true(second.is_intact);
        assert_int_equal(second.n_steps, 2);
    }
    fiber_pool_destroy(pool);
}

static void test_limit(void **state)
{
    struct fiber_pool *pool = pool_make(2);
    struct probe probes[2];
    struct probe refused = {.pool = pool};

    (void)state;
    probe_start(pool, &probes[0], 1);
    probe_start(pool, &probes[1], 1);
    assert_int_equal(fiber_start(pool, probe_run, &refused), -EAGAIN);
    assert_int_equal(refused.n_steps, 0);
    fiber_resume(pool, probes[0].self);
    assert_int_equal(fiber_start(pool, probe_run, &refused), 0);
    assert_int_equal(refused.n_steps, 1);
    fiber_resume(pool, probes[1].self);
    assert_int_equal(fiber_pool_active(pool), 0);
    fiber_pool_destroy(pool);
}

/* All of them are stopped at once, and go on in an order of their own. */
static void test_many(void **state)
{
    struct fiber_pool *pool = pool_make(MANY);
    struct probe *probes = calloc(MANY, sizeof(*probes));

    (void)state;
    assert_non_null(probes);
    for (unsigned i = 0; i < MANY; i++)
        probe_start(pool, &probes[i], 1 + i % 3);
    assert_int_equal(fiber_pool_active(pool), MANY);
    for (unsigned round = 1; round <= 3; round++) {
        for (unsigned k = 0; k < MANY; k++) {
            struct probe *probe = &probes[(k * 7u + round) % MANY];

            if (probe->n_yields >= round)
                fiber_resume(pool, probe->self);
        }
    }
    assert_int_equal(fiber_pool_active(pool), 0);
    for (unsigned i = 0; i < MANY; i++) {
        assert_true(probes[i].is_intact);
        assert_int_equal(probes[i].n_steps, 2 + i % 3);
    }
    free(probes);
    fiber_pool_destroy(pool);
}

static void test_destroy_null(void **state)
{
    (void)state;
    fiber_pool_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_yield),
        cmocka_unit_test(test_yield_and_resume),
        cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_destroy_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

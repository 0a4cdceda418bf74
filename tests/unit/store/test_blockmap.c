/* SPDX-License-Identifier: Apache-2.0
 * The bitmap allocator against a plain array. */
#include "unit.h"

#include "store/blockmap.h"

#define N 20000u

static uint64_t seed = 88172645463325252u;

static uint32_t rnd(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed % n);
}

static void test_take_all(void **state)
{
    struct blockmap *map;
    uint64_t start;

    (void)state;
    assert_int_equal(blockmap_create(BLOCKMAP_GROUP + 10, &map), 0);
    assert_int_equal(blockmap_take(map, UINT64_MAX, 1, &start), -ENOSPC);
    blockmap_extend(map, 5);
    assert_int_equal(blockmap_take(map, UINT64_MAX, 6, &start), -ENOSPC);
    blockmap_extend(map, BLOCKMAP_GROUP + 10);
    assert_int_equal(blockmap_free_count(map), BLOCKMAP_GROUP + 10);
    assert_int_equal(blockmap_take(map, UINT64_MAX, BLOCKMAP_GROUP, &start), 0);
    assert_int_equal(start, 0);
    assert_int_equal(blockmap_take(map, UINT64_MAX, 11, &start), -ENOSPC);
    assert_int_equal(blockmap_take(map, UINT64_MAX, 10, &start), 0);
    assert_int_equal(start, BLOCKMAP_GROUP);
    assert_int_equal(blockmap_free_count(map), 0);
    blockmap_release(map, 64, 64);
    assert_int_equal(blockmap_take(map, UINT64_MAX, 65, &start), -ENOSPC);
    assert_int_equal(blockmap_take(map, UINT64_MAX, 64, &start), 0);
    assert_int_equal(start, 64);
    blockmap_destroy(map);
    blockmap_destroy(NULL);
}

static void test_goal(void **state)
{
    struct blockmap *map;
    uint64_t start;

    (void)state;
    assert_int_equal(blockmap_create(3 * BLOCKMAP_GROUP, &map), 0);
    blockmap_extend(map, 3 * BLOCKMAP_GROUP);
    /* across groups */
    assert_int_equal(blockmap_take(map, BLOCKMAP_GROUP - 3, 10, &start), 0);
    assert_int_equal(start, BLOCKMAP_GROUP - 3);
    assert_int_equal(blockmap_take(map, BLOCKMAP_GROUP, 4, &start), 0);
    assert_int_not_equal(start, BLOCKMAP_GROUP);
    assert_int_equal(blockmap_mark(map, BLOCKMAP_GROUP + 6, 2), -EEXIST);
    assert_int_equal(blockmap_mark(map, BLOCKMAP_GROUP + 7, 2), 0);
    assert_int_equal(blockmap_mark(map, 3 * BLOCKMAP_GROUP - 1, 2), -ERANGE);
    assert_true(blockmap_is_used(map, BLOCKMAP_GROUP + 8));
    assert_false(blockmap_is_used(map, BLOCKMAP_GROUP + 9));
    blockmap_destroy(map);
}

struct taken {
    uint64_t start;
    uint32_t n;
};

static bool has_run(const uint8_t *model, uint32_t limit, uint32_t n)
{
    uint32_t run = 0;

    for (uint32_t i = 0; i < limit; i++) {
        if (i % BLOCKMAP_GROUP == 0)
            run = 0;
        run = model[i] ? 0 : run + 1;
        if (run == n)
            return true;
    }
    return false;
}

static void test_random(void **state)
{
    static struct taken list[N];
    static uint8_t model[N];
    uint32_t count = 0, limit = 0, used = 0, n_full = 0;
    struct blockmap *map;

    (void)state;
    assert_int_equal(blockmap_create(N, &map), 0);
    for (int i = 0; i < 60000; i++) {
        uint32_t n = rnd(10) == 0 ? 1 + rnd(3000) : 1 + rnd(40);
        uint64_t start;

        if (i % 3000 == 0 && limit < N) {
            limit = limit + 1500 < N ? limit + 1500 : N;
            blockmap_extend(map, limit);
        }
        if (rnd(100) < 52) {
            if (blockmap_take(map, rnd(N), n, &start) < 0) {
                n_full++;
                assert_false(has_run(model, limit, n));
                continue;
            }
            assert_in_range(start + n, n, limit);
            for (uint32_t k = 0; k < n; k++)
                assert_int_equal(model[start + k]++, 0);
            list[count++] = (struct taken){start, n};
            used += n;
        } else if (count > 0) {
            uint32_t at = rnd(count);
            struct taken *t = &list[at];
            uint32_t part = 1 + rnd(t->n);

            blockmap_release(map, t->start, part);
            memset(model + t->start, 0, part);
            used -= part;
            t->start += part;
            t->n -= part;
            if (t->n == 0)
                list[at] = list[--count];
        }
        assert_int_equal(blockmap_free_count(map), limit - used);
    }
    assert_true(n_full > 100);
    blockmap_destroy(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_take_all),
        cmocka_unit_test(test_goal),
        cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

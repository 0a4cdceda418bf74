/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "proto/placement.h"

static void inode_numbers_carry_their_home(void **state)
{
    (void)state;
    assert_int_equal(placement_home(placement_ino(1, 0)), 0);
    assert_int_equal(placement_home(placement_ino(77, 65534)), 65534);
    assert_int_equal(placement_home(PLACEMENT_ROOT_INO), 0);
    assert_true(placement_ino(1, 0) > PLACEMENT_ROOT_INO);
}

/* Values that every version must keep: clients and daemons compute them independently.
 */
static void dentries_have_fixed_places(void **state)
{
    (void)state;
    assert_int_equal(placement_dentry_target(1, "a", 1, 1), 0);
    assert_int_equal(placement_dentry_target(1, "input", 5, 1000003),
                     hash_bytes(1, "input", 5) % 1000003);
}

static void dentries_spread_evenly(void **state)
{
    enum { TARGETS = 16, NAMES = 16000 };
    unsigned counts[TARGETS] = {0};
    char name[16];

    (void)state;
    for (int i = 0; i < NAMES; i++) {
        int len = snprintf(name, sizeof(name), "file.%06d", i);

        counts[placement_dentry_target(65537, name, (size_t)len, TARGETS)]++;
    }
    for (int t = 0; t < TARGETS; t++)
        assert_in_range(counts[t], NAMES / TARGETS * 8 / 10, NAMES / TARGETS * 12 / 10);
}

static void chunks_go_round_from_their_base(void **state)
{
    (void)state;
    assert_int_equal(placement_chunk_target(LAYOUT_STRIPED, 3, 0, 4), 3);
    assert_int_equal(placement_chunk_target(LAYOUT_STRIPED, 3, 1, 4), 0);
    assert_int_equal(placement_chunk_target(LAYOUT_STRIPED, 3, 1ull << 40, 4), 3);
    assert_int_equal(placement_chunk_target(LAYOUT_LOCAL, 3, 9, 4), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inode_numbers_carry_their_home),
        cmocka_unit_test(dentries_have_fixed_places),
        cmocka_unit_test(dentries_spread_evenly),
        cmocka_unit_test(chunks_go_round_from_their_base),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * Small facts over a restart. */
#include "store_unit.h"

struct seen {
    unsigned n;
    struct store_note note[4];
};

static int see(void *arg, const struct store_note *note)
{
    struct seen *seen = arg;

    assert_true(seen->n < 4);
    seen->note[seen->n++] = *note;
    return note->kind == 9 ? -EINTR : 0;
}

static void test_calls(void **state)
{
    const struct store_note notes[] = {
        {.kind = 2, .a = 1, .b = UINT32_MAX, .value = 7},
        {.kind = 1, .value = 3},
        {.kind = 2, .a = 1, .b = UINT32_MAX, .value = 8}, /* replaces the first */
        {.kind = 9},
    };
    struct seen seen = {.n = 0};
    struct fixture f;

    (void)state;
    fixture_init(&f, 16 * MIB);
    begin(&f);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(store_note_put(f.store, &notes[i]), 0);
    commit(&f);
    fixture_reopen(&f);
    begin(&f);
    assert_int_equal(store_note_scan(f.store, see, &seen), 0);
    assert_int_equal(seen.n, 2);
    assert_int_equal(seen.note[0].kind, 1);
    assert_int_equal(seen.note[0].value, 3);
    assert_true(seen.note[1].a == 1 && seen.note[1].b == UINT32_MAX);
    assert_int_equal(seen.note[1].value, 8);
    seen.n = 0;
    assert_int_equal(store_note_put(f.store, &notes[3]), 0);
    assert_int_equal(store_note_scan(f.store, see, &seen), -EINTR);
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

/* SPDX-License-Identifier: Apache-2.0
 * Claims and intents: kept, replaced, removed, there after a restart. */
#include "store_unit.h"

struct seen {
    unsigned n;
    struct store_claim claim[4];
    uint64_t owner[4];
    char body[4][8];
};

static int see(void *arg, const struct store_claim *claim)
{
    struct seen *seen = arg;

    assert_true(seen->n < 4);
    seen->claim[seen->n++] = *claim;
    return claim->kind == 9 ? -EINTR : 0;
}

static void test_claims(void **state)
{
    const struct store_claim claims[] = {
        {.target = 1, .owner = UINT64_MAX, .kind = 2, .id = 7, .dir = 5},
        {.target = 1, .owner = 3, .kind = 1, .id = UINT64_MAX},
        {.target = 1,
         .owner = UINT64_MAX,
         .kind = 2,
         .id = 7,
         .dir = 6}, /* the first */
        {.target = 2, .owner = 3, .kind = 9},
    };
    struct seen seen = {.n = 0};
    struct fixture f;

    (void)state;
    fixture_init(&f, 16 * MIB);
    begin(&f);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(store_claim_put(f.store, &claims[i]), 0);
    commit(&f);
    fixture_reopen(&f);
    begin(&f);
    assert_int_equal(store_claim_scan(f.store, see, &seen), 0);
    assert_int_equal(seen.n, 2);
    assert_memory_equal(&seen.claim[0].id, &claims[1].id, sizeof(uint64_t));
    assert_true(seen.claim[1].owner == UINT64_MAX && seen.claim[1].dir == 6);
    assert_int_equal(store_claim_get(f.store, &claims[0]), 0);
    assert_int_equal(store_claim_get(f.store, &claims[3]), -ENOENT);
    assert_int_equal(store_claim_remove(f.store, &claims[3]), 0);
    assert_int_equal(store_claim_remove(f.store, &claims[0]), 0);
    assert_int_equal(store_claim_get(f.store, &claims[0]), -ENOENT);
    assert_int_equal(store_claim_put(f.store, &claims[3]), 0);
    seen.n = 0;
    assert_int_equal(store_claim_scan(f.store, see, &seen), -EINTR);
    commit(&f);
    fixture_fini(&f);
}

static int see_intent(void *arg, uint64_t owner, const void *body, size_t len)
{
    struct seen *seen = arg;

    assert_true(seen->n < 4 && len < 8);
    seen->owner[seen->n] = owner;
    memcpy(seen->body[seen->n], body, len);
    seen->body[seen->n++][len] = '\0';
    return 0;
}

static void test_intents(void **state)
{
    struct seen seen = {.n = 0};
    struct fixture f;

    (void)state;
    fixture_init(&f, 16 * MIB);
    begin(&f);
    assert_int_equal(store_intent_put(f.store, 9, "one", 3), 0);
    assert_int_equal(store_intent_put(f.store, 8, "", 0), 0);
    assert_int_equal(store_intent_put(f.store, 9, "two", 3), 0);
    commit(&f);
    fixture_reopen(&f);
    begin(&f);
    assert_int_equal(store_intent_scan(f.store, see_intent, &seen), 0);
    assert_int_equal(seen.n, 2);
    assert_int_equal(seen.owner[0], 8);
    assert_string_equal(seen.body[0], "");
    assert_string_equal(seen.body[1], "two");
    assert_int_equal(store_intent_remove(f.store, 8), 0);
    assert_int_equal(store_intent_remove(f.store, 8), 0);
    seen.n = 0;
    assert_int_equal(store_intent_scan(f.store, see_intent, &seen), 0);
    assert_int_equal(seen.n, 1);
    commit(&f);
    fixture_fini(&f);
}

/* What was let in is finished also when the space is used up. */
static void test_reserve(void **state)
{
    struct store_dentry dentry = {.ino = 2, .type = 0100000};
    unsigned n = 0, n_before;
    char name[32];
    struct fixture f;

    (void)state;
    fixture_init(&f, MIB);
    do {
        int rc = 0;

        n_before = n;
        begin(&f);
        while (rc == 0 && !store_txn_is_large(f.store)) {
            snprintf(name, sizeof(name), "%029u", n);
            rc = store_dentry_insert(f.store, 1, name, strlen(name), &dentry, 1);
            n += rc == 0;
        }
        commit(&f);
    } while (n > n_before);
    begin(&f);
    assert_int_equal(store_room_check(f.store, 4), -ENOSPC);
    assert_int_equal(store_dentry_insert(f.store, 1, "new", 3, &dentry, 1), -ENOSPC);
    store_reserve_use(f.store, true);
    assert_int_equal(store_dentry_insert(f.store, 1, "new", 3, &dentry, 1), 0);
    store_reserve_use(f.store, false);
    assert_int_equal(store_dentry_insert(f.store, 1, "other", 5, &dentry, 1), -ENOSPC);
    store_txn_fail(f.store, -EXDEV);
    assert_int_equal(store_txn_commit(f.store), -EXDEV);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_claims),
        cmocka_unit_test(test_intents),
        cmocka_unit_test(test_reserve),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

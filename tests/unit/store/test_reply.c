/* SPDX-License-Identifier: Apache-2.0
 * Answers kept for requests that may come again. */
#include "store_unit.h"

struct seen {
    unsigned n;
    uint64_t client[8];
    uint16_t slot[8];
    uint64_t request[8];
};

static int see(void *arg, uint64_t client, uint16_t slot, uint64_t request)
{
    struct seen *seen = arg;

    assert_true(seen->n < 8);
    seen->client[seen->n] = client;
    seen->slot[seen->n] = slot;
    seen->request[seen->n++] = request;
    return 0;
}

static void put(struct fixture *f, uint64_t client, uint16_t slot, uint64_t request)
{
    struct store_reply reply = {
        .opcode = 13, .request = request, .body = "answer", .body_len = 6};

    assert_int_equal(store_reply_put(f->store, client, slot, &reply), 0);
}

static void test_calls(void **state)
{
    struct store_reply reply = {.opcode = 14, .request = 9};
    struct seen seen = {.n = 0};
    struct fixture f;

    (void)state;
    fixture_init(&f, 16 * MIB);
    begin(&f);
    assert_int_equal(store_reply_get(f.store, 1, 1, &reply), -ENOENT);
    put(&f, 1, 1, 100);
    put(&f, 1, 4096, 101);
    put(&f, UINT64_MAX, 1, 102);
    put(&f, 2, 1, 103);
    commit(&f);
    fixture_reopen(&f);
    begin(&f);
    assert_int_equal(store_reply_get(f.store, 1, 4096, &reply), 0);
    assert_int_equal(reply.opcode, 13);
    assert_true(reply.request == 101);
    assert_int_equal(reply.body_len, 6);
    assert_memory_equal(reply.body, "answer", 6);
    /* replaced, by one without a body */
    reply = (struct store_reply){.opcode = 14, .request = 200};
    assert_int_equal(store_reply_put(f.store, 1, 4096, &reply), 0);
    assert_int_equal(store_reply_get(f.store, 1, 4096, &reply), 0);
    assert_true(reply.request == 200);
    assert_int_equal(reply.body_len, 0);
    assert_int_equal(store_reply_scan(f.store, see, &seen), 0);
    assert_int_equal(seen.n, 4);
    assert_true(seen.client[0] == 1 && seen.slot[0] == 1 && seen.request[0] == 100);
    assert_true(seen.client[3] == UINT64_MAX && seen.request[3] == 102);
    assert_int_equal(store_reply_remove_all(f.store, 1), 0);
    assert_int_equal(store_reply_remove_all(f.store, 1), 0);
    assert_int_equal(store_reply_remove_all(f.store, UINT64_MAX), 0);
    seen.n = 0;
    assert_int_equal(store_reply_scan(f.store, see, &seen), 0);
    assert_int_equal(seen.n, 1);
    assert_true(seen.client[0] == 2);
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

/* SPDX-License-Identifier: Apache-2.0
 * Clients and what they have open, over a restart. */
#include "store_unit.h"

struct seen {
    unsigned n;
    uint64_t client[4], ino[4];
    struct store_client what[4];
    struct store_open open[4];
};

static int see_client(void *arg, uint64_t client, const struct store_client *what)
{
    struct seen *seen = arg;

    assert_true(seen->n < 4);
    seen->client[seen->n] = client;
    seen->what[seen->n++] = *what;
    return 0;
}

static int
see_open(void *arg, uint64_t client, uint64_t ino, const struct store_open *open)
{
    struct seen *seen = arg;

    assert_true(seen->n < 4);
    seen->client[seen->n] = client;
    seen->ino[seen->n] = ino;
    seen->open[seen->n++] = *open;
    return 0;
}

static void test_clients(void **state)
{
    struct store_client first = {
        .node = 3, .pid = 77, .pid_start = UINT64_C(1) << 40, .has_forwarded = true};
    struct store_client second = {.node = UINT32_MAX};
    struct seen seen = {.n = 0};
    struct fixture f;

    (void)state;
    fixture_init(&f, 16 * MIB);
    begin(&f);
    assert_int_equal(store_client_put(f.store, 9, &second), 0);
    assert_int_equal(store_client_put(f.store, 5, &second), 0);
    assert_int_equal(store_client_put(f.store, 5, &first), 0); /* replaced */
    commit(&f);
    fixture_reopen(&f);
    begin(&f);
    assert_int_equal(store_client_scan(f.store, see_client, &seen), 0);
    assert_int_equal(seen.n, 2);
    assert_true(seen.client[0] == 5 && seen.client[1] == 9);
    assert_int_equal(seen.what[0].node, 3);
    assert_int_equal(seen.what[0].pid, 77);
    assert_true(seen.what[0].pid_start == first.pid_start);
    assert_true(seen.what[0].has_forwarded);
    assert_true(seen.what[1].node == UINT32_MAX && !seen.what[1].has_forwarded);
    assert_int_equal(store_client_remove(f.store, 5), 0);
    assert_int_equal(store_client_remove(f.store, 5), 0);
    seen.n = 0;
    assert_int_equal(store_client_scan(f.store, see_client, &seen), 0);
    assert_int_equal(seen.n, 1);
    commit(&f);
    fixture_fini(&f);
}

static void test_opens(void **state)
{
    struct store_open open = {.n_readers = 1, .n_appenders = 2, .n_free_writers = 3};
    struct store_open none = {.n_readers = 0};
    struct seen seen = {.n = 0};
    struct fixture f;

    (void)state;
    fixture_init(&f, 16 * MIB);
    begin(&f);
    assert_int_equal(store_open_put(f.store, 5, 100, &open), 0);
    assert_int_equal(store_open_put(f.store, 5, 101, &open), 0);
    assert_int_equal(store_open_put(f.store, 5, 101, &none), 0);
    assert_int_equal(store_open_put(f.store, 5, 101, &none), 0);
    commit(&f);
    fixture_reopen(&f);
    begin(&f);
    assert_int_equal(store_open_scan(f.store, see_open, &seen), 0);
    assert_int_equal(seen.n, 1);
    assert_true(seen.client[0] == 5 && seen.ino[0] == 100);
    assert_int_equal(seen.open[0].n_readers, 1);
    assert_int_equal(seen.open[0].n_appenders, 2);
    assert_int_equal(seen.open[0].n_free_writers, 3);
    commit(&f);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clients),
        cmocka_unit_test(test_opens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

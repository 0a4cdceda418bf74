/* SPDX-License-Identifier: Apache-2.0
 * Many threads over one rpc: every answer reaches its thread, nobody waits for
 * another's slow request, and a service that goes away is an error. */
#include "client_unit.h"

#include <pthread.h>

#include "base/clock.h"
#include "client/client_internal.h"

#define THREADS 8
#define CALLS   300

struct hammer {
    struct client *client;
    unsigned number;
    unsigned n_calls;
    uint64_t bits;
    unsigned n_wrong;
    uint64_t took_ms;
    pthread_t thread;
};

static int ask(struct client *client, uint64_t bits, uint64_t value, uint32_t target)
{
    uint64_t ino = bits | value << 16 | target;
    struct wire_attr attr;
    int status = client_getattr(client, ino, &attr);

    if (status < 0)
        return status;
    return attr.ino == ino ? 0 : -EBADMSG;
}

static void *hammer_run(void *arg)
{
    struct hammer *hammer = arg;
    uint64_t start_ms = clock_now_ms();

    for (unsigned i = 0; i < hammer->n_calls; i++) {
        uint64_t value = (uint64_t)hammer->number * 1000 + i;
        uint64_t bits = i % 7 == 3 ? FAKE_ERROR_BIT : FAKE_ECHO_BIT;
        int expected = bits == FAKE_ERROR_BIT ? -EIO : 0;

        if (hammer->bits) {
            bits = hammer->bits;
            expected = 0;
        }
        if (ask(hammer->client, bits, value, i % FAKE_TARGETS) != expected)
            hammer->n_wrong++;
    }
    hammer->took_ms = clock_now_ms() - start_ms;
    return NULL;
}

static void hammer_start(struct hammer *hammer, struct client *client, unsigned number)
{
    hammer->client = client;
    hammer->number = number;
    assert_int_equal(pthread_create(&hammer->thread, NULL, hammer_run, hammer), 0);
}

static void test_threads(void **state)
{
    struct hammer hammers[THREADS];
    struct engine_stats stats;
    struct client_unit unit;

    (void)state;
    client_unit_start(&unit, FAKE_TARGETS, CLIENT_ROUTE_AUTO);
    for (unsigned i = 0; i < THREADS; i++) {
        hammers[i] = (struct hammer){.n_calls = CALLS};
        hammer_start(&hammers[i], unit.client, i);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(hammers[i].thread, NULL);
        assert_int_equal(hammers[i].n_wrong, 0);
    }
    engine_stats_get(unit.client->engine, &stats);
    print_message("%d calls of %d threads: %u sleeps, %u rides, %u hand-overs\n",
                  THREADS * CALLS,
                  THREADS,
                  (unsigned)stats.sleeps,
                  (unsigned)stats.rides,
                  (unsigned)stats.hand_overs);
    client_unit_stop(&unit);
}

/* Slow requests under way, whose threads sleep, must not slow down the others, nor be
 * forgotten when these have gone. */
static void test_slow_and_fast(void **state)
{
    struct hammer slow[3];
    struct hammer fast;
    struct client_unit unit;

    (void)state;
    client_unit_start(&unit, FAKE_TARGETS, CLIENT_ROUTE_AUTO);
    for (unsigned i = 0; i < 3; i++) {
        slow[i] = (struct hammer){.n_calls = 3, .bits = FAKE_SLOW_BIT};
        hammer_start(&slow[i], unit.client, i);
    }
    fast = (struct hammer){.n_calls = 200, .bits = FAKE_ECHO_BIT};
    hammer_start(&fast, unit.client, 9);
    pthread_join(fast.thread, NULL);
    assert_int_equal(fast.n_wrong, 0);
    for (unsigned i = 0; i < 3; i++) {
        pthread_join(slow[i].thread, NULL);
        assert_int_equal(slow[i].n_wrong, 0);
        assert_true(slow[i].took_ms >= 3 * FAKE_SLOW_MS);
    }
    client_unit_stop(&unit);
}

static void echo_fill(struct client *client, struct client_call *call, uint64_t value)
{
    uint64_t ino = FAKE_ECHO_BIT | value << 16;
    struct msg_inode_request msg = {.ino = ino};

    client_call_fill(client, call, OP_GETATTR, 0, inode_request, &msg);
}

/* Started, left alone, tested until it is there. */
static void test_asynchronous(void **state)
{
    struct deadline deadline = deadline_after_ms(5000);
    struct client_call *call = calloc(1, sizeof(*call));
    struct engine_set set;
    struct client_unit unit;

    (void)state;
    client_unit_start(&unit, FAKE_TARGETS, CLIENT_ROUTE_AUTO);
    engine_set_init(&set, NULL);
    echo_fill(unit.client, call, 5);
    engine_set_add(&set, &call->call);
    engine_start(unit.client->engine, &set);
    while (!engine_test(unit.client->engine, &set))
        assert_false(deadline_expired(deadline));
    assert_int_equal(call->call.rpc.status, 0);
    engine_wait(unit.client->engine, &set);
    free(call);
    client_unit_stop(&unit);
}

/* Waiting for one set completes others that nobody waits for yet. */
static void test_asynchronous_many(void **state)
{
    enum { SETS = 20 };
    struct client_call *calls = calloc(SETS, sizeof(*calls));
    struct engine_set sets[SETS];
    struct client_unit unit;

    (void)state;
    client_unit_start(&unit, FAKE_TARGETS, CLIENT_ROUTE_AUTO);
    for (unsigned i = 0; i < SETS; i++) {
        engine_set_init(&sets[i], NULL);
        echo_fill(unit.client, &calls[i], i);
        engine_set_add(&sets[i], &calls[i].call);
        engine_start(unit.client->engine, &sets[i]);
    }
    for (unsigned i = SETS; i > 0; i--) {
        engine_wait(unit.client->engine, &sets[i - 1]);
        assert_int_equal(calls[i - 1].call.rpc.status, 0);
    }
    free(calls);
    client_unit_stop(&unit);
}

static void test_empty_set(void **state)
{
    struct engine_set set;
    struct client_unit unit;

    (void)state;
    client_unit_start(&unit, FAKE_TARGETS, CLIENT_ROUTE_AUTO);
    engine_set_init(&set, NULL);
    engine_run(unit.client->engine, &set);
    engine_start(unit.client->engine, &set);
    assert_true(engine_test(unit.client->engine, &set));
    engine_wait(unit.client->engine, &set);
    client_unit_stop(&unit);
}

/* A peer that can't be addressed ends the call, and the set goes on with the others. */
static void test_bad_peer(void **state)
{
    struct client_call *calls = calloc(2, sizeof(*calls));
    struct engine_set set;
    struct client_unit unit;

    (void)state;
    client_unit_start(&unit, FAKE_TARGETS, CLIENT_ROUTE_AUTO);
    engine_set_init(&set, NULL);
    echo_fill(unit.client, &calls[0], 1);
    calls[0].call.peer = FAKE_TARGETS;
    echo_fill(unit.client, &calls[1], 2);
    engine_set_add(&set, &calls[0].call);
    engine_set_add(&set, &calls[1].call);
    engine_run(unit.client->engine, &set);
    assert_int_equal(calls[0].call.rpc.status, -ESTALE);
    assert_true(calls[0].call.rpc.is_transport);
    assert_int_equal(calls[1].call.rpc.status, 0);
    free(calls);
    client_unit_stop(&unit);
}

static void test_service_gone(void **state)
{
    struct hammer slow = {.n_calls = 1, .bits = FAKE_SLOW_BIT};
    uint64_t start_ms = clock_now_ms();
    struct client_unit unit;
    struct deadline deadline = deadline_after_ms(5000);
    int status;

    (void)state;
    client_unit_start(&unit, FAKE_TARGETS, CLIENT_ROUTE_AUTO);
    assert_int_equal(ask(unit.client, FAKE_ECHO_BIT, 1, 0), 0);
    hammer_start(&slow, unit.client, 1);
    while (fake_service_count(unit.service, OP_GETATTR) < 2)
        assert_false(deadline_expired(deadline));
    fake_service_stop(unit.service);
    pthread_join(slow.thread, NULL);
    assert_int_equal(slow.n_wrong, 1);
    status = ask(unit.client, FAKE_ECHO_BIT, 2, 1);
    assert_true(status == -EHOSTDOWN || status == -ECONNREFUSED);
    assert_true(clock_now_ms() - start_ms < 4000);
    client_close(unit.client);
    unit_dir_remove(&unit.dir);
}

/* Not a test of anything but that it ends: prints what a call costs. */
static void test_cost(void **state)
{
    enum { N = 2000 };
    struct hammer hammers[4];
    struct client_unit unit;
    uint64_t start_ns;

    (void)state;
    client_unit_start(&unit, FAKE_TARGETS, CLIENT_ROUTE_AUTO);
    for (unsigned n = 1; n <= 4; n *= 2) {
        start_ns = clock_now_ns();
        for (unsigned i = 0; i < n; i++) {
            hammers[i] = (struct hammer){.n_calls = N / n, .bits = FAKE_ECHO_BIT};
            hammer_start(&hammers[i], unit.client, i);
        }
        for (unsigned i = 0; i < n; i++)
            pthread_join(hammers[i].thread, NULL);
        print_message("%u threads: %u us per call\n",
                      n,
                      (unsigned)((clock_now_ns() - start_ns) / N / 1000));
    }
    client_unit_stop(&unit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_slow_and_fast),
        cmocka_unit_test(test_asynchronous),
        cmocka_unit_test(test_asynchronous_many),
        cmocka_unit_test(test_empty_set),
        cmocka_unit_test(test_bad_peer),
        cmocka_unit_test(test_service_gone),
        cmocka_unit_test(test_cost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

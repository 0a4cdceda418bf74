/* SPDX-License-Identifier: Apache-2.0
 * Cases of the RPC layer that hold over any route. */
#include "rpc_cases.h"

#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "proto/messages.h"

#define N_PARALLEL 400

struct fixture {
    struct case_server server;
    struct case_client client;
};

static void fixture_start(struct fixture *fixture, void **state)
{
    fixture->client.patience_ms = 0;
    case_server_init(&fixture->server, *state);
    case_server_start_thread(&fixture->server);
    case_client_start(&fixture->client, &fixture->server, 1);
}

static void fixture_stop(struct fixture *fixture)
{
    case_client_stop(&fixture->client);
    case_server_stop(&fixture->server);
}

static void test_bodies(void **state)
{
    struct fixture fixture;
    uint8_t body[WIRE_BODY_MAX];

    fixture_start(&fixture, state);
    case_fill(body, sizeof(body), 1);
    for (size_t size = 0; size <= MSG_create_request_MAX;
         size += MSG_create_request_MAX / 15) {
        struct rpc_call call = {.body = body, .body_len = size};

        assert_int_equal(case_call(&fixture.client, CASE_ECHO, &call), 0);
        assert_int_equal(call.reply_len, size);
        assert_memory_equal(call.reply, body, size);
    }
    const struct rpc_peer_info *info = rpc_peer_info_get(fixture.client.peer);
    assert_non_null(info);
    assert_int_equal(info->target, CASE_TARGET);
    assert_int_equal(info->n_targets, 11);
    assert_int_equal(info->node, 3);
    assert_int_equal(info->instance, 99);
    fixture_stop(&fixture);
}

static void test_payloads(void **state)
{
    static const size_t sizes[] = {0,
                                   1,
                                   4095,
                                   16384,
                                   16385,
                                   100001,
                                   (size_t)1 << 20,
                                   (size_t)5 << 20,
                                   (size_t)64 << 20};
    struct fixture fixture;

    fixture_start(&fixture, state);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        case_put_get(&fixture.client, sizes[i], 1);
        case_put_get(&fixture.client, sizes[i], 5);
        case_put_get(&fixture.client, sizes[i], 200);
    }
    fixture_stop(&fixture);
}

static void test_unpulled_payload(void **state)
{
    struct fixture fixture;
    uint8_t *data = calloc(1, 1 << 20);

    fixture_start(&fixture, state);
    for (size_t size = 100; size <= 1 << 20; size *= 8) {
        struct iovec iov = {.iov_base = data, .iov_len = size};
        struct rpc_call call = {.send = &iov, .n_send = 1};

        assert_int_equal(case_call(&fixture.client, CASE_DROP, &call), 0);
    }
    fixture_stop(&fixture);
    free(data);
}

/* ---- many at once --------------------------------------------------------- */

struct parallel {
    struct rpc_call call;
    struct iovec iov;
    uint8_t range[8];
    unsigned *n_done;
};

static void parallel_done(struct rpc_call *call)
{
    struct parallel *one = call->arg;

    assert_int_equal(call->status, 0);
    (*one->n_done)++;
}

static void
parallel_run(struct case_client *client, enum case_op op, uint8_t *data, size_t size)
{
    struct parallel *all = calloc(N_PARALLEL, sizeof(*all));
    unsigned n_done = 0;

    for (unsigned i = 0; i < N_PARALLEL; i++) {
        struct parallel *one = &all[i];

        one->iov = (struct iovec){.iov_base = data + i * size, .iov_len = size};
        one->n_done = &n_done;
        one->call = (struct rpc_call){
            .opcode = (uint16_t)op,
            .target = CASE_TARGET,
            .body = one->range,
            .body_len = case_range(one->range, (uint32_t)(i * size), (uint32_t)size),
            .send = &one->iov,
            .n_send = op == CASE_PUT,
            .recv = &one->iov,
            .n_recv = op == CASE_GET,
            .done = parallel_done,
            .arg = one,
        };
        assert_int_equal(rpc_call_start(client->peer, &one->call), 0);
    }
    assert_int_equal(n_done, 0);
    while (n_done < N_PARALLEL) {
        if (rpc_progress(client->rpc) == 0)
            rpc_wait(client->rpc, -1);
    }
    free(all);
}

static void test_parallel(void **state)
{
    static const size_t sizes[] = {0, 10000, 100000};
    struct fixture fixture;

    fixture_start(&fixture, state);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t total = sizes[i] * N_PARALLEL;
        uint8_t *data = malloc(total + 1), *copy = malloc(total + 1);

        case_fill(data, total, 5);
        memcpy(copy, data, total);
        parallel_run(&fixture.client, CASE_PUT, data, sizes[i]);
        memset(data, 0, total);
        parallel_run(&fixture.client, CASE_GET, data, sizes[i]);
        assert_true(memcmp(data, copy, total) == 0);
        free(data);
        free(copy);
    }
    fixture_stop(&fixture);
}

/* ---- failures ------------------------------------------------------------- */

static void test_deadline(void **state)
{
    static const size_t sizes[] = {100, (size_t)4 << 20};
    struct fixture fixture;
    size_t max = sizes[1];
    uint8_t *data = malloc(max);

    fixture_start(&fixture, state);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct iovec iov = {.iov_base = data, .iov_len = sizes[i]};
        struct rpc_call call = {.recv = &iov, .n_recv = 1, .timeout_ms = 100};
        struct rpc_call release = {0};
        uint64_t start = clock_now_ms();

        memset(data, 0x55, max);
        assert_int_equal(case_call(&fixture.client, CASE_HOLD_GET, &call), -ETIMEDOUT);
        assert_true(call.is_transport);
        assert_in_range(clock_now_ms() - start, 99, 1200);
        /* The server answers now; that must not reach the memory. */
        while (case_call(&fixture.client, CASE_RELEASE, &release) == -EHOSTDOWN)
            continue;
        assert_int_equal(release.status, 0);
        for (size_t k = 0; k < max; k++)
            assert_int_equal(data[k], 0x55);
        case_put_get(&fixture.client, 100000, 2);
    }
    fixture_stop(&fixture);
    free(data);
}

static void count_done(struct rpc_call *call)
{
    unsigned *n_canceled = call->arg;

    assert_int_equal(call->status, -ECANCELED);
    assert_true(call->is_transport);
    (*n_canceled)++;
}

static void test_destroy_with_calls(void **state)
{
    struct fixture fixture;
    struct rpc_call calls[3];
    unsigned n_canceled = 0;

    fixture_start(&fixture, state);
    (void)case_counters_get(&fixture.client);
    for (int i = 0; i < 3; i++) {
        calls[i] = (struct rpc_call){.opcode = CASE_HOLD,
                                     .target = CASE_TARGET,
                                     .done = count_done,
                                     .arg = &n_canceled};
        assert_int_equal(rpc_call_start(fixture.client.peer, &calls[i]), 0);
        rpc_progress(fixture.client.rpc);
    }
    case_client_stop(&fixture.client);
    assert_int_equal(n_canceled, 3);
    case_client_start(&fixture.client, &fixture.server, 2);
    (void)case_counters_get(&fixture.client);
    fixture_stop(&fixture);
}

static void test_refused(void **state)
{
    struct fixture fixture;
    struct case_client other = {.patience_ms = 0};
    struct rpc_config config = case_client_config(2);
    struct rpc_call call = {0};

    fixture_start(&fixture, state);
    config.job = "43";
    case_client_start_config(&other, &fixture.server, &config);
    assert_int_equal(case_call(&other, CASE_ECHO, &call), -EACCES);
    assert_true(call.is_transport);
    case_client_stop(&other);

    call = (struct rpc_call){.body = "12345678", .body_len = 8};
    assert_int_equal(case_call(&fixture.client, CASE_PEER_ONLY, &call), -EPERM);
    assert_false(call.is_transport);
    (void)case_counters_get(&fixture.client);

    /* Not allowed by the op's row: the server closes. */
    struct iovec iov = {.iov_base = (char[10]){0}, .iov_len = 10};
    call = (struct rpc_call){.send = &iov, .n_send = 1};
    assert_int_equal(case_call(&fixture.client, CASE_ECHO, &call), -EHOSTDOWN);
    (void)case_counters_get(&fixture.client);
    fixture_stop(&fixture);
}

/* Until the condition, which the next counters must show. */
#define wait_counters(client, condition)                                               \
    do {                                                                               \
        struct deadline wait_deadline = deadline_after_ms(5000);                       \
        struct case_counters counters = case_counters_get(client);                     \
        while (!(condition)) {                                                         \
            assert_false(deadline_expired(wait_deadline));                             \
            counters = case_counters_get(client);                                      \
        }                                                                              \
    } while (0)

static void test_gone(void **state)
{
    struct fixture fixture;
    struct case_client other = {.patience_ms = 0};

    fixture_start(&fixture, state);
    case_client_start(&other, &fixture.server, 77);
    (void)case_counters_get(&other);
    case_client_stop(&other);
    wait_counters(&fixture.client, counters.n_gone == 1 && counters.last_gone == 77);
    fixture_stop(&fixture);
}

static void test_eviction(void **state)
{
    struct case_server server;
    struct case_client clients[4] = {{.patience_ms = 0}};
    struct case_counters counters;

    case_server_init(&server, *state);
    server.client_limit = 2;
    case_server_start_thread(&server);
    for (uint64_t i = 0; i < 4; i++)
        case_client_start(&clients[i], &server, i + 1);
    /* Each finds itself evicted by the two before it, and does not notice. */
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 4; i++)
            case_put_get(&clients[i], 20000, 1);
    }
    counters = case_counters_get(&clients[3]);
    assert_true(counters.stats.evictions >= 10);
    assert_int_equal(counters.n_gone, 0);
    for (int i = 0; i < 4; i++)
        case_client_stop(&clients[i]);
    case_server_stop(&server);
}

static uint64_t n_connects(const struct case_client *client)
{
    uint64_t n;

    (void)rpc_peer_state_get(client->peer, &n);
    return n;
}

/* Who has something open stays as long as somebody else can make room. */
static void test_eviction_order(void **state)
{
    struct case_server server;
    struct case_client holder = {.patience_ms = 0}, other = holder,
                       clients[4] = {holder};

    case_server_init(&server, *state);
    server.client_limit = 2;
    case_server_start_thread(&server);
    case_client_start(&holder, &server, CASE_CLIENT_WITH_OPEN);
    case_put_get(&holder, 100, 1);
    for (uint64_t i = 0; i < 4; i++) {
        case_client_start(&clients[i], &server, i + 1);
        case_put_get(&clients[i], 100, 1);
    }
    for (int i = 0; i < 4; i++)
        case_put_get(&clients[i], 100, 1);
    case_put_get(&holder, 100, 1);
    assert_int_equal(n_connects(&holder), 1);
    for (int i = 0; i < 4; i++)
        assert_int_equal(n_connects(&clients[i]), 2);
    /* two of them, and then a third: the one that has been idle for longest */
    case_client_start(&other, &server, CASE_CLIENT_WITH_OPEN + 1);
    case_put_get(&other, 100, 1);
    case_put_get(&clients[0], 100, 1);
    case_put_get(&other, 100, 1);
    assert_int_equal(n_connects(&other), 1);
    case_put_get(&holder, 100, 1);
    assert_int_equal(n_connects(&holder), 2);
    for (int i = 0; i < 4; i++)
        case_client_stop(&clients[i]);
    case_client_stop(&other);
    case_client_stop(&holder);
    case_server_stop(&server);
}

/* ---- a server that comes back --------------------------------------------- */

struct waiting {
    struct rpc_call call;
    bool is_done;
};

static void waiting_done(struct rpc_call *call)
{
    struct waiting *waiting = call->arg;

    waiting->is_done = true;
}

static void
waiting_start(struct case_client *client, struct waiting *waiting, enum case_op op)
{
    waiting->is_done = false;
    waiting->call.opcode = (uint16_t)op;
    waiting->call.target = CASE_TARGET;
    waiting->call.done = waiting_done;
    waiting->call.arg = waiting;
    assert_int_equal(rpc_call_start(client->peer, &waiting->call), 0);
}

static void progress_until_done(struct case_client *client, const bool *is_done)
{
    struct deadline deadline = deadline_after_ms(20000);

    while (!*is_done) {
        assert_false(deadline_expired(deadline));
        if (rpc_progress(client->rpc) == 0)
            rpc_wait(client->rpc, 50);
    }
}

static void patient_start(struct fixture *fixture, void **state, unsigned patience_ms)
{
    case_server_init(&fixture->server, *state);
    case_server_start_thread(&fixture->server);
    fixture->client.patience_ms = patience_ms;
    case_client_start(&fixture->client, &fixture->server, 1);
    (void)case_counters_get(&fixture->client);
}

/* A request that was under way when the server ended, and those made while it was away,
 * with payloads of all kinds, are answered by the next one. */
static void test_resend(void **state)
{
    static const size_t sizes[] = {0, 1000, 100000, (size_t)2 << 20};
    uint8_t *data = malloc((size_t)2 << 20), range[8];
    struct fixture fixture;

    patient_start(&fixture, state, 20000);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct iovec iov = {.iov_base = data, .iov_len = sizes[i]};
        struct waiting get = {.call = {.recv = &iov, .n_recv = sizes[i] > 0}};
        struct waiting put = {
            .call = {.body = range,
                     .body_len = case_range(range, 0, (uint32_t)sizes[i]),
                     .send = &iov,
                     .n_send = sizes[i] > 0}};

        case_fill(data, sizes[i], (uint32_t)i);
        /* held without an answer */
        waiting_start(&fixture.client, &get, CASE_HOLD_GET);
        while (case_counters_get(&fixture.client).n_held == 0)
            continue;
        case_server_halt_thread(&fixture.server);
        memset(fixture.server.shared->memory, 0, sizes[i]);
        waiting_start(&fixture.client, &put, CASE_PUT);
        for (int k = 0; k < 20; k++) /* tries that are refused */
            if (rpc_progress(fixture.client.rpc) == 0)
                rpc_wait(fixture.client.rpc, 5);
        assert_false(get.is_done || put.is_done);
        case_server_start_thread(&fixture.server);
        progress_until_done(&fixture.client, &put.is_done);
        assert_int_equal(put.call.status, 0);
        assert_memory_equal(fixture.server.shared->memory, data, sizes[i]);
        while (case_counters_get(&fixture.client).n_held == 0)
            continue;
        assert_int_equal(
            case_call(&fixture.client, CASE_RELEASE, &(struct rpc_call){0}), 0);
        progress_until_done(&fixture.client, &get.is_done);
        assert_int_equal(get.call.status, 0);
        assert_int_equal(get.call.received, sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(data[k], 0xAA);
    }
    fixture_stop(&fixture);
    free(data);
}

/* What came over a client's former connection must not be done after what comes over
 * its next one: that waits, and what waits itself goes on. */
static void test_successor(void **state)
{
    struct case_client before = {.patience_ms = 0}, after = {.patience_ms = 20000};
    struct waiting held = {.is_done = false}, next = {.is_done = false};
    struct waiting idle = {.is_done = false};
    struct fixture fixture;

    fixture_start(&fixture, state);
    case_client_start(&before, &fixture.server, 77);
    waiting_start(&before, &idle, CASE_HOLD);
    waiting_start(&before, &held, CASE_HOLD_LAST);
    while (case_counters_get(&fixture.client).n_held < 2)
        rpc_progress(before.rpc);
    case_client_start(&after, &fixture.server, 77);
    waiting_start(&after, &next, CASE_ECHO);
    while (case_counters_get(&fixture.client).stats.refused == 0)
        rpc_progress(after.rpc);
    progress_until_done(&before, &held.is_done);
    assert_int_equal(held.call.status, -EHOSTDOWN);
    for (int i = 0; i < 20; i++)
        if (rpc_progress(after.rpc) == 0)
            rpc_wait(after.rpc, 5);
    assert_false(next.is_done);
    assert_int_equal(case_call(&fixture.client, CASE_RELEASE, &(struct rpc_call){0}),
                     0);
    progress_until_done(&after, &next.is_done);
    assert_int_equal(next.call.status, 0);
    assert_int_equal(case_counters_get(&fixture.client).n_gone, 0);
    case_client_stop(&before);
    case_client_stop(&after);
    fixture_stop(&fixture);
}

/* Patience, a call's own deadline and is_once each end the wait, with its cause. */
static void test_no_server(void **state)
{
    struct rpc_call call = {.is_once = true};
    bool is_local = strcmp(((const struct rpc_route *)*state)->name, "local") == 0;
    int lost = is_local ? -ECONNREFUSED : -EHOSTDOWN;
    struct fixture fixture;
    uint64_t start;
    int n_tries = 0;

    patient_start(&fixture, state, 1000);
    case_server_halt_thread(&fixture.server);
    start = clock_now_ms();
    assert_int_not_equal(case_call(&fixture.client, CASE_ECHO, &call), 0);
    assert_true(call.status == -ECONNREFUSED || call.status == -EHOSTDOWN);
    assert_true(call.is_transport);
    assert_in_range(clock_now_ms() - start, 0, 900);
    call = (struct rpc_call){.timeout_ms = 100};
    start = clock_now_ms();
    assert_int_equal(case_call(&fixture.client, CASE_ECHO, &call), -ECONNREFUSED);
    assert_in_range(clock_now_ms() - start, 99, 900);
    assert_false(rpc_peer_is_lost(fixture.client.peer));
    call = (struct rpc_call){.timeout_ms = 10000};
    start = clock_now_ms();
    assert_int_equal(case_call(&fixture.client, CASE_ECHO, &call), lost);
    assert_in_range(clock_now_ms() - start, 100, 6000);
    /* it is lost: no call waits any more, but for those that insist */
    assert_true(rpc_peer_is_lost(fixture.client.peer));
    start = clock_now_ms();
    call = (struct rpc_call){.timeout_ms = 10000};
    assert_int_equal(case_call(&fixture.client, CASE_ECHO, &call), lost);
    assert_in_range(clock_now_ms() - start, 0, 900);
    call = (struct rpc_call){.timeout_ms = 10000, .is_patient = true};
    assert_int_equal(case_call(&fixture.client, CASE_ECHO, &call), lost);
    assert_in_range(clock_now_ms() - start, 990, 6000);
    if (is_local) {
        /* without its socket the service is over: nothing to wait for */
        assert_int_equal(unlink(fixture.server.path), 0);
        call = (struct rpc_call){.timeout_ms = 10000};
        start = clock_now_ms();
        assert_int_equal(case_call(&fixture.client, CASE_ECHO, &call), -ECONNREFUSED);
        assert_in_range(clock_now_ms() - start, 0, 900);
    }
    case_server_start_thread(&fixture.server);
    /* found by the first call after a second, with nobody driving in between */
    do {
        poll(NULL, 0, 1100);
        assert_in_range(++n_tries, 1, 3);
        call = (struct rpc_call){.timeout_ms = 10000};
    } while (case_call(&fixture.client, CASE_ECHO, &call) != 0);
    assert_false(rpc_peer_is_lost(fixture.client.peer));
    (void)case_counters_get(&fixture.client);
    fixture_stop(&fixture);
}

/* A request that makes the server close is not sent for ever; nor is one by somebody
 * who may not come in. */
static void test_resend_ends(void **state)
{
    struct fixture fixture;
    struct iovec iov = {.iov_base = (char[10]){0}, .iov_len = 10};
    struct rpc_call call = {.send = &iov, .n_send = 1};
    struct rpc_config config = case_client_config(2);
    struct case_client other = {.patience_ms = 20000};
    struct case_counters before, after;

    patient_start(&fixture, state, 20000);
    before = case_counters_get(&fixture.client);
    assert_int_equal(case_call(&fixture.client, CASE_ECHO, &call), -EHOSTDOWN);
    after = case_counters_get(&fixture.client);
    assert_in_range(after.stats.refused - before.stats.refused, 2, 64);
    config.job = "43";
    case_client_start_config(&other, &fixture.server, &config);
    call = (struct rpc_call){0};
    assert_int_equal(case_call(&other, CASE_ECHO, &call), -EACCES);
    case_client_stop(&other);
    fixture_stop(&fixture);
}

/* ---- idle and busy -------------------------------------------------------- */

static void test_idle(void **state)
{
    const struct timespec idle_time = {.tv_nsec = 300 * 1000000L};
    struct fixture fixture;
    struct case_counters before, after;

    fixture_start(&fixture, state);
    before = case_counters_get(&fixture.client);
    nanosleep(&idle_time, NULL); /* the time that is measured */
    after = case_counters_get(&fixture.client);
    /* One for the second call, one for the ring that crossed with the first's reply. */
    assert_in_range(after.stats.wakeups - before.stats.wakeups, 0, 2);
    fixture_stop(&fixture);
}

static void test_latency(void **state)
{
    enum { N = 3000 };
    struct fixture fixture;
    uint8_t body[64] = {0};
    uint64_t start;

    fixture_start(&fixture, state);
    (void)case_counters_get(&fixture.client);
    start = clock_now_ns();
    for (int i = 0; i < N; i++) {
        struct rpc_call call = {.body = body, .body_len = sizeof(body)};

        assert_int_equal(case_call(&fixture.client, CASE_ECHO, &call), 0);
    }
    print_message("64-byte call: %llu ns\n",
                  (unsigned long long)((clock_now_ns() - start) / N));
    fixture_stop(&fixture);
}

int rpc_cases_run(const struct rpc_route *route)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_payloads),
        cmocka_unit_test(test_unpulled_payload),
        cmocka_unit_test(test_parallel),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_destroy_with_calls),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_eviction),
        cmocka_unit_test(test_eviction_order),
        cmocka_unit_test(test_resend),
        cmocka_unit_test(test_successor),
        cmocka_unit_test(test_no_server),
        cmocka_unit_test(test_resend_ends),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_latency),
    };

    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tests[i].initial_state = (void *)route;
    return cmocka_run_group_tests_name(route->name, tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * The order of work, what follows what, and what becomes of a dead worker's items. */
#include "unit.h"

#include "base/bytes.h"
#include "stage_queue/queue.h"

#define CLIENT_A 100u
#define CLIENT_B 200u

struct fixture {
    struct stage_queue *queue;
    uint64_t stage;
};

static void start(struct fixture *fixture, enum stage_direction direction)
{
    assert_int_equal(stage_queue_create(&fixture->queue), 0);
    assert_int_equal(
        stage_queue_start(fixture->queue, direction, "first", 5, &fixture->stage), 0);
}

static struct stage_grant
pull(struct fixture *fixture, uint64_t client, uint64_t worker, const char *text)
{
    struct stage_grant grant;

    assert_int_equal(stage_queue_pull(fixture->queue, client, worker, &grant), 1);
    assert_int_equal(grant.len, strlen(text));
    assert_memory_equal(grant.data, text, grant.len);
    return grant;
}

static void pull_none(struct fixture *fixture, uint64_t client, uint64_t worker)
{
    struct stage_grant grant;

    assert_int_equal(stage_queue_pull(fixture->queue, client, worker, &grant), 0);
}

static void item_put(struct bytes *payload, const char *text)
{
    uint8_t len[4] = {(uint8_t)strlen(text)};

    assert_int_equal(bytes_append(payload, len, 4), 0);
    assert_int_equal(bytes_append(payload, text, strlen(text)), 0);
}

struct outcome {
    const char *after;    /* NULL: none */
    const char *items[4]; /* NULL ends it */
    const char *error;
    bool is_partial;
    uint64_t n_files;
};

static int done_status(struct fixture *fixture,
                       uint64_t worker,
                       const struct stage_grant *grant,
                       const struct outcome *outcome)
{
    struct bytes payload = BYTES_INIT(1 << 20);
    struct msg_stage_done_request done = {
        .stage = grant->stage,
        .item = grant->item,
        .is_partial = outcome->is_partial,
        .has_after = outcome->after != NULL,
        .n_files = outcome->n_files,
        .n_errors = outcome->error != NULL,
        .n_texts = outcome->error != NULL,
    };
    int rc;

    if (outcome->after)
        item_put(&payload, outcome->after);
    for (; outcome->items[done.n_items]; done.n_items++)
        item_put(&payload, outcome->items[done.n_items]);
    if (outcome->error) {
        uint8_t len[2] = {(uint8_t)strlen(outcome->error)};

        assert_int_equal(bytes_append(&payload, len, 2), 0);
        assert_int_equal(bytes_append(&payload, outcome->error, len[0]), 0);
    }
    rc = stage_queue_done(fixture->queue, worker, &done, payload.data, payload.size);
    bytes_fini(&payload);
    return rc;
}

static void done(struct fixture *fixture,
                 uint64_t worker,
                 const struct stage_grant *grant,
                 struct outcome outcome)
{
    assert_int_equal(done_status(fixture, worker, grant, &outcome), 0);
}

static struct stage_status status(struct fixture *fixture)
{
    struct stage_status status;

    assert_int_equal(stage_queue_status(fixture->queue, fixture->stage, &status), 0);
    return status;
}

static void finish(struct fixture *fixture)
{
    assert_true(status(fixture).is_finished);
    stage_queue_destroy(fixture->queue);
}

static void test_order(void **state)
{
    struct fixture f;
    struct stage_grant grant;

    (void)state;
    start(&f, STAGE_IN);
    grant = pull(&f, CLIENT_A, 1, "first");
    assert_int_equal(grant.kind, STAGE_ITEM_DIRECTIVES);
    pull_none(&f, CLIENT_B, 2);
    done(&f, 1, &grant, (struct outcome){.items = {"a", "b"}, .after = "end"});
    grant = pull(&f, CLIENT_A, 1, "b");
    assert_int_equal(grant.kind, STAGE_ITEM_WORK);
    done(&f, 1, &grant, (struct outcome){.items = {"b1"}, .after = "b-end"});
    grant = pull(&f, CLIENT_A, 1, "b1");
    pull(&f, CLIENT_B, 2, "a");
    done(&f, 1, &grant, (struct outcome){.n_files = 3});
    grant = pull(&f, CLIENT_A, 1, "b-end");
    done(&f, 1, &grant, (struct outcome){.n_files = 1});
    pull_none(&f, CLIENT_A, 1);
    grant = pull(&f, CLIENT_B, 2, "a"); /* again: the answer was lost */
    done(&f, 2, &grant, (struct outcome){.n_files = 0});
    assert_false(status(&f).is_finished);
    grant = pull(&f, CLIENT_A, 1, "end");
    assert_false(grant.has_failed);
    done(&f, 1, &grant, (struct outcome){.n_files = 0});
    assert_int_equal(status(&f).n_files, 4);
    finish(&f);
}

static void test_failure_reaches_what_follows(void **state)
{
    struct fixture f;
    struct stage_grant grant, part;

    (void)state;
    start(&f, STAGE_IN);
    grant = pull(&f, CLIENT_A, 1, "first");
    done(&f, 1, &grant, (struct outcome){.items = {"ok", "file"}});
    grant = pull(&f, CLIENT_A, 1, "file");
    done(&f, 1, &grant, (struct outcome){.items = {"r1", "r2"}, .after = "file-end"});
    grant = pull(&f, CLIENT_A, 1, "r2");
    part = pull(&f, CLIENT_B, 2, "r1");
    done(&f, 1, &grant, (struct outcome){.error = "r2: broken"});
    done(&f, 2, &part, (struct outcome){.n_files = 0});
    grant = pull(&f, CLIENT_A, 1, "file-end");
    assert_true(grant.has_failed);
    done(&f, 1, &grant, (struct outcome){.n_files = 0});
    grant = pull(&f, CLIENT_A, 1, "ok");
    assert_false(grant.has_failed);
    done(&f, 1, &grant, (struct outcome){.n_files = 1});
    assert_int_equal(status(&f).n_errors, 1);
    assert_string_equal(status(&f).texts[0], "r2: broken");
    finish(&f);
}

static void test_partial(void **state)
{
    struct fixture f;
    struct stage_grant grant, other;

    (void)state;
    start(&f, STAGE_IN);
    grant = pull(&f, CLIENT_A, 1, "first");
    done(&f, 1, &grant, (struct outcome){.items = {"a"}, .is_partial = true});
    other = pull(&f, CLIENT_B, 2, "a");
    done(&f, 2, &other, (struct outcome){.n_files = 1});
    pull_none(&f, CLIENT_B, 2);
    assert_false(status(&f).is_finished);
    done(&f, 1, &grant, (struct outcome){.items = {"b"}});
    other = pull(&f, CLIENT_B, 2, "b");
    done(&f, 2, &other, (struct outcome){.n_files = 1});
    finish(&f);
}

static void test_dead_worker(void **state)
{
    struct outcome nothing = {.n_files = 1};
    struct fixture f;
    struct stage_grant grant, lost;

    (void)state;
    start(&f, STAGE_IN);
    grant = pull(&f, CLIENT_A, 1, "first");
    done(&f, 1, &grant, (struct outcome){.items = {"a", "b"}});
    lost = pull(&f, CLIENT_A, 1, "b");
    grant = pull(&f, CLIENT_B, 2, "a");
    stage_queue_client_gone(f.queue, CLIENT_A);
    assert_int_equal(done_status(&f, 1, &lost, &nothing), -ESTALE);
    done(&f, 2, &grant, nothing);
    grant = pull(&f, CLIENT_B, 2, "b");
    assert_int_equal(grant.item, lost.item);
    done(&f, 2, &grant, nothing);
    assert_int_equal(done_status(&f, 2, &grant, &nothing), -ESTALE);
    assert_int_equal(status(&f).n_files, 2);
    finish(&f);
}

/* On the way out each client that did something makes it durable, once. */
static void test_sync(void **state)
{
    struct fixture f;
    struct stage_grant grant, sync_a, sync_b;

    (void)state;
    start(&f, STAGE_OUT);
    grant = pull(&f, CLIENT_A, 1, "first");
    done(&f, 1, &grant, (struct outcome){.items = {"a"}});
    grant = pull(&f, CLIENT_B, 2, "a");
    done(&f, 2, &grant, (struct outcome){.n_files = 1});
    assert_false(status(&f).is_finished);
    pull_none(&f, 300, 3);
    sync_a = pull(&f, CLIENT_A, 1, "");
    assert_int_equal(sync_a.kind, STAGE_ITEM_SYNC);
    pull_none(&f, CLIENT_A, 4);
    sync_b = pull(&f, CLIENT_B, 2, "");
    done(&f, 1, &sync_a, (struct outcome){.error = "disk full"});
    assert_false(status(&f).is_finished);
    done(&f, 2, &sync_b, (struct outcome){.n_files = 0});
    assert_int_equal(status(&f).n_errors, 1);
    finish(&f);
}

static void test_sync_of_dead_client(void **state)
{
    struct fixture f;
    struct stage_grant grant;

    (void)state;
    start(&f, STAGE_OUT);
    grant = pull(&f, CLIENT_A, 1, "first");
    done(&f, 1, &grant, (struct outcome){.items = {"a"}});
    grant = pull(&f, CLIENT_B, 2, "a");
    done(&f, 2, &grant, (struct outcome){.n_files = 1});
    pull(&f, CLIENT_A, 1, "");
    stage_queue_client_gone(f.queue, CLIENT_A);
    assert_false(status(&f).is_finished);
    stage_queue_client_gone(f.queue, CLIENT_B);
    finish(&f);
}

static void test_bad_payloads(void **state)
{
    static const uint8_t texts[][8] = {{0}, {255, 0, 0, 0, 'x'}, {0, 0, 2, 0}};
    struct fixture f;
    struct stage_grant grant;
    struct msg_stage_done_request m = {.n_items = 1};

    (void)state;
    start(&f, STAGE_IN);
    grant = pull(&f, CLIENT_A, 1, "first");
    m.stage = grant.stage;
    m.item = grant.item;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(stage_queue_done(f.queue, 1, &m, texts[i], 8), -EPROTO);
    m.n_items = UINT32_MAX;
    assert_int_equal(stage_queue_done(f.queue, 1, &m, texts[0], 8), -EPROTO);
    m.n_items = 0;
    assert_int_equal(stage_queue_done(f.queue, 1, &m, texts[0], 8), -EPROTO);
    m.stage++;
    assert_int_equal(stage_queue_done(f.queue, 1, &m, NULL, 0), -ENOENT);
    m.stage--;
    assert_int_equal(stage_queue_done(f.queue, 1, &m, NULL, 0), 0);
    finish(&f);
}

static void test_abort(void **state)
{
    struct outcome nothing = {.n_files = 1};
    struct fixture f;
    struct stage_grant grant;

    (void)state;
    start(&f, STAGE_IN);
    grant = pull(&f, CLIENT_A, 1, "first");
    done(&f, 1, &grant, (struct outcome){.items = {"a", "b"}, .after = "end"});
    grant = pull(&f, CLIENT_A, 1, "b");
    stage_queue_abort(f.queue, f.stage, "no more");
    assert_int_equal(done_status(&f, 1, &grant, &nothing), -ESTALE);
    pull_none(&f, CLIENT_A, 1);
    assert_string_equal(status(&f).texts[0], "no more");
    finish(&f);
}

/* A tree: each directory has `width` of them down to `depth`, and the queue is never
 * longer than a path through it. */
static void test_depth_first(void **state)
{
    const unsigned width = 3, depth = 8;
    struct fixture f;
    struct stage_grant grant;
    unsigned n = 0;
    uint64_t longest = 0;

    (void)state;
    start(&f, STAGE_IN);
    while (stage_queue_pull(f.queue, CLIENT_A, 1, &grant) == 1) {
        unsigned level = grant.kind == STAGE_ITEM_DIRECTIVES
                             ? 0
                             : (unsigned)((const char *)grant.data)[0] - 'a';
        char name[2] = {(char)('a' + level + 1), '\0'};
        struct outcome outcome = {.n_files = 1};

        for (unsigned i = 0; level < depth && i < width; i++)
            outcome.items[i] = name;
        if (level < depth)
            outcome.after = "z"; /* no further children */
        done(&f, 1, &grant, outcome);
        n++;
        if (status(&f).n_waiting > longest)
            longest = status(&f).n_waiting;
    }
    assert_int_equal(n, status(&f).n_files);
    assert_true(n > 9000);
    assert_true(longest <= width * depth);
    finish(&f);
}

static void test_many_stages(void **state)
{
    struct stage_status old;
    struct fixture f;
    uint64_t first;

    (void)state;
    start(&f, STAGE_IN);
    first = f.stage;
    for (unsigned i = 0; i < 100; i++) {
        struct stage_grant grant = pull(&f, CLIENT_A, 1, "first");

        done(&f, 1, &grant, (struct outcome){.n_files = 1});
        assert_true(status(&f).is_finished);
        assert_int_equal(stage_queue_start(f.queue, STAGE_IN, "first", 5, &f.stage), 0);
    }
    assert_int_equal(stage_queue_status(f.queue, first, &old), -ENOENT);
    stage_queue_abort(f.queue, f.stage, "end");
    finish(&f);
}

static void test_full(void **state)
{
    struct bytes payload = BYTES_INIT(1 << 20);
    struct msg_stage_done_request m = {.n_items = STAGE_QUEUE_FULL};
    struct stage_grant grant;
    struct fixture f;

    (void)state;
    start(&f, STAGE_IN);
    grant = pull(&f, CLIENT_A, 1, "first");
    for (unsigned i = 0; i < m.n_items; i++)
        item_put(&payload, "x");
    m.stage = grant.stage;
    m.item = grant.item;
    assert_false(stage_queue_is_full(f.queue));
    assert_int_equal(stage_queue_done(f.queue, 1, &m, payload.data, payload.size), 0);
    assert_true(stage_queue_is_full(f.queue));
    pull(&f, CLIENT_A, 1, "x");
    assert_false(stage_queue_is_full(f.queue));
    bytes_fini(&payload);
    stage_queue_destroy(f.queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_failure_reaches_what_follows),
        cmocka_unit_test(test_partial),
        cmocka_unit_test(test_dead_worker),
        cmocka_unit_test(test_sync),
        cmocka_unit_test(test_sync_of_dead_client),
        cmocka_unit_test(test_bad_payloads),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_depth_first),
        cmocka_unit_test(test_many_stages),
        cmocka_unit_test(test_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/stage_host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/server.h"
#include "daemon/service.h"
#include "stage_queue/publish.h"
#include "stage_queue/queue.h"

#define WAIT_MAX_MS    60000u
#define WORKERS_MAX_MS 20000u /* for a worker to ask, when there is work */
#define PUBLISH_MAX_MS 10000u /* for the thread that tells of the end */
#define TICK_MS        1000u
#define RUNS_KEPT      16u

/* A request that waits for something to happen. */
struct parked {
    struct list_node link; /* in host->pulls or run->waits */
    struct shard_timer timer;
    struct stage_host *host;
    struct op *op;
    uint64_t worker; /* pulls */
    struct run *run; /* waits */
};

/* A stage as its callers see it. */
struct run {
    struct list_node link;
    uint64_t stage;
    struct list waits; /* struct parked */
    uint64_t from_ns;
    uint64_t to_ns;   /* 0: the queue is not done */
    bool is_finished; /* and told */
    enum stage_direction direction;
};

struct stage_host {
    struct shard *shard;
    struct stage_queue *queue;
    struct stage_publisher *publisher;
    struct list runs;  /* oldest first */
    struct list pulls; /* struct parked: workers without work */
    unsigned n_running;
    unsigned n_kept;
    uint64_t last_pull_ns;
    struct shard_timer tick; /* set while stages run */
    enum service_state state_before;
    enum stage_direction last_direction;
    bool is_stopping;
    bool has_lost; /* the last stage-out left files behind */
};

static uint64_t after_ms(uint64_t ms)
{
    return deadline_after_ms(ms).at_ns;
}

/* ---- parked requests */

static int park(struct stage_host *host,
                struct op *op,
                struct list *list,
                uint32_t timeout_ms,
                void (*on_timeout)(struct shard_timer *timer),
                struct parked **ret)
{
    struct parked *parked = calloc(1, sizeof(*parked));

    if (!parked)
        return -ENOMEM;
    if (timeout_ms > WAIT_MAX_MS)
        timeout_ms = WAIT_MAX_MS;
    parked->host = host;
    parked->op = op;
    shard_timer_init(&parked->timer, on_timeout);
    shard_timer_set(&host->shard->timers, &parked->timer, after_ms(timeout_ms));
    list_push_back(list, &parked->link);
    *ret = parked;
    return OP_PENDING;
}

/* Answers and forgets it. */
static void unpark(struct parked *parked, int status)
{
    shard_timer_cancel(&parked->timer);
    list_remove(&parked->link);
    op_finish(parked->op, status);
    free(parked);
}

static int payload_set(struct op *op, const void *data, size_t len)
{
    if (len == 0)
        return 0;
    op->payload = calloc(1, sizeof(*op->payload));
    op->payload_memory = malloc(len);
    if (!op->payload || !op->payload_memory)
        return -ENOMEM;
    memcpy(op->payload_memory, data, len);
    op->payload[0] = (struct iovec){op->payload_memory, len};
    op->n_payload = 1;
    return 0;
}

/* ---- pulls */

static int pull_reply(struct op *op, const struct stage_grant *grant)
{
    struct msg_stage_pull_reply reply = {
        .stage = grant->stage,
        .item = grant->item,
        .direction = (uint8_t)grant->direction,
        .kind = (uint8_t)grant->kind,
        .has_failed = grant->has_failed,
    };
    int rc = payload_set(op, grant->data, grant->len);

    return rc ? rc : OP_REPLY(op, stage_pull_reply, &reply);
}

static int pull_reply_none(struct op *op)
{
    struct msg_stage_pull_reply reply = {.item = 0};

    return OP_REPLY(op, stage_pull_reply, &reply);
}

static void pull_timeout(struct shard_timer *timer)
{
    struct parked *parked = list_entry(timer, struct parked, timer);

    unpark(parked, pull_reply_none(parked->op));
}

/* Gives workers that wait what there is now. */
static void pulls_serve(struct stage_host *host)
{
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): see list_front() */
    list_for_each(node, &host->pulls)
    {
        struct parked *parked = list_entry(node, struct parked, link);
        uint64_t client = parked->op->request->header.client;
        struct stage_grant grant;
        int rc = stage_queue_pull(host->queue, client, parked->worker, &grant);

        if (rc == 1)
            unpark(parked, pull_reply(parked->op, &grant));
    }
}

static void pulls_cancel(struct stage_host *host, uint64_t client)
{
    list_for_each(node, &host->pulls)
    {
        struct parked *parked = list_entry(node, struct parked, link);

        if (parked->op->request->header.client == client)
            unpark(parked, -ECANCELED);
    }
}

int stage_host_pull(struct stage_host *host,
                    struct op *op,
                    const struct msg_stage_pull_request *m)
{
    uint64_t client = op->request->header.client;
    struct stage_grant grant;
    struct parked *parked;
    int rc;

    if (op->request->header.reply_space < STAGE_PULL_SPACE)
        return -EINVAL;
    if (host->is_stopping)
        return -ESHUTDOWN;
    if (m->worker == 0) {
        pulls_cancel(host, client);
        return pull_reply_none(op);
    }
    host->last_pull_ns = clock_now_ns();
    rc = stage_queue_pull(host->queue, client, m->worker, &grant);
    if (rc == 1)
        return pull_reply(op, &grant);
    if (rc < 0)
        return rc;
    rc = park(host, op, &host->pulls, m->timeout_ms, pull_timeout, &parked);
    if (rc == OP_PENDING)
        parked->worker = m->worker;
    return rc;
}

/* ---- the end of a stage */

static struct run *run_find(struct stage_host *host, uint64_t stage)
{
    list_for_each(node, &host->runs)
    {
        struct run *run = list_entry(node, struct run, link);

        if (run->stage == stage)
            return run;
    }
    return NULL;
}

static int texts_put(const struct stage_status *status, struct op *op)
{
    size_t cap = status->n_texts * (STAGE_TEXT_MAX + 2u);
    struct wire_writer w = {.data = malloc(cap + 1), .capacity = cap};
    int rc;

    if (!w.data)
        return -ENOMEM;
    for (unsigned i = 0; i < status->n_texts; i++)
        wire_put_text(&w,
                      (struct wire_text){
                          .data = status->texts[i],
                          .len = (uint16_t)strnlen(status->texts[i], STAGE_TEXT_MAX),
                      });
    rc = w.length <= op->request->header.reply_space ? payload_set(op, w.data, w.length)
                                                     : -ERANGE;
    free(w.data);
    return rc;
}

static int wait_reply(struct op *op, const struct run *run)
{
    struct stage_host *host = service_stage(op->shard->service);
    uint64_t to_ns = run->to_ns ? run->to_ns : clock_now_ns();
    struct msg_stage_wait_reply reply;
    struct stage_status status;
    int rc = stage_queue_status(host->queue, run->stage, &status);

    if (rc)
        return rc;
    reply = (struct msg_stage_wait_reply){
        .finished = run->is_finished,
        .n_files = status.n_files,
        .n_bytes = status.n_bytes,
        .n_known_files = status.n_known_files,
        .n_known_bytes = status.n_known_bytes,
        .n_errors = status.n_errors,
        .n_skipped = status.n_skipped,
        .elapsed_ms = (to_ns - run->from_ns) / CLOCK_NS_PER_MS,
        .n_texts = status.n_texts,
    };
    rc = texts_put(&status, op);
    return rc ? rc : OP_REPLY(op, stage_wait_reply, &reply);
}

static void wait_timeout(struct shard_timer *timer)
{
    struct parked *parked = list_entry(timer, struct parked, timer);

    unpark(parked, wait_reply(parked->op, parked->run));
}

int stage_host_wait(struct stage_host *host,
                    struct op *op,
                    const struct msg_stage_wait_request *m)
{
    struct run *run = run_find(host, m->stage);
    struct parked *parked;
    int rc;

    if (!run)
        return -ENOENT;
    if (run->is_finished || m->timeout_ms == 0 || host->is_stopping)
        return wait_reply(op, run);
    rc = park(host, op, &run->waits, m->timeout_ms, wait_timeout, &parked);
    if (rc == OP_PENDING)
        parked->run = run;
    return rc;
}

/* Slurm's words, while stages run and after them. A stage in the middle of a job leaves
 * the state as it was. */
static void state_begin(struct stage_host *host, enum stage_direction direction)
{
    struct service *service = host->shard->service;

    if (host->n_running == 0)
        host->state_before = service_state_get(service);
    host->last_direction = direction;
    service_state_set(service,
                      direction == STAGE_IN ? SERVICE_STAGING_IN : SERVICE_STAGING_OUT);
}

static void state_end(struct stage_host *host)
{
    struct service *service = host->shard->service;
    enum service_state state = service_state_get(service);
    enum service_state next = host->state_before;

    if (state != SERVICE_STAGING_IN && state != SERVICE_STAGING_OUT)
        return; /* somebody has moved it on */
    if (host->last_direction == STAGE_IN && next == SERVICE_STARTING)
        next = SERVICE_STAGED_IN;
    service_state_set(service, next);
}

static void run_finish(struct stage_host *host, struct run *run)
{
    struct stage_status status;
    struct list_node *node;

    run->is_finished = true;
    host->n_running--;
    host->n_kept++;
    if (run->direction == STAGE_OUT
        && stage_queue_status(host->queue, run->stage, &status) == 0)
        host->has_lost = status.n_errors > 0;
    if (host->n_running == 0)
        state_end(host);
    while ((node = list_front(&run->waits))) {
        struct parked *parked = list_entry(node, struct parked, link);

        unpark(parked, wait_reply(parked->op, run));
    }
}

/* Nobody asks for work that is there: the agents are gone, or were never started. */
static bool is_starved(const struct stage_host *host, const struct stage_status *status)
{
    uint64_t limit = WORKERS_MAX_MS * CLOCK_NS_PER_MS;

    return !status->is_finished && status->n_held == 0 && list_is_empty(&host->pulls)
           && clock_now_ns() - host->last_pull_ns > limit;
}

/* Follows one stage; returns when it wants to be looked at again (ms), 0: finished. */
static unsigned run_check(struct stage_host *host, struct run *run)
{
    struct stage_status status;

    if (stage_queue_status(host->queue, run->stage, &status))
        return 0;
    if (is_starved(host, &status)) {
        stage_queue_abort(host->queue, run->stage, "no stage worker asks for work");
        stage_queue_status(host->queue, run->stage, &status);
    }
    if (!run->to_ns) {
        stage_publisher_update(host->publisher, run->stage, &status);
        if (status.is_finished)
            run->to_ns = clock_now_ns();
    }
    if (!run->to_ns)
        return TICK_MS;
    if (stage_publisher_is_done(host->publisher, run->stage)
        || clock_now_ns() - run->to_ns > PUBLISH_MAX_MS * CLOCK_NS_PER_MS) {
        run_finish(host, run);
        return 0;
    }
    return 1;
}

static void runs_check(struct stage_host *host)
{
    unsigned next_ms = 0;

    list_for_each(node, &host->runs)
    {
        struct run *run = list_entry(node, struct run, link);
        unsigned ms = run->is_finished ? 0 : run_check(host, run);

        if (ms > 0 && (next_ms == 0 || ms < next_ms))
            next_ms = ms;
    }
    if (next_ms > 0)
        shard_timer_set(&host->shard->timers, &host->tick, after_ms(next_ms));
    else
        shard_timer_cancel(&host->tick);
}

static void tick(struct shard_timer *timer)
{
    runs_check(list_entry(timer, struct stage_host, tick));
}

/* ---- changes */

static void changed(struct stage_host *host)
{
    pulls_serve(host);
    runs_check(host);
}

/* Finished ones are kept for callers that ask late, but not for ever. */
static void runs_trim(struct stage_host *host)
{
    list_for_each(node, &host->runs)
    {
        struct run *run = list_entry(node, struct run, link);

        if (host->n_kept < RUNS_KEPT)
            return;
        if (run->is_finished) {
            list_remove(&run->link);
            free(run);
            host->n_kept--;
        }
    }
}

/* The first item: the number of directives before what the request had. */
static int first_item_make(uint32_t n_directives,
                           const void *directives,
                           size_t len,
                           uint8_t **ret)
{
    struct wire_writer w = {.data = malloc(len + 4), .capacity = len + 4};

    if (!w.data)
        return -ENOMEM;
    wire_put_u32(&w, n_directives);
    wire_put_bytes(&w, directives, len);
    *ret = w.data;
    return 0;
}

int stage_host_start(struct stage_host *host,
                     const struct msg_stage_start_request *m,
                     const void *directives,
                     size_t len,
                     uint64_t *ret_stage)
{
    struct run *run;
    uint8_t *item;
    int rc;

    if ((m->direction != STAGE_IN && m->direction != STAGE_OUT)
        || m->progress > STAGE_PROGRESS_BAR)
        return -EINVAL;
    if (host->is_stopping)
        return -ESHUTDOWN;
    rc = first_item_make(m->n_directives, directives, len, &item);
    if (rc)
        return rc;
    run = calloc(1, sizeof(*run));
    rc = run ? stage_queue_start(host->queue, m->direction, item, len + 4, ret_stage)
             : -ENOMEM;
    free(item);
    if (rc == 0)
        rc = stage_publisher_begin(
            host->publisher, *ret_stage, m->direction, m->progress);
    if (rc) {
        free(run);
        return rc;
    }
    runs_trim(host);
    run->stage = *ret_stage;
    run->direction = m->direction;
    run->from_ns = clock_now_ns();
    list_init(&run->waits);
    list_push_back(&host->runs, &run->link);
    state_begin(host, m->direction);
    host->n_running++;
    host->last_pull_ns = run->from_ns;
    changed(host);
    return 0;
}

int stage_host_done(struct stage_host *host,
                    const struct msg_stage_done_request *m,
                    const void *payload,
                    size_t len)
{
    int rc = stage_queue_done(host->queue, m->worker, m, payload, len);

    if (rc == 0)
        changed(host);
    return rc;
}

bool stage_host_is_full(const struct stage_host *host)
{
    return stage_queue_is_full(host->queue);
}

bool stage_host_has_lost(const struct stage_host *host)
{
    return host && host->has_lost;
}

void stage_host_client_gone(struct stage_host *host, uint64_t client)
{
    if (!host)
        return;
    pulls_cancel(host, client);
    stage_queue_client_gone(host->queue, client);
    changed(host);
}

/* ---- life */

int stage_host_create(struct shard *shard,
                      struct stage_host **ret,
                      struct benchfs_error *err)
{
    const struct server_config *config = &shard->server->config;
    struct stage_host *host = calloc(1, sizeof(*host));
    int rc = -ENOMEM;

    if (!host)
        goto fail;
    host->shard = shard;
    list_init(&host->runs);
    list_init(&host->pulls);
    shard_timer_init(&host->tick, tick);
    rc = stage_queue_create(&host->queue);
    if (rc == 0)
        rc = stage_publisher_create(
            config->job, config->settings->report, STDERR_FILENO, &host->publisher);
    if (rc == 0) {
        *ret = host;
        return 0;
    }
fail:
    stage_host_destroy(host);
    return benchfs_error_set(err, -rc, "staging: %s", strerror(-rc));
}

void stage_host_stop(struct stage_host *host)
{
    struct list_node *node;

    if (!host)
        return;
    host->is_stopping = true;
    while ((node = list_front(&host->pulls)))
        unpark(list_entry(node, struct parked, link), -ESHUTDOWN);
    list_for_each(run_node, &host->runs)
    {
        struct run *run = list_entry(run_node, struct run, link);

        while ((node = list_front(&run->waits)))
            unpark(list_entry(node, struct parked, link), -ESHUTDOWN);
    }
    shard_timer_cancel(&host->tick);
}

void stage_host_destroy(struct stage_host *host)
{
    struct list_node *node;

    if (!host)
        return;
    stage_publisher_destroy(host->publisher);
    stage_queue_destroy(host->queue);
    while ((node = list_pop_front(&host->runs)))
        free(list_entry(node, struct run, link));
    free(host);
}

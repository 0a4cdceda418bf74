/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "proto/ops.h"
#include "stage/copy.h"
#include "stage/resolve.h"
#include "stage/work.h"

#define THREADS_MIN   2u
#define THREADS_MAX   8u
#define PULL_MS       20000u /* how long target 0 lets a worker wait */
#define ANSWER_MS     30000u /* on top of that */
#define RETRY_MIN_MS  50u
#define RETRY_MAX_MS  2000u
#define STOP_AGAIN_MS 100u

struct stage_worker {
    struct client *client;
    struct sync_set syncs;
    atomic_bool stop;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* stop was set, or a thread has ended */
    unsigned n_running;     /* under the lock */
    unsigned n_threads;
    pthread_t threads[];
};

/* Asks for an item. 0 and one in `space`, or none (item 0); -errno. */
static int item_pull(struct client *client,
                     uint64_t worker,
                     unsigned timeout_ms,
                     uint8_t *space,
                     struct msg_stage_pull_reply *ret,
                     size_t *ret_len)
{
    struct msg_stage_pull_request m = {.worker = worker, .timeout_ms = timeout_ms};
    uint8_t body[MSG_stage_pull_request_MAX];
    struct iovec recv = {space, STAGE_PULL_SPACE};
    struct client_request request = {
        .opcode = OP_STAGE_PULL,
        .body = body,
        .body_len = msg_stage_pull_request_encode(&m, body, sizeof(body)),
        .recv = &recv,
        .n_recv = 1,
        .timeout_ms = timeout_ms + ANSWER_MS,
    };
    int rc = client_request_sync(client, &request);

    if (rc == 0)
        rc = msg_stage_pull_reply_decode(ret, request.reply, request.reply_len);
    *ret_len = request.received;
    return rc;
}

static void sync_run(struct work *work)
{
    int rc = sync_set_run(work->syncs);

    if (rc)
        work_error(work, "what was written", "making it durable", rc);
}

static void work_run(struct work *work, const uint8_t *data, size_t len)
{
    struct item *item = malloc(sizeof(*item));

    if (!item || item_decode(item, data, len))
        work_error(work, "an item", NULL, item ? EPROTO : ENOMEM);
    else if (work->grant.direction == STAGE_IN)
        copy_in_run(work, item);
    else
        copy_out_run(work, item);
    free(item);
}

/* An item that was left unfinished is not reported: it goes to somebody else. */
static void item_run(struct work *work, const uint8_t *data, size_t len)
{
    switch (work->grant.kind) {
    case STAGE_ITEM_DIRECTIVES:
        resolve_run(work, data, len);
        break;
    case STAGE_ITEM_SYNC:
        sync_run(work);
        break;
    default:
        work_run(work, data, len);
        break;
    }
    if (!work_is_stopped(work))
        work_finish(work);
}

/* Waits for so long, or for the stop. */
static void pause_ms(struct stage_worker *worker, unsigned ms)
{
    uint64_t until_ns = deadline_after_ms(ms).at_ns;
    struct timespec until = {
        .tv_sec = (time_t)(until_ns / CLOCK_NS_PER_SEC),
        .tv_nsec = (long)(until_ns % CLOCK_NS_PER_SEC),
    };

    pthread_mutex_lock(&worker->lock);
    while (!atomic_load(&worker->stop)
           && pthread_cond_timedwait(&worker->changed, &worker->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&worker->lock);
}

static void work_loop(struct stage_worker *worker, struct work *work, uint8_t *space)
{
    unsigned retry_ms = RETRY_MIN_MS;

    while (!atomic_load(&worker->stop)) {
        struct msg_stage_pull_reply grant;
        size_t len;
        int rc = item_pull(worker->client, work->worker, PULL_MS, space, &grant, &len);

        if (rc) {
            log_debug("no work from target 0: %s", strerror(-rc));
            pause_ms(worker, retry_ms);
            retry_ms = retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : retry_ms * 2;
            continue;
        }
        retry_ms = RETRY_MIN_MS;
        if (grant.item == 0)
            continue;
        work_begin(work, &grant);
        item_run(work, space, len);
    }
}

static void *thread_main(void *arg)
{
    struct stage_worker *worker = arg;
    struct work work = {
        .client = worker->client,
        .job = client_table(worker->client)->job,
        .syncs = &worker->syncs,
        .stop = &worker->stop,
    };
    uint8_t *space = malloc(STAGE_PULL_SPACE);
    int rc = work_init(&work);

    if (rc == 0)
        rc = space ? random_u64(&work.worker) : -ENOMEM;
    work.worker |= 1; /* 0 is nobody */
    if (rc == 0)
        work_loop(worker, &work, space);
    else
        log_debug("stage worker: %s", strerror(-rc));
    work_fini(&work);
    free(space);
    pthread_mutex_lock(&worker->lock);
    worker->n_running--;
    pthread_cond_broadcast(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
    return NULL;
}

static unsigned threads_default(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN) / 2;

    if (n < (long)THREADS_MIN)
        return THREADS_MIN;
    return n > (long)THREADS_MAX ? THREADS_MAX : (unsigned)n;
}

static struct stage_worker *worker_new(struct client *client, unsigned n_threads)
{
    struct stage_worker *worker =
        calloc(1, sizeof(*worker) + n_threads * sizeof(worker->threads[0]));
    pthread_condattr_t attr;

    if (!worker)
        return NULL;
    worker->client = client;
    sync_set_init(&worker->syncs);
    pthread_mutex_init(&worker->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&worker->changed, &attr);
    pthread_condattr_destroy(&attr);
    return worker;
}

int stage_worker_start(struct client *client,
                       unsigned n_threads,
                       struct stage_worker **ret,
                       struct benchfs_error *err)
{
    struct stage_worker *worker;

    n_threads = n_threads ? n_threads : threads_default();
    worker = worker_new(client, n_threads);
    if (!worker)
        return benchfs_error_set(err, ENOMEM, "stage workers: out of memory");
    for (unsigned i = 0; i < n_threads; i++) {
        int rc;

        pthread_mutex_lock(&worker->lock);
        worker->n_running++;
        pthread_mutex_unlock(&worker->lock);
        rc = pthread_create(&worker->threads[i], NULL, thread_main, worker);
        if (rc) {
            worker->n_running--;
            stage_worker_stop(worker);
            return benchfs_error_set(err, rc, "stage workers: %s", strerror(rc));
        }
        worker->n_threads++;
    }
    *ret = worker;
    return 0;
}

/* Has target 0 answer those who wait there. */
static void waiting_release(struct stage_worker *worker)
{
    struct msg_stage_pull_reply none;
    uint8_t *space = malloc(STAGE_PULL_SPACE);
    size_t len;

    if (space)
        (void)item_pull(worker->client, 0, 0, space, &none, &len);
    free(space);
}

static bool is_running(struct stage_worker *worker)
{
    bool is_running;

    pthread_mutex_lock(&worker->lock);
    is_running = worker->n_running > 0;
    pthread_mutex_unlock(&worker->lock);
    return is_running;
}

static void wait_for_end(struct stage_worker *worker, unsigned ms)
{
    uint64_t until_ns = deadline_after_ms(ms).at_ns;
    struct timespec until = {
        .tv_sec = (time_t)(until_ns / CLOCK_NS_PER_SEC),
        .tv_nsec = (long)(until_ns % CLOCK_NS_PER_SEC),
    };

    pthread_mutex_lock(&worker->lock);
    while (worker->n_running > 0
           && pthread_cond_timedwait(&worker->changed, &worker->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&worker->lock);
}

void stage_worker_stop(struct stage_worker *worker)
{
    if (!worker)
        return;
    pthread_mutex_lock(&worker->lock);
    atomic_store(&worker->stop, true);
    pthread_cond_broadcast(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
    /* one may be about to ask while the others are released */
    while (is_running(worker)) {
        waiting_release(worker);
        wait_for_end(worker, STOP_AGAIN_MS);
    }
    for (unsigned i = 0; i < worker->n_threads; i++)
        pthread_join(worker->threads[i], NULL);
    sync_set_fini(&worker->syncs);
    pthread_mutex_destroy(&worker->lock);
    pthread_cond_destroy(&worker->changed);
    free(worker);
}

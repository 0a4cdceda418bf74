/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/disk_wait.h"

#include <errno.h>
#include <liburing.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "transport/rpc.h"

#define RING_ENTRIES 2u

struct disk_wait {
    struct rpc *rpc;
    bool is_started;
    int fd;

    bool has_ring;
    struct io_uring ring;

    pthread_t thread;
    sem_t go;
    atomic_bool is_ending;
    atomic_bool is_done;
    int status; /* valid when is_done */
};

/* ---- by a thread */

static void *thread_main(void *arg)
{
    struct disk_wait *wait = arg;

    for (;;) {
        while (sem_wait(&wait->go) && errno == EINTR)
            continue;
        if (atomic_load(&wait->is_ending))
            return NULL;
        wait->status = fdatasync(wait->fd) < 0 ? -errno : 0;
        atomic_store(&wait->is_done, true);
        rpc_wake(wait->rpc);
    }
}

static int thread_start(struct disk_wait *wait)
{
    int rc;

    sem_init(&wait->go, 0, 0);
    rc = pthread_create(&wait->thread, NULL, thread_main, wait);
    if (rc)
        sem_destroy(&wait->go);
    return -rc;
}

static void thread_end(struct disk_wait *wait)
{
    atomic_store(&wait->is_ending, true);
    sem_post(&wait->go);
    pthread_join(wait->thread, NULL);
    sem_destroy(&wait->go);
}

/* ---- by the kernel */

static int ring_open(struct disk_wait *wait)
{
    int rc = io_uring_queue_init(RING_ENTRIES, &wait->ring, 0);

    if (rc)
        return rc;
    rc = rpc_watch_fd(wait->rpc, wait->ring.ring_fd);
    if (rc)
        io_uring_queue_exit(&wait->ring);
    return rc;
}

/* What can't be handed over is done here and now. */
static void ring_start(struct disk_wait *wait)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&wait->ring);
    int rc = -EAGAIN;

    if (sqe) {
        io_uring_prep_fsync(sqe, wait->fd, IORING_FSYNC_DATASYNC);
        do {
            rc = io_uring_submit(&wait->ring);
        } while (rc == -EINTR);
    }
    if (rc == 1)
        return;
    wait->status = fdatasync(wait->fd) < 0 ? -errno : 0;
    atomic_store(&wait->is_done, true);
}

static void ring_take(struct disk_wait *wait, struct io_uring_cqe *cqe)
{
    wait->status = cqe->res < 0 ? cqe->res : 0;
    io_uring_cqe_seen(&wait->ring, cqe);
    atomic_store(&wait->is_done, true);
}

static void ring_end(struct disk_wait *wait)
{
    struct io_uring_cqe *cqe;

    while (wait->is_started && !atomic_load(&wait->is_done)) {
        int rc = io_uring_wait_cqe(&wait->ring, &cqe);

        if (rc == 0)
            ring_take(wait, cqe);
        else if (rc != -EINTR)
            break;
    }
    io_uring_queue_exit(&wait->ring);
}

/* ---- either */

int disk_wait_create(struct rpc *rpc, struct disk_wait **ret)
{
    struct disk_wait *wait = calloc(1, sizeof(*wait));
    int rc;

    if (!wait)
        return -ENOMEM;
    wait->rpc = rpc;
    rc = ring_open(wait);
    wait->has_ring = rc == 0;
    if (rc) {
        log_info("no io_uring (%s): a thread waits for the disk", strerror(-rc));
        rc = thread_start(wait);
    }
    if (rc) {
        free(wait);
        return rc;
    }
    *ret = wait;
    return 0;
}

void disk_wait_destroy(struct disk_wait *wait)
{
    if (!wait)
        return;
    if (wait->has_ring)
        ring_end(wait);
    else
        thread_end(wait);
    free(wait);
}

void disk_wait_start(struct disk_wait *wait, int fd)
{
    wait->fd = fd;
    wait->is_started = true;
    if (wait->has_ring)
        ring_start(wait);
    else
        sem_post(&wait->go);
}

bool disk_wait_is_done(struct disk_wait *wait, int *ret_status)
{
    struct io_uring_cqe *cqe;

    if (!wait->is_started)
        return false;
    if (wait->has_ring && !atomic_load(&wait->is_done)
        && io_uring_peek_cqe(&wait->ring, &cqe) == 0)
        ring_take(wait, cqe);
    if (!atomic_load(&wait->is_done))
        return false;
    atomic_store(&wait->is_done, false);
    wait->is_started = false;
    *ret_status = wait->status;
    return true;
}

/* SPDX-License-Identifier: Apache-2.0
 * Locks of fcntl(2) and flock(2). One that has to be waited for gets a thread of its
 * own, so that any number of them leaves the mount's threads to those who unlock. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>

#include "base/log.h"
#include "fuse/mount_internal.h"
#include "fuse/reply.h"

#define WAITER_STACK_SIZE (256u << 10)

/* A request that waits. */
struct lock_wait {
    struct list_node link; /* in mount->lock_waits */
    struct mount *mount;
    fuse_req_t req;
    uint64_t ino;
    struct client_lock lock;
    atomic_bool is_canceled;
};

static void lock_reply(struct mount *mount,
                       fuse_req_t req,
                       uint64_t ino,
                       const struct client_lock *lock,
                       int rc)
{
    bool is_kept = lock->space == LOCK_SPACE_RANGE && lock->type != LOCK_TYPE_NONE;

    if (rc == 0 && is_kept)
        rc = lock_owners_note(&mount->lock_owners, ino, lock->owner);
    reply_status(req, rc);
}

/* ---- waiting */

static void wait_cancel(struct lock_wait *wait)
{
    atomic_store(&wait->is_canceled, true);
    (void)client_lock_cancel(wait->mount->client, wait->ino, &wait->lock);
}

/* The process that waits got a signal. */
static void on_interrupt(fuse_req_t req, void *arg)
{
    (void)req;
    wait_cancel(arg);
}

static void *wait_main(void *arg)
{
    struct lock_wait *wait = arg;
    struct mount *mount = wait->mount;
    int rc =
        client_lock(mount->client, wait->ino, &wait->lock, true, &wait->is_canceled);

    /* no call of on_interrupt() is under way when this returns */
    fuse_req_interrupt_func(wait->req, NULL, NULL);
    if (rc == 0 && atomic_load(&wait->is_canceled)) {
        /* granted and canceled at once: the process hears of the signal */
        wait->lock.type = LOCK_TYPE_NONE;
        (void)client_lock(mount->client, wait->ino, &wait->lock, false, NULL);
        rc = -EINTR;
    }
    lock_reply(mount, wait->req, wait->ino, &wait->lock, rc);
    pthread_mutex_lock(&mount->lock_waits_lock);
    list_remove(&wait->link);
    if (list_is_empty(&mount->lock_waits))
        pthread_cond_broadcast(&mount->lock_waits_changed);
    pthread_mutex_unlock(&mount->lock_waits_lock);
    free(wait);
    return NULL;
}

static int wait_start(struct lock_wait *wait)
{
    pthread_attr_t attr;
    pthread_t thread;
    int rc = pthread_attr_init(&attr);

    if (rc)
        return -rc;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, WAITER_STACK_SIZE);
    rc = pthread_create(&thread, &attr, wait_main, wait);
    pthread_attr_destroy(&attr);
    return -rc;
}

static void lock_wait(fuse_req_t req, uint64_t ino, const struct client_lock *lock)
{
    struct mount *mount = mount_of(req);
    struct lock_wait *wait = malloc(sizeof(*wait));
    int rc = -ENOLCK;

    if (!wait) {
        reply_status(req, rc);
        return;
    }
    *wait = (struct lock_wait){.mount = mount, .req = req, .ino = ino, .lock = *lock};
    list_node_init(&wait->link);
    pthread_mutex_lock(&mount->lock_waits_lock);
    if (!mount->is_stopping) {
        list_push_back(&mount->lock_waits, &wait->link);
        rc = 0;
    }
    pthread_mutex_unlock(&mount->lock_waits_lock);
    if (rc == 0) {
        fuse_req_interrupt_func(req, on_interrupt, wait);
        rc = wait_start(wait);
    }
    if (rc == 0)
        return;
    fuse_req_interrupt_func(req, NULL, NULL);
    pthread_mutex_lock(&mount->lock_waits_lock);
    list_remove(&wait->link);
    pthread_mutex_unlock(&mount->lock_waits_lock);
    free(wait);
    log_debug("no thread for a lock that waits: %d", rc);
    reply_status(req, -ENOLCK);
}

void lock_waits_end(struct mount *mount)
{
    pthread_mutex_lock(&mount->lock_waits_lock);
    mount->is_stopping = true;
    list_for_each(node, &mount->lock_waits)
    {
        struct lock_wait *wait = list_entry(node, struct lock_wait, link);

        /* it looks again within the time that the daemon lets it wait */
        atomic_store(&wait->is_canceled, true);
    }
    while (!list_is_empty(&mount->lock_waits))
        pthread_cond_wait(&mount->lock_waits_changed, &mount->lock_waits_lock);
    pthread_mutex_unlock(&mount->lock_waits_lock);
}

static void
lock_set(fuse_req_t req, uint64_t ino, const struct client_lock *lock, bool waits)
{
    int rc = client_lock(client_of(req), ino, lock, false, NULL);

    if (rc == -EAGAIN && waits)
        lock_wait(req, ino, lock);
    else
        lock_reply(mount_of(req), req, ino, lock, rc);
}

/* ---- fcntl */

static struct client_lock lock_from_flock(const struct flock *range, uint64_t owner)
{
    return (struct client_lock){
        .space = LOCK_SPACE_RANGE,
        .type = range->l_type == F_WRLCK   ? LOCK_TYPE_WRITE
                : range->l_type == F_RDLCK ? LOCK_TYPE_READ
                                           : LOCK_TYPE_NONE,
        .owner = owner,
        .pid = (uint32_t)range->l_pid,
        .start = (uint64_t)range->l_start,
        .end = range->l_len == 0
                   ? UINT64_MAX
                   : (uint64_t)range->l_start + (uint64_t)range->l_len - 1,
    };
}

void op_setlk(fuse_req_t req,
              fuse_ino_t ino,
              struct fuse_file_info *fi,
              struct flock *range,
              int waits)
{
    struct client_lock lock = lock_from_flock(range, fi->lock_owner);

    lock_set(req, ino, &lock, waits != 0);
}

void op_getlk(fuse_req_t req,
              fuse_ino_t ino,
              struct fuse_file_info *fi,
              struct flock *range)
{
    struct client_lock lock = lock_from_flock(range, fi->lock_owner);
    int rc = client_lock_test(client_of(req), ino, &lock);

    if (rc) {
        reply_status(req, rc);
        return;
    }
    range->l_type = lock.type == LOCK_TYPE_WRITE  ? F_WRLCK
                    : lock.type == LOCK_TYPE_READ ? F_RDLCK
                                                  : F_UNLCK;
    if (lock.type != LOCK_TYPE_NONE) {
        range->l_whence = SEEK_SET;
        range->l_start = (off_t)lock.start;
        range->l_len = lock.end >= INT64_MAX ? 0 : (off_t)(lock.end - lock.start + 1);
        range->l_pid = (pid_t)lock.pid;
    }
    fuse_reply_lock(req, range);
}

/* Some descriptor of the file is closed: POSIX has all locks of the process go. */
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct client_lock lock = {
        .space = LOCK_SPACE_RANGE, .owner = fi->lock_owner, .end = UINT64_MAX};
    int rc = 0;

    if (lock_owners_take(&mount_of(req)->lock_owners, ino, fi->lock_owner))
        rc = client_lock(client_of(req), ino, &lock, false, NULL);
    reply_status(req, rc);
}

/* ---- flock */

void op_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int operation)
{
    struct client_lock lock = {
        .space = LOCK_SPACE_WHOLE,
        .type = operation & LOCK_EX   ? LOCK_TYPE_WRITE
                : operation & LOCK_SH ? LOCK_TYPE_READ
                                      : LOCK_TYPE_NONE,
        .owner = fi->lock_owner,
        .end = UINT64_MAX,
    };

    lock_set(req, ino, &lock, !(operation & LOCK_NB));
}

void lock_release_flock(struct mount *mount, uint64_t ino, uint64_t owner)
{
    struct client_lock lock = {
        .space = LOCK_SPACE_WHOLE, .owner = owner, .end = UINT64_MAX};
    int rc = client_lock(mount->client, ino, &lock, false, NULL);

    if (rc)
        log_debug("unlock of inode %llu: %d", (unsigned long long)ino, rc);
}

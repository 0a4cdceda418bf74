/* SPDX-License-Identifier: Apache-2.0
 *
 * What a worker thread has in hand: the item, and what has come of it so far, which
 * goes to the queue when the item is done or it is much.
 */
#ifndef BENCHFS_STAGE_WORK_H
#define BENCHFS_STAGE_WORK_H

#include <stdatomic.h>

#include "client/client.h"
#include "stage/item.h"
#include "stage/sync.h"

#define WORK_BUFFER_SIZE (4u << 20)
#define WORK_CHANGED     ESTALE /* as an error of a file: not what it was at the start */
#define WORK_SCRATCH     "in the scratch" /* for texts of errors: which side it was */

struct work {
    struct client *client;
    const char *job;
    struct sync_set *syncs;
    const atomic_bool *stop; /* the worker ends: leave the item unfinished */
    uint64_t worker;
    uint8_t *buffer; /* WORK_BUFFER_SIZE */

    /* the item */
    struct msg_stage_pull_reply grant;
    uint64_t n_copied; /* bytes, for this item */
    bool is_lost;      /* the queue does not want to hear of it any more */

    /* what has come of it and was not sent yet */
    struct msg_stage_done_request done;
    struct bytes items;
    struct bytes after;
    struct bytes texts;
    bool is_full; /* the queue would rather have work done than get more */
};

/* 0 or -ENOMEM. */
int work_init(struct work *work);
void work_fini(struct work *work);

static inline bool work_is_stopped(const struct work *work)
{
    return atomic_load_explicit(work->stop, memory_order_relaxed) || work->is_lost;
}

/* Takes the next item over, with nothing done. */
void work_begin(struct work *work, const struct msg_stage_pull_reply *grant);

/* A file that could not be copied; code is an errno or -errno. `where` may be NULL.
 * Both count once per call. */
void work_error(struct work *work, const char *path, const char *where, int code);
void work_error_text(struct work *work, const char *text);
void work_skip(struct work *work, const char *path, const char *reason);

/* New items, and the one that follows them. Failures become errors of the item. */
void work_add(struct work *work, const struct item *item);
void work_after(struct work *work, const struct item *item);
/* Drops the items added since the last report. */
void work_items_drop(struct work *work);

/* Tells the queue what has come of the item so far, if that is much. */
void work_report_if_much(struct work *work);
/* The item is done. Gives up when the service is gone. */
void work_finish(struct work *work);

#endif

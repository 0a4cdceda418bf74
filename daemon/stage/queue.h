/* SPDX-License-Identifier: Apache-2.0
 *
 * The work of stages: items that workers take, finish, and add to. An item may name
 * another one to follow when everything that came of it is done. The last items come
 * first, so that a walk goes deep before it goes wide. Knows nothing of connections or
 * files. One thread.
 */
#ifndef BENCHFS_STAGE_QUEUE_QUEUE_H
#define BENCHFS_STAGE_QUEUE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "proto/messages.h"

#define STAGE_QUEUE_FULL 4096u /* waiting items from which workers should not add */

struct stage_queue;

/* 0 or -ENOMEM. */
int stage_queue_create(struct stage_queue **ret);
void stage_queue_destroy(struct stage_queue *queue); /* NULL is fine */

/*
 * Begins a stage with one item, STAGE_ITEM_DIRECTIVES; `data` is copied. Several may
 * run at a time. 0, -EBUSY (too many), -ENOMEM.
 */
int stage_queue_start(struct stage_queue *queue,
                      enum stage_direction direction,
                      const void *data,
                      size_t len,
                      uint64_t *ret_stage);

/* An item as a worker gets it; data is valid until the item is done. */
struct stage_grant {
    uint64_t stage;
    uint64_t item;
    enum stage_direction direction;
    enum stage_item_kind kind;
    bool has_failed; /* what it was to follow had errors */
    const void *data;
    size_t len;
};

/* 1 and an item, 0: there is none now, -ENOMEM. A worker that has one gets it again:
 * the answer was lost. */
int stage_queue_pull(struct stage_queue *queue,
                     uint64_t client,
                     uint64_t worker,
                     struct stage_grant *ret);

/* A STAGE_DONE with its payload. 0, -ENOENT (no such stage), -ESTALE (the worker does
 * not have this item, any more), -EPROTO, -ENOMEM; nothing was changed then. */
int stage_queue_done(struct stage_queue *queue,
                     uint64_t worker_id,
                     const struct msg_stage_done_request *done,
                     const void *data,
                     size_t len);

/* What the client had goes back. Counts of an item that was partly done stay, so that
 * the sums may be too high after this. */
void stage_queue_client_gone(struct stage_queue *queue, uint64_t client);

/* Ends a stage: nothing more of it is given out; `text` is the error. */
void stage_queue_abort(struct stage_queue *queue, uint64_t id, const char *text);

struct stage_status {
    enum stage_direction direction;
    bool is_finished;
    uint64_t n_files, n_bytes;
    uint64_t n_known_files, n_known_bytes;
    uint64_t n_errors, n_skipped;
    uint64_t n_waiting; /* items that nobody has */
    uint64_t n_held;    /* items that workers have */
    unsigned n_texts;
    const char *const *texts; /* valid until the next change */
};

/* 0 or -ENOENT. A finished stage is known until others have followed. */
int stage_queue_status(const struct stage_queue *queue,
                       uint64_t id,
                       struct stage_status *ret);

/* Whether more items wait than workers should add to. */
bool stage_queue_is_full(const struct stage_queue *queue);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "stage_queue/queue.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/table.h"

#define STAGES_MAX      64u /* that run at a time */
#define STAGES_FINISHED 16u /* that are remembered */
#define DONE_ITEMS_MAX  65536u

enum item_state {
    ITEM_WAITING, /* for a worker: in stage->waiting */
    ITEM_HELD,    /* by a worker */
    ITEM_OPEN,    /* done, but not all that came of it */
};

struct stage_item {
    struct list_node link; /* in stage->waiting */
    struct list_node all_link;
    struct stage *stage;
    struct stage_item *parent; /* NULL: the first one, or a sync */
    uint64_t id;
    enum item_state state;
    uint8_t kind; /* enum stage_item_kind */
    bool has_failed;
    uint32_t n_children; /* that are not complete */
    uint8_t *data;
    size_t len;
    uint8_t *after; /* the item to follow, NULL: none */
    size_t after_len;
};

struct stage {
    struct list_node link;
    struct stage_queue *queue;
    uint64_t id;
    struct list items;    /* struct stage_item: all that are not complete */
    struct list waiting;  /* of these, what nobody has; the next one first */
    struct table clients; /* id -> stage: have done items and not synced yet */
    bool is_syncing;      /* all but the syncs is done */
    struct stage_status status;
    const char *texts[STAGE_TEXTS_MAX];
};

struct stage_worker {
    uint64_t id;
    uint64_t client;
    struct stage_item *held;
};

struct stage_queue {
    struct list stages; /* oldest first; finished ones too */
    unsigned n_running;
    unsigned n_finished;
    uint64_t n_waiting;
    uint64_t last_stage;
    uint64_t last_item;
    struct table workers; /* id -> struct stage_worker: those that hold an item */
};

/* ---- items */

static void item_free(struct stage_item *item)
{
    list_remove(&item->all_link);
    free(item->data);
    free(item->after);
    free(item);
}

/* Not in the stage yet. */
static struct stage_item *
item_new(enum stage_item_kind kind, const void *data, size_t len)
{
    struct stage_item *item = calloc(1, sizeof(*item));

    if (!item)
        return NULL;
    list_node_init(&item->link);
    list_node_init(&item->all_link);
    item->kind = (uint8_t)kind;
    item->len = len;
    item->data = malloc(len + 1);
    if (!item->data) {
        item_free(item);
        return NULL;
    }
    if (len > 0)
        memcpy(item->data, data, len);
    return item;
}

static void item_wait(struct stage_item *item)
{
    item->state = ITEM_WAITING;
    list_push_front(&item->stage->waiting, &item->link);
    item->stage->status.n_waiting++;
    item->stage->queue->n_waiting++;
}

static void item_unwait(struct stage_item *item)
{
    list_remove(&item->link);
    item->stage->status.n_waiting--;
    item->stage->queue->n_waiting--;
}

static void
item_add(struct stage *stage, struct stage_item *parent, struct stage_item *item)
{
    item->stage = stage;
    item->parent = parent;
    item->id = ++stage->queue->last_item;
    if (parent)
        parent->n_children++;
    list_push_back(&stage->items, &item->all_link);
}

/* ---- stages */

static void worker_free(struct stage_queue *queue, struct stage_worker *worker)
{
    table_remove(&queue->workers, worker->id);
    free(worker);
}

/* Frees all items; workers that have one will hear that it is stale. */
static void stage_items_drop(struct stage *stage)
{
    struct stage_queue *queue = stage->queue;
    struct stage_worker *worker;
    size_t cursor = 0;

    while ((worker = table_next(&queue->workers, &cursor, NULL))) {
        if (worker->held->stage == stage)
            worker_free(queue, worker);
    }
    list_for_each(node, &stage->waiting)
        item_unwait(list_entry(node, struct stage_item, link));
    list_for_each(node, &stage->items)
        item_free(list_entry(node, struct stage_item, all_link));
    stage->status.n_held = 0;
}

static void stage_free(struct stage *stage)
{
    stage_items_drop(stage);
    for (unsigned i = 0; i < stage->status.n_texts; i++)
        free((void *)(uintptr_t)stage->texts[i]);
    table_fini(&stage->clients);
    list_remove(&stage->link);
    free(stage);
}

static struct stage *stage_find(const struct stage_queue *queue, uint64_t id)
{
    list_for_each(node, &queue->stages)
    {
        struct stage *stage = list_entry(node, struct stage, link);

        if (stage->id == id)
            return stage;
    }
    return NULL;
}

static void stage_text_add(struct stage *stage, const char *text, size_t len)
{
    char *copy;

    if (stage->status.n_texts == STAGE_TEXTS_MAX)
        return;
    copy = strndup(text, len);
    if (copy)
        stage->texts[stage->status.n_texts++] = copy;
}

static void stage_finish(struct stage *stage)
{
    stage->status.is_finished = true;
    stage->queue->n_running--;
    stage->queue->n_finished++;
}

/* Forgets the oldest of the finished ones, when there are many. */
static void finished_trim(struct stage_queue *queue)
{
    list_for_each(node, &queue->stages)
    {
        struct stage *stage = list_entry(node, struct stage, link);

        if (queue->n_finished <= STAGES_FINISHED)
            return;
        if (stage->status.is_finished) {
            stage_free(stage);
            queue->n_finished--;
        }
    }
}

static void stage_sync_check(struct stage *stage)
{
    if (stage->is_syncing && !stage->status.is_finished
        && table_count(&stage->clients) == 0 && stage->status.n_held == 0)
        stage_finish(stage);
}

/* All items are done. What went into the scratch needs nothing more. */
static void stage_tree_done(struct stage *stage)
{
    stage->is_syncing = true;
    if (stage->status.direction != STAGE_OUT) {
        table_fini(&stage->clients);
        table_init(&stage->clients);
    }
    stage_sync_check(stage);
}

/* Its children are done, and it is: the item to follow has its turn, or the same may
 * now be true of the one above. */
static void item_settle(struct stage_item *item)
{
    while (item->state == ITEM_OPEN && item->n_children == 0) {
        struct stage_item *parent = item->parent;
        struct stage *stage = item->stage;

        if (item->after) {
            item->data = item->after;
            item->len = item->after_len;
            item->after = NULL;
            item->kind = STAGE_ITEM_WORK;
            item->id = ++stage->queue->last_item;
            item_wait(item);
            return;
        }
        if (!parent) {
            item_free(item);
            if (stage->is_syncing)
                stage_sync_check(stage);
            else
                stage_tree_done(stage);
            return;
        }
        parent->has_failed |= item->has_failed;
        parent->n_children--;
        item_free(item);
        item = parent;
    }
}

/* ---- the queue */

int stage_queue_create(struct stage_queue **ret)
{
    struct stage_queue *queue = calloc(1, sizeof(*queue));

    if (!queue)
        return -ENOMEM;
    list_init(&queue->stages);
    table_init(&queue->workers);
    *ret = queue;
    return 0;
}

void stage_queue_destroy(struct stage_queue *queue)
{
    struct list_node *node;

    if (!queue)
        return;
    while ((node = list_front(&queue->stages)))
        stage_free(list_entry(node, struct stage, link));
    table_fini(&queue->workers);
    free(queue);
}

int stage_queue_start(struct stage_queue *queue,
                      enum stage_direction direction,
                      const void *data,
                      size_t len,
                      uint64_t *ret_stage)
{
    struct stage_item *item;
    struct stage *stage;

    if (queue->n_running == STAGES_MAX)
        return -EBUSY;
    stage = calloc(1, sizeof(*stage));
    item = item_new(STAGE_ITEM_DIRECTIVES, data, len);
    if (!stage || !item) {
        free(stage);
        if (item)
            item_free(item);
        return -ENOMEM;
    }
    finished_trim(queue);
    stage->queue = queue;
    stage->id = ++queue->last_stage;
    stage->status.direction = direction;
    stage->status.texts = stage->texts;
    list_init(&stage->items);
    list_init(&stage->waiting);
    table_init(&stage->clients);
    list_push_back(&queue->stages, &stage->link);
    queue->n_running++;
    item_add(stage, NULL, item);
    item_wait(item);
    *ret_stage = stage->id;
    return 0;
}

/* The next item of any stage for this client, out of the list it waits in. */
static struct stage_item *item_take(struct stage_queue *queue, uint64_t client)
{
    list_for_each(node, &queue->stages)
    {
        struct stage *stage = list_entry(node, struct stage, link);
        struct list_node *first = list_front(&stage->waiting);
        struct stage_item *item;

        if (first) {
            item = list_entry(first, struct stage_item, link);
            item_unwait(item);
            return item;
        }
        if (!stage->is_syncing || !table_get(&stage->clients, client))
            continue;
        item = item_new(STAGE_ITEM_SYNC, NULL, 0);
        if (!item)
            return NULL;
        table_remove(&stage->clients, client);
        item_add(stage, NULL, item);
        return item;
    }
    return NULL;
}

static void grant_fill(const struct stage_item *item, struct stage_grant *ret)
{
    *ret = (struct stage_grant){
        .stage = item->stage->id,
        .item = item->id,
        .direction = item->stage->status.direction,
        .kind = item->kind,
        .has_failed = item->has_failed,
        .data = item->data,
        .len = item->len,
    };
}

int stage_queue_pull(struct stage_queue *queue,
                     uint64_t client,
                     uint64_t worker_id,
                     struct stage_grant *ret)
{
    struct stage_worker *worker = table_get(&queue->workers, worker_id);

    if (worker) {
        grant_fill(worker->held, ret);
        return 1;
    }
    worker = calloc(1, sizeof(*worker));
    if (!worker || table_put(&queue->workers, worker_id, worker)) {
        free(worker);
        return -ENOMEM;
    }
    worker->id = worker_id;
    worker->client = client;
    worker->held = item_take(queue, client);
    if (!worker->held) {
        worker_free(queue, worker);
        return 0;
    }
    worker->held->state = ITEM_HELD;
    worker->held->stage->status.n_held++;
    grant_fill(worker->held, ret);
    return 1;
}

/* ---- done */

/* The payload of a STAGE_DONE, parsed. */
struct done_payload {
    uint8_t *after;
    size_t after_len;
    struct list items; /* struct stage_item by link */
    struct wire_text texts[STAGE_TEXTS_MAX];
    unsigned n_texts;
};

static int item_bytes_get(struct wire_reader *r, const void **ret, size_t *ret_len)
{
    uint32_t len = wire_get_u32(r);

    if (r->failed || len == 0 || len > STAGE_ITEM_MAX)
        return -EPROTO;
    *ret = wire_get_bytes(r, len);
    *ret_len = len;
    return *ret ? 0 : -EPROTO;
}

static int done_items_parse(const struct msg_stage_done_request *done,
                            struct wire_reader *r,
                            struct done_payload *ret)
{
    const void *data;
    size_t len;

    if (done->has_after) {
        int rc = item_bytes_get(r, &data, &len);

        if (rc)
            return rc;
        ret->after = malloc(len);
        if (!ret->after)
            return -ENOMEM;
        memcpy(ret->after, data, len);
        ret->after_len = len;
    }
    for (uint32_t i = 0; i < done->n_items; i++) {
        int rc = item_bytes_get(r, &data, &len);
        struct stage_item *item = rc ? NULL : item_new(STAGE_ITEM_WORK, data, len);

        if (!item)
            return rc ? rc : -ENOMEM;
        list_push_back(&ret->items, &item->link);
    }
    return 0;
}

static int done_parse(const struct msg_stage_done_request *done,
                      const void *payload,
                      size_t len,
                      struct done_payload *ret)
{
    struct wire_reader r = {.data = payload, .length = len};
    int rc;

    if (done->n_items > DONE_ITEMS_MAX || done->n_texts > STAGE_TEXTS_MAX
        || (done->is_partial && done->has_after))
        return -EPROTO;
    rc = done_items_parse(done, &r, ret);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < done->n_texts; i++)
        ret->texts[ret->n_texts++] = wire_get_text(&r, STAGE_TEXT_MAX);
    return wire_reader_finish(&r);
}

static void done_payload_fini(struct done_payload *payload)
{
    struct list_node *node;

    while ((node = list_pop_front(&payload->items)))
        item_free(list_entry(node, struct stage_item, link));
    free(payload->after);
}

static void done_count(struct stage *stage,
                       const struct msg_stage_done_request *done,
                       const struct done_payload *payload)
{
    struct stage_status *status = &stage->status;

    status->n_files += done->n_files;
    status->n_bytes += done->n_bytes;
    status->n_known_files += done->n_known_files;
    status->n_known_bytes += done->n_known_bytes;
    status->n_errors += done->n_errors;
    status->n_skipped += done->n_skipped;
    for (unsigned i = 0; i < payload->n_texts; i++)
        stage_text_add(stage, payload->texts[i].data, payload->texts[i].len);
}

static void done_apply(struct stage_item *item,
                       const struct msg_stage_done_request *done,
                       struct done_payload *payload)
{
    struct stage *stage = item->stage;
    struct list_node *node;

    done_count(stage, done, payload);
    if (done->n_errors > 0)
        item->has_failed = true;
    while ((node = list_pop_front(&payload->items))) {
        struct stage_item *child = list_entry(node, struct stage_item, link);

        item_add(stage, item, child);
        item_wait(child);
    }
    if (payload->after) {
        item->after = payload->after;
        item->after_len = payload->after_len;
        payload->after = NULL;
    }
}

int stage_queue_done(struct stage_queue *queue,
                     uint64_t worker_id,
                     const struct msg_stage_done_request *done,
                     const void *data,
                     size_t len)
{
    struct stage_worker *worker = table_get(&queue->workers, worker_id);
    struct stage *stage = stage_find(queue, done->stage);
    struct done_payload payload = {.after = NULL};
    struct stage_item *item;
    int rc;

    if (!stage)
        return -ENOENT;
    if (!worker || worker->held->id != done->item || worker->held->stage != stage)
        return -ESTALE;
    item = worker->held;
    list_init(&payload.items);
    rc = done_parse(done, data, len, &payload);
    if (rc == 0 && item->kind != STAGE_ITEM_SYNC
        && !table_get(&stage->clients, worker->client))
        rc = table_put(&stage->clients, worker->client, stage);
    if (rc == 0)
        done_apply(item, done, &payload);
    done_payload_fini(&payload);
    if (rc || done->is_partial)
        return rc;
    worker_free(queue, worker);
    stage->status.n_held--;
    free(item->data);
    item->data = NULL;
    item->state = ITEM_OPEN;
    item_settle(item);
    return 0;
}

/* ---- ends */

/* A sync is lost with its client; everything else goes to the next one. */
static void item_return(struct stage_item *item)
{
    item->stage->status.n_held--;
    if (item->kind != STAGE_ITEM_SYNC) {
        item_wait(item);
        return;
    }
    item->state = ITEM_OPEN;
    item_settle(item);
}

void stage_queue_client_gone(struct stage_queue *queue, uint64_t client)
{
    struct stage_worker *worker;
    size_t cursor = 0;

    list_for_each(node, &queue->stages)
    {
        struct stage *stage = list_entry(node, struct stage, link);

        table_remove(&stage->clients, client);
    }
    while ((worker = table_next(&queue->workers, &cursor, NULL))) {
        struct stage_item *item = worker->held;

        if (worker->client != client)
            continue;
        worker_free(queue, worker);
        item_return(item);
    }
    list_for_each(node, &queue->stages)
        stage_sync_check(list_entry(node, struct stage, link));
}

void stage_queue_abort(struct stage_queue *queue, uint64_t id, const char *text)
{
    struct stage *stage = stage_find(queue, id);

    if (!stage || stage->status.is_finished)
        return;
    stage_items_drop(stage);
    stage->status.n_errors++;
    stage_text_add(stage, text, strlen(text));
    stage_finish(stage);
}

int stage_queue_status(const struct stage_queue *queue,
                       uint64_t id,
                       struct stage_status *ret)
{
    const struct stage *stage = stage_find(queue, id);

    if (!stage)
        return -ENOENT;
    *ret = stage->status;
    return 0;
}

bool stage_queue_is_full(const struct stage_queue *queue)
{
    return queue->n_waiting >= STAGE_QUEUE_FULL;
}

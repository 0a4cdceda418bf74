/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/work.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "proto/ops.h"

#define REPORT_ITEMS 1024u
#define REPORT_SIZE  (1u << 20)
#define ITEMS_LIMIT  (3u << 20)
#define TEXTS_LIMIT  (64u << 10)

int work_init(struct work *work)
{
    work->buffer = malloc(WORK_BUFFER_SIZE);
    bytes_init(&work->items, ITEMS_LIMIT);
    bytes_init(&work->after, STAGE_ITEM_MAX);
    bytes_init(&work->texts, TEXTS_LIMIT);
    return work->buffer ? 0 : -ENOMEM;
}

void work_fini(struct work *work)
{
    free(work->buffer);
    bytes_fini(&work->items);
    bytes_fini(&work->after);
    bytes_fini(&work->texts);
}

static void done_clear(struct work *work)
{
    work->done = (struct msg_stage_done_request){
        .worker = work->worker,
        .stage = work->grant.stage,
        .item = work->grant.item,
    };
    bytes_clear(&work->items);
    bytes_clear(&work->after);
    bytes_clear(&work->texts);
}

void work_begin(struct work *work, const struct msg_stage_pull_reply *grant)
{
    work->grant = *grant;
    work->n_copied = 0;
    work->is_lost = false;
    work->is_full = false;
    done_clear(work);
}

/* ---- what came of it */

static void text_add(struct work *work, const char *text)
{
    size_t len = strnlen(text, STAGE_TEXT_MAX);
    uint8_t head[2];
    struct wire_writer w = {.data = head, .capacity = sizeof(head)};

    if (work->done.n_texts == STAGE_TEXTS_MAX || bytes_reserve(&work->texts, len + 2))
        return; /* it is counted */
    wire_put_u16(&w, (uint16_t)len);
    bytes_append(&work->texts, head, sizeof(head));
    bytes_append(&work->texts, text, len);
    work->done.n_texts++;
}

void work_error_text(struct work *work, const char *text)
{
    work->done.n_errors++;
    text_add(work, text);
}

void work_error(struct work *work, const char *path, const char *where, int code)
{
    const char *reason =
        abs(code) == WORK_CHANGED ? "changed while it was copied" : strerror(abs(code));
    char text[STAGE_TEXT_MAX + 1];

    snprintf(text,
             sizeof(text),
             "%s: %s%s%s",
             path,
             where ? where : "",
             where ? ": " : "",
             reason);
    work_error_text(work, text);
}

void work_skip(struct work *work, const char *path, const char *reason)
{
    char text[STAGE_TEXT_MAX + 1];

    snprintf(text, sizeof(text), "%s: skipped: %s", path, reason);
    work->done.n_skipped++;
    text_add(work, text);
}

/* Appends the item with its length before it. */
static int item_append(struct bytes *out, const struct item *item)
{
    size_t start = out->size;
    struct wire_writer w = {.capacity = 4};
    int rc = bytes_append_zero(out, 4);

    if (rc == 0)
        rc = item_encode(item, out);
    if (rc == 0 && out->size - start - 4 > STAGE_ITEM_MAX)
        rc = -EMSGSIZE;
    if (rc) {
        out->size = out->size > start ? start : out->size;
        return rc;
    }
    w.data = out->data + start;
    wire_put_u32(&w, (uint32_t)(out->size - start - 4));
    return 0;
}

void work_add(struct work *work, const struct item *item)
{
    int rc = item_append(&work->items, item);

    if (rc)
        work_error(work, item->path, "staging", rc);
    else
        work->done.n_items++;
}

void work_after(struct work *work, const struct item *item)
{
    int rc = item_append(&work->after, item);

    if (rc)
        work_error(work, item->path, "staging", rc);
    else
        work->done.has_after = 1;
}

void work_items_drop(struct work *work)
{
    bytes_clear(&work->items);
    work->done.n_items = 0;
}

/* ---- to the queue */

static int done_send(struct work *work)
{
    uint8_t body[MSG_stage_done_request_MAX];
    const struct bytes *parts[] = {&work->after, &work->items, &work->texts};
    struct iovec send[3];
    struct client_request request = {
        .opcode = OP_STAGE_DONE,
        .body = body,
        .send = send,
    };
    struct msg_stage_done_reply reply;
    int rc;

    for (size_t i = 0; i < 3; i++) {
        if (parts[i]->size > 0)
            send[request.n_send++] = (struct iovec){parts[i]->data, parts[i]->size};
    }
    request.body_len = msg_stage_done_request_encode(&work->done, body, sizeof(body));
    rc = client_request_sync(work->client, &request);
    if (rc == 0)
        rc = msg_stage_done_reply_decode(&reply, request.reply, request.reply_len);
    if (rc == 0)
        work->is_full = reply.is_full;
    return rc;
}

static void report(struct work *work, bool is_partial)
{
    int rc;

    if (work->is_lost)
        return;
    work->done.is_partial = is_partial;
    rc = done_send(work);
    if (rc) {
        /* the item was given to somebody else, or the service ends */
        log_debug(
            "stage item %llu: %s", (unsigned long long)work->grant.item, strerror(-rc));
        work->is_lost = true;
    }
    done_clear(work);
}

void work_report_if_much(struct work *work)
{
    if (work->items.size >= REPORT_SIZE || work->done.n_items >= REPORT_ITEMS)
        report(work, true);
}

void work_finish(struct work *work)
{
    report(work, false);
}

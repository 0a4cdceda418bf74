/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/stage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "proto/ops.h"
#include "stage/resolve.h"

#define INTERVAL_MS 500u
#define WAIT_MS     10000u /* without a callback: just to see that the service lives */
#define ANSWER_MS   30000u /* on top of the time that target 0 was asked to wait */
#define TEXTS_SPACE (STAGE_TEXTS_MAX * (STAGE_TEXT_MAX + 2u))

static const char *name_of(enum stage_direction direction)
{
    return direction == STAGE_IN ? "stage-in" : "stage-out";
}

static int start(struct client *client,
                 enum stage_direction direction,
                 const struct config_stage_list *directives,
                 uint8_t progress,
                 uint64_t *ret_stage)
{
    struct msg_stage_start_request m = {
        .direction = (uint8_t)direction,
        .progress = progress,
        .n_directives = (uint32_t)directives->count,
    };
    struct bytes payload = BYTES_INIT(STAGE_START_MAX);
    struct msg_stage_start_reply reply;
    uint8_t body[MSG_stage_start_request_MAX];
    struct client_request request = {.opcode = OP_STAGE_START, .body = body};
    struct iovec send;
    int rc = resolve_directives_encode(directives, &payload);

    if (rc)
        goto out;
    send = (struct iovec){payload.data, payload.size};
    request.body_len = msg_stage_start_request_encode(&m, body, sizeof(body));
    request.send = &send;
    request.n_send = 1;
    rc = client_request_sync(client, &request);
    if (rc == 0)
        rc = msg_stage_start_reply_decode(&reply, request.reply, request.reply_len);
    if (rc == 0)
        *ret_stage = reply.stage;
out:
    bytes_fini(&payload);
    return rc;
}

void stage_result_fini(struct stage_result *result)
{
    for (unsigned i = 0; i < result->n_texts; i++)
        free(result->texts[i]);
    memset(result, 0, sizeof(*result));
}

static int result_fill(const struct msg_stage_wait_reply *reply,
                       const uint8_t *texts,
                       size_t len,
                       struct stage_result *ret)
{
    struct wire_reader r = {.data = texts, .length = len};

    stage_result_fini(ret);
    if (reply->n_texts > STAGE_TEXTS_MAX)
        return -EPROTO;
    *ret = (struct stage_result){
        .is_finished = reply->finished,
        .n_files = reply->n_files,
        .n_bytes = reply->n_bytes,
        .n_known_files = reply->n_known_files,
        .n_known_bytes = reply->n_known_bytes,
        .n_errors = reply->n_errors,
        .n_skipped = reply->n_skipped,
        .seconds = (double)reply->elapsed_ms / 1e3,
    };
    for (uint32_t i = 0; i < reply->n_texts; i++) {
        struct wire_text text = wire_get_text(&r, STAGE_TEXT_MAX);

        ret->texts[ret->n_texts] = strndup(text.data, text.len);
        if (!ret->texts[ret->n_texts])
            return -ENOMEM;
        ret->n_texts++;
    }
    return wire_reader_finish(&r);
}

/* Asks how far it is; target 0 answers at the end, or after timeout_ms. */
static int ask(struct client *client,
               uint64_t stage,
               unsigned timeout_ms,
               uint8_t *space,
               struct stage_result *ret)
{
    struct msg_stage_wait_request m = {.stage = stage, .timeout_ms = timeout_ms};
    uint8_t body[MSG_stage_wait_request_MAX];
    struct iovec recv = {space, TEXTS_SPACE};
    struct client_request request = {
        .opcode = OP_STAGE_WAIT,
        .body = body,
        .body_len = msg_stage_wait_request_encode(&m, body, sizeof(body)),
        .recv = &recv,
        .n_recv = 1,
        .timeout_ms = timeout_ms + ANSWER_MS,
    };
    struct msg_stage_wait_reply reply;
    int rc = client_request_sync(client, &request);

    if (rc == 0)
        rc = msg_stage_wait_reply_decode(&reply, request.reply, request.reply_len);
    return rc ? rc : result_fill(&reply, space, request.received, ret);
}

static int follow(struct client *client,
                  uint64_t stage,
                  const struct stage_options *options,
                  struct stage_result *ret)
{
    unsigned interval_ms = options->interval_ms ? options->interval_ms : INTERVAL_MS;
    unsigned wait_ms = options->on_progress ? interval_ms : WAIT_MS;
    struct deadline deadline = {.at_ns = UINT64_MAX};
    uint8_t *space = malloc(TEXTS_SPACE);
    int rc = space ? 0 : -ENOMEM;

    if (options->timeout_ms)
        deadline = deadline_after_ms(options->timeout_ms);
    while (rc == 0 && !ret->is_finished) {
        unsigned left_ms = (unsigned)deadline_remaining_ms(deadline);

        if (left_ms == 0)
            rc = -ETIMEDOUT;
        else
            rc = ask(client, stage, left_ms < wait_ms ? left_ms : wait_ms, space, ret);
        if (rc == 0 && options->on_progress)
            rc = options->on_progress(options->arg, ret);
    }
    free(space);
    return rc;
}

static int failure(enum stage_direction direction,
                   const struct stage_result *result,
                   struct benchfs_error *err)
{
    const char *first = result->n_texts > 0 ? result->texts[0] : "unknown error";

    if (result->n_errors <= 1)
        return benchfs_error_set(err, EIO, "%s: %s", name_of(direction), first);
    return benchfs_error_set(err,
                             EIO,
                             "%s: %s (and %llu more)",
                             name_of(direction),
                             first,
                             (unsigned long long)(result->n_errors - 1));
}

int stage_run(struct client *client,
              enum stage_direction direction,
              const struct config_stage_list *directives,
              const struct stage_options *options,
              struct stage_result *ret,
              struct benchfs_error *err)
{
    static const struct stage_options defaults = {.daemon_progress = 0};
    uint64_t stage;
    int rc;

    options = options ? options : &defaults;
    *ret = (struct stage_result){.n_texts = 0};
    rc = start(client, direction, directives, options->daemon_progress, &stage);
    if (rc)
        return benchfs_error_set(
            err, rc, "%s: can't be started: %s", name_of(direction), strerror(-rc));
    rc = follow(client, stage, options, ret);
    if (rc)
        return benchfs_error_set(err, rc, "%s: %s", name_of(direction), strerror(-rc));
    return ret->n_errors > 0 ? failure(direction, ret, err) : 0;
}

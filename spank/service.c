/* SPDX-License-Identifier: Apache-2.0
 * Requests of the hooks to the node's daemon. */
#include "spank/service.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "proto/endpoint_table.h"
#include "proto/messages.h"
#include "proto/ops.h"
#include "transport/rpc.h"

#define TABLE_MAX        (16u << 20)
#define TEXTS_MAX        8192u
#define STAGE_POLL_MS    5000u
#define STAGE_MARGIN_MS  10000u /* for the answer to a long poll */
#define SHUTDOWN_POLL_MS 10
#define COORDINATOR      0u /* the target that counts tasks and knows of staging */

struct service_link {
    struct rpc *rpc;
    struct rpc_peer *peer;
    struct rpc_call call; /* too large for a stack of Slurm's */
    const struct job *job;
};

int service_link_open(const struct job *job,
                      unsigned timeout_ms,
                      struct service_link **ret_link,
                      struct benchfs_error *err)
{
    struct rpc_config config = {
        .job = job->id_text,
        .kind = HELLO_CONTROL,
        .request_timeout_ms = timeout_ms,
        .connect_timeout_ms = timeout_ms,
    };
    struct rpc_peer_config peer = {
        .target = RPC_TARGET_ANY, /* the daemon passes on what is for another */
        .name = "the node's daemon",
        .local_path = job->socket,
    };
    struct service_link *link = calloc(1, sizeof(*link));
    int status = link ? 0 : -ENOMEM;

    while (status == 0 && config.client == 0)
        status = random_u64(&config.client);
    if (status < 0) {
        benchfs_error_set(err, status, "%s", strerror(-status));
    } else {
        link->job = job;
        status = rpc_create(&config, &link->rpc, err);
    }
    if (status == 0)
        status = rpc_peer_create(link->rpc, &peer, &link->peer, err);
    if (status < 0) {
        service_link_close(link);
        return status;
    }
    *ret_link = link;
    return 0;
}

void service_link_close(struct service_link *link)
{
    if (!link)
        return;
    if (link->peer)
        rpc_peer_destroy(link->peer);
    rpc_destroy(link->rpc);
    free(link);
}

/* The call is zeroed first: fill in payload and timeout in `call`, never the rest. */
static int link_call(struct service_link *link,
                     const char *what,
                     uint16_t opcode,
                     const void *body,
                     size_t body_len,
                     const struct rpc_call *options,
                     struct benchfs_error *err)
{
    struct rpc_call *call = &link->call;
    int status;

    memset(call, 0, sizeof(*call));
    call->opcode = opcode;
    call->target = COORDINATOR;
    call->body = body;
    call->body_len = body_len;
    if (options) {
        call->send = options->send;
        call->n_send = options->n_send;
        call->recv = options->recv;
        call->n_recv = options->n_recv;
        call->timeout_ms = options->timeout_ms;
    }
    status = rpc_call_sync(link->peer, call);
    if (status == 0)
        status = call->status;
    if (status < 0)
        benchfs_error_set(
            err, status, "%s: %s: %s", link->job->socket, what, strerror(-status));
    return status;
}

static int protocol_error(const struct service_link *link,
                          const char *what,
                          struct benchfs_error *err)
{
    return benchfs_error_set(
        err, EPROTO, "%s: %s: malformed answer", link->job->socket, what);
}

int service_table_get(struct service_link *link,
                      struct bytes *table,
                      uint32_t *ret_n_targets,
                      struct benchfs_error *err)
{
    struct endpoint_table decoded;
    struct rpc_call options = {.n_recv = 1};
    struct iovec space;
    int status = bytes_reserve(table, TABLE_MAX);

    if (status < 0)
        return benchfs_error_set(err, status, "%s", strerror(-status));
    space = (struct iovec){table->data + table->size, TABLE_MAX};
    options.recv = &space;
    status = link_call(link, "endpoint table", OP_TABLE, NULL, 0, &options, err);
    if (status < 0)
        return status;
    status = endpoint_table_decode(&decoded, space.iov_base, link->call.received, err);
    if (status < 0)
        return status;
    *ret_n_targets = decoded.n_endpoints;
    endpoint_table_fini(&decoded);
    table->size += link->call.received;
    return 0;
}

int service_task_exit(struct service_link *link,
                      uint32_t step,
                      uint32_t task,
                      uint32_t n_tasks,
                      int wait_status,
                      bool *ret_is_last,
                      struct benchfs_error *err)
{
    struct msg_task_exit_request request = {
        .step = step, .task = task, .n_tasks = n_tasks, .status = wait_status};
    struct msg_task_exit_reply reply;
    uint8_t body[MSG_task_exit_request_MAX];
    size_t length = msg_task_exit_request_encode(&request, body, sizeof(body));
    int status = link_call(link, "task exit", OP_TASK_EXIT, body, length, NULL, err);

    if (status < 0)
        return status;
    if (msg_task_exit_reply_decode(&reply, link->call.reply, link->call.reply_len) < 0)
        return protocol_error(link, "task exit", err);
    *ret_is_last = reply.is_last != 0;
    return 0;
}

static struct wire_text text_of(const char *text)
{
    return (struct wire_text){.data = text, .len = (uint16_t)strlen(text)};
}

static int directives_encode(const struct config_stage_list *list,
                             struct bytes *payload)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct config_stage *item = &list->items[i];
        /* Paths are below PATH_MAX: the configuration has checked them. */
        size_t size = 2 + strlen(item->source) + 2 + strlen(item->target);
        int status = bytes_reserve(payload, size);
        struct wire_writer writer;

        if (status < 0)
            return status;
        writer = (struct wire_writer){.data = payload->data + payload->size,
                                      .capacity = size};
        wire_put_text(&writer, text_of(item->source));
        wire_put_text(&writer, text_of(item->target));
        payload->size += writer.length;
    }
    return 0;
}

static int stage_start(struct service_link *link,
                       const struct config_stage_list *directives,
                       bool has_terminal,
                       uint64_t *ret_stage,
                       struct benchfs_error *err)
{
    struct msg_stage_start_request request = {
        .direction = STAGE_OUT,
        .progress = has_terminal ? 2 : 1,
        .n_directives = (uint32_t)directives->count,
    };
    struct msg_stage_start_reply reply;
    uint8_t body[MSG_stage_start_request_MAX];
    size_t length = msg_stage_start_request_encode(&request, body, sizeof(body));
    struct bytes payload = BYTES_INIT(WIRE_PAYLOAD_MAX);
    struct rpc_call options = {.n_send = 1};
    struct iovec send;
    int status = directives_encode(directives, &payload);

    send = (struct iovec){payload.data, payload.size};
    options.send = &send;
    if (status < 0)
        benchfs_error_set(err, status, "stage-out: %s", strerror(-status));
    else
        status =
            link_call(link, "stage-out", OP_STAGE_START, body, length, &options, err);
    bytes_fini(&payload);
    if (status < 0)
        return status;
    if (msg_stage_start_reply_decode(&reply, link->call.reply, link->call.reply_len)
        < 0)
        return protocol_error(link, "stage-out", err);
    *ret_stage = reply.stage;
    return 0;
}

static int stage_result(const struct msg_stage_wait_reply *reply,
                        const uint8_t *texts,
                        size_t size,
                        struct benchfs_error *err)
{
    struct wire_reader reader = {.data = texts, .length = size};
    struct wire_text first = {.data = "", .len = 0};

    if (reply->n_errors == 0)
        return 0;
    if (reply->n_texts > 0)
        first = wire_get_text(&reader, WIRE_TEXT_MAX);
    if (reader.failed)
        first = (struct wire_text){.data = "", .len = 0};
    return benchfs_error_set(err,
                             EIO,
                             "stage-out: %" PRIu64 " could not be copied: %.*s",
                             reply->n_errors,
                             (int)first.len,
                             first.data);
}

static int
stage_wait(struct service_link *link, uint64_t stage, struct benchfs_error *err)
{
    struct msg_stage_wait_request request = {.stage = stage,
                                             .timeout_ms = STAGE_POLL_MS};
    struct msg_stage_wait_reply reply = {.finished = 0};
    uint8_t body[MSG_stage_wait_request_MAX];
    size_t length = msg_stage_wait_request_encode(&request, body, sizeof(body));
    uint8_t texts[TEXTS_MAX];
    struct iovec space = {texts, sizeof(texts)};
    struct rpc_call options = {
        .recv = &space, .n_recv = 1, .timeout_ms = STAGE_POLL_MS + STAGE_MARGIN_MS};

    /* No limit in all, each answer has one: a copy takes as long as it takes, and
     * scancel ends the daemons, which ends this. */
    while (!reply.finished) {
        int status =
            link_call(link, "stage-out", OP_STAGE_WAIT, body, length, &options, err);

        if (status < 0)
            return status;
        if (msg_stage_wait_reply_decode(&reply, link->call.reply, link->call.reply_len)
            < 0)
            return protocol_error(link, "stage-out", err);
    }
    return stage_result(&reply, texts, link->call.received, err);
}

int service_stage_out(struct service_link *link,
                      const struct config_stage_list *directives,
                      bool has_terminal,
                      struct benchfs_error *err)
{
    uint64_t stage;
    int status;

    if (directives->count == 0)
        return 0;
    status = stage_start(link, directives, has_terminal, &stage, err);
    return status < 0 ? status : stage_wait(link, stage, err);
}

int service_shutdown(struct service_link *link,
                     unsigned timeout_ms,
                     struct benchfs_error *err)
{
    struct deadline deadline = deadline_after_ms(timeout_ms);
    int status = link_call(link, "shutdown", OP_SHUTDOWN, NULL, 0, NULL, err);

    /* Its end may be faster than its answer, which comes by way of target 0. */
    if (status == -EHOSTDOWN)
        status = 0;
    /* The socket's name goes with the daemon. */
    while (status == 0 && access(link->job->socket, F_OK) == 0
           && !deadline_expired(deadline))
        poll(NULL, 0, SHUTDOWN_POLL_MS);
    return status;
}

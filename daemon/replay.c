/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/replay.h"

#include <errno.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "daemon/session.h"

static bool is_once(const struct shard *shard, const struct wire_header *header)
{
    return header->slot != 0 && header->target == shard->target
           && (op_find(header->opcode)->flags & OP_ONCE);
}

static uint64_t running_key(const struct wire_header *header)
{
    return hash_u64(header->client
                    ^ hash_u64(header->request ^ hash_u64(header->slot)));
}

static bool is_same(const struct wire_header *a, const struct wire_header *b)
{
    return a->client == b->client && a->request == b->request && a->slot == b->slot;
}

static void refuse(struct rpc_request *request, int status)
{
    rpc_request_reply(request, status, NULL, 0, NULL, 0, NULL, NULL);
}

/* The connection of the first is gone, or it would not have been sent again. */
static void attach(struct op *op, struct rpc_request *request)
{
    if (op->again)
        refuse(op->again, -ENOTCONN);
    op->again = request;
}

static void answer_again(struct shard *shard, struct rpc_request *request)
{
    const struct wire_header *header = &request->header;
    struct store_reply reply;
    int rc = store_reply_get(shard->store, header->client, header->slot, &reply);

    if (rc == 0 && (reply.request != header->request || reply.opcode != header->opcode))
        rc = -EUCLEAN;
    if (rc)
        log_error("client %016llx, slot %u: no answer of request %llu: %s",
                  (unsigned long long)header->client,
                  header->slot,
                  (unsigned long long)header->request,
                  strerror(-rc));
    if (rc)
        refuse(request, rc == -ENOENT ? -EUCLEAN : rc);
    else
        rpc_request_reply(request, 0, reply.body, reply.body_len, NULL, 0, NULL, NULL);
}

bool replay_take(struct shard *shard, struct rpc_request *request)
{
    const struct wire_header *header = &request->header;
    struct op *running;
    uint64_t last;

    if (!is_once(shard, header)) {
        if (!header->asks_only || header->target != shard->target)
            return false;
        refuse(request, -ENODATA);
        return true;
    }
    running = table_get(&shard->running, running_key(header));
    if (running && is_same(&running->request->header, header)) {
        attach(running, request);
        return true;
    }
    last = session_reply_get(shard, header->client, header->slot);
    if (header->request > last && !header->asks_only)
        return false;
    if (header->request > last)
        refuse(request, -ENODATA); /* and it never will be: requests come in order */
    else if (header->request == last)
        answer_again(shard, request);
    else
        refuse(request, -EALREADY); /* late: the slot has been used since */
    return true;
}

int replay_start(struct op *op)
{
    struct shard *shard = op->shard;
    int rc;

    if (!is_once(shard, &op->request->header))
        return 0;
    rc = table_put(&shard->running, running_key(&op->request->header), op);
    op->is_once = rc == 0;
    return rc == -EEXIST ? -EAGAIN : rc; /* another request with the same hash */
}

int replay_record(struct op *op)
{
    const struct wire_header *header = &op->request->header;
    struct store_reply reply = {
        .opcode = header->opcode,
        .request = header->request,
        .body = op->body,
        .body_len = op->body_len,
    };
    int rc;

    if (!op->is_once || op->status || op->is_recorded
        || session_reply_get(op->shard, header->client, header->slot) > header->request)
        return 0;
    rc = session_note_state(op->shard, header->client);
    if (rc == 0)
        rc = store_reply_put(op->shard->store, header->client, header->slot, &reply);
    op->is_recorded = rc == 0;
    return rc;
}

/* The first one's payload was lost with its connection, and nothing was done. */
static bool must_run_again(const struct op *op)
{
    return op->status && op->request->header.payload_len > 0
           && !op->request->connection;
}

void replay_end(struct op *op)
{
    const struct wire_header *header = &op->request->header;
    struct shard *shard = op->shard;
    struct rpc_request *again = op->again;

    if (!op->is_once)
        return;
    table_remove(&shard->running, running_key(header));
    if (op->status == 0
        && session_reply_set(shard, header->client, header->slot, header->request))
        log_error("client %016llx: no memory for its answers",
                  (unsigned long long)header->client);
    op->again = NULL;
    if (again && must_run_again(op))
        list_push_back(&shard->incoming, &again->link);
    else if (again)
        rpc_request_reply(
            again, op->status, op->body, op->body_len, NULL, 0, NULL, NULL);
}

static int load_one(void *arg, uint64_t client, uint16_t slot, uint64_t request)
{
    return session_reply_set(arg, client, slot, request);
}

int replay_load(struct shard *shard)
{
    return store_reply_scan(shard->store, load_one, shard);
}

void replay_client_gone(struct shard *shard, uint64_t client)
{
    int rc = store_reply_remove_all(shard->store, client);

    if (rc)
        log_error("client %016llx: can't remove its answers: %s",
                  (unsigned long long)client,
                  strerror(-rc));
}

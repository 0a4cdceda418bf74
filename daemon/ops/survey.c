/* SPDX-License-Identifier: Apache-2.0
 *
 * SURVEY: this target's records, for a check of the whole file system.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/intent.h"
#include "daemon/ops/ops.h"
#include "daemon/session.h"
#include "daemon/survey.h"

#define SPACE_MAX (256u << 10)

static bool is_open(void *arg, uint64_t ino)
{
    return session_inode(arg, ino) != NULL;
}

/* The position as the client keeps it: the part, then the key. */
static int position_decode(struct survey *survey, struct wire_text from)
{
    if (from.len == 0)
        return 0;
    if (from.len > 1 + sizeof(survey->position.key))
        return -EINVAL;
    survey->part = (uint8_t)from.data[0];
    survey->position.len = from.len - 1;
    memcpy(survey->position.key, from.data + 1, survey->position.len);
    return survey->part > 1 ? -EINVAL : 0;
}

int op_survey(struct op *op)
{
    char next[1 + STORE_KEY_MAX];
    struct msg_survey_reply reply = {.n_records = 0};
    struct survey survey = {
        .store = op->shard->store, .is_open = is_open, .arg = op->shard};
    struct msg_survey_request m;
    size_t space = op->request->header.reply_space;
    int rc;

    OP_DECODE(op, survey_request, &m);
    if (m.table >= SURVEY_N_TABLES)
        return -EINVAL;
    if (!op->fiber)
        return OP_NEEDS_FIBER;
    rc = op_commit(op); /* what is looked at is in no batch half done */
    if (rc)
        return rc;
    if (space > SPACE_MAX)
        space = SPACE_MAX;
    op->payload_memory = malloc(space + 1);
    op->payload = calloc(1, sizeof(*op->payload));
    if (!op->payload_memory || !op->payload)
        return -ENOMEM;
    survey.table = (enum survey_table)m.table;
    survey.writer = (struct wire_writer){.data = op->payload_memory, .capacity = space};
    rc = position_decode(&survey, m.from);
    if (rc == 0)
        rc = survey_fill(&survey);
    if (rc < 0)
        return rc;
    if (rc > 0) {
        next[0] = (char)survey.part;
        memcpy(next + 1, survey.position.key, survey.position.len);
        reply.next = (struct wire_text){next, (uint16_t)(1 + survey.position.len)};
    }
    reply.n_records = survey.n_records;
    op->payload[0] = (struct iovec){op->payload_memory, survey.writer.length};
    op->n_payload = survey.writer.length > 0;
    return OP_REPLY(op, survey_reply, &reply);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/round.h"

#include <errno.h>
#include <stdlib.h>

#include "proto/wire.h"

#define HEADER_SIZE 5u

int round_record_encode(const struct round_record *record, struct bytes *out)
{
    struct wire_writer w;
    int rc = bytes_reserve(out, HEADER_SIZE);

    if (rc)
        return rc;
    w = (struct wire_writer){.data = out->data + out->size, .capacity = HEADER_SIZE};
    wire_put_u8(&w, record->verdict);
    wire_put_u32(&w, record->value);
    out->size += HEADER_SIZE;
    return record->len ? bytes_append(out, record->data, record->len) : 0;
}

int round_record_decode(struct round_record *ret, const void *data, size_t len)
{
    struct wire_reader r = {.data = data, .length = len};
    struct round_record record;

    record.verdict = wire_get_u8(&r);
    record.value = wire_get_u32(&r);
    if (r.failed || record.verdict < ROUND_OK || record.verdict > ROUND_HELD)
        return -EPROTO;
    record.data = r.data + r.position;
    record.len = len - r.position;
    *ret = record;
    return 0;
}

static int result_init(struct round_result *result, uint32_t n)
{
    *result = (struct round_result){
        .n = n,
        .buffers = calloc(n, sizeof(*result->buffers)),
        .records = calloc(n, sizeof(*result->records)),
    };
    if (!result->buffers || !result->records)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++)
        bytes_init(&result->buffers[i], BOOTSTRAP_RECORD_MAX);
    return 0;
}

void round_result_fini(struct round_result *result)
{
    for (uint32_t i = 0; result->buffers && i < result->n; i++)
        bytes_fini(&result->buffers[i]);
    free(result->buffers);
    free(result->records);
    *result = (struct round_result){.n = 0};
}

static int
result_decode(struct round_result *result, uint32_t self, struct benchfs_error *err)
{
    for (uint32_t i = 0; i < result->n; i++) {
        int rc = round_record_decode(
            &result->records[i], result->buffers[i].data, result->buffers[i].size);

        if (rc)
            return benchfs_error_set(
                err, -rc, "bad record of the daemon of node %u", i);
    }
    for (uint32_t i = 0; i < result->n; i++) {
        const struct round_record *record = &result->records[i];

        if (record->verdict == ROUND_FAILED && i != self)
            return benchfs_error_set(err,
                                     ECONNABORTED,
                                     "the daemon of node %u has failed: %.*s",
                                     i,
                                     (int)record->len,
                                     (const char *)record->data);
    }
    return 0;
}

int round_run(struct bootstrap *bootstrap,
              const struct round_record *mine,
              struct deadline deadline,
              struct round_result *ret,
              struct benchfs_error *err)
{
    struct bytes record = BYTES_INIT(BOOTSTRAP_RECORD_MAX);
    int rc = result_init(ret, bootstrap_size(bootstrap));

    if (rc == 0)
        rc = round_record_encode(mine, &record);
    if (rc)
        benchfs_error_set(err, -rc, "a record for the other daemons: out of memory");
    else
        rc = bootstrap_exchange(
            bootstrap, record.data, record.size, ret->buffers, deadline, err);
    if (rc == 0)
        rc = result_decode(ret, bootstrap_rank(bootstrap), err);
    bytes_fini(&record);
    return rc;
}

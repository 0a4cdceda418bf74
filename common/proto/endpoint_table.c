/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/endpoint_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/placement.h"
#include "proto/wire.h"

#define TABLE_MAGIC    0x54534642u /* "BFST" */
#define RECORD_MAGIC   0x52534642u /* "BFSR" */
#define FORMAT_VERSION 1
#define ENDPOINT_MIN   32u /* bytes of an endpoint with all texts empty */
#define ENDPOINT_MAX                                                                   \
    (ENDPOINT_MIN + ENDPOINT_ADDRESS_MAX + ENDPOINT_SOCKET_MAX + ENDPOINT_PATH_MAX     \
     + ENDPOINT_HOST_MAX)
#define TABLE_FIXED_MAX 256u

static struct wire_text text_of(const void *data, size_t len)
{
    return (struct wire_text){.data = data ? data : "", .len = (uint16_t)len};
}

static struct wire_text text_of_string(const char *string)
{
    return text_of(string, string ? strlen(string) : 0);
}

static void endpoint_put(struct wire_writer *w, const struct endpoint *e)
{
    wire_put_u32(w, e->node);
    wire_put_u32(w, e->shard);
    wire_put_u64(w, e->instance);
    wire_put_u64(w, e->host);
    wire_put_text(w, text_of_string(e->host_name));
    wire_put_text(w, text_of_string(e->local_path));
    wire_put_text(w, text_of(e->socket_address, e->socket_address_len));
    wire_put_text(w, text_of(e->worker_address, e->worker_address_len));
}

static char *string_dup(struct wire_text text)
{
    return memchr(text.data, '\0', text.len) ? NULL : strndup(text.data, text.len);
}

static int address_dup(struct wire_text text, uint8_t **ret, uint16_t *ret_len)
{
    *ret = NULL;
    *ret_len = text.len;
    if (text.len == 0)
        return 0;
    *ret = malloc(text.len);
    if (!*ret)
        return -ENOMEM;
    memcpy(*ret, text.data, text.len);
    return 0;
}

/* A text that becomes a string: the reader fails if there is a NUL in it. */
static struct wire_text string_get(struct wire_reader *r, uint16_t max)
{
    struct wire_text text = wire_get_text(r, max);

    if (text.len > 0 && memchr(text.data, '\0', text.len))
        r->failed = true;
    return text;
}

static int endpoint_get(struct wire_reader *r, struct endpoint *ret)
{
    struct wire_text host_name, local_path, socket_address, worker_address;

    ret->node = wire_get_u32(r);
    ret->shard = wire_get_u32(r);
    ret->instance = wire_get_u64(r);
    ret->host = wire_get_u64(r);
    host_name = string_get(r, ENDPOINT_HOST_MAX);
    local_path = string_get(r, ENDPOINT_PATH_MAX);
    socket_address = wire_get_text(r, ENDPOINT_SOCKET_MAX);
    worker_address = wire_get_text(r, ENDPOINT_ADDRESS_MAX);
    if (r->failed)
        return -EPROTO;
    ret->host_name = string_dup(host_name);
    ret->local_path = string_dup(local_path);
    if (!ret->host_name || !ret->local_path)
        return -EPROTO;
    if (address_dup(socket_address, &ret->socket_address, &ret->socket_address_len)
        || address_dup(worker_address, &ret->worker_address, &ret->worker_address_len))
        return -ENOMEM;
    return 0;
}

static int endpoints_get(struct wire_reader *r, uint32_t n, struct endpoint **ret)
{
    struct endpoint *endpoints;
    int rc;

    if (r->failed || n == 0 || n > PLACEMENT_TARGETS_MAX
        || (r->length - r->position) / ENDPOINT_MIN < n)
        return -EPROTO;
    endpoints = calloc(n, sizeof(*endpoints));
    if (!endpoints)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++) {
        rc = endpoint_get(r, &endpoints[i]);
        if (rc)
            goto fail;
    }
    rc = wire_reader_finish(r);
    if (rc)
        goto fail;
    *ret = endpoints;
    return 0;

fail:
    endpoint_list_free(endpoints, n);
    return rc;
}

void endpoint_list_free(struct endpoint *endpoints, uint32_t n)
{
    if (!endpoints)
        return;
    for (uint32_t i = 0; i < n; i++) {
        free(endpoints[i].host_name);
        free(endpoints[i].local_path);
        free(endpoints[i].socket_address);
        free(endpoints[i].worker_address);
    }
    free(endpoints);
}

void endpoint_table_fini(struct endpoint_table *table)
{
    endpoint_list_free(table->endpoints, table->n_endpoints);
    table->endpoints = NULL;
    table->n_endpoints = 0;
}

/* Reserves room for the longest encoding, so that the writer can't fail. */
static int writer_open(struct bytes *out, uint32_t n_endpoints, struct wire_writer *w)
{
    size_t room = TABLE_FIXED_MAX + (size_t)n_endpoints * ENDPOINT_MAX;
    size_t left = out->limit > out->size ? out->limit - out->size : 0;
    int rc;

    if (room > left)
        room = left;
    rc = bytes_reserve(out, room);
    if (rc)
        return rc;
    *w = (struct wire_writer){.data = out->data + out->size, .capacity = room};
    return 0;
}

static int writer_close(struct bytes *out, const struct wire_writer *w)
{
    if (w->failed)
        return -EMSGSIZE;
    out->size += w->length;
    return 0;
}

int endpoint_table_encode(const struct endpoint_table *table, struct bytes *out)
{
    struct wire_writer w;
    int rc = writer_open(out, table->n_endpoints, &w);

    if (rc)
        return rc;
    wire_put_u32(&w, TABLE_MAGIC);
    wire_put_u16(&w, FORMAT_VERSION);
    wire_put_text(&w, text_of_string(table->job));
    wire_put_u32(&w, table->uid);
    wire_put_u32(&w, table->gid);
    wire_put_u32(&w, table->n_nodes);
    wire_put_u32(&w, table->chunk_size);
    wire_put_u8(&w, table->connection_mode);
    wire_put_u32(&w, table->request_timeout_ms);
    wire_put_u32(&w, table->connect_timeout_ms);
    wire_put_u32(&w, table->n_endpoints);
    for (uint32_t i = 0; i < table->n_endpoints; i++)
        endpoint_put(&w, &table->endpoints[i]);
    return writer_close(out, &w);
}

static int table_check(const struct endpoint_table *table, struct benchfs_error *err)
{
    if (table->n_nodes == 0 || table->n_nodes > table->n_endpoints)
        return benchfs_error_set(err,
                                 EPROTO,
                                 "endpoint table: %u nodes with %u targets",
                                 table->n_nodes,
                                 table->n_endpoints);
    if (table->chunk_size < 4096 || table->chunk_size > WIRE_PAYLOAD_MAX
        || (table->chunk_size & (table->chunk_size - 1)) != 0)
        return benchfs_error_set(
            err, EPROTO, "endpoint table: chunk size %u", table->chunk_size);
    for (uint32_t i = 0; i < table->n_endpoints; i++) {
        if (table->endpoints[i].node >= table->n_nodes)
            return benchfs_error_set(err,
                                     EPROTO,
                                     "endpoint table: target %u on node %u of %u",
                                     i,
                                     table->endpoints[i].node,
                                     table->n_nodes);
    }
    return 0;
}

int endpoint_table_decode(struct endpoint_table *ret,
                          const void *data,
                          size_t len,
                          struct benchfs_error *err)
{
    struct wire_reader r = {.data = data, .length = len};
    struct endpoint_table table = {.n_endpoints = 0};
    struct wire_text job;
    uint32_t n;
    int rc;

    if (wire_get_u32(&r) != TABLE_MAGIC)
        return benchfs_error_set(err, EPROTO, "not an endpoint table");
    if (wire_get_u16(&r) != FORMAT_VERSION)
        return benchfs_error_set(
            err, EPROTONOSUPPORT, "endpoint table of another version of BenchFS");
    job = string_get(&r, sizeof(table.job) - 1);
    memcpy(table.job, job.data, job.len);
    table.uid = wire_get_u32(&r);
    table.gid = wire_get_u32(&r);
    table.n_nodes = wire_get_u32(&r);
    table.chunk_size = wire_get_u32(&r);
    table.connection_mode = wire_get_u8(&r);
    table.request_timeout_ms = wire_get_u32(&r);
    table.connect_timeout_ms = wire_get_u32(&r);
    n = wire_get_u32(&r);
    rc = endpoints_get(&r, n, &table.endpoints);
    if (rc)
        return benchfs_error_set(err, -rc, "endpoint table: damaged or out of memory");
    table.n_endpoints = n;
    rc = table_check(&table, err);
    if (rc) {
        endpoint_table_fini(&table);
        return rc;
    }
    *ret = table;
    return 0;
}

int endpoint_record_encode(const struct endpoint *endpoints,
                           uint32_t n,
                           struct bytes *out)
{
    struct wire_writer w;
    int rc = writer_open(out, n, &w);

    if (rc)
        return rc;
    wire_put_u32(&w, RECORD_MAGIC);
    wire_put_u16(&w, FORMAT_VERSION);
    wire_put_u32(&w, n);
    for (uint32_t i = 0; i < n; i++)
        endpoint_put(&w, &endpoints[i]);
    return writer_close(out, &w);
}

int endpoint_record_decode(struct endpoint **ret_endpoints,
                           uint32_t *ret_n,
                           const void *data,
                           size_t len,
                           struct benchfs_error *err)
{
    struct wire_reader r = {.data = data, .length = len};
    uint32_t n;
    int rc;

    if (wire_get_u32(&r) != RECORD_MAGIC)
        return benchfs_error_set(err, EPROTO, "not an endpoint record");
    if (wire_get_u16(&r) != FORMAT_VERSION)
        return benchfs_error_set(
            err, EPROTONOSUPPORT, "endpoint record of another version of BenchFS");
    n = wire_get_u32(&r);
    rc = endpoints_get(&r, n, ret_endpoints);
    if (rc)
        return benchfs_error_set(err, -rc, "endpoint record: damaged or out of memory");
    *ret_n = n;
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table_json.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* JSON's numbers don't hold 64 bits everywhere. */
static struct json *hex_make(uint64_t value)
{
    char text[17];

    snprintf(text, sizeof(text), "%016" PRIx64, value);
    return json_make_string(text);
}

/* "10.0.0.1:4711", "[fd00::1]:4711" */
static struct json *socket_address_make(const uint8_t *bytes, size_t len)
{
    char ip[INET6_ADDRSTRLEN] = "", text[INET6_ADDRSTRLEN + 16] = "";
    struct sockaddr_in6 v6;
    struct sockaddr_in v4;

    if (len == sizeof(v4)) {
        memcpy(&v4, bytes, sizeof(v4));
        inet_ntop(AF_INET, &v4.sin_addr, ip, sizeof(ip));
        snprintf(text, sizeof(text), "%s:%u", ip, ntohs(v4.sin_port));
    } else if (len == sizeof(v6)) {
        memcpy(&v6, bytes, sizeof(v6));
        inet_ntop(AF_INET6, &v6.sin6_addr, ip, sizeof(ip));
        snprintf(text, sizeof(text), "[%s]:%u", ip, ntohs(v6.sin6_port));
    }
    return json_make_string(text);
}

static struct json *bytes_make(const uint8_t *bytes, size_t len)
{
    char *text = malloc(2 * len + 1);
    struct json *json;

    if (!text)
        return NULL;
    text[0] = '\0';
    for (size_t i = 0; i < len; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    json = json_make_string(text);
    free(text);
    return json;
}

static int endpoint_put(struct json *array, const struct endpoint *e, uint32_t target)
{
    struct json *object = json_make_object();
    int rc = json_append(array, object);

    rc = rc ? rc : json_set(object, "target", json_make_u64(target));
    rc = rc ? rc : json_set(object, "node", json_make_u64(e->node));
    rc = rc ? rc : json_set(object, "shard", json_make_u64(e->shard));
    rc = rc ? rc : json_set(object, "instance", hex_make(e->instance));
    rc = rc ? rc : json_set(object, "host", hex_make(e->host));
    rc = rc ? rc
            : json_set(object,
                       "host_name",
                       json_make_string(e->host_name ? e->host_name : ""));
    rc = rc ? rc
            : json_set(object,
                       "local_path",
                       json_make_string(e->local_path ? e->local_path : ""));
    if (rc == 0 && e->socket_address_len)
        rc = json_set(object,
                      "socket_address",
                      socket_address_make(e->socket_address, e->socket_address_len));
    if (rc == 0 && e->worker_address_len)
        rc = json_set(object,
                      "worker_address",
                      bytes_make(e->worker_address, e->worker_address_len));
    return rc;
}

static int table_put(struct json *object, const struct endpoint_table *table)
{
    const char *mode =
        table->connection_mode == CONNECTION_ADDRESS ? "address" : "socket";
    struct json *endpoints = json_make_array();
    int rc = json_set(object, "job", json_make_string(table->job));

    rc = rc ? rc : json_set(object, "uid", json_make_u64(table->uid));
    rc = rc ? rc : json_set(object, "gid", json_make_u64(table->gid));
    rc = rc ? rc : json_set(object, "n_nodes", json_make_u64(table->n_nodes));
    rc = rc ? rc
            : json_set(object, "chunk_size_bytes", json_make_u64(table->chunk_size));
    rc = rc ? rc : json_set(object, "connection_mode", json_make_string(mode));
    rc = rc ? rc
            : json_set(
                object, "request_timeout_ms", json_make_u64(table->request_timeout_ms));
    rc = rc ? rc
            : json_set(
                object, "connect_timeout_ms", json_make_u64(table->connect_timeout_ms));
    if (rc) {
        json_destroy(endpoints);
        return rc;
    }
    rc = json_set(object, "endpoints", endpoints);
    for (uint32_t i = 0; rc == 0 && i < table->n_endpoints; i++)
        rc = endpoint_put(endpoints, &table->endpoints[i], i);
    return rc;
}

struct json *table_json_make(const struct endpoint_table *table)
{
    struct json *object = json_make_object();

    if (object && table_put(object, table)) {
        json_destroy(object);
        object = NULL;
    }
    return object;
}

/* SPDX-License-Identifier: Apache-2.0
 * A server process that has died is started again: on its store, its sockets and its
 * ports, so that clients and the other daemons find it where it was. */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "supervisor/supervisor_impl.h"

#define WINDOW_NS (60 * CLOCK_NS_PER_SEC)

static unsigned endpoint_port(const struct endpoint *endpoint)
{
    const void *address = endpoint->socket_address;
    struct sockaddr_storage storage = {.ss_family = AF_UNSPEC};

    if (endpoint->socket_address_len > sizeof(storage))
        return 0;
    if (endpoint->socket_address_len > 0)
        memcpy(&storage, address, endpoint->socket_address_len);
    if (storage.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)&storage)->sin_port);
    if (storage.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&storage)->sin6_port);
    return 0;
}

/* "4711,4712": where the node's shards listened, 0 for none. */
static char *ports_text(const struct supervisor *supervisor,
                        const struct endpoint_table *table)
{
    uint32_t first = bootstrap_rank(supervisor->bootstrap) * supervisor->n_shards;
    char *text = malloc(supervisor->n_shards * 6 + 1);
    size_t len = 0;

    for (uint32_t i = 0; text && i < supervisor->n_shards; i++)
        len += (size_t)sprintf(text + len,
                               "%s%u",
                               i > 0 ? "," : "",
                               endpoint_port(&table->endpoints[first + i]));
    return text;
}

/* The node's endpoints as they are now: a new instance, new worker addresses. */
static int table_renew(struct supervisor *supervisor,
                       struct endpoint_table *table,
                       const struct bytes *record,
                       struct benchfs_error *err)
{
    uint32_t first = bootstrap_rank(supervisor->bootstrap) * supervisor->n_shards;
    struct endpoint *endpoints;
    uint32_t n;
    int rc = endpoint_record_decode(&endpoints, &n, record->data, record->size, err);

    if (rc)
        return rc;
    if (n != supervisor->n_shards) {
        endpoint_list_free(endpoints, n);
        return benchfs_error_set(err, EPROTO, "%u shards, not %u", n, first);
    }
    for (uint32_t i = 0; i < n; i++) {
        struct endpoint old = table->endpoints[first + i];

        table->endpoints[first + i] = endpoints[i];
        endpoints[i] = old;
    }
    endpoint_list_free(endpoints, n);
    bytes_clear(&supervisor->table);
    rc = endpoint_table_encode(table, &supervisor->table);
    return rc ? benchfs_error_set(err, -rc, "endpoint table: %s", strerror(-rc)) : 0;
}

static int server_again(struct supervisor *supervisor, struct benchfs_error *err)
{
    struct bytes record = BYTES_INIT(BOOTSTRAP_RECORD_MAX);
    struct endpoint_table table;
    char *ports;
    int rc = endpoint_table_decode(
        &table, supervisor->table.data, supervisor->table.size, err);

    if (rc)
        return rc;
    ports = ports_text(supervisor, &table);
    if (!ports)
        rc = benchfs_error_set(err, ENOMEM, "out of memory");
    child_fini(&supervisor->server);
    supervisor->server = (struct child)CHILD_INIT("server process");
    if (rc == 0)
        rc = server_child_start(supervisor, ports, &record, err);
    if (rc == 0)
        rc = table_renew(supervisor, &table, &record, err);
    if (rc == 0)
        rc = server_child_connect(supervisor, &supervisor->table, err);
    free(ports);
    endpoint_table_fini(&table);
    bytes_fini(&record);
    return rc;
}

/* Of the last minute; the one that is about to be made counts. */
static uint64_t restarts_count(struct supervisor *supervisor)
{
    uint64_t now_ns = clock_now_ns();

    if (supervisor->n_restarts == 0
        || now_ns - supervisor->restarts_since_ns > WINDOW_NS) {
        supervisor->n_restarts = 0;
        supervisor->restarts_since_ns = now_ns;
    }
    return ++supervisor->n_restarts;
}

int server_child_restart(struct supervisor *supervisor, struct benchfs_error *err)
{
    uint64_t limit = supervisor->config->restart_limit;
    uint64_t start_ns = clock_now_ns();
    int rc = -ECHILD;

    while (rc == -ECHILD && restarts_count(supervisor) <= limit) {
        log_warn("%s; it is started again (%" PRIu64 " of at most %" PRIu64
                 " times in a minute)",
                 err->text,
                 supervisor->n_restarts,
                 limit);
        *err = (struct benchfs_error)BENCHFS_ERROR_INIT;
        supervisor->start_deadline =
            deadline_after_ms(supervisor->config->start_timeout_ms);
        rc = server_again(supervisor, err);
    }
    /* a step is ended process by process: the server may hear of it first */
    if (rc && supervisor->stop_signal)
        return -ESHUTDOWN;
    if (rc) {
        benchfs_error_prefix(err, "the service can't go on: ");
        return rc;
    }
    log_warn("the server process serves again after %.0f ms",
             (double)(clock_now_ns() - start_ns) / CLOCK_NS_PER_MS);
    return 0;
}

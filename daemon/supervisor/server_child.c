/* SPDX-License-Identifier: Apache-2.0
 * The node's server process: started with all it must know, heard, ended. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/random.h"
#include "control/control.h"
#include "launch/arguments.h"
#include "launch/program.h"
#include "supervisor/address.h"
#include "supervisor/supervisor_impl.h"
#include "supervisor/words.h"

/* A message whose first byte is there. */
#define MESSAGE_MS 5000
/* The server finishes what is in progress. */
#define STOP_MS  10000
#define GRACE_MS 3000

/* Empty text: nobody outside of this machine is to reach the daemon. */
static int listen_address(const struct supervisor *supervisor,
                          char text[ADDRESS_TEXT_MAX],
                          struct benchfs_error *err)
{
    const char *interface = supervisor->config->interface;
    bool is_embedded = bootstrap_is_embedded(supervisor->bootstrap);
    bool is_remote = !is_embedded && bootstrap_size(supervisor->bootstrap) > 1;

    text[0] = '\0';
    if (is_embedded || (!is_remote && !interface[0]))
        return 0;
    return address_choose(interface, is_remote, text, err);
}

static int arguments_fill(const struct supervisor *supervisor,
                          const char *restart_ports,
                          struct arguments *arguments,
                          struct benchfs_error *err)
{
    const struct supervisor_options *options = supervisor->options;
    char address[ADDRESS_TEXT_MAX];
    uint64_t instance;
    char *config;
    int rc = listen_address(supervisor, address, err);

    if (rc)
        return rc;
    rc = random_u64(&instance);
    if (rc == 0)
        rc = config_to_json_string(supervisor->config, false, &config);
    if (rc)
        return benchfs_error_set(err, -rc, "server process: %s", strerror(-rc));
    program_add(arguments, options->server_program, "benchfsd");
    arguments_add(arguments, "--server");
    arguments_add_pair(arguments, "--config-json", config);
    arguments_add_pair(arguments, "--job", options->job);
    arguments_printf(arguments, "--node=%u", bootstrap_rank(supervisor->bootstrap));
    arguments_printf(arguments, "--n-nodes=%u", bootstrap_size(supervisor->bootstrap));
    arguments_printf(arguments, "--shards=%u", supervisor->n_shards);
    arguments_printf(arguments, "--host-id=%016" PRIx64, supervisor->host);
    arguments_printf(arguments, "--instance=%016" PRIx64, instance);
    arguments_printf(arguments, "--capacity=%" PRIu64, supervisor->capacity_bytes);
    arguments_add_pair(arguments, "--run-dir", supervisor->place.run_dir);
    arguments_add_pair(arguments, "--store-dir", supervisor->place.store_dir);
    if (address[0])
        arguments_printf(arguments, "--listen=%s", address);
    if (restart_ports)
        arguments_add_pair(arguments, "--restart", restart_ports);
    free(config);
    return arguments->status ? benchfs_error_set(
               err, -arguments->status, "server process: out of memory")
                             : 0;
}

/* Sets err to what another message than the expected one means. Never 0. */
static int message_error(const struct control_message *message,
                         struct benchfs_error *err)
{
    if (message->type == CONTROL_SHUTDOWN)
        return benchfs_error_set(err, ESHUTDOWN, "the service was asked to end");
    if (message->type == CONTROL_FAILED)
        return benchfs_error_set(err,
                                 EIO,
                                 "%.*s",
                                 (int)message->data.size,
                                 (const char *)message->data.data);
    return benchfs_error_set(
        err, EPROTO, "server process: unknown message %u", message->type);
}

/* What has come on the socket, or the end of the process. */
static int message_take(struct supervisor *supervisor,
                        struct control_message *message,
                        struct benchfs_error *err)
{
    struct child *server = &supervisor->server;
    int rc = control_recv(server->control_fd, message, deadline_after_ms(MESSAGE_MS));

    if (rc == -EPIPE && child_wait(server, deadline_after_ms(GRACE_MS)) == 0)
        return supervisor_wait_error(supervisor, -ECHILD, err);
    return rc ? benchfs_error_set(
               err, -rc, "server process: control socket: %s", strerror(-rc))
              : 0;
}

static int message_expect(struct supervisor *supervisor,
                          uint32_t type,
                          const char *what,
                          struct control_message *message,
                          struct benchfs_error *err)
{
    int rc = supervisor_wait(
        supervisor, supervisor->server.control_fd, supervisor->start_deadline);

    if (rc == -ETIMEDOUT)
        return benchfs_error_set(
            err, ETIMEDOUT, "the server process has not %s in time", what);
    if (rc)
        return supervisor_wait_error(supervisor, rc, err);
    rc = message_take(supervisor, message, err);
    if (rc == 0 && message->type != type)
        rc = message_error(message, err);
    return rc;
}

int server_child_start(struct supervisor *supervisor,
                       const char *restart_ports,
                       struct bytes *ret_record,
                       struct benchfs_error *err)
{
    const struct child_options options = {.socket_type = SOCK_STREAM};
    struct control_message message;
    struct arguments arguments;
    int rc;

    control_message_init(&message);
    arguments_init(&arguments);
    rc = arguments_fill(supervisor, restart_ports, &arguments, err);
    if (rc == 0)
        rc = child_start(&supervisor->server, arguments.items, &options, err);
    if (rc == 0)
        rc = message_expect(supervisor, CONTROL_RECORD, "opened", &message, err);
    if (rc == 0) {
        rc = bytes_append(ret_record, message.data.data, message.data.size);
        if (rc)
            benchfs_error_set(err, -rc, "endpoint record: %s", strerror(-rc));
    }
    arguments_fini(&arguments);
    control_message_fini(&message);
    return rc;
}

int server_child_connect(struct supervisor *supervisor,
                         const struct bytes *table,
                         struct benchfs_error *err)
{
    struct control_message message;
    int rc = control_send(supervisor->server.control_fd,
                          CONTROL_TABLE,
                          table->data,
                          table->size,
                          supervisor->start_deadline);

    control_message_init(&message);
    /* -EPIPE: the server has ended; what it said last is still there */
    if (rc == 0 || rc == -EPIPE)
        rc = message_expect(
            supervisor, CONTROL_CONNECTED, "reached its peers", &message, err);
    else
        benchfs_error_set(err, -rc, "server process: %s", strerror(-rc));
    control_message_fini(&message);
    return rc;
}

int server_child_message(struct supervisor *supervisor, struct benchfs_error *err)
{
    struct control_message message;
    int rc;

    control_message_init(&message);
    rc = message_take(supervisor, &message, err);
    if (rc == 0 && message.type == CONTROL_SHUTDOWN && message.data.size > 0)
        words_lost();
    if (rc == 0)
        rc = message_error(&message, err);
    control_message_fini(&message);
    return rc;
}

void server_child_stop(struct supervisor *supervisor)
{
    struct child *server = &supervisor->server;

    if (child_is_running(server)) {
        (void)control_send(
            server->control_fd, CONTROL_STOP, NULL, 0, deadline_after_ms(MESSAGE_MS));
        child_end(server, deadline_after_ms(STOP_MS), GRACE_MS);
    }
    child_fini(server);
}

/* SPDX-License-Identifier: Apache-2.0
 * benchfs stop: ends the job's service and waits until it has gone. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "proto/ops.h"

#define STOP_MS 60000
/* Between two looks at the lock: it can't be waited for with a deadline. */
#define LOOK_MS 20

/* The lock beside the socket, held as long as the node's supervisor lives. -ENOENT: it
 * has gone already. */
static int lock_open(const char *socket_path, struct benchfs_error *err)
{
    const char *slash = strrchr(socket_path, '/');
    char *path;
    int fd;

    if (asprintf(&path,
                 "%.*s/lock",
                 slash ? (int)(slash - socket_path) : 1,
                 slash ? socket_path : ".")
        < 0)
        return benchfs_error_set(err, ENOMEM, "no memory for a path");
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        fd = benchfs_error_set(err, errno, "%s: %m", path);
    free(path);
    return fd;
}

static int gone_wait(int lock_fd, struct benchfs_error *err)
{
    struct deadline deadline = deadline_after_ms(STOP_MS);

    while (flock(lock_fd, LOCK_SH | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return benchfs_error_set(err, errno, "lock: %m");
        if (deadline_expired(deadline))
            return benchfs_error_set(
                err, ETIMEDOUT, "the service does not end; 'scancel' its step");
        (void)poll(NULL, 0, LOOK_MS);
    }
    return 0;
}

static int service_stop(const struct cli_common *common, struct benchfs_error *err)
{
    struct client_request request = {.opcode = OP_SHUTDOWN};
    const struct endpoint_table *table;
    const char *socket_path = common->socket;
    struct client *client;
    int lock_fd, rc = cli_client_open(common, &client, err);

    if (rc)
        return rc;
    table = client_table(client);
    for (uint32_t i = 0; !socket_path && i < table->n_endpoints; i++) {
        if (table->endpoints[i].node == client_node(client))
            socket_path = table->endpoints[i].local_path;
    }
    lock_fd = lock_open(socket_path ? socket_path : "", err);
    if (lock_fd < 0) {
        client_close(client);
        return lock_fd;
    }
    rc = client_request_sync(client, &request);
    client_close(client);
    /* it may be gone before its answer is out */
    if (rc && rc != -EHOSTDOWN && rc != -ECONNRESET)
        benchfs_error_set(err, -rc, "the service: %s", strerror(-rc));
    else
        rc = gone_wait(lock_fd, err);
    close(lock_fd);
    return rc;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct cli_common common = {.socket = NULL};

    if (cli_option_next(command, argc, argv, "", NULL, &common) == '?')
        return CLI_USAGE;
    if (common.wants_help)
        return CLI_OK;
    if (optind < argc)
        return cli_usage_fail(command, "%s: unexpected argument", argv[optind]);
    return service_stop(&common, &err) ? cli_fail(command, &err) : CLI_OK;
}

const struct cli_command cmd_stop = {
    .name = "stop",
    .summary = "end the job's service; what is in the scratch is lost",
    .usage =
        "usage: benchfs stop [--socket PATH]\n"
        "Ends the service on all nodes and waits until it has gone here. What is in\n"
        "the scratch is lost: 'benchfs stage-out' first.\n"
        "  --socket PATH  socket of the node's daemon (default: $BENCHFS_SOCKET,\n"
        "                 then the job's)\n",
    .run = run,
};

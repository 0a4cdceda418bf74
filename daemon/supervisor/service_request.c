/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/service_request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "proto/ops.h"

#define REQUEST_MS   5000
#define STATUS_SPACE (4u << 20)

static int
control_open(const char *socket_path, struct client **ret, struct benchfs_error *err)
{
    const struct client_config config = {
        .route = CLIENT_ROUTE_LOCAL,
        .socket_path = socket_path,
        .kind = HELLO_CONTROL,
        .timeout_ms = REQUEST_MS,
    };

    return client_open(&config, ret, err);
}

int service_request_state_set(const char *socket_path,
                              enum service_state state,
                              struct benchfs_error *err)
{
    const struct msg_state_request message = {.state = (uint8_t)state};
    uint8_t body[MSG_state_request_MAX];
    struct client_request request = {.opcode = OP_SET_STATE, .body = body};
    struct client *client;
    int rc = control_open(socket_path, &client, err);

    if (rc)
        return rc;
    request.body_len = msg_state_request_encode(&message, body, sizeof(body));
    rc = client_request_sync(client, &request);
    client_close(client);
    return rc ? benchfs_error_set(
               err, -rc, "%s: SET_STATE: %s", socket_path, strerror(-rc))
              : 0;
}

int service_request_state_get(const char *socket_path,
                              enum service_state *ret,
                              struct benchfs_error *err)
{
    struct client_request request = {.opcode = OP_STATUS};
    struct iovec text = {.iov_base = malloc(STATUS_SPACE), .iov_len = STATUS_SPACE};
    struct msg_status_reply reply;
    struct client *client;
    int rc;

    if (!text.iov_base)
        return benchfs_error_set(err, ENOMEM, "no memory for the status");
    rc = control_open(socket_path, &client, err);
    if (rc) {
        free(text.iov_base);
        return rc;
    }
    request.recv = &text;
    request.n_recv = 1;
    rc = client_request_sync(client, &request);
    if (rc == 0)
        rc = msg_status_reply_decode(&reply, request.reply, request.reply_len);
    client_close(client);
    free(text.iov_base);
    if (rc)
        return benchfs_error_set(
            err, -rc, "%s: STATUS: %s", socket_path, strerror(-rc));
    *ret = (enum service_state)reply.state;
    return 0;
}

int service_request_shutdown(const char *socket_path, struct benchfs_error *err)
{
    struct client_request request = {.opcode = OP_SHUTDOWN};
    struct client *client;
    int rc = control_open(socket_path, &client, err);

    if (rc)
        return rc;
    rc = client_request_sync(client, &request);
    client_close(client);
    return rc ? benchfs_error_set(
               err, -rc, "%s: SHUTDOWN: %s", socket_path, strerror(-rc))
              : 0;
}

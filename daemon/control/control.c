/* SPDX-License-Identifier: Apache-2.0 */
#include "control/control.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "proto/wire.h"

#define HEADER_SIZE 8u

void control_message_init(struct control_message *message)
{
    message->type = 0;
    bytes_init(&message->data, CONTROL_MESSAGE_MAX);
}

void control_message_fini(struct control_message *message)
{
    bytes_fini(&message->data);
}

static int wait_for(int fd, short events, struct deadline deadline)
{
    struct pollfd poller = {.fd = fd, .events = events};
    int n = poll(&poller, 1, deadline_remaining_ms(deadline));

    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    return n == 0 ? -ETIMEDOUT : 0;
}

static int send_all(int fd, const uint8_t *data, size_t len, struct deadline deadline)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n >= 0) {
            data += n;
            len -= (size_t)n;
        } else if (errno == EAGAIN || errno == EINTR) {
            int rc = wait_for(fd, POLLOUT, deadline);

            if (rc)
                return rc;
        } else {
            return errno == ECONNRESET ? -EPIPE : -errno;
        }
    }
    return 0;
}

static int recv_all(int fd, uint8_t *data, size_t len, struct deadline deadline)
{
    while (len > 0) {
        ssize_t n = recv(fd, data, len, MSG_DONTWAIT);

        if (n > 0) {
            data += n;
            len -= (size_t)n;
        } else if (n == 0 || errno == ECONNRESET) {
            return -EPIPE;
        } else if (errno == EAGAIN || errno == EINTR) {
            int rc = wait_for(fd, POLLIN, deadline);

            if (rc)
                return rc;
        } else {
            return -errno;
        }
    }
    return 0;
}

int control_send(
    int fd, uint32_t type, const void *data, size_t len, struct deadline deadline)
{
    uint8_t header[HEADER_SIZE];
    struct wire_writer w = {.data = header, .capacity = sizeof(header)};
    int rc;

    if (len > CONTROL_MESSAGE_MAX)
        return -EMSGSIZE;
    wire_put_u32(&w, type);
    wire_put_u32(&w, (uint32_t)len);
    rc = send_all(fd, header, sizeof(header), deadline);
    return rc ? rc : send_all(fd, data, len, deadline);
}

int control_recv(int fd, struct control_message *message, struct deadline deadline)
{
    uint8_t header[HEADER_SIZE];
    struct wire_reader r = {.data = header, .length = sizeof(header)};
    uint32_t type, len;
    int rc = recv_all(fd, header, sizeof(header), deadline);

    if (rc)
        return rc;
    type = wire_get_u32(&r);
    len = wire_get_u32(&r);
    bytes_clear(&message->data);
    rc = bytes_reserve(&message->data, len);
    if (rc)
        return rc == -EMSGSIZE ? -EPROTO : rc;
    rc = recv_all(fd, message->data.data, len, deadline);
    if (rc)
        return rc;
    message->data.size = len;
    message->type = type;
    return 0;
}

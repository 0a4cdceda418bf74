/* SPDX-License-Identifier: Apache-2.0
 * Bootstrap of the daemons that a launcher started on one machine, through it. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "control/control.h"
#include "launch/hub_message.h"
#include "supervisor/bootstrap_impl.h"

/* Of a message whose first byte is there. */
#define MESSAGE_MS 5000

static int receive(struct bootstrap *bootstrap,
                   uint32_t type,
                   struct control_message *message,
                   struct deadline deadline,
                   struct benchfs_error *err)
{
    int fd = bootstrap->launcher_fd;
    int rc = bootstrap->wait(bootstrap->wait_arg, fd, deadline);

    if (rc == 0)
        rc = control_recv(fd, message, deadline_after_ms(MESSAGE_MS));
    if (rc == 0 && message->type != type)
        rc = -EPROTO;
    if (rc == -ETIMEDOUT)
        return benchfs_error_set(err, ETIMEDOUT, "not all daemons came in time");
    return rc ? benchfs_error_set(err, -rc, "the launcher: %s", strerror(-rc)) : 0;
}

static int exchange(struct bootstrap *bootstrap,
                    const void *mine,
                    size_t len,
                    struct bytes *ret,
                    struct deadline deadline,
                    struct benchfs_error *err)
{
    struct control_message message;
    int rc;

    rc = control_send(bootstrap->launcher_fd, HUB_EXCHANGE, mine, len, deadline);
    if (rc)
        return benchfs_error_set(err, -rc, "the launcher: %s", strerror(-rc));
    control_message_init(&message);
    rc = receive(bootstrap, HUB_ALL, &message, deadline, err);
    if (rc == 0) {
        rc = hub_all_decode(ret, bootstrap->size, message.data.data, message.data.size);
        if (rc)
            benchfs_error_set(err, -rc, "the launcher: %s", strerror(-rc));
    }
    control_message_fini(&message);
    return rc;
}

static int barrier(struct bootstrap *bootstrap,
                   struct deadline deadline,
                   struct benchfs_error *err)
{
    struct bytes all[HUB_DAEMONS_MAX];
    int rc;

    for (uint32_t i = 0; i < bootstrap->size; i++)
        bytes_init(&all[i], HUB_RECORD_MAX);
    rc = exchange(bootstrap, "", 1, all, deadline, err);
    for (uint32_t i = 0; i < bootstrap->size; i++)
        bytes_fini(&all[i]);
    return rc;
}

static void hub_close(struct bootstrap *bootstrap)
{
    close(bootstrap->launcher_fd);
}

static const struct bootstrap_impl impl = {
    .is_embedded = true,
    .exchange = exchange,
    .barrier = barrier,
    .close = hub_close,
};

int bootstrap_hub_open(struct bootstrap *bootstrap,
                       int fd,
                       struct deadline deadline,
                       struct benchfs_error *err)
{
    struct control_message message;
    struct hub_welcome welcome;
    int rc;

    bootstrap->launcher_fd = fd;
    control_message_init(&message);
    rc = receive(bootstrap, HUB_WELCOME, &message, deadline, err);
    if (rc == 0) {
        rc = hub_welcome_decode(&welcome, message.data.data, message.data.size);
        if (rc)
            benchfs_error_set(err, -rc, "the launcher: %s", strerror(-rc));
    }
    control_message_fini(&message);
    if (rc)
        return rc;
    bootstrap->impl = &impl;
    bootstrap->rank = welcome.rank;
    bootstrap->size = welcome.size;
    return 0;
}

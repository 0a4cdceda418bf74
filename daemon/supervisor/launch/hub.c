/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/hub.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/proc.h"
#include "control/control.h"

/* Of one message; the daemon is on this machine and waits for it, or writes it. */
#define MESSAGE_MS 5000

struct hub_daemon {
    int fd;
    int child_fd;
    bool has_record;
    struct bytes record;
};

struct hub {
    uint32_t size;
    uint32_t n_records;
    struct hub_daemon daemons[];
};

static int daemon_open(struct hub *hub, uint32_t rank)
{
    struct hub_daemon *daemon = &hub->daemons[rank];
    const struct hub_welcome welcome = {.rank = rank, .size = hub->size};
    struct bytes message = BYTES_INIT(64);
    int fds[2], rc;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return -errno;
    daemon->fd = fds[0];
    daemon->child_fd = fds[1];
    rc = hub_welcome_encode(&welcome, &message);
    if (rc == 0)
        rc = control_send(daemon->fd,
                          HUB_WELCOME,
                          message.data,
                          message.size,
                          deadline_after_ms(MESSAGE_MS));
    bytes_fini(&message);
    return rc;
}

int hub_create(uint32_t size, struct hub **ret, struct benchfs_error *err)
{
    struct hub *hub;
    int rc = 0;

    if (size == 0 || size > HUB_DAEMONS_MAX)
        return benchfs_error_set(
            err, EINVAL, "%u daemons: not 1 to %u", size, HUB_DAEMONS_MAX);
    hub = calloc(1, sizeof(*hub) + size * sizeof(hub->daemons[0]));
    if (!hub)
        return benchfs_error_set(err, ENOMEM, "no memory for %u daemons", size);
    hub->size = size;
    for (uint32_t i = 0; i < size; i++) {
        hub->daemons[i].fd = hub->daemons[i].child_fd = -1;
        bytes_init(&hub->daemons[i].record, HUB_RECORD_MAX);
    }
    for (uint32_t i = 0; rc == 0 && i < size; i++)
        rc = daemon_open(hub, i);
    if (rc) {
        hub_destroy(hub);
        return benchfs_error_set(
            err, -rc, "no sockets for %u daemons: %s", size, strerror(-rc));
    }
    *ret = hub;
    return 0;
}

void hub_destroy(struct hub *hub)
{
    if (!hub)
        return;
    for (uint32_t i = 0; i < hub->size; i++) {
        proc_fd_close(&hub->daemons[i].fd);
        proc_fd_close(&hub->daemons[i].child_fd);
        bytes_fini(&hub->daemons[i].record);
    }
    free(hub);
}

int hub_child_fd(const struct hub *hub, uint32_t rank)
{
    return hub->daemons[rank].child_fd;
}

void hub_child_fd_close(struct hub *hub, uint32_t rank)
{
    proc_fd_close(&hub->daemons[rank].child_fd);
}

int hub_fd(const struct hub *hub, uint32_t rank)
{
    return hub->daemons[rank].fd;
}

static int answer_encode(const struct hub *hub, struct bytes *out)
{
    struct bytes *records = calloc(hub->size, sizeof(*records));
    int rc;

    if (!records)
        return -ENOMEM;
    for (uint32_t i = 0; i < hub->size; i++)
        records[i] = hub->daemons[i].record; /* borrowed */
    rc = hub_all_encode(records, hub->size, out);
    free(records);
    return rc;
}

/* One that can't be reached is left to notice for itself. */
static int answers_send(struct hub *hub)
{
    struct bytes all = BYTES_INIT(CONTROL_MESSAGE_MAX);
    int rc = answer_encode(hub, &all);

    for (uint32_t i = 0; i < hub->size; i++) {
        struct hub_daemon *daemon = &hub->daemons[i];

        bytes_clear(&daemon->record);
        daemon->has_record = false;
        if (rc == 0 && daemon->fd >= 0)
            (void)control_send(
                daemon->fd, HUB_ALL, all.data, all.size, deadline_after_ms(MESSAGE_MS));
    }
    hub->n_records = 0;
    bytes_fini(&all);
    return rc;
}

int hub_receive(struct hub *hub, uint32_t rank)
{
    struct hub_daemon *daemon = &hub->daemons[rank];
    struct control_message message;
    int rc;

    control_message_init(&message);
    rc = control_recv(daemon->fd, &message, deadline_after_ms(MESSAGE_MS));
    if (rc == 0
        && (message.type != HUB_EXCHANGE || message.data.size > HUB_RECORD_MAX
            || daemon->has_record))
        rc = -EPROTO;
    if (rc == 0)
        rc = bytes_append(&daemon->record, message.data.data, message.data.size);
    control_message_fini(&message);
    if (rc) {
        proc_fd_close(&daemon->fd);
        return rc;
    }
    daemon->has_record = true;
    hub->n_records++;
    return hub->n_records < hub->size ? 0 : answers_send(hub);
}

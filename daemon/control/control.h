/* SPDX-License-Identifier: Apache-2.0
 *
 * The line between the supervisor and its server process: typed messages over a stream
 * socketpair, descriptor CONTROL_FD in the child. Either end may close it: that means
 * "stop" to the server and "died" to the supervisor.
 */
#ifndef BENCHFS_DAEMON_CONTROL_H
#define BENCHFS_DAEMON_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/clock.h"

#define CONTROL_FD          3
#define CONTROL_MESSAGE_MAX (64u << 20)

enum control_type {
    /* server -> supervisor */
    CONTROL_RECORD = 1,    /* this node's endpoints, endpoint_record_encode() */
    CONTROL_CONNECTED = 2, /* every shard has reached every other target */
    CONTROL_FAILED = 3,    /* text: why the server can't go on */
    CONTROL_SHUTDOWN = 4,  /* a client asked for the end of the service; with data:
                            * results were not staged out */
    /* supervisor -> server */
    CONTROL_TABLE = 16, /* endpoint_table_encode() */
    CONTROL_STOP = 17,  /* finish what is in progress and exit 0 */
};

struct control_message {
    uint32_t type; /* enum control_type */
    struct bytes data;
};

void control_message_init(struct control_message *message);
void control_message_fini(struct control_message *message);

/* 0, -ETIMEDOUT, -EPIPE (the other end is gone), -errno. Blocks up to the deadline. */
int control_send(
    int fd, uint32_t type, const void *data, size_t len, struct deadline deadline);
/* Replaces *message. Same errors; -EPROTO for a message over the limit. */
int control_recv(int fd, struct control_message *message, struct deadline deadline);

#endif

/* SPDX-License-Identifier: Apache-2.0
 * What the other end of the supervisor's line to its server may send. */
#include "fuzz.h"

#include <sys/socket.h>
#include <unistd.h>

#include "control/control.h"

#define INPUT_MAX 65536u /* fits a socket's buffer */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct control_message message;
    int fds[2];

    if (size > INPUT_MAX)
        return 0;
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    FUZZ_CHECK(send(fds[0], data, size, 0) == (ssize_t)size);
    close(fds[0]);
    control_message_init(&message);
    while (control_recv(fds[1], &message, deadline_after_ms(1000)) == 0)
        FUZZ_CHECK(message.data.size <= size);
    control_message_fini(&message);
    close(fds[1]);
    return 0;
}

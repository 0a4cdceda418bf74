/* SPDX-License-Identifier: Apache-2.0
 * A server's end of the node-local route: the greeting on the socket, then HELLO and
 * requests in the shared memory, from a client that may write there what it likes. The
 * server answers or closes, and serves the next client.
 *
 * The first byte says what is right: 1: the greeting; 2: a HELLO comes first; 4: the
 * position in the ring is where the bytes end, else it is the last 8 of them. */
#include "fuzz.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/messages.h"
#include "proto/ops.h"
#include "transport/local/local.h"
#include "transport/rpc.h"

enum { RIGHT_GREETING = 1, RIGHT_HELLO = 2, RIGHT_POSITION = 4 };

#define PULL_MAX    65536u
#define TURNS       64
#define CLIENT_ID   77u
#define REPLY_BYTES 1000u

static struct rpc *rpc;
static char path[64];
static uint8_t pulled_bytes[PULL_MAX];
static uint8_t reply_bytes[REPLY_BYTES];

static void reply_make(struct rpc_request *request, int status)
{
    struct iovec iov = {.iov_base = reply_bytes, .iov_len = REPLY_BYTES};

    if (iov.iov_len > request->header.reply_space)
        iov.iov_len = request->header.reply_space;
    rpc_request_reply(
        request, status, NULL, 0, &iov, status == 0 && iov.iov_len > 0, NULL, NULL);
}

static void pulled(void *arg, int status)
{
    reply_make(arg, status);
}

static void on_request(void *arg, struct rpc_request *request)
{
    struct iovec iov = {.iov_base = pulled_bytes,
                        .iov_len = request->header.payload_len};

    (void)arg;
    if (iov.iov_len > 0 && iov.iov_len <= PULL_MAX)
        rpc_request_pull(request, &iov, 1, pulled, request);
    else
        reply_make(request, 0);
}

static void directory_remove(void)
{
    char directory[sizeof(path)];

    rpc_destroy(rpc);
    memcpy(directory, path, sizeof(path));
    *strrchr(directory, '/') = '\0';
    rmdir(directory);
}

static void server_start(void)
{
    static struct rpc_server server = {.on_request = on_request};
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct rpc_config config = {
        .client = 1000,
        .job = "1",
        .kind = HELLO_DAEMON,
        .server = &server,
        .local_path = path,
    };
    char directory[] = "/tmp/benchfs-fuzz-XXXXXX";

    FUZZ_CHECK(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/sock", directory);
    FUZZ_CHECK(rpc_create(&config, &rpc, &err) == 0);
    rpc_set_n_targets(rpc, 1);
    atexit(directory_remove);
}

static void turns(void)
{
    for (int i = 0; i < TURNS && rpc_progress(rpc) > 0; i++)
        continue;
}

static int client_connect(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path, path, strlen(path) + 1);
    FUZZ_CHECK(fd >= 0);
    FUZZ_CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    return fd;
}

/* The shared memory's descriptor; -1: the server has closed. */
static int welcome_take(int fd)
{
    struct local_welcome welcome;
    struct iovec iov = {.iov_base = &welcome, .iov_len = sizeof(welcome)};
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    int region_fd = -1;

    if (recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)
            == (ssize_t)sizeof(welcome)
        && CMSG_FIRSTHDR(&message))
        memcpy(&region_fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
    return region_fd;
}

/* A record with a HELLO; its length. */
static size_t hello_put(uint8_t *place)
{
    struct msg_hello_request hello = {
        .kind = HELLO_CLIENT, .uid = (uint32_t)geteuid(), .target = UINT32_MAX};
    uint8_t *body = place + LOCAL_LINE + WIRE_HEADER_SIZE;
    size_t len = msg_hello_request_encode(&hello, body, WIRE_BODY_MAX);
    struct wire_header header = {.opcode = OP_HELLO,
                                 .client = CLIENT_ID,
                                 .request = 1,
                                 .body_len = (uint32_t)len,
                                 .timeout_ms = 1000};
    struct local_record record = {
        .size = (uint32_t)((LOCAL_LINE + WIRE_HEADER_SIZE + len + LOCAL_LINE - 1)
                           / LOCAL_LINE * LOCAL_LINE),
        .kind = LOCAL_RECORD_MESSAGE,
        .body_len = (uint32_t)len,
    };

    memcpy(place, &record, sizeof(record));
    wire_header_encode(&header, place + LOCAL_LINE);
    return record.size;
}

static void ring_publish(int fd, struct local_region *region, uint64_t tail)
{
    atomic_store(&region->control->sides[LOCAL_CLIENT].tail, tail);
    (void)!send(fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    turns();
}

static void
ring_write(int fd, int region_fd, unsigned right, const uint8_t *data, size_t size)
{
    struct local_region region = {.base = NULL};
    uint64_t tail = 0;

    FUZZ_CHECK(local_region_map(&region, region_fd) == 0);
    if (right & RIGHT_HELLO) { /* nothing else is taken before its answer */
        tail = hello_put(region.rings[LOCAL_CLIENT]);
        ring_publish(fd, &region, tail);
    }
    if (size > LOCAL_RING_SIZE - tail)
        size = LOCAL_RING_SIZE - tail;
    memcpy(region.rings[LOCAL_CLIENT] + tail, data, size);
    tail += size / LOCAL_LINE * LOCAL_LINE;
    if (!(right & RIGHT_POSITION) && size >= sizeof(tail))
        memcpy(&tail, data + size - sizeof(tail), sizeof(tail));
    ring_publish(fd, &region, tail);
    local_region_unmap(&region);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct local_hello greeting = {.magic = LOCAL_MAGIC, .version = LOCAL_VERSION};
    unsigned right;
    int fd, region_fd;

    if (size == 0)
        return 0;
    if (!rpc)
        server_start();
    right = *data++;
    size--;
    fd = client_connect();
    if (right & RIGHT_GREETING)
        FUZZ_CHECK(send(fd, &greeting, sizeof(greeting), MSG_NOSIGNAL) > 0);
    else
        (void)!send(fd, data, size < 4096 ? size : 4096, MSG_NOSIGNAL);
    turns();
    region_fd = welcome_take(fd);
    if (region_fd >= 0) {
        ring_write(fd, region_fd, right, data, size);
        close(region_fd);
    }
    close(fd);
    turns();
    return 0;
}

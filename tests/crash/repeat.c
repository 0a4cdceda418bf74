/* SPDX-License-Identifier: Apache-2.0
 *
 * A client that sends requests again as if their answers had been lost, before and
 * after the daemon was restarted: it makes a name, waits for a line on stdin (the
 * daemon was killed meanwhile), and asks for the same again. usage: repeat SOCKET
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/random.h"
#include "proto/messages.h"
#include "proto/ops.h"
#include "proto/placement.h"
#include "transport/rpc.h"

struct caller {
    struct rpc *rpc;
    struct rpc_peer *peer;
};

static void call_ended(struct rpc_call *call)
{
    (void)call; /* rpc_call_sync() puts its own in this place */
}

/* CREATE with O_EXCL, or UNLINK; the status, and the inode of a CREATE. */
static int ask(struct caller *caller,
               uint16_t opcode,
               const char *name,
               uint16_t slot,
               uint64_t number,
               uint64_t *ret_ino)
{
    struct wire_text text = {.data = name, .len = (uint16_t)strlen(name)};
    struct msg_create_request create = {
        .parent = PLACEMENT_ROOT_INO,
        .name = text,
        .mode = S_IFREG | 0644,
        .flags = CREATE_EXCL,
        .base = BASE_HOME,
    };
    struct msg_dentry_request entry = {.parent = PLACEMENT_ROOT_INO, .name = text};
    uint8_t body[WIRE_BODY_MAX];
    struct rpc_call call = {
        .opcode = opcode,
        .slot = slot,
        .sequence = number,
        .body = body,
        .done = call_ended,
        .timeout_ms = 20000,
    };
    struct msg_attr_reply reply;
    int rc;

    call.body_len = opcode == OP_CREATE
                        ? msg_create_request_encode(&create, body, sizeof(body))
                        : msg_dentry_request_encode(&entry, body, sizeof(body));
    rc = rpc_call_sync(caller->peer, &call);
    if (rc == 0 && opcode == OP_CREATE) {
        rc = msg_attr_reply_decode(&reply, call.reply, call.reply_len);
        *ret_ino = reply.attr.ino;
    }
    return rc;
}

static int caller_open(struct caller *caller, const char *path)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct rpc_config config = {.job = "", .kind = HELLO_CLIENT, .spin_us = 20};
    struct rpc_peer_config peer = {
        .name = path, .local_path = path, .patience_ms = 20000};
    int rc = random_u64(&config.client);

    config.client |= 1;
    if (rc == 0)
        rc = rpc_create(&config, &caller->rpc, &err);
    if (rc == 0)
        rc = rpc_peer_create(caller->rpc, &peer, &caller->peer, &err);
    if (rc)
        fprintf(stderr, "repeat: %s: %s\n", path, err.text);
    return rc;
}

static int expect(const char *what, int got, int wanted)
{
    if (got == wanted)
        return 0;
    fprintf(stderr, "repeat: %s: status %d, not %d\n", what, got, wanted);
    return 1;
}

/* The same requests again. */
static int repeat_all(struct caller *caller, uint64_t ino, const char *when)
{
    uint64_t again = 0;
    int bad =
        expect("the same CREATE", ask(caller, OP_CREATE, "once", 1, 100, &again), 0);

    bad += expect("its inode", again == ino, true);
    bad += expect("the same UNLINK", ask(caller, OP_UNLINK, "gone", 2, 102, NULL), 0);
    bad +=
        expect("a new CREATE", ask(caller, OP_CREATE, "once", 3, 200, &again), -EEXIST);
    bad +=
        expect("one of before", ask(caller, OP_CREATE, "x", 1, 99, &again), -EALREADY);
    if (bad)
        fprintf(stderr, "repeat: %s\n", when);
    return bad;
}

int main(int argc, char **argv)
{
    struct caller caller = {.rpc = NULL};
    uint64_t ino = 0, gone;
    int bad;

    if (argc != 2 || caller_open(&caller, argv[1]))
        return 2;
    bad = expect("CREATE", ask(&caller, OP_CREATE, "once", 1, 100, &ino), 0);
    bad += expect("CREATE", ask(&caller, OP_CREATE, "gone", 2, 101, &gone), 0);
    bad += expect("UNLINK", ask(&caller, OP_UNLINK, "gone", 2, 102, NULL), 0);
    bad += repeat_all(&caller, ino, "before the restart");
    puts("ready");
    fflush(stdout);
    if (getchar() == EOF)
        bad++;
    bad += repeat_all(&caller, ino, "after the restart");
    rpc_destroy(caller.rpc);
    return bad > 0;
}

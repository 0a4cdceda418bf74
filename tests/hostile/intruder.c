/* SPDX-License-Identifier: Apache-2.0
 *
 * Somebody who knows where a shard listens and what its messages look like, and says
 * what no client of ours would: over UCX, without our transport.
 * usage: intruder ADDRESS PORT JOB UID WHAT [ARGUMENT]
 *   operations        every operation, without having proved who it is
 *   own               proves that it is itself
 *   credential FILE   shows a credential that was made for another connection
 *   make FILE         makes such a credential, as the job's user
 *   bytes SEED        as the job's user: proves it, then sends what is no message
 * Exits with 0 if the daemon has done nothing for it and is still there.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <munge.h>
#include <ucp/api/ucp.h>

#include "proto/messages.h"
#include "proto/ops.h"
#include "proto/wire.h"

#define MAGIC   0x55534642u
#define VERSION 2u
#define WAIT_MS 3000

struct intruder {
    const char *address, *job;
    uint16_t port;
    uint32_t uid;
    uint64_t client;
    ucp_context_h context;
    ucp_worker_h worker;
    ucp_ep_h ep;
    bool is_closed;
    uint64_t key, server_key; /* 0: not accepted */
    /* the last answer */
    bool has_answer;
    struct wire_header answer;
    uint8_t body[WIRE_BODY_MAX];
};

static void die(const char *what)
{
    fprintf(stderr, "intruder: %s\n", what);
    exit(2);
}

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* ---- UCX ------------------------------------------------------------------- */

static ucs_status_t on_accept(void *arg,
                              const void *head,
                              size_t head_len,
                              void *data,
                              size_t len,
                              const ucp_am_recv_param_t *param)
{
    struct wire_reader r = {.data = head, .length = head_len};
    struct intruder *me = arg;

    (void)data;
    (void)len;
    (void)param;
    if (wire_get_u32(&r) == MAGIC && wire_get_u32(&r) == VERSION
        && wire_get_u64(&r) == me->key)
        me->server_key = wire_get_u64(&r);
    return UCS_OK;
}

static ucs_status_t on_message(void *arg,
                               const void *head,
                               size_t head_len,
                               void *data,
                               size_t len,
                               const ucp_am_recv_param_t *param)
{
    const uint8_t *bytes = head;
    struct intruder *me = arg;

    (void)data;
    (void)len;
    (void)param;
    if (head_len < 8 + WIRE_HEADER_SIZE
        || wire_header_decode(&me->answer, bytes + 8, head_len - 8))
        return UCS_OK;
    if (head_len - 8 - WIRE_HEADER_SIZE <= sizeof(me->body))
        memcpy(me->body, bytes + 8 + WIRE_HEADER_SIZE, head_len - 8 - WIRE_HEADER_SIZE);
    me->has_answer = true;
    return UCS_OK;
}

static void on_error(void *arg, ucp_ep_h ep, ucs_status_t status)
{
    struct intruder *me = arg;

    (void)ep;
    (void)status;
    me->is_closed = true;
}

static void
handler_set(struct intruder *me, unsigned id, ucp_am_recv_callback_t callback)
{
    const ucp_am_handler_param_t param = {
        .field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_CB
                      | UCP_AM_HANDLER_PARAM_FIELD_ARG,
        .id = id,
        .cb = callback,
        .arg = me,
    };

    if (ucp_worker_set_am_recv_handler(me->worker, &param) != UCS_OK)
        die("no handler");
}

static void ucx_init(struct intruder *me)
{
    const ucp_params_t params = {
        .field_mask = UCP_PARAM_FIELD_FEATURES,
        .features = UCP_FEATURE_AM,
    };
    const ucp_worker_params_t worker = {
        .field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE,
        .thread_mode = UCS_THREAD_MODE_SINGLE,
    };

    if (ucp_init(&params, NULL, &me->context) != UCS_OK
        || ucp_worker_create(me->context, &worker, &me->worker) != UCS_OK)
        die("no UCX");
    handler_set(me, 1, on_accept);
    handler_set(me, 2, on_message);
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Until *what, the end of the connection, or the time is over. */
static bool wait_for(struct intruder *me, const volatile bool *what, unsigned ms)
{
    uint64_t until = now_ms() + ms;

    while (!*what && !me->is_closed && now_ms() < until)
        ucp_worker_progress(me->worker);
    return *what;
}

static void am_send(struct intruder *me,
                    unsigned id,
                    const void *head,
                    size_t head_len,
                    const void *data,
                    size_t len,
                    unsigned flags)
{
    const ucp_request_param_t param = {.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS,
                                       .flags = flags};
    ucs_status_ptr_t request =
        ucp_am_send_nbx(me->ep, id, head, head_len, data, len, &param);
    uint64_t until = now_ms() + WAIT_MS;

    if (!UCS_PTR_IS_PTR(request))
        return;
    while (ucp_request_check_status(request) == UCS_INPROGRESS && now_ms() < until)
        ucp_worker_progress(me->worker);
    ucp_request_free(request);
}

static void disconnect(struct intruder *me)
{
    const ucp_request_param_t param = {.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS,
                                       .flags = UCP_EP_CLOSE_FLAG_FORCE};
    ucs_status_ptr_t request = me->ep ? ucp_ep_close_nbx(me->ep, &param) : NULL;

    if (UCS_PTR_IS_PTR(request)) {
        while (ucp_request_check_status(request) == UCS_INPROGRESS)
            ucp_worker_progress(me->worker);
        ucp_request_free(request);
    }
    me->ep = NULL;
}

/* 0: connected, and accepted. */
static int connect_again(struct intruder *me)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(me->port)};
    ucp_ep_params_t params = {
        .field_mask = UCP_EP_PARAM_FIELD_FLAGS | UCP_EP_PARAM_FIELD_SOCK_ADDR
                      | UCP_EP_PARAM_FIELD_ERR_HANDLER
                      | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE,
        .flags = UCP_EP_PARAMS_FLAGS_CLIENT_SERVER,
        .sockaddr = {.addr = (struct sockaddr *)&to, .addrlen = sizeof(to)},
        .err_mode = UCP_ERR_HANDLING_MODE_PEER,
        .err_handler = {.cb = on_error, .arg = me},
    };
    uint8_t head[16];
    struct wire_writer w = {.data = head, .capacity = sizeof(head)};
    uint64_t until = now_ms() + WAIT_MS;

    disconnect(me);
    if (inet_pton(AF_INET, me->address, &to.sin_addr) != 1)
        die("not an IPv4 address");
    me->is_closed = me->has_answer = false;
    me->server_key = 0;
    me->key++;
    if (ucp_ep_create(me->worker, &params, &me->ep) != UCS_OK)
        return -1;
    wire_put_u32(&w, MAGIC);
    wire_put_u32(&w, VERSION);
    wire_put_u64(&w, me->key);
    am_send(me,
            0,
            head,
            sizeof(head),
            NULL,
            0,
            UCP_AM_SEND_FLAG_REPLY | UCP_AM_SEND_FLAG_EAGER);
    while (!me->server_key && !me->is_closed && now_ms() < until)
        ucp_worker_progress(me->worker);
    return me->server_key ? 0 : -1;
}

/* ---- messages ---------------------------------------------------------------- */

/* Sends a request; its status, or -ENOTCONN (closed) or -ETIMEDOUT (no word). */
static int ask(struct intruder *me, uint16_t opcode, const void *body, size_t len)
{
    uint8_t head[8 + WIRE_HEADER_SIZE + WIRE_BODY_MAX];
    struct wire_writer w = {.data = head, .capacity = sizeof(head)};
    struct wire_header header = {
        .opcode = opcode,
        .client = me->client,
        .request = ++me->key,
        .body_len = (uint32_t)len,
        .timeout_ms = WAIT_MS,
    };

    wire_put_u64(&w, me->server_key);
    wire_header_encode(&header, head + 8);
    w.length = 8 + WIRE_HEADER_SIZE;
    wire_put_bytes(&w, body, len);
    me->has_answer = false;
    am_send(me, 2, head, w.length, NULL, 0, 0);
    if (wait_for(me, &me->has_answer, WAIT_MS))
        return me->answer.status;
    return me->is_closed ? -ENOTCONN : -ETIMEDOUT;
}

/* The nonce of the answer is in *ret. */
static int hello(struct intruder *me, struct msg_hello_reply *ret)
{
    const struct msg_hello_request request = {
        .kind = 1,
        .uid = me->uid,
        .node = UINT32_MAX,
        .target = UINT32_MAX,
        .job = {me->job, (uint16_t)strlen(me->job)},
    };
    uint8_t body[MSG_hello_request_MAX];
    int status =
        ask(me, OP_HELLO, body, msg_hello_request_encode(&request, body, sizeof(body)));

    if (status)
        return status;
    return msg_hello_reply_decode(ret, me->body, me->answer.body_len);
}

static int auth(struct intruder *me, const char *credential)
{
    const struct msg_auth_request request = {
        .credential = {credential, (uint16_t)strlen(credential)}};
    uint8_t body[MSG_auth_request_MAX];

    return ask(
        me, OP_AUTH, body, msg_auth_request_encode(&request, body, sizeof(body)));
}

/* Over the nonce and the client's number, for the job's user to decode. */
static char *credential_make(const struct intruder *me, struct wire_text nonce)
{
    uint8_t challenge[WIRE_TEXT_MAX + 8];
    struct wire_writer w = {.data = challenge, .capacity = sizeof(challenge)};
    munge_ctx_t context = munge_ctx_create();
    char *credential = NULL;

    wire_put_bytes(&w, nonce.data, nonce.len);
    wire_put_u64(&w, me->client);
    munge_ctx_set(context, MUNGE_OPT_UID_RESTRICTION, (uid_t)me->uid);
    if (munge_encode(&credential, context, challenge, (int)w.length) != EMUNGE_SUCCESS)
        die("no credential");
    munge_ctx_destroy(context);
    return credential;
}

static void connect_and_hello(struct intruder *me, struct msg_hello_reply *ret)
{
    if (connect_again(me))
        die("no connection");
    if (hello(me, ret))
        die("HELLO is refused");
}

/* ---- what is tried ----------------------------------------------------------- */

static int try_operations(struct intruder *me)
{
    unsigned n_refused = 0;
    struct msg_hello_reply reply;
    uint8_t body[64] = {1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 'x'};

    for (unsigned number = 3; number < OP_COUNT; number++) {
        uint16_t opcode = (uint16_t)number;

        if (!op_find(opcode))
            continue;
        for (int with_hello = 0; with_hello <= 1; with_hello++) {
            int status;

            if (with_hello)
                connect_and_hello(me, &reply);
            else if (connect_again(me))
                die("no connection");
            status = ask(me, opcode, body, 11);
            if (status == 0 || status == -ETIMEDOUT) {
                printf("%s was not refused: %d\n", op_find(opcode)->name, status);
                return 1;
            }
            n_refused++;
        }
    }
    printf("%u requests were refused\n", n_refused);
    return n_refused < 80;
}

static int try_credential(struct intruder *me, const char *credential)
{
    struct msg_hello_reply reply;
    uint8_t body[8] = {1};
    int status;

    connect_and_hello(me, &reply);
    status = auth(me, credential ? credential : credential_make(me, reply.nonce));
    printf("AUTH: %s\n", strerror(-status));
    if (status != -EACCES)
        return 1;
    status = ask(me, OP_GETATTR, body, sizeof(body));
    return status == 0;
}

static int make_credential(struct intruder *me, const char *path)
{
    struct msg_hello_reply reply;
    FILE *file = fopen(path, "w");

    connect_and_hello(me, &reply);
    if (!file || fputs(credential_make(me, reply.nonce), file) < 0 || fclose(file))
        die("the file can't be written");
    return 0;
}

static char *file_read(const char *path)
{
    static char text[WIRE_TEXT_MAX];
    FILE *file = fopen(path, "r");

    if (!file || !fgets(text, sizeof(text), file))
        die("the file can't be read");
    fclose(file);
    return text;
}

/* Not those that would rightly change or end the service. */
static bool is_harmless(uint16_t opcode)
{
    const struct op_info *info = op_find(opcode);

    return opcode < OP_TASK_EXIT && (!info || !(info->flags & OP_REQUEST_PAYLOAD))
           && opcode != OP_STAGE_WAIT && opcode != OP_STAGE_PULL;
}

/* One wrong message: header, lengths, body, or the active message itself. */
static void bytes_send(struct intruder *me, uint64_t *random)
{
    uint8_t head[8 + WIRE_HEADER_SIZE + WIRE_BODY_MAX];
    struct wire_writer w = {.data = head, .capacity = sizeof(head)};
    size_t len = random_next(random) % 600, data_len = random_next(random) % 3000;
    static uint8_t data[3000];
    struct wire_header header = {
        .opcode = (uint16_t)(random_next(random) % (OP_COUNT + 10)),
        .client = me->client,
        .request = ++me->key,
        .target = (uint32_t)(random_next(random) % 3),
        .body_len = (uint32_t)len,
        .timeout_ms = 1000,
        .slot = (uint16_t)(random_next(random) % 4096),
    };

    if (!is_harmless(header.opcode))
        header.opcode = OP_GETATTR;
    wire_put_u64(&w, me->server_key);
    wire_header_encode(&header, head + 8);
    for (w.length = 8 + WIRE_HEADER_SIZE; w.length < 8 + WIRE_HEADER_SIZE + len;)
        wire_put_u8(&w, (uint8_t)random_next(random));
    switch (random_next(random) % 6) {
    case 0: /* lengths that are not so */
        head[8 + 32 + random_next(random) % 24] ^= (uint8_t)random_next(random);
        break;
    case 1: /* cut short */
        w.length = random_next(random) % w.length;
        break;
    case 2: /* any byte of the header but the opcode */
        head[8 + 8 + random_next(random) % 56] ^=
            (uint8_t)(1 << random_next(random) % 8);
        break;
    case 3: /* with data nobody has spoken of */
        am_send(me, 2, head, w.length, data, data_len, 0);
        return;
    case 4: /* the handshake again, with something else */
        am_send(me,
                (unsigned)(random_next(random) % 4),
                head + 8,
                random_next(random) % 40,
                data,
                data_len % 50,
                UCP_AM_SEND_FLAG_REPLY | UCP_AM_SEND_FLAG_EAGER);
        return;
    default:
        break;
    }
    am_send(me, 2, head, w.length, NULL, 0, 0);
}

static int try_bytes(struct intruder *me, uint64_t random)
{
    unsigned n_connections = 0, n_sent = 0;
    struct msg_hello_reply reply;
    uint8_t root[8] = {1};
    int status;

    while (n_sent < 3000) {
        bool has_any = false;

        connect_and_hello(me, &reply);
        n_connections++;
        if (n_connections % 4 != 0 && auth(me, credential_make(me, reply.nonce)))
            die("the job's own user is refused");
        for (int i = 0; i < 200 && !me->is_closed; i++, n_sent++) {
            bytes_send(me, &random);
            (void)wait_for(me, &has_any, 0);
        }
    }
    connect_and_hello(me, &reply);
    status = auth(me, credential_make(me, reply.nonce));
    if (status == 0)
        status = ask(me, OP_GETATTR, root, sizeof(root));
    printf("%u messages over %u connections, then: %s\n",
           n_sent,
           n_connections,
           strerror(-status));
    return status != 0;
}

int main(int argc, char **argv)
{
    struct intruder me = {.key = (uint64_t)getpid() << 20};
    int rc = 2;

    if (argc < 6)
        die("usage: intruder ADDRESS PORT JOB UID WHAT [ARGUMENT]");
    me.address = argv[1];
    me.port = (uint16_t)atoi(argv[2]);
    me.job = argv[3];
    me.uid = (uint32_t)atoi(argv[4]);
    me.client = (uint64_t)getpid() | 1;
    ucx_init(&me);
    if (strcmp(argv[5], "operations") == 0)
        rc = try_operations(&me);
    else if (strcmp(argv[5], "own") == 0)
        rc = try_credential(&me, NULL);
    else if (strcmp(argv[5], "credential") == 0 && argc > 6)
        rc = try_credential(&me, file_read(argv[6]));
    else if (strcmp(argv[5], "make") == 0 && argc > 6)
        rc = make_credential(&me, argv[6]);
    else if (strcmp(argv[5], "bytes") == 0 && argc > 6)
        rc = try_bytes(&me, strtoull(argv[6], NULL, 10) * 2 + 1);
    disconnect(&me);
    ucp_worker_destroy(me.worker);
    ucp_cleanup(me.context);
    return rc;
}

/* SPDX-License-Identifier: Apache-2.0
 * What the UCX server does with messages that no client of ours would send: the
 * sender's connection ends, the others go on. The sender speaks UCX itself. */
#include "rpc_ucx_child.h"

#include <poll.h>
#include <sys/socket.h>
#include <ucp/api/ucp.h>
#include <unistd.h>

#include "base/clock.h"
#include "proto/ops.h"
#include "transport/rpc_ucx_internal.h"

#define RAW_KEY UINT64_C(0x1122334455667788)

/* A peer made of plain UCX. */
struct raw {
    ucp_context_h context;
    ucp_worker_h worker;
    ucp_ep_h ep;
    bool is_gone;
    bool is_accepted;
    uint64_t server_key;
};

static void raw_on_error(void *arg, ucp_ep_h ep, ucs_status_t status)
{
    struct raw *raw = arg;

    (void)ep;
    (void)status;
    raw->is_gone = true;
}

static ucs_status_t raw_on_accept(void *arg,
                                  const void *head,
                                  size_t head_len,
                                  void *data,
                                  size_t len,
                                  const ucp_am_recv_param_t *param)
{
    struct wire_reader r = {.data = head, .length = head_len};
    struct raw *raw = arg;

    (void)data;
    (void)param;
    assert_int_equal(len, 0);
    assert_int_equal(wire_get_u32(&r), UCX_HANDSHAKE_MAGIC);
    assert_int_equal(wire_get_u32(&r), UCX_HANDSHAKE_VERSION);
    assert_int_equal(wire_get_u64(&r), RAW_KEY);
    raw->server_key = wire_get_u64(&r);
    assert_int_equal(wire_reader_finish(&r), 0);
    raw->is_accepted = true;
    return UCS_OK;
}

/* An answer: not looked at. */
static ucs_status_t raw_on_message(void *arg,
                                   const void *head,
                                   size_t head_len,
                                   void *data,
                                   size_t len,
                                   const ucp_am_recv_param_t *param)
{
    (void)arg;
    (void)head;
    (void)head_len;
    (void)data;
    (void)len;
    (void)param;
    return UCS_OK;
}

static void raw_open(struct raw *raw, const struct child_address *address)
{
    ucp_params_t params = {
        .field_mask = UCP_PARAM_FIELD_FEATURES,
        .features = UCP_FEATURE_AM,
    };
    ucp_worker_params_t worker_params = {0};
    ucp_am_handler_param_t handler = {
        .field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_CB
                      | UCP_AM_HANDLER_PARAM_FIELD_ARG,
        .id = UCX_AM_ACCEPT,
        .cb = raw_on_accept,
        .arg = raw,
    };
    ucp_ep_params_t ep_params = {
        .field_mask = UCP_EP_PARAM_FIELD_SOCK_ADDR | UCP_EP_PARAM_FIELD_FLAGS
                      | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE
                      | UCP_EP_PARAM_FIELD_ERR_HANDLER,
        .flags = UCP_EP_PARAMS_FLAGS_CLIENT_SERVER,
        .sockaddr = {.addr = (const struct sockaddr *)&address->socket,
                     .addrlen = sizeof(address->socket)},
        .err_mode = UCP_ERR_HANDLING_MODE_PEER,
        .err_handler = {.cb = raw_on_error, .arg = raw},
    };

    *raw = (struct raw){0};
    assert_int_equal(ucp_init(&params, NULL, &raw->context), UCS_OK);
    assert_int_equal(ucp_worker_create(raw->context, &worker_params, &raw->worker),
                     UCS_OK);
    assert_int_equal(ucp_worker_set_am_recv_handler(raw->worker, &handler), UCS_OK);
    handler.id = UCX_AM_MESSAGE;
    handler.cb = raw_on_message;
    assert_int_equal(ucp_worker_set_am_recv_handler(raw->worker, &handler), UCS_OK);
    assert_int_equal(ucp_ep_create(raw->worker, &ep_params, &raw->ep), UCS_OK);
}

static void raw_progress(struct raw *raw, const bool *is_done, uint64_t timeout_ms)
{
    struct deadline deadline = deadline_after_ms(timeout_ms);

    while (!(is_done && *is_done) && !deadline_expired(deadline))
        if (ucp_worker_progress(raw->worker) == 0)
            poll(NULL, 0, 1);
}

/* NULL-terminated waiting: the request is finished or the connection is. */
static void raw_wait(struct raw *raw, void *request)
{
    struct deadline deadline = deadline_after_ms(5000);

    if (!UCS_PTR_IS_PTR(request))
        return;
    while (ucp_request_check_status(request) == UCS_INPROGRESS) {
        assert_false(deadline_expired(deadline));
        ucp_worker_progress(raw->worker);
    }
    ucp_request_free(request);
}

static void raw_close(struct raw *raw)
{
    ucp_request_param_t param = {
        .op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS,
        .flags = UCP_EP_CLOSE_FLAG_FORCE,
    };

    raw_wait(raw, ucp_ep_close_nbx(raw->ep, &param));
    raw_progress(raw, NULL, 5);
    ucp_worker_destroy(raw->worker);
    ucp_cleanup(raw->context);
}

static void raw_send(struct raw *raw,
                     unsigned id,
                     const void *head,
                     size_t head_len,
                     size_t data_len,
                     unsigned flags)
{
    static const uint8_t data[1 << 20];
    ucp_request_param_t param = {
        .op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS,
        .flags = flags,
    };

    raw_wait(raw, ucp_am_send_nbx(raw->ep, id, head, head_len, data, data_len, &param));
}

static void
raw_connect_send(struct raw *raw, uint32_t magic, uint32_t version, size_t len)
{
    uint8_t head[64] = {0};
    struct wire_writer w = {.data = head, .capacity = sizeof(head)};

    wire_put_u32(&w, magic);
    wire_put_u32(&w, version);
    wire_put_u64(&w, RAW_KEY);
    raw_send(raw, UCX_AM_CONNECT, head, len, 0, UCP_AM_SEND_FLAG_REPLY);
}

static void raw_connect(struct raw *raw, const struct child_address *address)
{
    raw_open(raw, address);
    raw_connect_send(raw, UCX_HANDSHAKE_MAGIC, UCX_HANDSHAKE_VERSION, UCX_CONNECT_SIZE);
    raw_progress(raw, &raw->is_accepted, 3000);
    assert_true(raw->is_accepted);
}

static void good_client(const struct child_address *address)
{
    uint8_t body[100] = "still here";
    struct rpc_call call = {.body = body, .body_len = sizeof(body)};
    struct client client;

    client_start(&client, address, false, child_auth(false));
    assert_int_equal(client_call(&client, &call, CHILD_ECHO), 0);
    assert_memory_equal(call.reply, body, sizeof(body));
    client_stop(&client);
}

/* ---- not our protocol at all -------------------------------------------- */

/* Connections that say nothing, or end at once. (UCX 1.13 itself aborts the process on
 * bytes that are not its own: see README.md.) */
static void test_plain_tcp(void **state)
{
    struct child child;
    int fds[20];

    (void)state;
    child_start(&child, 0);
    for (int i = 0; i < 20; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fds[i],
                                 (struct sockaddr *)&child.address.socket,
                                 sizeof(child.address.socket)),
                         0);
        if (i % 2)
            close(fds[i]);
    }
    good_client(&child.address);
    for (int i = 0; i < 20; i += 2)
        close(fds[i]);
    good_client(&child.address);
    child_stop(&child);
}

static void test_no_handshake(void **state)
{
    uint8_t head[UCX_HEAD_SIZE + 100] = {0};
    struct child child;
    struct raw raw;

    (void)state;
    child_start(&child, 0);
    raw_open(&raw, &child.address);
    for (size_t len = 0; len <= sizeof(head); len += 4)
        raw_send(&raw, UCX_AM_MESSAGE, len ? head : NULL, len, len, 0);
    raw_send(&raw, UCX_AM_MESSAGE, head, 80, 1 << 20, UCP_AM_SEND_FLAG_RNDV);
    raw_connect_send(&raw, 7, UCX_HANDSHAKE_VERSION, UCX_CONNECT_SIZE);
    raw_connect_send(
        &raw, UCX_HANDSHAKE_MAGIC, UCX_HANDSHAKE_VERSION + 1, UCX_CONNECT_SIZE);
    raw_connect_send(&raw, UCX_HANDSHAKE_MAGIC, UCX_HANDSHAKE_VERSION, 15);
    raw_connect_send(&raw, UCX_HANDSHAKE_MAGIC, UCX_HANDSHAKE_VERSION, 17);
    raw_send(&raw, UCX_AM_ACCEPT, head, UCX_ACCEPT_SIZE, 0, 0);
    raw_progress(&raw, NULL, 50);
    assert_false(raw.is_accepted || raw.is_gone);
    good_client(&child.address);
    raw_close(&raw);
    child_stop(&child);
}

/* ---- our protocol, broken ----------------------------------------------- */

struct broken {
    const char *name;
    size_t head_len;   /* of the active message, 0: as it should be */
    uint32_t body_len; /* as the header says */
    size_t body_sent;
    uint64_t payload_len; /* as the header says */
    size_t data_sent;
    uint16_t opcode;
    bool is_reply;
    bool is_noise;
    unsigned flags;
};

static const struct broken broken[] = {
    {.name = "no header", .head_len = UCX_KEY_SIZE},
    {.name = "half a header", .head_len = UCX_KEY_SIZE + 32},
    {.name = "noise", .is_noise = true},
    {.name = "body shorter", .opcode = OP_HELLO, .body_len = 40, .body_sent = 39},
    {.name = "body longer", .opcode = OP_HELLO, .body_len = 40, .body_sent = 41},
    {.name = "body missing", .opcode = OP_HELLO, .body_len = 40},
    {.name = "body huge", .opcode = OP_HELLO, .body_len = 0x7fffffff},
    {.name = "body in late data",
     .opcode = OP_WRITE,
     .body_len = 40,
     .payload_len = 1000,
     .data_sent = 1040,
     .flags = UCP_AM_SEND_FLAG_RNDV},
    {.name = "payload shorter",
     .opcode = OP_WRITE,
     .payload_len = 1000,
     .data_sent = 999},
    {.name = "payload longer",
     .opcode = OP_WRITE,
     .payload_len = 1000,
     .data_sent = 300000,
     .flags = UCP_AM_SEND_FLAG_RNDV},
    {.name = "payload huge", .opcode = OP_WRITE, .payload_len = UINT64_MAX},
    {.name = "no HELLO first", .opcode = OP_PING},
    {.name = "no HELLO, payload",
     .opcode = OP_WRITE,
     .payload_len = 300000,
     .data_sent = 300000,
     .flags = UCP_AM_SEND_FLAG_RNDV},
    {.name = "a reply", .opcode = OP_HELLO, .is_reply = true},
    {.name = "empty HELLO", .opcode = OP_HELLO},
};

static void broken_send(struct raw *raw, const struct broken *bad)
{
    struct wire_header header = {
        .opcode = bad->opcode,
        .is_reply = bad->is_reply,
        .client = 99,
        .request = 1,
        .body_len = bad->body_len,
        .payload_len = bad->payload_len,
    };
    uint8_t head[UCX_HEAD_SIZE + 100] = {0};
    struct wire_writer w = {.data = head, .capacity = sizeof(head)};

    wire_put_u64(&w, raw->server_key);
    wire_header_encode(&header, head + UCX_KEY_SIZE);
    if (bad->is_noise)
        memset(head + UCX_KEY_SIZE, 0xa5, WIRE_HEADER_SIZE);
    raw_send(raw,
             UCX_AM_MESSAGE,
             head,
             bad->head_len ? bad->head_len : UCX_HEAD_SIZE + bad->body_sent,
             bad->data_sent,
             bad->flags);
}

static void test_broken_messages(void **state)
{
    struct child child;

    (void)state;
    child_start(&child, 0);
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        struct raw raw;

        raw_connect(&raw, &child.address);
        broken_send(&raw, &broken[i]);
        raw_progress(&raw, &raw.is_gone, 3000);
        if (!raw.is_gone)
            fail_msg("connection survived: %s", broken[i].name);
        raw_close(&raw);
        good_client(&child.address);
    }
    child_stop(&child);
}

/* The second handshake on a connection counts for nothing. */
static void test_two_handshakes(void **state)
{
    struct child child;
    struct raw raw;

    (void)state;
    child_start(&child, 0);
    raw_connect(&raw, &child.address);
    raw.is_accepted = false;
    raw_connect_send(
        &raw, UCX_HANDSHAKE_MAGIC, UCX_HANDSHAKE_VERSION, UCX_CONNECT_SIZE);
    raw_progress(&raw, &raw.is_accepted, 50);
    assert_false(raw.is_accepted);
    good_client(&child.address);
    raw_close(&raw);
    child_stop(&child);
}

/* Another connection's key is no use without knowing it; ours works on ours only as
 * long as we are connected. */
static void test_key_of_closed_connection(void **state)
{
    struct child child;
    struct raw first, second;

    (void)state;
    child_start(&child, 0);
    raw_connect(&first, &child.address);
    raw_connect(&second, &child.address);
    assert_true(first.server_key != second.server_key);
    raw_close(&first);
    second.server_key = first.server_key;
    raw_progress(&second, NULL, 50);
    broken_send(&second, &broken[0]);
    raw_progress(&second, &second.is_gone, 100);
    assert_false(second.is_gone);
    raw_close(&second);
    good_client(&child.address);
    child_stop(&child);
}

static void close_send(struct raw *raw, uint64_t key, size_t len)
{
    uint8_t head[UCX_KEY_SIZE + 8] = {0};
    struct wire_writer w = {.data = head, .capacity = sizeof(head)};

    wire_put_u64(&w, key);
    raw_send(raw, UCX_AM_CLOSE, head, len, 0, UCP_AM_SEND_FLAG_EAGER);
}

/* CLOSE ends the connection whose key it has; without one, nothing. */
static void test_close(void **state)
{
    struct child child;
    struct raw raw;

    (void)state;
    child_start(&child, 0);
    raw_connect(&raw, &child.address);
    close_send(&raw, raw.server_key + 1, UCX_KEY_SIZE);
    close_send(&raw, raw.server_key, UCX_KEY_SIZE - 1);
    close_send(&raw, raw.server_key, UCX_KEY_SIZE + 1);
    raw_progress(&raw, &raw.is_gone, 100);
    assert_false(raw.is_gone);
    close_send(&raw, raw.server_key, UCX_KEY_SIZE);
    raw_progress(&raw, &raw.is_gone, 3000);
    assert_true(raw.is_gone);
    raw_close(&raw);
    good_client(&child.address);
    child_stop(&child);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_tcp),
        cmocka_unit_test(test_no_handshake),
        cmocka_unit_test(test_broken_messages),
        cmocka_unit_test(test_two_handshakes),
        cmocka_unit_test(test_key_of_closed_connection),
        cmocka_unit_test(test_close),
    };
    int status = child_main(argc, argv);

    if (status >= 0)
        return status;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * What the fake service does with requests. */
#include "fake_service_impl.h"

#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "proto/placement.h"

/* ---- nodes: with the lock -------------------------------------------- */

struct node *fake_node_find(struct fake_service *service, uint64_t ino)
{
    for (unsigned i = 0; i < service->n_nodes; i++) {
        if (service->nodes[i].attr.ino == ino)
            return &service->nodes[i];
    }
    return NULL;
}

struct node *
fake_node_named(struct fake_service *service, uint64_t parent, struct wire_text name)
{
    for (unsigned i = 0; i < service->n_nodes; i++) {
        struct node *node = &service->nodes[i];

        if (node->is_linked && node->attr.parent == parent
            && strlen(node->name) == name.len
            && memcmp(node->name, name.data, name.len) == 0)
            return node;
    }
    return NULL;
}

struct node *fake_node_new(struct fake_service *service, uint64_t ino, uint32_t mode)
{
    struct node *node = &service->nodes[service->n_nodes];

    assert_true(service->n_nodes < NODES_MAX);
    *node = (struct node){.cookie = ++service->n_nodes};
    node->attr = (struct wire_attr){
        .ino = ino,
        .parent = ino,
        .mode = mode,
        .uid = geteuid(),
        .gid = getegid(),
        .nlink = 1,
        .chunk_size = FAKE_CHUNK_SIZE,
        .base = placement_home(ino),
    };
    return node;
}

/* ---- replies --------------------------------------------------------- */

void fake_reply(struct rpc_request *request, int status, const void *body, size_t len)
{
    rpc_request_reply(request, status, body, len, NULL, 0, NULL, NULL);
}

void fake_reply_attr(struct rpc_request *request, const struct node *node)
{
    struct msg_attr_reply msg;

    if (!node) {
        fake_reply(request, -ENOENT, NULL, 0);
        return;
    }
    msg.attr = node->attr;
    REPLY(request, attr_reply, &msg);
}

static void free_payload(void *arg, int status)
{
    (void)status;
    free(arg);
}

static void reply_payload(struct rpc_request *request,
                          const void *body,
                          size_t body_len,
                          void *data,
                          size_t len)
{
    struct iovec iov = {.iov_base = data, .iov_len = len};

    if (len > request->header.reply_space) {
        free(data);
        fake_reply(request, -EMSGSIZE, NULL, 0);
        return;
    }
    rpc_request_reply(
        request, 0, body, body_len, &iov, len ? 1 : 0, free_payload, data);
}

/* ---- ops ------------------------------------------------------------- */

void fake_op_table(struct target *target, struct rpc_request *request)
{
    struct msg_table_reply msg = {.node = 0};
    uint8_t body[MSG_table_reply_MAX];
    struct bytes out = BYTES_INIT(1u << 20);
    size_t len;
    uint8_t *data;

    assert_int_equal(endpoint_table_encode(&target->service->table, &out), 0);
    data = bytes_take(&out, &len);
    reply_payload(
        request, body, msg_table_reply_encode(&msg, body, sizeof(body)), data, len);
}

static void op_lookup(struct target *target, struct rpc_request *request)
{
    struct msg_lookup_reply answer;
    struct msg_dentry_request msg;
    struct node *node;

    assert_int_equal(
        msg_dentry_request_decode(&msg, request->body, request->header.body_len), 0);
    node = fake_node_named(target->service, msg.parent, msg.name);
    if (!node) {
        fake_reply(request, -ENOENT, NULL, 0);
        return;
    }
    answer = (struct msg_lookup_reply){
        .ino = node->attr.ino,
        .type = node->attr.mode & S_IFMT,
        /* every other one must be asked for */
        .has_attr = node->cookie % 2,
        .attr = node->attr,
    };
    REPLY(request, lookup_reply, &answer);
}

static void op_walk(struct target *target, struct rpc_request *request)
{
    struct fake_service *service = target->service;
    struct msg_walk_reply answer = {.epoch = service->epoch};
    struct msg_walk_request msg;
    struct node *node;

    assert_int_equal(
        msg_walk_request_decode(&msg, request->body, request->header.body_len), 0);
    answer.is_stale = msg.epoch && msg.epoch != service->epoch;
    node = answer.is_stale ? NULL : fake_node_named(service, msg.parent, msg.name);
    if (node) {
        answer.ino = node->attr.ino;
        answer.type = node->attr.mode & S_IFMT;
        /* every other file must be asked for */
        answer.has_attr = S_ISDIR(node->attr.mode) || node->cookie % 2;
        answer.attr = node->attr;
    }
    REPLY(request, walk_reply, &answer);
}

static void op_getattr(struct target *target, struct rpc_request *request)
{
    struct msg_inode_request msg;
    struct msg_attr_reply echo = {.attr = {.mode = S_IFREG}};

    assert_int_equal(
        msg_inode_request_decode(&msg, request->body, request->header.body_len), 0);
    echo.attr.ino = msg.ino;
    if (msg.ino & FAKE_ERROR_BIT) {
        fake_reply(request, -EIO, NULL, 0);
    } else if (msg.ino & FAKE_SLOW_BIT) {
        assert_int_equal(request->header.target, target->number);
        request->arg = (void *)(uintptr_t)(clock_now_ms() + FAKE_SLOW_MS);
        list_push_back(&target->slow, &request->link);
    } else if (msg.ino & FAKE_ECHO_BIT) {
        REPLY(request, attr_reply, &echo);
    } else {
        fake_reply_attr(request, fake_node_find(target->service, msg.ino));
    }
}

static void op_setattr(struct target *target, struct rpc_request *request)
{
    struct msg_setattr_request msg;
    struct node *node;

    assert_int_equal(
        msg_setattr_request_decode(&msg, request->body, request->header.body_len), 0);
    node = fake_node_find(target->service, msg.ino);
    if (node && msg.mask & SETATTR_MODE)
        node->attr.mode = (node->attr.mode & S_IFMT) | msg.mode;
    if (node && msg.mask & SETATTR_SIZE) {
        node->attr.size = msg.size;
        for (unsigned i = 0; i < CHUNKS_MAX; i++) {
            uint64_t first = (uint64_t)i * FAKE_CHUNK_SIZE;
            uint64_t keep = msg.size > first ? msg.size - first : 0;

            if (node->ends[i] > keep)
                node->ends[i] = (uint32_t)keep;
        }
    }
    fake_reply_attr(request, node);
}

static void op_create(struct target *target, struct rpc_request *request)
{
    struct fake_service *service = target->service;
    struct msg_create_request msg;
    struct node *node;

    assert_int_equal(
        msg_create_request_decode(&msg, request->body, request->header.body_len), 0);
    if (!fake_node_find(service, msg.parent)
        || fake_node_named(service, msg.parent, msg.name)) {
        fake_reply(
            request, fake_node_find(service, msg.parent) ? -EEXIST : -ENOENT, NULL, 0);
        return;
    }
    node = fake_node_new(
        service, placement_ino(++service->last_seq, target->number), msg.mode);
    node->attr.parent = msg.parent;
    node->is_linked = true;
    memcpy(node->name, msg.name.data, msg.name.len);
    node->text = strndup(msg.symlink.data, msg.symlink.len);
    if (msg.flags & CREATE_OPEN)
        service->n_opens++;
    fake_reply_attr(request, node);
}

static void op_unlink(struct target *target, struct rpc_request *request)
{
    struct msg_dentry_request msg;
    struct node *node;

    assert_int_equal(
        msg_dentry_request_decode(&msg, request->body, request->header.body_len), 0);
    node = fake_node_named(target->service, msg.parent, msg.name);
    if (node)
        node->is_linked = false;
    fake_reply(request, node ? 0 : -ENOENT, NULL, 0);
}

static void op_readlink(struct target *target, struct rpc_request *request)
{
    struct msg_inode_request msg;
    struct msg_text_reply answer;
    struct node *node;

    assert_int_equal(
        msg_inode_request_decode(&msg, request->body, request->header.body_len), 0);
    node = fake_node_find(target->service, msg.ino);
    assert_non_null(node);
    answer.text =
        (struct wire_text){.data = node->text, .len = (uint16_t)strlen(node->text)};
    REPLY(request, text_reply, &answer);
}

/* Two entries a reply, so that a listing takes several. */
static void op_readdir(struct target *target, struct rpc_request *request)
{
    struct fake_service *service = target->service;
    struct msg_readdir_request msg;
    struct msg_readdir_reply answer = {.at_end = 1};
    uint8_t body[MSG_readdir_reply_MAX];
    uint8_t *data = malloc(4096);
    struct wire_writer w = {.data = data, .capacity = 4096};

    assert_int_equal(
        msg_readdir_request_decode(&msg, request->body, request->header.body_len), 0);
    for (unsigned i = 0; i < service->n_nodes; i++) {
        struct node *node = &service->nodes[i];
        size_t len = strlen(node->name);
        struct wire_text name = {.data = node->name, .len = (uint16_t)len};

        if (!node->is_linked || node->attr.parent != msg.dir
            || node->cookie <= msg.cookie
            || placement_dentry_target(msg.dir, node->name, len, FAKE_TARGETS)
                   != target->number)
            continue;
        if (answer.n_entries == 2) {
            answer.at_end = 0;
            break;
        }
        answer.n_entries++;
        wire_put_u64(&w, node->attr.ino);
        wire_put_u32(&w, node->attr.mode & S_IFMT);
        wire_put_u64(&w, node->cookie);
        wire_put_text(&w, name);
    }
    reply_payload(request,
                  body,
                  msg_readdir_reply_encode(&answer, body, sizeof(body)),
                  data,
                  w.length);
}

/* Those that have entries; without them, none but the home. */
static void op_dir_members(struct target *target, struct rpc_request *request)
{
    struct fake_service *service = target->service;
    struct msg_dir_members_reply answer = {.is_all = 0};
    uint8_t map[(FAKE_TARGETS + 7) / 8] = {0};
    struct msg_inode_request msg;

    assert_int_equal(
        msg_inode_request_decode(&msg, request->body, request->header.body_len), 0);
    assert_int_equal(placement_home(msg.ino), target->number);
    for (unsigned i = 0; i < service->n_nodes; i++) {
        const struct node *node = &service->nodes[i];
        uint32_t at = placement_dentry_target(
            msg.ino, node->name, strlen(node->name), FAKE_TARGETS);

        if (node->is_linked && node->attr.parent == msg.ino)
            map[at / 8] |= (uint8_t)(1 << at % 8);
    }
    answer.targets = (struct wire_text){(const char *)map, sizeof(map)};
    REPLY(request, dir_members_reply, &answer);
}

static void op_open(struct target *target, struct rpc_request *request)
{
    struct msg_open_request msg;
    struct node *node;

    assert_int_equal(
        msg_open_request_decode(&msg, request->body, request->header.body_len), 0);
    node = fake_node_find(target->service, msg.ino);
    if (node)
        target->service->n_opens++;
    if (node && msg.flags & OPEN_TRUNCATE) {
        node->attr.size = 0;
        memset(node->ends, 0, sizeof(node->ends));
    }
    fake_reply_attr(request, node);
}

static void op_close(struct target *target, struct rpc_request *request)
{
    struct msg_close_request msg;
    struct node *node;

    assert_int_equal(
        msg_close_request_decode(&msg, request->body, request->header.body_len), 0);
    node = fake_node_find(target->service, msg.ino);
    if (target->service->n_opens == 0)
        node = NULL; /* given up */
    else
        target->service->n_opens--;
    if (node && msg.end > node->attr.size)
        node->attr.size = msg.end;
    fake_reply(request, node ? 0 : -EBADF, NULL, 0);
}

static void op_sync(struct target *target, struct rpc_request *request)
{
    struct msg_sync_request msg;
    struct node *node;

    assert_int_equal(
        msg_sync_request_decode(&msg, request->body, request->header.body_len), 0);
    node = fake_node_find(target->service, msg.ino);
    if (node && msg.end > node->attr.size)
        node->attr.size = msg.end;
    fake_reply(request, node ? 0 : -EBADF, NULL, 0);
}

static void op_read(struct target *target, struct rpc_request *request)
{
    struct msg_read_request msg;
    struct msg_read_reply answer = {.has_size = 0};
    uint8_t body[MSG_read_reply_MAX];
    uint8_t *data = malloc(FAKE_CHUNK_SIZE);
    struct node *node;
    size_t len = 0;

    assert_int_equal(
        msg_read_request_decode(&msg, request->body, request->header.body_len), 0);
    node = fake_node_find(target->service, msg.ino);
    assert_non_null(node);
    if (msg.chunk < CHUNKS_MAX && node->ends[msg.chunk] > msg.offset) {
        len = node->ends[msg.chunk] - msg.offset;
        if (len > msg.length)
            len = msg.length;
        memcpy(data, node->data + msg.chunk * FAKE_CHUNK_SIZE + msg.offset, len);
    }
    if (placement_home(msg.ino) == target->number && target->service->n_opens <= 1) {
        answer.has_size = 1;
        answer.size = node->attr.size;
    }
    reply_payload(
        request, body, msg_read_reply_encode(&answer, body, sizeof(body)), data, len);
}

struct pull {
    struct target *target;
    struct rpc_request *request;
    struct msg_write_request msg;
    struct iovec iov;
    uint8_t data[FAKE_CHUNK_SIZE];
};

/* From rpc_progress(), so without the lock, or from op_write(), with it. */
static void write_pulled(void *arg, int status)
{
    struct pull *pull = arg;
    struct msg_write_reply answer = {.size_noted = 0, .mtime_ns = 1};
    struct node *node = fake_node_find(pull->target->service, pull->msg.ino);
    uint32_t end = pull->msg.offset + pull->msg.length;

    assert_non_null(node);
    assert_true(pull->msg.chunk < CHUNKS_MAX && end <= FAKE_CHUNK_SIZE);
    if (!node->data)
        node->data = calloc(CHUNKS_MAX, FAKE_CHUNK_SIZE);
    memset(node->data + pull->msg.chunk * FAKE_CHUNK_SIZE + node->ends[pull->msg.chunk],
           0,
           FAKE_CHUNK_SIZE - node->ends[pull->msg.chunk]);
    memcpy(node->data + pull->msg.chunk * FAKE_CHUNK_SIZE + pull->msg.offset,
           pull->data,
           pull->msg.length);
    if (end > node->ends[pull->msg.chunk])
        node->ends[pull->msg.chunk] = end;
    if (placement_home(pull->msg.ino) == pull->target->number) {
        uint64_t size = pull->msg.chunk * FAKE_CHUNK_SIZE + end;

        answer.size_noted = 1;
        if (size > node->attr.size)
            node->attr.size = size;
    }
    if (status < 0)
        fake_reply(pull->request, status, NULL, 0);
    else
        REPLY(pull->request, write_reply, &answer);
    free(pull);
}

static void op_write(struct target *target, struct rpc_request *request)
{
    struct pull *pull = calloc(1, sizeof(*pull));

    assert_int_equal(
        msg_write_request_decode(&pull->msg, request->body, request->header.body_len),
        0);
    assert_true(pull->msg.length <= FAKE_CHUNK_SIZE);
    pull->target = target;
    pull->request = request;
    pull->iov.iov_base = pull->data;
    pull->iov.iov_len = pull->msg.length;
    rpc_request_pull(request, &pull->iov, 1, write_pulled, pull);
}

static void op_copy(struct target *target, struct rpc_request *request)
{
    struct msg_copy_request msg;
    struct msg_write_reply answer = {.size_noted = 0, .mtime_ns = 1};
    struct node *from, *to;
    uint64_t size;

    assert_int_equal(
        msg_copy_request_decode(&msg, request->body, request->header.body_len), 0);
    from = fake_node_find(target->service, msg.from_ino);
    to = fake_node_find(target->service, msg.ino);
    assert_true(from && to && from->data);
    assert_true(msg.from_offset + msg.length <= FAKE_CHUNK_SIZE
                && msg.offset + msg.length <= FAKE_CHUNK_SIZE && msg.chunk < CHUNKS_MAX
                && msg.from_chunk < CHUNKS_MAX);
    assert_int_equal(
        msg.from_target,
        placement_chunk_target(
            from->attr.layout, from->attr.base, msg.from_chunk, FAKE_TARGETS));
    if (!to->data)
        to->data = calloc(CHUNKS_MAX, FAKE_CHUNK_SIZE);
    memcpy(to->data + msg.chunk * FAKE_CHUNK_SIZE + msg.offset,
           from->data + msg.from_chunk * FAKE_CHUNK_SIZE + msg.from_offset,
           msg.length);
    if (msg.offset + msg.length > to->ends[msg.chunk])
        to->ends[msg.chunk] = msg.offset + msg.length;
    size = msg.chunk * FAKE_CHUNK_SIZE + msg.offset + msg.length;
    if (placement_home(msg.ino) == target->number) {
        answer.size_noted = 1;
        if (size > to->attr.size)
            to->attr.size = size;
    }
    REPLY(request, write_reply, &answer);
}

static void op_append(struct target *target, struct rpc_request *request)
{
    struct msg_append_request msg;
    struct msg_append_reply answer;
    struct node *node;

    assert_int_equal(
        msg_append_request_decode(&msg, request->body, request->header.body_len), 0);
    node = fake_node_find(target->service, msg.ino);
    assert_non_null(node);
    answer.offset = node->attr.size;
    node->attr.size += msg.length;
    REPLY(request, append_reply, &answer);
}

static void op_statfs(struct rpc_request *request)
{
    struct msg_statfs_reply msg = {
        .capacity_bytes = 1000, .used_bytes = 10, .inodes_used = 3, .inodes_free = 4};

    REPLY(request, statfs_reply, &msg);
}

/* ---- the server ------------------------------------------------------ */

void fake_request_run(struct target *target, struct rpc_request *request)
{
    switch (request->header.opcode) {
    case OP_TABLE:
        fake_op_table(target, request);
        break;
    case OP_WALK:
        op_walk(target, request);
        break;
    case OP_LOOKUP:
        op_lookup(target, request);
        break;
    case OP_GETATTR:
        op_getattr(target, request);
        break;
    case OP_SETATTR:
        op_setattr(target, request);
        break;
    case OP_CREATE:
        op_create(target, request);
        break;
    case OP_UNLINK:
        op_unlink(target, request);
        break;
    case OP_READLINK:
        op_readlink(target, request);
        break;
    case OP_DIR_MEMBERS:
        op_dir_members(target, request);
        break;
    case OP_READDIR:
        op_readdir(target, request);
        break;
    case OP_OPEN:
        op_open(target, request);
        break;
    case OP_OPEN_CHECK:
        fake_reply(request, target->service->n_opens > 0 ? 0 : -EBADF, NULL, 0);
        break;
    case OP_CLOSE:
        op_close(target, request);
        break;
    case OP_SYNC:
        op_sync(target, request);
        break;
    case OP_READ:
        op_read(target, request);
        break;
    case OP_WRITE:
        op_write(target, request);
        break;
    case OP_COPY:
        op_copy(target, request);
        break;
    case OP_APPEND:
        op_append(target, request);
        break;
    case OP_SETTLE:
        fake_reply(request, 0, NULL, 0);
        break;
    case OP_STATFS:
        op_statfs(request);
        break;
    default:
        fake_reply(request, -EOPNOTSUPP, NULL, 0);
    }
}

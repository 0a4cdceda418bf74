/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_service_impl.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "proto/placement.h"

static bool request_lose(struct fake_service *service, struct rpc_request *request)
{
    const struct wire_header *header = &request->header;
    bool is_first = service->lost_request != header->request;

    if (service->n_to_lose == 0 || header->opcode != service->lost_opcode)
        return false;
    service->n_to_lose--;
    if (service->is_lost_done && is_first) {
        service->lost_request = header->request;
        service->n_opens += header->opcode == OP_OPEN ? 1 : -1;
    }
    fake_reply(request, -ETIMEDOUT, NULL, 0);
    return true;
}

/* What was done is not done again. */
static bool request_repeat(struct target *target, struct rpc_request *request)
{
    struct fake_service *service = target->service;
    bool asks_only = request->header.asks_only;
    struct msg_open_request msg;

    if (request->header.request != service->lost_request) {
        if (asks_only)
            fake_reply(request, -ENODATA, NULL, 0);
        return asks_only;
    }
    if (request->header.opcode == OP_CLOSE) {
        fake_reply(request, 0, NULL, 0);
        return true;
    }
    assert_int_equal(
        msg_open_request_decode(&msg, request->body, request->header.body_len), 0);
    fake_reply_attr(request, fake_node_find(service, msg.ino));
    return true;
}

/* With the lock: rpc_progress() runs under it. */
static void on_request(void *arg, struct rpc_request *request)
{
    struct target *target = arg;
    struct fake_service *service = target->service;
    uint32_t wanted = request->header.target;

    atomic_fetch_add(&service->counts[request->header.opcode], 1);
    if (request->header.opcode == OP_TABLE) {
        fake_op_table(target, request);
        return;
    }
    /* Forwarded: only by the node's own, and only to others. */
    if (wanted != target->number
        && (wanted < service->n_own || target->number >= service->n_own
            || service->remote)) {
        fake_reply(request, -EREMCHG, NULL, 0);
        return;
    }
    if (request->header.opcode == service->held_opcode)
        list_push_back(&service->targets[wanted].held, &request->link);
    else if (!request_lose(service, request)
             && !request_repeat(&service->targets[wanted], request))
        fake_request_run(&service->targets[wanted], request);
}

static void on_client_down(void *arg, uint64_t client, bool is_evicted)
{
    (void)arg;
    (void)client;
    (void)is_evicted;
}

static void slow_run(struct target *target)
{
    list_for_each(node, &target->slow)
    {
        struct rpc_request *request = list_entry(node, struct rpc_request, link);
        struct msg_attr_reply echo = {.attr = {.mode = S_IFREG}};
        struct msg_inode_request msg;

        if (clock_now_ms() < (uintptr_t)request->arg)
            continue;
        list_remove(node);
        msg_inode_request_decode(&msg, request->body, request->header.body_len);
        echo.attr.ino = msg.ino;
        REPLY(request, attr_reply, &echo);
    }
}

static void held_run(struct target *target)
{
    unsigned held = target->service->held_opcode;
    struct list_node *node;

    while (held == OP_COUNT && (node = list_pop_front(&target->held)))
        fake_request_run(target, list_entry(node, struct rpc_request, link));
}

static bool must_look(const struct target *target)
{
    return !list_is_empty(&target->slow) || !list_is_empty(&target->held);
}

static void *target_run(void *arg)
{
    struct target *target = arg;
    struct fake_service *service = target->service;

    while (!atomic_load(&service->is_stopping)) {
        pthread_mutex_lock(&service->lock);
        while (rpc_progress(target->rpc) > 0)
            continue;
        slow_run(target);
        held_run(target);
        pthread_mutex_unlock(&service->lock);
        /* After the progress that may have taken the wake-up of fake_service_stop(). */
        if (!atomic_load(&service->is_stopping))
            rpc_wait(target->rpc, must_look(target) ? 5 : -1);
    }
    return NULL;
}

static void endpoint_fill(struct fake_service *service, uint32_t number)
{
    struct endpoint *endpoint = &service->table.endpoints[number];
    bool is_own = number < service->n_own;

    *endpoint = (struct endpoint){
        .node = is_own ? 0 : 1,
        .shard = is_own ? number : number - service->n_own,
        .instance = 7,
        .host = is_own ? 100 : 101,
        .host_name = strdup(is_own ? "here" : "there"),
        .local_path = strdup(service->targets[number].path),
    };
}

static void address_publish(struct fake_service *service, uint32_t number)
{
    struct endpoint *endpoint = &service->table.endpoints[number];
    struct rpc_address address;

    assert_int_equal(rpc_address_get(service->targets[number].rpc, &address), 0);
    endpoint->socket_address = malloc(address.socket_address_len);
    memcpy(
        endpoint->socket_address, address.socket_address, address.socket_address_len);
    endpoint->socket_address_len = (uint16_t)address.socket_address_len;
}

static void target_start(struct fake_service *service, uint32_t number)
{
    struct target *target = &service->targets[number];
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct rpc_config config = {
        .client = 1000 + number,
        .job = "test",
        .kind = HELLO_DAEMON,
        .server = &target->server,
        .local_path = target->path,
        .target = number,
        .node = number < service->n_own ? 0 : 1,
        .instance = 7,
    };

    list_init(&target->slow);
    list_init(&target->held);
    target->server = (struct rpc_server){
        .on_request = on_request, .on_client_down = on_client_down, .arg = target};
    if (service->remote && number >= service->n_own) {
        config.remote = service->remote;
        config.auth = service->auth;
        config.listen_address = "127.0.0.1";
    }
    if (rpc_create(&config, &target->rpc, &err) < 0)
        fail_msg("%s", err.text);
    if (config.remote)
        address_publish(service, number);
    rpc_set_n_targets(target->rpc, FAKE_TARGETS);
}

struct fake_service *fake_service_start(const struct unit_dir *dir, uint32_t n_own)
{
    return fake_service_start_remote(dir, n_own, NULL, NULL);
}

struct fake_service *fake_service_start_remote(const struct unit_dir *dir,
                                               uint32_t n_own,
                                               const struct rpc_backend *backend,
                                               const struct rpc_auth *auth)
{
    struct fake_service *service = calloc(1, sizeof(*service));

    assert_non_null(service);
    service->n_own = n_own;
    service->remote = backend;
    service->auth = auth;
    service->held_opcode = OP_COUNT;
    service->epoch = 1;
    pthread_mutex_init(&service->lock, NULL);
    service->table = (struct endpoint_table){
        .job = "test",
        .uid = geteuid(),
        .gid = getegid(),
        .n_nodes = n_own < FAKE_TARGETS ? 2 : 1,
        .chunk_size = FAKE_CHUNK_SIZE,
        .request_timeout_ms = 5000,
        .connect_timeout_ms = 5000,
        .n_endpoints = FAKE_TARGETS,
        .endpoints = calloc(FAKE_TARGETS, sizeof(struct endpoint)),
    };
    fake_node_new(service, PLACEMENT_ROOT_INO, S_IFDIR | 0755);
    for (uint32_t i = 0; i < FAKE_TARGETS; i++) {
        struct target *target = &service->targets[i];

        target->service = service;
        target->number = i;
        snprintf(target->path,
                 sizeof(target->path),
                 "%s/shard-%u.sock",
                 dir->path,
                 (unsigned)i);
        endpoint_fill(service, i);
        target_start(service, i);
    }
    for (uint32_t i = 0; i < FAKE_TARGETS; i++)
        assert_int_equal(
            pthread_create(
                &service->targets[i].thread, NULL, target_run, &service->targets[i]),
            0);
    return service;
}

void fake_service_stop(struct fake_service *service)
{
    atomic_store(&service->is_stopping, true);
    for (uint32_t i = 0; i < FAKE_TARGETS; i++)
        rpc_wake(service->targets[i].rpc);
    for (uint32_t i = 0; i < FAKE_TARGETS; i++) {
        struct target *target = &service->targets[i];
        struct list_node *node;

        pthread_join(target->thread, NULL);
        list_splice_back(&target->slow, &target->held);
        while ((node = list_pop_front(&target->slow)))
            fake_reply(list_entry(node, struct rpc_request, link), -ESHUTDOWN, NULL, 0);
        rpc_destroy(target->rpc);
    }
    for (unsigned i = 0; i < service->n_nodes; i++) {
        free(service->nodes[i].text);
        free(service->nodes[i].data);
    }
    endpoint_table_fini(&service->table);
    pthread_mutex_destroy(&service->lock);
    free(service);
}

const char *fake_service_socket(const struct fake_service *service)
{
    return service->targets[0].path;
}

unsigned fake_service_count(struct fake_service *service, unsigned opcode)
{
    return atomic_load(&service->counts[opcode]);
}

static struct node *node_of_root(struct fake_service *service, const char *name)
{
    struct wire_text text = {name, (uint16_t)strlen(name)};
    struct node *node = fake_node_named(service, PLACEMENT_ROOT_INO, text);

    assert_non_null(node);
    return node;
}

void fake_service_rename(struct fake_service *service,
                         const char *name,
                         const char *new_name)
{
    struct node *node;

    pthread_mutex_lock(&service->lock);
    node = node_of_root(service, name);
    snprintf(node->name, sizeof(node->name), "%s", new_name);
    service->epoch++;
    pthread_mutex_unlock(&service->lock);
}

void fake_service_remove(struct fake_service *service, const char *name)
{
    struct node *node;

    pthread_mutex_lock(&service->lock);
    node = node_of_root(service, name);
    for (unsigned i = 0; i < service->n_nodes; i++) {
        if (service->nodes[i].attr.parent == node->attr.ino)
            service->nodes[i].is_linked = false;
    }
    node->is_linked = false;
    node->attr.ino = 0;
    pthread_mutex_unlock(&service->lock);
}

void fake_service_hold(struct fake_service *service, unsigned opcode)
{
    pthread_mutex_lock(&service->lock);
    service->held_opcode = opcode;
    pthread_mutex_unlock(&service->lock);
}

void fake_service_lose(struct fake_service *service,
                       unsigned opcode,
                       unsigned n,
                       bool is_done)
{
    pthread_mutex_lock(&service->lock);
    service->lost_opcode = opcode;
    service->n_to_lose = n;
    service->is_lost_done = is_done;
    pthread_mutex_unlock(&service->lock);
}

void fake_service_give_up(struct fake_service *service)
{
    pthread_mutex_lock(&service->lock);
    service->n_opens = 0;
    pthread_mutex_unlock(&service->lock);
}

int fake_service_opens(struct fake_service *service)
{
    int n;

    pthread_mutex_lock(&service->lock);
    n = service->n_opens;
    pthread_mutex_unlock(&service->lock);
    return n;
}

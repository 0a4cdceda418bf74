/* SPDX-License-Identifier: Apache-2.0
 *
 * Open files: what the home is told of them, and what is done to one as a whole. The
 * home is told once per inode and access, however often it is open in this client.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/iovec.h"
#include "client/client_internal.h"

#define SEEK_PARALLEL 32u

/* ---- open and close -------------------------------------------------- */

enum client_open_kind client_open_kind(uint32_t flags)
{
    if (!(flags & OPEN_WRITE))
        return CLIENT_OPEN_READER;
    return flags & OPEN_APPEND ? CLIENT_OPEN_APPENDER : CLIENT_OPEN_WRITER;
}

uint32_t client_open_flags(enum client_open_kind kind)
{
    static const uint32_t flags[CLIENT_OPEN_KINDS] = {
        [CLIENT_OPEN_READER] = OPEN_READ,
        [CLIENT_OPEN_WRITER] = OPEN_WRITE,
        [CLIENT_OPEN_APPENDER] = OPEN_WRITE | OPEN_APPEND,
    };

    return flags[kind];
}

static int open_call(struct client_inode *inode, uint32_t flags, struct wire_attr *ret)
{
    struct msg_open_request msg = {.ino = inode->ino, .flags = flags};
    struct msg_attr_reply reply;
    struct client_call call;
    int status;

    client_call_fill(
        inode->client, &call, OP_OPEN, placement_home(inode->ino), open_request, &msg);
    call.call.keeps_slot = true;
    status = client_call_run(inode->client, &call);
    if (client_status_is_doubtful(status))
        client_open_late(inode->client, &call, client_open_kind(flags));
    if (status == 0)
        status = client_reply_decode(&call, attr_reply, &reply);
    if (status == 0)
        *ret = reply.attr;
    return status;
}

void client_close_fill(struct client_inode *inode,
                       struct client_call *call,
                       enum client_open_kind kind,
                       struct client_report report)
{
    struct msg_close_request msg = {
        .ino = inode->ino,
        .flags = client_open_flags(kind),
        .end = report.end,
        .cuts = report.cuts,
        .mtime_ns = report.mtime_ns,
    };

    client_call_fill(
        inode->client, call, OP_CLOSE, placement_home(inode->ino), close_request, &msg);
    call->call.keeps_slot = true;
}

static int close_call(struct client_inode *inode, enum client_open_kind kind)
{
    struct client_report report;
    struct client_call call;
    int status;

    /* the home has closed it already */
    if (atomic_load(&inode->is_lost))
        return kind == CLIENT_OPEN_READER ? 0 : -EIO;
    report = client_inode_report_take(inode);
    if (client_inode_is_doubtful(inode)) {
        client_close_late(inode, kind, NULL, report);
        return 0; /* the writes have said what there is to say */
    }
    client_close_fill(inode, &call, kind, report);
    status = client_call_run(inode->client, &call);
    if (client_status_is_doubtful(status))
        client_close_late(inode, kind, &call, report);
    if (status == -EBADF) { /* it was given up before */
        client_inode_lose(inode);
        return -EIO;
    }
    return status;
}

/* With inode->lock, after an answer of the home. */
static int inode_layout_set(struct client_inode *inode, const struct wire_attr *attr)
{
    if (attr->ino != inode->ino || attr->chunk_size == 0
        || attr->chunk_size > WIRE_PAYLOAD_MAX
        || attr->base >= client_n_targets(inode->client))
        return -EPROTO;
    inode->chunk_size = attr->chunk_size;
    inode->layout = attr->layout;
    inode->base = attr->base;
    client_inode_cuts_note(inode, attr);
    return 0;
}

static int truncate_to_zero(struct client_inode *inode)
{
    struct msg_setattr_request change = {.ino = inode->ino, .mask = SETATTR_SIZE};
    struct wire_attr attr;

    return client_setattr(inode->client, &change, &attr);
}

/* Whether the home was told of any open, and of which kind. */
static bool open_kind_find(const struct client_inode *inode, enum client_open_kind *ret)
{
    for (unsigned i = 0; i < CLIENT_OPEN_KINDS; i++) {
        if (inode->n_opens[i] == 0)
            continue;
        *ret = (enum client_open_kind)i;
        return true;
    }
    return false;
}

/* With inode->lock: the home has counted an open. What was open before must have been
 * all the time, so that it is one with this: a home gives up all or nothing. */
static int inode_opened(struct client_inode *inode,
                        enum client_open_kind kind,
                        const struct wire_attr *attr)
{
    enum client_open_kind known;
    bool was_open = open_kind_find(inode, &known);
    int status;

    if (!was_open)
        client_inode_held(inode);
    inode->n_opens[kind]++;
    status = inode_layout_set(inode, attr);
    if (status == 0 && was_open)
        status = client_inode_check(inode, known);
    return status;
}

/* With inode->lock: tells the home what it does not know yet. */
static int inode_open(struct client_inode *inode, uint32_t flags)
{
    enum client_open_kind kind = client_open_kind(flags);
    struct client_report report = {0};
    struct wire_attr attr;
    int status;

    if (inode->n_opens[kind] > 0) {
        status = client_inode_check(inode, kind);
        if (status == 0 && (flags & OPEN_TRUNCATE))
            status = truncate_to_zero(inode);
        return status;
    }
    if (flags & OPEN_TRUNCATE) {
        status = client_inode_settle(inode);
        if (status)
            return status;
        report = client_inode_report_take(inode);
    }
    status = open_call(inode, flags, &attr);
    if (status) {
        client_inode_report_add(inode, report);
        return status;
    }
    return inode_opened(inode, kind, &attr);
}

/* With inode->lock: tells the home when no file of this kind is open any more. */
static int inode_close(struct client_inode *inode, enum client_open_kind kind)
{
    int status = 0;

    while (inode->n_files[kind] == 0 && inode->n_opens[kind] > 0) {
        int rc = close_call(inode, kind);

        if (rc < 0 && status == 0)
            status = rc;
        inode->n_opens[kind]--;
    }
    return status;
}

/* With inode->lock. */
static int
file_new(struct client_inode *inode, uint32_t flags, struct client_file **ret)
{
    struct client_file *file = malloc(sizeof(*file));

    if (!file)
        return -ENOMEM;
    file->inode = inode;
    file->flags = flags & ~(uint32_t)OPEN_TRUNCATE;
    inode->n_files[client_open_kind(flags)]++;
    *ret = file;
    return 0;
}

/* With inode->lock, which it releases: makes the file if all went well so far, else
 * takes back what the home was told. Uses up the reference to the inode on failure. */
static int open_finish(struct client_inode *inode,
                       uint32_t flags,
                       int status,
                       struct client_file **ret)
{
    if (status == 0)
        status = file_new(inode, flags, ret);
    if (status < 0)
        inode_close(inode, client_open_kind(flags));
    pthread_mutex_unlock(&inode->lock);
    if (status < 0)
        client_inode_put(inode);
    return status;
}

int client_file_open(struct client *client,
                     uint64_t ino,
                     uint32_t open_flags,
                     struct client_file **ret)
{
    struct client_inode *inode;
    bool is_lost;
    int status;

    if (!(open_flags & (OPEN_READ | OPEN_WRITE)))
        return -EINVAL;
    do {
        inode = client_inode_get(client, ino);
        if (!inode)
            return -ENOMEM;
        pthread_mutex_lock(&inode->lock);
        status = inode_open(inode, open_flags);
        is_lost = atomic_load(&inode->is_lost); /* then the next one is another */
        status = open_finish(inode, open_flags, status, ret);
    } while (status == -EIO && is_lost);
    return status;
}

/* The home has counted the open with the CREATE. */
static int created_open(struct client *client,
                        const struct wire_attr *attr,
                        uint32_t flags,
                        struct client_file **ret)
{
    struct client_inode *inode = client_inode_get(client, attr->ino);
    int status;

    if (!inode)
        return -ENOMEM;
    pthread_mutex_lock(&inode->lock);
    status = inode_opened(inode, client_open_kind(flags), attr);
    return open_finish(inode, flags, status, ret);
}

/* The name was taken. -ENOENT: by now it is not. */
static int existing_open(struct client *client,
                         uint64_t parent,
                         const char *name,
                         uint32_t flags,
                         struct wire_attr *ret_attr,
                         struct client_file **ret)
{
    int status = client_lookup(client, parent, name, ret_attr);

    if (status < 0)
        return status;
    /* The caller decides what becomes of a symbolic link or a special file. */
    if (!S_ISREG(ret_attr->mode))
        return S_ISDIR(ret_attr->mode) ? -EISDIR : -EEXIST;
    status = client_file_open(client, ret_attr->ino, flags, ret);
    if (status == 0 && (flags & OPEN_TRUNCATE))
        status = client_getattr(client, ret_attr->ino, ret_attr);
    return status;
}

int client_file_create(struct client *client,
                       uint64_t parent,
                       const char *name,
                       const struct msg_create_request *what,
                       uint32_t open_flags,
                       struct wire_attr *ret_attr,
                       struct client_file **ret)
{
    struct msg_create_request msg = *what;
    struct wire_attr attr;
    int status = -ENOENT;

    if (!(open_flags & (OPEN_READ | OPEN_WRITE)))
        return -EINVAL;
    msg.flags |= CREATE_OPEN | open_flags << CREATE_OPEN_SHIFT;
    for (int i = 0; i < CLIENT_RACE_TRIES && status == -ENOENT; i++) {
        status = client_create_call(client, parent, name, &msg, &attr);
        if (status == 0)
            status = created_open(client, &attr, open_flags, ret);
        else if (status == -EEXIST && !(msg.flags & CREATE_EXCL))
            status = existing_open(client, parent, name, open_flags, &attr, ret);
        else
            return status;
    }
    if (status == 0 && ret_attr)
        *ret_attr = attr;
    return status;
}

int client_file_close(struct client_file *file)
{
    struct client_inode *inode = file->inode;
    enum client_open_kind kind = client_open_kind(file->flags);
    int status;

    client_late_look(inode->client);
    pthread_mutex_lock(&inode->lock);
    inode->n_files[kind]--;
    status = inode_close(inode, kind);
    pthread_mutex_unlock(&inode->lock);
    client_inode_put(inode);
    free(file);
    return status;
}

uint64_t client_file_ino(const struct client_file *file)
{
    return file->inode->ino;
}

/* ---- data ------------------------------------------------------------ */

ssize_t client_file_readv(struct client_file *file,
                          const struct iovec *iov,
                          int n_iov,
                          uint64_t offset)
{
    struct client_io *io;
    int status;

    if (!(file->flags & OPEN_READ))
        return -EBADF;
    status = client_io_start(file, false, false, iov, n_iov, offset, &io);
    return status < 0 ? status : client_io_finish(io);
}

ssize_t client_file_writev(struct client_file *file,
                           const struct iovec *iov,
                           int n_iov,
                           uint64_t offset)
{
    struct client_io *io;
    int status;

    if (!(file->flags & OPEN_WRITE))
        return -EBADF;
    /* The home counts on it that such a file only grows through APPEND. */
    if (file->flags & OPEN_APPEND)
        return client_file_append(file, iov, n_iov, NULL);
    status = client_io_start(file, true, false, iov, n_iov, offset, &io);
    return status < 0 ? status : client_io_finish(io);
}

static int append_reserve(struct client_inode *inode, uint64_t length, uint64_t *ret)
{
    struct msg_append_request msg = {.ino = inode->ino, .length = length};
    struct msg_append_reply reply;
    struct client_call call;
    int status;

    client_call_fill(inode->client,
                     &call,
                     OP_APPEND,
                     placement_home(inode->ino),
                     append_request,
                     &msg);
    status = client_call_run(inode->client, &call);
    if (status == 0)
        status = client_reply_decode(&call, append_reply, &reply);
    if (status == 0)
        *ret = reply.offset;
    return status;
}

ssize_t client_file_append(struct client_file *file,
                           const struct iovec *iov,
                           int n_iov,
                           uint64_t *ret_offset)
{
    struct client_io *io;
    uint64_t offset = 0;
    size_t length;
    int status;

    if (!(file->flags & OPEN_WRITE))
        return -EBADF;
    if (n_iov < 0 || n_iov > IOV_MAX || iovec_length(iov, (size_t)n_iov, &length) < 0)
        return -EINVAL;
    if (length == 0)
        return 0;
    if (length > WIRE_PAYLOAD_MAX)
        return -EINVAL;
    status = client_file_check(file);
    if (status == 0)
        status = append_reserve(file->inode, length, &offset);
    if (status == 0)
        status = client_io_start(file, true, true, iov, n_iov, offset, &io);
    if (status)
        return status;
    if (ret_offset)
        *ret_offset = offset;
    return client_io_finish(io);
}

static int inode_sync(struct client_inode *inode, bool durable)
{
    struct client_report report = client_inode_report_take(inode);
    struct msg_sync_request msg = {
        .ino = inode->ino,
        .flags = SYNC_END | (durable ? SYNC_DURABLE : 0),
        .end = report.end,
        .cuts = report.cuts,
        .mtime_ns = report.mtime_ns,
    };
    struct client_call call;
    int status;

    if (report.end == 0 && report.mtime_ns == 0 && !durable)
        return 0;
    client_call_fill(
        inode->client, &call, OP_SYNC, placement_home(inode->ino), sync_request, &msg);
    if (durable)
        call.call.rpc.timeout_ms *= CLIENT_SYNC_TIMEOUTS;
    status = client_call_run(inode->client, &call);
    if (status < 0)
        client_inode_report_add(inode, report);
    return status;
}

int client_file_sync(struct client_file *file, bool durable)
{
    struct client_inode *inode = file->inode;
    int status = client_file_check(file);

    if (status == 0)
        status = client_inode_settle(inode);
    return status ? status : inode_sync(inode, durable);
}

int client_file_fallocate(struct client_file *file,
                          int mode,
                          uint64_t offset,
                          uint64_t length)
{
    struct client_inode *inode = file->inode;
    struct msg_fallocate_request msg = {
        .ino = inode->ino,
        .mode = (uint32_t)mode,
        .offset = offset,
        .length = length,
    };
    struct client_call call;
    int status;

    if (!(file->flags & OPEN_WRITE))
        return -EBADF;
    if (length == 0)
        return -EINVAL;
    if (offset > INT64_MAX || length > INT64_MAX - offset)
        return -EFBIG;
    status = client_file_check(file);
    if (status)
        return status;
    client_call_fill(inode->client,
                     &call,
                     OP_FALLOCATE,
                     placement_home(inode->ino),
                     fallocate_request,
                     &msg);
    return client_call_run(inode->client, &call);
}

/* ---- holes ----------------------------------------------------------- */

struct seek_batch {
    struct client_inode *inode;
    uint64_t first;  /* chunk */
    uint32_t offset; /* in the first chunk */
    unsigned n;
    bool is_data;
    struct client_call calls[SEEK_PARALLEL];
};

static void seek_batch_run(struct seek_batch *batch)
{
    struct client_inode *inode = batch->inode;
    struct engine_set set;

    engine_set_init(&set, NULL);
    for (unsigned i = 0; i < batch->n; i++) {
        uint64_t chunk = batch->first + i;
        struct msg_seek_request msg = {
            .ino = inode->ino,
            .chunk = chunk,
            .offset = i == 0 ? batch->offset : 0,
            .data = batch->is_data,
        };
        uint32_t target = placement_chunk_target(
            inode->layout, inode->base, chunk, client_n_targets(inode->client));

        client_call_fill(
            inode->client, &batch->calls[i], OP_SEEK, target, seek_request, &msg);
        engine_set_add(&set, &batch->calls[i].call);
    }
    engine_run(inode->client->engine, &set);
}

/* The first place found, in file order: 1; 0: none; -errno. */
static int seek_batch_result(const struct seek_batch *batch, uint64_t *ret_offset)
{
    for (unsigned i = 0; i < batch->n; i++) {
        const struct client_call *call = &batch->calls[i];
        struct msg_seek_reply reply;
        int status = call->call.rpc.status;

        if (status == 0)
            status = client_reply_decode(call, seek_reply, &reply);
        if (status)
            return status;
        if (reply.found && reply.offset < batch->inode->chunk_size) {
            *ret_offset = (batch->first + i) * batch->inode->chunk_size + reply.offset;
            return 1;
        }
    }
    return 0;
}

/* 1: found, 0: not in [offset, size), -errno. */
static int seek_search(struct client_inode *inode,
                       uint64_t offset,
                       uint64_t size,
                       bool is_data,
                       uint64_t *ret)
{
    uint64_t chunk = offset / inode->chunk_size;
    uint64_t last = (size - 1) / inode->chunk_size;
    struct seek_batch *batch = malloc(sizeof(*batch));
    int status = 0;

    if (!batch)
        return -ENOMEM;
    *batch = (struct seek_batch){
        .inode = inode,
        .offset = (uint32_t)(offset % inode->chunk_size),
        .is_data = is_data,
    };
    while (chunk <= last && status == 0) {
        batch->first = chunk;
        batch->n = last - chunk + 1 > SEEK_PARALLEL ? SEEK_PARALLEL
                                                    : (unsigned)(last - chunk + 1);
        seek_batch_run(batch);
        status = seek_batch_result(batch, ret);
        batch->offset = 0;
        chunk += batch->n;
    }
    free(batch);
    return status;
}

int64_t client_file_seek(struct client_file *file, uint64_t offset, int whence)
{
    struct client_inode *inode = file->inode;
    struct wire_attr attr;
    uint64_t found = 0;
    int status;

    if (whence != SEEK_DATA && whence != SEEK_HOLE)
        return -EINVAL;
    status = client_getattr(inode->client, inode->ino, &attr);
    if (status < 0)
        return status;
    if (offset >= attr.size)
        return -ENXIO;
    status = seek_search(inode, offset, attr.size, whence == SEEK_DATA, &found);
    if (status < 0)
        return status;
    if (status > 0 && found < attr.size)
        return (int64_t)found;
    return whence == SEEK_DATA ? -ENXIO : (int64_t)attr.size;
}

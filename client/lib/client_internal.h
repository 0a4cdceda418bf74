/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the inode-level client share: the client itself, one request, and
 * the inodes that this client has open.
 */
#ifndef BENCHFS_CLIENT_CLIENT_INTERNAL_H
#define BENCHFS_CLIENT_CLIENT_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "base/table.h"
#include "client/client.h"
#include "client/engine.h"
#include "proto/ops.h"
#include "proto/placement.h"

#define CLIENT_PARALLEL_MAX 64u /* requests in flight of one call of a user */
#define CLIENT_RACE_TRIES   8   /* create or open while others create and remove */

/* Directories by their names, and the epochs of targets: client_walk.c. */
struct client_dirs {
    pthread_mutex_t lock;
    struct table kept;
    uint64_t *epochs;    /* by target, 0: not known; made when needed */
    uint64_t generation; /* changes when what is kept must not be believed any more */
};

struct client {
    uint64_t id;
    uint32_t node;
    enum client_route route;
    uint8_t kind;
    unsigned timeout_ms;
    const struct client_remote *remote;
    void *auth_state; /* remote's, once the direct route is used */
    char *socket_path;
    struct endpoint_table table;
    uint64_t host;  /* of this node's endpoints */
    uint32_t *own;  /* targets of this node's daemon, by shard */
    uint32_t n_own; /* 0: not known yet, the socket is all there is */
    struct engine *engine;
    pthread_mutex_t inodes_lock;
    struct table inodes; /* ino -> struct client_inode */
    struct list lates;   /* of struct client_late, under inodes_lock */
    atomic_uint n_lates;
    struct client_dirs dirs;
};

static inline uint32_t client_n_targets(const struct client *client)
{
    return client->table.n_endpoints;
}

/* ---- one request ----------------------------------------------------- */

/* A request and its reply: fill, client_call_run(), decode. */
struct client_call {
    struct engine_call call;
    uint8_t body[WIRE_BODY_MAX];
};

/* A sync that reaches disks takes as long as they need for all that is not on them yet;
 * a peer that can't be reached is noticed by the connection. */
#define CLIENT_SYNC_TIMEOUTS 20u

/* Encodes a message into the call's body and addresses it. The longest encoding of any
 * message fits, so 0 means that the message is empty (or a text over its limit, which
 * callers have checked). */
#define client_call_fill(client, item, op, to, message, msg)                           \
    client_call_set((client),                                                          \
                    &(item)->call,                                                     \
                    (op),                                                              \
                    (to),                                                              \
                    (item)->body,                                                      \
                    msg_##message##_encode((msg), (item)->body, sizeof((item)->body)))

/* The peer that a request for `target` goes to: the target itself, or the shard of this
 * node's daemon that forwards it. */
uint32_t client_route_peer(const struct client *client, uint32_t target);

/* Sets all that a call needs but payload memory. `body` must last until it is started.
 */
void client_call_set(const struct client *client,
                     struct engine_call *call,
                     uint16_t opcode,
                     uint32_t target,
                     const void *body,
                     size_t body_len);

/* Runs it alone. 0 or the status. */
int client_call_run(struct client *client, struct client_call *call);

#define client_reply_decode(item, message, ret)                                        \
    msg_##message##_decode((ret), (item)->call.rpc.reply, (item)->call.rpc.reply_len)

static inline struct wire_text client_text(const char *text, size_t len)
{
    return (struct wire_text){.data = text, .len = (uint16_t)len};
}

/* 0, -ENAMETOOLONG, or -EINVAL for what can't be a name ("", ".", "..", "a/b"). */
int client_name_check(const char *name, size_t *ret_len);

/* One CREATE: -EEXIST also for files that exist but can't be answered in one go. */
int client_create_call(struct client *client,
                       uint64_t parent,
                       const char *name,
                       const struct msg_create_request *what,
                       struct wire_attr *ret);

/* ---- directories that are kept --------------------------------------- */

void client_dirs_init(struct client_dirs *dirs);
void client_dirs_fini(struct client_dirs *dirs);

/* ---- open inodes ----------------------------------------------------- */

/* The home counts opens of these kinds apart, and needs each one's end. */
enum client_open_kind {
    CLIENT_OPEN_READER,
    CLIENT_OPEN_WRITER,
    CLIENT_OPEN_APPENDER,
    CLIENT_OPEN_KINDS,
};

/* Of enum open_flags. */
enum client_open_kind client_open_kind(uint32_t flags);
/* The reverse. */
uint32_t client_open_flags(enum client_open_kind kind);

#define CLIENT_CUTS_UNKNOWN UINT64_MAX

/* What writes did that the home may not know of. */
struct client_report {
    uint64_t end;     /* largest end, 0: none */
    uint64_t cuts;    /* of the inode, as known before that write */
    int64_t mtime_ns; /* of the last write, 0: none */
};

#define CLIENT_DOUBTS_MAX 64u /* targets; of more than that, some stay in doubt */

/* Writes that ended without an answer, and may still be done. */
struct client_doubt {
    uint32_t target;
    uint64_t number; /* of the last one */
};
struct client_doubts {
    uint64_t n_ever;
    unsigned n;
    struct client_doubt doubt[CLIENT_DOUBTS_MAX];
};

/* One per inode that is open in this client. */
struct client_inode {
    struct client *client;
    uint64_t ino;
    unsigned references; /* under inodes_lock */
    uint32_t chunk_size; /* fixed once opened, as are layout and base */
    uint32_t base;
    uint8_t layout;
    pthread_mutex_t lock; /* held over OPEN and CLOSE, so that they don't overtake */
    unsigned n_files[CLIENT_OPEN_KINDS]; /* open here */
    unsigned n_opens[CLIENT_OPEN_KINDS]; /* told to the home; 1 but for races */
    _Atomic uint64_t cuts;               /* as the home last told us */
    pthread_mutex_t report_lock;
    struct client_report report;
    uint64_t n_reports;          /* added so far */
    struct client_doubts doubts; /* under report_lock */
    atomic_bool is_lost;         /* see client_inode_check() */
    atomic_uint_fast64_t gaps;   /* of engine_gaps(), when the home last had it open */
};

struct client_file {
    struct client_inode *inode;
    uint32_t flags; /* OPEN_READ, OPEN_WRITE, OPEN_APPEND */
};

/* With one more reference, made if need be; NULL: no memory. */
struct client_inode *client_inode_get(struct client *client, uint64_t ino);
/* With one more reference if it is open, else NULL. */
struct client_inode *client_inode_find(struct client *client, uint64_t ino);
void client_inode_put(struct client_inode *inode);
/* Before something is begun with an open inode: 0, or -EIO: its home has given this
 * client up meanwhile, and closed it; -errno: the home can't be asked. `kind`: one that
 * it is open for. */
int client_inode_check(struct client_inode *inode, enum client_open_kind kind);
/* After an answer of the home by which all that is open of the inode is open there. */
void client_inode_held(struct client_inode *inode);
/* For how long after a sign of life of a home a request may be begun: engine_is_held().
 */
uint64_t client_hold_ns(const struct client *client);
/* From here on it is this client's no more, and the next open makes another. */
void client_inode_lose(struct client_inode *inode);
/* After an answer of the home about the inode. */
void client_inode_cuts_note(struct client_inode *inode, const struct wire_attr *attr);
void client_inode_report_add(struct client_inode *inode, struct client_report report);
/* Returns what has not been reported and forgets it. Only for who tells the home before
 * the inode can be closed here. */
struct client_report client_inode_report_take(struct client_inode *inode);
/* How much has been added so far; and forgets what was there then, unless more has been
 * added since, when a later report would say what is not so any more. What is left says
 * by its `cuts` that the home has to ask the chunks. */
uint64_t client_inode_reports_count(struct client_inode *inode);
void client_inode_report_overrule(struct client_inode *inode,
                                  uint64_t count,
                                  uint32_t setattr_mask);

/* A CLOSE, with what there is to report. */
void client_close_fill(struct client_inode *inode,
                       struct client_call *call,
                       enum client_open_kind kind,
                       struct client_report report);

/* ---- requests without an answer -------------------------------------- */

/* Whether the request may still be done. */
bool client_status_is_doubtful(int status);
/* A write to that target has ended so, which may make the file as long as `end`; 0: its
 * home knows. */
void client_inode_doubt(struct client_inode *inode, uint32_t target, uint64_t end);
bool client_inode_is_doubtful(struct client_inode *inode);
/* Waits until no such write can come any more. 0 or -errno: some still may. */
int client_inode_settle(struct client_inode *inode);
/* In the background: asks what became of an OPEN, or a CREATE with an open, and closes
 * what it has opened. `call` has ended, and kept its slot. */
void client_open_late(struct client *client,
                      const struct client_call *call,
                      enum client_open_kind kind);
/* In the background: settles, and closes. `call`: the CLOSE that had no answer, with
 * its slot; NULL: none was sent. With inode->lock. */
void client_close_late(struct client_inode *inode,
                       enum client_open_kind kind,
                       const struct client_call *call,
                       struct client_report report);
/* Makes progress with those, and frees what is over. Cheap when there are none. */
void client_late_look(struct client *client);
/* After the engine's end. */
void client_late_fini(struct client *client);

/* ---- data ------------------------------------------------------------ */

struct client_io;

/*
 * One read or write under way. The iovec array is copied, the memory it points to must
 * stay. `is_reserved`: an append whose end the home knows. Started, then finished
 * exactly once, which waits, frees, and gives the bytes or -errno.
 */
int client_io_start(struct client_file *file,
                    bool is_write,
                    bool is_reserved,
                    const struct iovec *iov,
                    int n_iov,
                    uint64_t offset,
                    struct client_io **ret);
bool client_io_test(struct client_io *io);
ssize_t client_io_finish(struct client_io *io);

#endif

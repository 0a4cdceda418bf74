/* SPDX-License-Identifier: Apache-2.0
 *
 * A connection to a BenchFS service, at the level of inodes: what the mount, the public
 * path-based API, the stager and the command are built on.
 *
 * Every function may be called from any thread at any time. Calls block until the
 * answer or their deadline; 0 or -errno. A service that is gone gives -EHOSTDOWN,
 * -ETIMEDOUT or -ECONNREFUSED, never a hang. After fork() the child must not use the
 * parent's client.
 */
#ifndef BENCHFS_CLIENT_CLIENT_H
#define BENCHFS_CLIENT_CLIENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/error.h"
#include "proto/endpoint_table.h"
#include "proto/messages.h"

struct client;

struct client_remote;

enum client_route {
    CLIENT_ROUTE_AUTO, /* node-local targets by shared memory, others directly by UCX */
    CLIENT_ROUTE_LOCAL, /* everything through the node's daemon; no UCX is started */
};

struct client_config {
    enum client_route route;
    const char
        *socket_path;  /* the node's shard-0.sock; NULL: found, see client_open() */
    const void *table; /* encoded endpoint table, when it came by PMIx; else NULL */
    size_t table_len;
    uint8_t kind;        /* enum hello_kind */
    unsigned timeout_ms; /* of a request; 0: the service's */
    /* What the direct route needs: &client_remote_ucx of client/remote.h. NULL:
     * everything goes through the node's daemon, as with CLIENT_ROUTE_LOCAL. */
    const struct client_remote *remote;
};

/*
 * Connects to the node's daemon, takes the endpoint table from it, and starts. Without
 * a socket_path: $BENCHFS_SOCKET, else /run/benchfs/$SLURM_JOB_ID/shard-0.sock, else an
 * error that names what was tried. UCX is started with the first request to another
 * node.
 */
int client_open(const struct client_config *config,
                struct client **ret,
                struct benchfs_error *err);
void client_close(struct client *client); /* NULL is fine */

const struct endpoint_table *client_table(const struct client *client);
uint32_t client_node(const struct client *client); /* the node this process is on */
uint64_t client_id(const struct client *client);

/* ---- namespace ------------------------------------------------------- */
/* Names are NUL-terminated single components. *ret attributes are as of the answer. */
/* What a name stands for. The attributes of a directory, which all targets have a part
 * of, are another question: client_getattr(). */
struct client_entry {
    uint64_t ino;
    uint32_t type;         /* S_IFMT bits */
    bool has_attr;         /* false: of some directories */
    struct wire_attr attr; /* of a directory: mode, owner and parent only are right */
};
int client_lookup_entry(struct client *client,
                        uint64_t parent,
                        const char *name,
                        struct client_entry *ret);
/*
 * A walk along a path, zeroed before its first name. Directories on the way are kept,
 * and asked for again only when one of them may have got another name, mode or owner.
 * That is noticed with the path's last name: is_stale, and -ESTALE; then the
 * whole path has to be walked again. What a walk has found is as of its last name's
 * answer.
 */
struct client_walk {
    bool is_fresh; /* set by the caller: asks for every name */
    bool is_kept;  /* some directory was not asked for */
    bool is_sure;  /* a name after it was: by then all of that was still so */
    bool is_stale;
    uint64_t generation;
};
/* One name. Of a directory only mode, owner and parent are right. */
int client_walk_name(struct client *client,
                     struct client_walk *walk,
                     uint64_t parent,
                     const char *name,
                     bool is_last,
                     struct client_entry *ret);
/* After a walk that has found nothing in `dir`: whether that is because the directory
 * itself is no more, and was kept. Then is_stale, as above. */
bool client_walk_is_astray(struct client *client,
                           struct client_walk *walk,
                           uint64_t dir);
int client_lookup(struct client *client,
                  uint64_t parent,
                  const char *name,
                  struct wire_attr *ret);
int client_getattr(struct client *client, uint64_t ino, struct wire_attr *ret);
int client_setattr(struct client *client,
                   const struct msg_setattr_request *change,
                   struct wire_attr *ret);
/* fields of `what` but parent and name; answers an existing one, of any type, unless
 * CREATE_EXCL */
int client_create(struct client *client,
                  uint64_t parent,
                  const char *name,
                  const struct msg_create_request *what,
                  struct wire_attr *ret);
int client_unlink(struct client *client, uint64_t parent, const char *name);
int client_rmdir(struct client *client, uint64_t parent, const char *name);
int client_rename(struct client *client,
                  uint64_t parent,
                  const char *name,
                  uint64_t new_parent,
                  const char *new_name,
                  unsigned flags);
int client_link(struct client *client,
                uint64_t ino,
                uint64_t new_parent,
                const char *new_name,
                struct wire_attr *ret);
/* NUL-terminated into buf; -ENAMETOOLONG when it does not fit */
int client_readlink(struct client *client, uint64_t ino, char *buf, size_t size);

/* ---- directories ----------------------------------------------------- */
struct client_dirent {
    uint64_t ino;
    uint32_t type;    /* S_IFMT bits */
    const char *name; /* NUL-terminated, valid until the next call on the dir */
    uint64_t next;    /* position after this entry, for client_dir_seek(); not 0 */
};
struct client_dir;
/* Entries without "." and "..". Stable: an entry that stays is seen exactly once. If
 * targets can't be reached any more, -EHOSTDOWN comes after the entries of the others.
 */
int client_dir_open(struct client *client, uint64_t ino, struct client_dir **ret);
int client_dir_read(struct client_dir *dir,
                    struct client_dirent *ret); /* 1: one, 0: end, -errno */
void client_dir_seek(struct client_dir *dir, uint64_t position); /* 0: start */
void client_dir_close(struct client_dir *dir);

/* ---- extended attributes (as getxattr(2) etc.; size 0 asks for the size)  */
ssize_t client_getxattr(
    struct client *client, uint64_t ino, const char *name, void *buf, size_t size);
int client_setxattr(struct client *client,
                    uint64_t ino,
                    const char *name,
                    const void *value,
                    size_t size,
                    int flags);
ssize_t client_listxattr(struct client *client, uint64_t ino, char *buf, size_t size);
int client_removexattr(struct client *client, uint64_t ino, const char *name);

/* ---- open files ------------------------------------------------------ */
/*
 * An open file of this process. Opening registers the client at the inode's home (so
 * that the file lives on when its last name goes, and its size is right while it is
 * written); the last close of an inode in this client reports and lets go.
 */
struct client_file;
int client_file_open(struct client *client,
                     uint64_t ino,
                     uint32_t open_flags, /* enum open_flags */
                     struct client_file **ret);
/* CREATE with CREATE_OPEN in one message. Without CREATE_EXCL an existing regular file
 * is opened; -EISDIR for a directory, -EEXIST for anything else that has the name. */
int client_file_create(struct client *client,
                       uint64_t parent,
                       const char *name,
                       const struct msg_create_request *what,
                       uint32_t open_flags,
                       struct wire_attr *ret_attr,
                       struct client_file **ret);
int client_file_close(
    struct client_file *file); /* reports the end; frees in any case */
uint64_t client_file_ino(const struct client_file *file);
/* Chunks go out in parallel. Reads stop at the end of the file (short or 0); writes are
 * complete, or an error (then part of the range may have been written). */
ssize_t client_file_readv(struct client_file *file,
                          const struct iovec *iov,
                          int n_iov,
                          uint64_t offset);
ssize_t client_file_writev(struct client_file *file,
                           const struct iovec *iov,
                           int n_iov,
                           uint64_t offset);
/* Atomic at the end of the file, up to 64 MiB (more: -EINVAL); *ret_offset (may be
 * NULL): where it went. On a file opened with OPEN_APPEND, writev() does the same. */
ssize_t client_file_append(struct client_file *file,
                           const struct iovec *iov,
                           int n_iov,
                           uint64_t *ret_offset);
int client_file_sync(struct client_file *file, bool durable);
/* A directory's entries, or an inode's attributes; as client_file_sync() with durable.
 */
int client_inode_sync(struct client *client, uint64_t ino);
/* Before something is done with an open file that doesn't take it: 0, or -EIO: it was
 * given up, see docs/protocol.md; -errno: nobody can tell. */
int client_file_check(const struct client_file *file);
int client_file_fallocate(struct client_file *file,
                          int mode,
                          uint64_t offset,
                          uint64_t length);
/* SEEK_DATA, SEEK_HOLE */
int64_t client_file_seek(struct client_file *file, uint64_t offset, int whence);
/* Copies up to the source's end, by the daemons: a request per piece, no bytes come
 * here. -EINVAL if the ranges overlap in one file. On an error part of it may be
 * copied. */
int client_file_copy_range(struct client_file *from,
                           uint64_t from_offset,
                           struct client_file *to,
                           uint64_t to_offset,
                           uint64_t length,
                           uint64_t *ret_copied);

/* ---- locks ----------------------------------------------------------- */
struct client_lock {
    uint8_t space;       /* enum lock_space */
    uint8_t type;        /* enum lock_type */
    uint64_t owner;      /* any number; of this client's, who has the lock */
    uint32_t pid;        /* for F_GETLK of others */
    uint64_t start, end; /* both included; UINT64_MAX: for ever */
};
/* Sets, changes or, with LOCK_TYPE_NONE, removes the owner's lock on the range.
 * -EAGAIN: somebody else's is in the way. waits: until none is, or *is_canceled (may be
 * NULL) is set, which is looked at every two seconds (-EINTR); -EDEADLK: it would be
 * for ever. */
int client_lock(struct client *client,
                uint64_t ino,
                const struct client_lock *lock,
                bool waits,
                const atomic_bool *is_canceled);
/* What is in the way of *lock replaces it; type LOCK_TYPE_NONE: nothing is. */
int client_lock_test(struct client *client, uint64_t ino, struct client_lock *lock);
/* Ends the owner's wait for a lock: it returns -EINTR. */
int client_lock_cancel(struct client *client,
                       uint64_t ino,
                       const struct client_lock *lock);

/* ---- service --------------------------------------------------------- */
int client_statfs(struct client *client,
                  struct msg_statfs_reply *ret); /* sums over all targets */

/*
 * Connections: one for each target, made when it is first needed and kept, shared by
 * all threads. A client that has closed those to other nodes keeps what it has open
 * there, as its node's daemon speaks for it.
 */
struct client_connection {
    uint32_t target;
    const char *host; /* of the client; as long as it is open */
    bool is_local;    /* to a daemon of this node */
    bool is_connected;
    uint64_t n_connects;
};
/* Those that are, or were, there; the first `max` of them into `list`. Returns their
 * number, or -ENOMEM. */
int client_connections(struct client *client,
                       struct client_connection *list,
                       uint32_t max);
/* Makes those that are not there. 0 or the first failure. */
int client_connect_all(struct client *client);
/* Closes those to other nodes that no request is under way on; returns their number. */
uint32_t client_disconnect_all(struct client *client);

/*
 * One request of any op to one target, for the stager, the command and the plugin. The
 * reply's body is copied to reply (size reply_cap), its payload to recv.
 */
struct client_request {
    uint16_t opcode;
    uint32_t target;
    const void *body;
    size_t body_len;
    const struct iovec *send;
    int n_send;
    const struct iovec *recv;
    int n_recv;
    unsigned timeout_ms; /* 0: default */
    uint8_t reply[WIRE_BODY_MAX];
    size_t reply_len;
    size_t received;
};
int client_request_sync(struct client *client, struct client_request *request);

#endif

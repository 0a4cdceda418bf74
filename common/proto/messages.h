/* SPDX-License-Identifier: Apache-2.0
 *
 * Message bodies, made from messages.def: for every MSG_BEGIN(x) a struct msg_x,
 *   size_t msg_x_encode(const struct msg_x *, uint8_t *buf, size_t capacity)
 *       bytes written, 0 when they do not fit (the empty message also gives 0)
 *   int msg_x_decode(struct msg_x *, const uint8_t *buf, size_t len)
 *       0 or -EPROTO (short, trailing bytes, a bad name, a field over its limit);
 *       texts point into buf
 * MSG_x_MAX is the longest encoding.
 */
#ifndef BENCHFS_PROTO_MESSAGES_H
#define BENCHFS_PROTO_MESSAGES_H

#include "proto/wire.h"

enum hello_kind {
    HELLO_CLIENT = 1,  /* a program, the mount, the command */
    HELLO_DAEMON = 2,  /* a shard of the same service */
    HELLO_CONTROL = 3, /* the plugin's hooks (may be root, locally) */
};

enum setattr_mask {
    SETATTR_MODE = 1 << 0,
    SETATTR_UID = 1 << 1,
    SETATTR_GID = 1 << 2,
    SETATTR_SIZE = 1 << 3,
    SETATTR_ATIME = 1 << 4,
    SETATTR_MTIME = 1 << 5,
    SETATTR_ATIME_NOW = 1 << 6, /* the daemon's clock; the time fields are ignored */
    SETATTR_MTIME_NOW = 1 << 7,
};

enum create_flags {
    CREATE_EXCL =
        1 << 0, /* -EEXIST when there is one; else an existing file is answered */
    CREATE_OPEN = 1 << 1, /* also OPEN it (open_flags << CREATE_OPEN_SHIFT) */
    CREATE_OPEN_SHIFT = 8,
};

enum lock_space {
    LOCK_SPACE_RANGE = 0, /* fcntl(2) */
    LOCK_SPACE_WHOLE = 1, /* flock(2) */
};

enum lock_type {
    LOCK_TYPE_NONE = 0,
    LOCK_TYPE_READ = 1,
    LOCK_TYPE_WRITE = 2,
};

enum open_flags {
    OPEN_READ = 1 << 0,
    OPEN_WRITE = 1 << 1,
    OPEN_TRUNCATE = 1 << 2,
    OPEN_APPEND = 1 << 3, /* with OPEN_WRITE: all writes go through APPEND */
};

/* A client that can't be reached, nor its node, is given up after that many request
 * timeouts: what it had open is closed, and its locks are freed. */
#define CLIENT_LEASE_TIMEOUTS 3u

enum sync_flags {
    SYNC_END = 1 << 0,     /* note the end of writes */
    SYNC_DURABLE = 1 << 1, /* reply when the disk store has it */
};

enum stage_direction {
    STAGE_IN = 1,
    STAGE_OUT = 2,
};

/* What a stage worker is given. */
enum stage_item_kind {
    STAGE_ITEM_DIRECTIVES = 1, /* U32 count, then the payload of STAGE_START */
    STAGE_ITEM_WORK = 2,       /* what a worker made: opaque to the daemon */
    STAGE_ITEM_SYNC = 3,       /* empty: make durable what this client wrote */
};

#define STAGE_START_MAX  (1u << 20)             /* bytes of directives */
#define STAGE_PULL_SPACE (STAGE_START_MAX + 16) /* bytes a STAGE_PULL has to offer */
#define STAGE_ITEM_MAX   (64u << 10) /* bytes of an item that a worker makes */
#define STAGE_DONE_MAX   (4u << 20)  /* bytes of a STAGE_DONE's payload */
#define STAGE_TEXTS_MAX  10u         /* texts of errors that a stage keeps */
#define STAGE_TEXT_MAX   4500u       /* bytes of one: a path and a reason */

/* The words of Slurm's burst buffers. */
enum service_state {
    SERVICE_STARTING = 0,
    SERVICE_STAGING_IN = 1,
    SERVICE_STAGED_IN = 2,
    SERVICE_RUNNING = 3,
    SERVICE_STAGING_OUT = 4,
    SERVICE_TEARDOWN = 5,
};

#define BASE_HOME UINT32_MAX

/* types of the fields */
#define MSG_TYPE_U8    uint8_t
#define MSG_TYPE_U16   uint16_t
#define MSG_TYPE_U32   uint32_t
#define MSG_TYPE_U64   uint64_t
#define MSG_TYPE_I64   int64_t
#define MSG_TYPE_NAME  struct wire_text
#define MSG_TYPE_TEXT  struct wire_text
#define MSG_TYPE_BYTES struct wire_text
#define MSG_TYPE_ATTR  struct wire_attr

#define MSG_BEGIN(name)        struct msg_##name {
#define MSG_FIELD(type, field) MSG_TYPE_##type field;
#define MSG_END(name)                                                                  \
    uint8_t nothing[0];                                                                \
    }                                                                                  \
    ;                                                                                  \
    size_t msg_##name##_encode(                                                        \
        const struct msg_##name *msg, uint8_t *buf, size_t cap);                       \
    int msg_##name##_decode(struct msg_##name *msg, const uint8_t *buf, size_t len);
#include "proto/messages.def"
#undef MSG_BEGIN
#undef MSG_FIELD
#undef MSG_END

/* longest encodings */
#define MSG_SIZE_U8    1
#define MSG_SIZE_U16   2
#define MSG_SIZE_U32   4
#define MSG_SIZE_U64   8
#define MSG_SIZE_I64   8
#define MSG_SIZE_NAME  (2 + WIRE_NAME_MAX)
#define MSG_SIZE_TEXT  (2 + WIRE_TEXT_MAX)
#define MSG_SIZE_BYTES (2 + WIRE_TEXT_MAX)
#define MSG_SIZE_ATTR  105

#define MSG_BEGIN(name) enum { MSG_##name##_MAX = 0
/* NOLINTNEXTLINE(bugprone-macro-parentheses): it goes on with the sum */
#define MSG_FIELD(type, field) +MSG_SIZE_##type
#define MSG_END(name)                                                                  \
    }                                                                                  \
    ;
#include "proto/messages.def"
#undef MSG_BEGIN
#undef MSG_FIELD
#undef MSG_END

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes on the wire: primitive fields, the message header, the attribute record.
 * Everything is fixed-width little-endian; nothing here allocates.
 *
 * Changelog of the protocol
 *   1  first version
 *   2  header: slot; payload_len and reply_space in 32 bits. HELLO: node and target.
 *      CLIENT_ALIVE, COPY, LOCK.
 *   3  claims: coordinator and owner between daemons; CLAIM_END, CLAIM_CHECK.
 *      DIR_MEMBERS, DIR_MEMBER. SURVEY. WRITE: is_reserved.
 *   4  header: asks only. SETTLE, STORE_SYNC. Attributes, CLOSE and SYNC: cuts.
 *   5  WALK, NAMESPACE_RAISE, OPEN_CHECK. Header: no epoch.
 */
#ifndef BENCHFS_PROTO_WIRE_H
#define BENCHFS_PROTO_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_MAGIC       0x31534642u /* "BFS1" */
#define WIRE_VERSION     5
#define WIRE_HEADER_SIZE 64u
#define WIRE_BODY_MAX    5120u       /* the longest body: symlink text and two names */
#define WIRE_PAYLOAD_MAX (64u << 20) /* a chunk of the largest size */
#define WIRE_NAME_MAX    255u
#define WIRE_SLOT_MAX    4096u
#define WIRE_TEXT_MAX    4095u

/*
 * A bounded cursor over bytes to write or to read. The first access that does not fit
 * sets `failed`; everything after it is a no-op (reads give zeros), so that a sequence
 * of fields needs one check at its end.
 */
struct wire_writer {
    uint8_t *data;
    size_t capacity;
    size_t length;
    bool failed;
};

struct wire_reader {
    const uint8_t *data;
    size_t length;
    size_t position;
    bool failed;
};

/* Bytes inside a message: not NUL-terminated, valid as long as the message's buffer. */
struct wire_text {
    const char *data;
    uint16_t len;
};

void wire_put_u8(struct wire_writer *w, uint8_t value);
void wire_put_u16(struct wire_writer *w, uint16_t value);
void wire_put_u32(struct wire_writer *w, uint32_t value);
void wire_put_u64(struct wire_writer *w, uint64_t value);
void wire_put_i64(struct wire_writer *w, int64_t value);
void wire_put_bytes(struct wire_writer *w, const void *data, size_t len);
/* U16 length and the bytes. */
void wire_put_text(struct wire_writer *w, struct wire_text text);

uint8_t wire_get_u8(struct wire_reader *r);
uint16_t wire_get_u16(struct wire_reader *r);
uint32_t wire_get_u32(struct wire_reader *r);
uint64_t wire_get_u64(struct wire_reader *r);
int64_t wire_get_i64(struct wire_reader *r);
/* The next `len` bytes in place, NULL when there are not as many. */
const void *wire_get_bytes(struct wire_reader *r, size_t len);
/* At most `max` bytes, else the reader fails. */
struct wire_text wire_get_text(struct wire_reader *r, uint16_t max);
/* A path component: 1..255 bytes without '/' and NUL, not "." or "..". */
struct wire_text wire_get_name(struct wire_reader *r);
/* 0 if everything was read and nothing failed, else -EPROTO. */
int wire_reader_finish(const struct wire_reader *r);

/* Whether these bytes may be a dentry's name. */
bool wire_name_is_valid(const char *name, size_t len);

/* ---- header */

struct wire_header {
    uint16_t opcode;
    bool is_reply;
    bool asks_only;      /* with a slot: answered if it was done before, not done now */
    uint64_t client;     /* who asks; 0 is nobody */
    uint64_t request;    /* the client's sequence number; a reply repeats it */
    uint32_t target;     /* whom it is for */
    int32_t status;      /* replies: 0 or -errno (Linux numbers); requests: 0 */
    uint32_t body_len;   /* bytes after the header */
    uint32_t timeout_ms; /* requests: how long the client will wait from now on */
    uint64_t payload_len; /* bulk bytes that go with the message */
    uint64_t reply_space; /* requests: bulk bytes that the reply may carry */
    uint16_t slot; /* requests with OP_ONCE: see transport/rpc_slots.h; 0: none */
};

/* Writes exactly WIRE_HEADER_SIZE bytes. */
void wire_header_encode(const struct wire_header *header, uint8_t *buf);
/* -EPROTO: too short, not ours, or lengths over the limits; -EPROTONOSUPPORT: version.
 */
int wire_header_decode(struct wire_header *header, const uint8_t *buf, size_t len);

/* ---- attributes */

enum layout {
    LAYOUT_STRIPED = 0, /* chunk i on (base + i) % targets */
    LAYOUT_LOCAL = 1,   /* all chunks on base */
};

struct wire_attr {
    uint64_t ino;
    uint64_t parent; /* directories: their parent directory */
    uint32_t mode;   /* type and permissions */
    uint32_t uid;
    uint32_t gid;
    uint32_t nlink;
    uint64_t size;  /* bytes */
    uint64_t bytes; /* space taken */
    uint64_t cuts;  /* how often the size was set, and not by writing */
    int64_t atime_ns;
    int64_t mtime_ns;
    int64_t ctime_ns;
    int64_t btime_ns;
    uint64_t rdev;
    uint32_t chunk_size; /* bytes */
    uint32_t base;       /* target of chunk 0 */
    uint8_t layout;      /* enum layout */
};

/* An entry of READDIR's payload. */
struct wire_dirent {
    uint64_t ino;
    uint32_t type;         /* of the mode */
    uint64_t cookie;       /* not 0 */
    struct wire_text name; /* a path component, into the message */
};

void wire_put_dirent(struct wire_writer *w, const struct wire_dirent *entry);
void wire_get_dirent(struct wire_reader *r, struct wire_dirent *ret);

void wire_put_attr(struct wire_writer *w, const struct wire_attr *attr);
void wire_get_attr(struct wire_reader *r, struct wire_attr *ret_attr);

#endif

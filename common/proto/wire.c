/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/wire.h"

#include <errno.h>
#include <string.h>

#define FLAG_REPLY     0x01u
#define FLAG_ASKS_ONLY 0x02u

static void put_le(struct wire_writer *w, uint64_t value, size_t n)
{
    if (w->failed || w->capacity - w->length < n) {
        w->failed = true;
        return;
    }
    for (size_t i = 0; i < n; i++)
        w->data[w->length++] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_le(struct wire_reader *r, size_t n)
{
    uint64_t value = 0;

    if (r->failed || r->length - r->position < n) {
        r->failed = true;
        return 0;
    }
    for (size_t i = 0; i < n; i++)
        value |= (uint64_t)r->data[r->position++] << (8 * i);
    return value;
}

void wire_put_u8(struct wire_writer *w, uint8_t value)
{
    put_le(w, value, 1);
}

void wire_put_u16(struct wire_writer *w, uint16_t value)
{
    put_le(w, value, 2);
}

void wire_put_u32(struct wire_writer *w, uint32_t value)
{
    put_le(w, value, 4);
}

void wire_put_u64(struct wire_writer *w, uint64_t value)
{
    put_le(w, value, 8);
}

void wire_put_i64(struct wire_writer *w, int64_t value)
{
    put_le(w, (uint64_t)value, 8);
}

void wire_put_bytes(struct wire_writer *w, const void *data, size_t len)
{
    if (w->failed || w->capacity - w->length < len) {
        w->failed = true;
        return;
    }
    if (len > 0)
        memcpy(w->data + w->length, data, len);
    w->length += len;
}

void wire_put_text(struct wire_writer *w, struct wire_text text)
{
    wire_put_u16(w, text.len);
    wire_put_bytes(w, text.data, text.len);
}

uint8_t wire_get_u8(struct wire_reader *r)
{
    return (uint8_t)get_le(r, 1);
}

uint16_t wire_get_u16(struct wire_reader *r)
{
    return (uint16_t)get_le(r, 2);
}

uint32_t wire_get_u32(struct wire_reader *r)
{
    return (uint32_t)get_le(r, 4);
}

uint64_t wire_get_u64(struct wire_reader *r)
{
    return get_le(r, 8);
}

int64_t wire_get_i64(struct wire_reader *r)
{
    return (int64_t)get_le(r, 8);
}

const void *wire_get_bytes(struct wire_reader *r, size_t len)
{
    const void *at;

    if (r->failed || r->length - r->position < len) {
        r->failed = true;
        return NULL;
    }
    at = r->data + r->position;
    r->position += len;
    return at;
}

struct wire_text wire_get_text(struct wire_reader *r, uint16_t max)
{
    struct wire_text text = {"", 0};
    uint16_t len = wire_get_u16(r);
    const char *data;

    if (len > max)
        r->failed = true;
    data = wire_get_bytes(r, len);
    if (data && len > 0) {
        text.data = data;
        text.len = len;
    }
    return text;
}

struct wire_text wire_get_name(struct wire_reader *r)
{
    struct wire_text name = wire_get_text(r, WIRE_NAME_MAX);

    if (!wire_name_is_valid(name.data, name.len))
        r->failed = true;
    return name;
}

int wire_reader_finish(const struct wire_reader *r)
{
    return !r->failed && r->position == r->length ? 0 : -EPROTO;
}

bool wire_name_is_valid(const char *name, size_t len)
{
    if (len == 0 || len > WIRE_NAME_MAX)
        return false;
    if (memchr(name, '/', len) || memchr(name, '\0', len))
        return false;
    if (len <= 2 && name[0] == '.' && (len == 1 || name[1] == '.'))
        return false;
    return true;
}

void wire_header_encode(const struct wire_header *header, uint8_t *buf)
{
    struct wire_writer w = {.data = buf, .capacity = WIRE_HEADER_SIZE};

    wire_put_u32(&w, WIRE_MAGIC);
    wire_put_u8(&w, WIRE_VERSION);
    wire_put_u8(&w,
                (header->is_reply ? FLAG_REPLY : 0)
                    | (header->asks_only ? FLAG_ASKS_ONLY : 0));
    wire_put_u16(&w, header->opcode);
    wire_put_u64(&w, header->client);
    wire_put_u64(&w, header->request);
    wire_put_u32(&w, header->target);
    wire_put_u32(&w, (uint32_t)header->status);
    wire_put_u32(&w, header->body_len);
    wire_put_u32(&w, header->timeout_ms);
    wire_put_u32(&w, (uint32_t)header->payload_len);
    wire_put_u32(&w, (uint32_t)header->reply_space);
    wire_put_u16(&w, header->slot);
    wire_put_u16(&w, 0);
    wire_put_u32(&w, 0);
    wire_put_u64(&w, 0);
}

static void header_fields_get(struct wire_header *header, struct wire_reader *r)
{
    uint8_t flags = wire_get_u8(r);

    header->is_reply = (flags & FLAG_REPLY) != 0;
    header->asks_only = (flags & FLAG_ASKS_ONLY) != 0;
    header->opcode = wire_get_u16(r);
    header->client = wire_get_u64(r);
    header->request = wire_get_u64(r);
    header->target = wire_get_u32(r);
    header->status = (int32_t)wire_get_u32(r);
    header->body_len = wire_get_u32(r);
    header->timeout_ms = wire_get_u32(r);
    header->payload_len = wire_get_u32(r);
    header->reply_space = wire_get_u32(r);
    header->slot = wire_get_u16(r);
    if (wire_get_u16(r) != 0 || wire_get_u32(r) != 0 || wire_get_u64(r) != 0)
        r->failed = true;
    if (flags & ~(FLAG_REPLY | FLAG_ASKS_ONLY))
        r->failed = true;
}

int wire_header_decode(struct wire_header *header, const uint8_t *buf, size_t len)
{
    struct wire_reader r = {.data = buf, .length = len};
    struct wire_header decoded;

    if (len < WIRE_HEADER_SIZE || wire_get_u32(&r) != WIRE_MAGIC)
        return -EPROTO;
    if (wire_get_u8(&r) != WIRE_VERSION)
        return -EPROTONOSUPPORT;
    header_fields_get(&decoded, &r);
    if (r.failed || decoded.body_len > WIRE_BODY_MAX
        || decoded.payload_len > WIRE_PAYLOAD_MAX
        || decoded.reply_space > WIRE_PAYLOAD_MAX || decoded.slot > WIRE_SLOT_MAX
        || decoded.status > 0 || decoded.status < -4095)
        return -EPROTO;
    *header = decoded;
    return 0;
}

void wire_put_dirent(struct wire_writer *w, const struct wire_dirent *entry)
{
    wire_put_u64(w, entry->ino);
    wire_put_u32(w, entry->type);
    wire_put_u64(w, entry->cookie);
    wire_put_text(w, entry->name);
}

void wire_get_dirent(struct wire_reader *r, struct wire_dirent *ret)
{
    ret->ino = wire_get_u64(r);
    ret->type = wire_get_u32(r);
    ret->cookie = wire_get_u64(r);
    ret->name = wire_get_name(r);
    if (ret->cookie == 0)
        r->failed = true;
}

void wire_put_attr(struct wire_writer *w, const struct wire_attr *attr)
{
    wire_put_u64(w, attr->ino);
    wire_put_u64(w, attr->parent);
    wire_put_u32(w, attr->mode);
    wire_put_u32(w, attr->uid);
    wire_put_u32(w, attr->gid);
    wire_put_u32(w, attr->nlink);
    wire_put_u64(w, attr->size);
    wire_put_u64(w, attr->bytes);
    wire_put_u64(w, attr->cuts);
    wire_put_i64(w, attr->atime_ns);
    wire_put_i64(w, attr->mtime_ns);
    wire_put_i64(w, attr->ctime_ns);
    wire_put_i64(w, attr->btime_ns);
    wire_put_u64(w, attr->rdev);
    wire_put_u32(w, attr->chunk_size);
    wire_put_u32(w, attr->base);
    wire_put_u8(w, attr->layout);
}

void wire_get_attr(struct wire_reader *r, struct wire_attr *ret_attr)
{
    ret_attr->ino = wire_get_u64(r);
    ret_attr->parent = wire_get_u64(r);
    ret_attr->mode = wire_get_u32(r);
    ret_attr->uid = wire_get_u32(r);
    ret_attr->gid = wire_get_u32(r);
    ret_attr->nlink = wire_get_u32(r);
    ret_attr->size = wire_get_u64(r);
    ret_attr->bytes = wire_get_u64(r);
    ret_attr->cuts = wire_get_u64(r);
    ret_attr->atime_ns = wire_get_i64(r);
    ret_attr->mtime_ns = wire_get_i64(r);
    ret_attr->ctime_ns = wire_get_i64(r);
    ret_attr->btime_ns = wire_get_i64(r);
    ret_attr->rdev = wire_get_u64(r);
    ret_attr->chunk_size = wire_get_u32(r);
    ret_attr->base = wire_get_u32(r);
    ret_attr->layout = wire_get_u8(r);
}

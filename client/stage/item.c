/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/item.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* all but the entries */
#define FIXED_MAX (1 + 4 + 4 * 8 + 4 + 2 * 8 + 2 + PATH_MAX + 2 + NAME_MAX)

static struct wire_text text_of(const char *text)
{
    return (struct wire_text){.data = text, .len = (uint16_t)strlen(text)};
}

int item_encode(const struct item *item, struct bytes *out)
{
    struct wire_writer w;
    int rc = bytes_reserve(out, FIXED_MAX + item->entries_len);

    if (rc)
        return rc;
    w = (struct wire_writer){
        .data = out->data + out->size,
        .capacity = FIXED_MAX + item->entries_len,
    };
    wire_put_u8(&w, item->type);
    wire_put_u32(&w, item->flags);
    wire_put_u64(&w, item->ino);
    wire_put_u64(&w, item->parent);
    wire_put_u64(&w, item->offset);
    wire_put_u64(&w, item->length);
    wire_put_u32(&w, item->mode);
    wire_put_i64(&w, item->atime_ns);
    wire_put_i64(&w, item->mtime_ns);
    wire_put_text(&w, text_of(item->path));
    wire_put_text(&w, text_of(item->name));
    wire_put_bytes(&w, item->entries, item->entries_len);
    if (w.failed)
        return -EMSGSIZE;
    out->size += w.length;
    return 0;
}

static void text_copy(struct wire_reader *r, char *ret, size_t size)
{
    struct wire_text text = wire_get_text(r, (uint16_t)(size - 1));

    if (memchr(text.data, '\0', text.len))
        r->failed = true;
    memcpy(ret, text.data, r->failed ? 0 : text.len);
    ret[r->failed ? 0 : text.len] = '\0';
}

int item_decode(struct item *item, const void *data, size_t len)
{
    struct wire_reader r = {.data = data, .length = len};

    item->type = wire_get_u8(&r);
    item->flags = wire_get_u32(&r);
    item->ino = wire_get_u64(&r);
    item->parent = wire_get_u64(&r);
    item->offset = wire_get_u64(&r);
    item->length = wire_get_u64(&r);
    item->mode = wire_get_u32(&r);
    item->atime_ns = wire_get_i64(&r);
    item->mtime_ns = wire_get_i64(&r);
    text_copy(&r, item->path, sizeof(item->path));
    text_copy(&r, item->name, sizeof(item->name));
    if (r.failed || item->type < ITEM_DIR || item->type > ITEM_FILE_END)
        return -EPROTO;
    item->entries = r.data + r.position;
    item->entries_len = r.length - r.position;
    return 0;
}

int item_entry_put(struct bytes *entries, uint64_t ino, const char *name)
{
    uint8_t data[8 + 2 + NAME_MAX];
    struct wire_writer w = {.data = data, .capacity = sizeof(data)};

    wire_put_u64(&w, ino);
    wire_put_text(&w, text_of(name));
    return w.failed ? -ENAMETOOLONG : bytes_append(entries, data, w.length);
}

int item_entry_next(struct item *item, uint64_t *ret_ino, char *name)
{
    struct wire_reader r = {.data = item->entries, .length = item->entries_len};
    struct wire_text text;

    if (item->entries_len == 0)
        return 0;
    *ret_ino = wire_get_u64(&r);
    text = wire_get_name(&r);
    if (r.failed)
        return -EPROTO;
    memcpy(name, text.data, text.len);
    name[text.len] = '\0';
    item->entries += r.position;
    item->entries_len -= r.position;
    return 1;
}

uint64_t item_range_length(uint64_t size)
{
    uint64_t n = (size + ITEM_RANGE_BYTES - 1) / ITEM_RANGE_BYTES;

    return (n + ITEM_RANGES_MAX - 1) / ITEM_RANGES_MAX * ITEM_RANGE_BYTES;
}

int item_path_join(const char *dir, const char *name, char *ret)
{
    const char *slash = dir[0] != '\0' && dir[strlen(dir) - 1] == '/' ? "" : "/";
    int len = snprintf(ret, PATH_MAX, "%s%s%s", dir, slash, name);

    return len < PATH_MAX ? 0 : -ENAMETOOLONG;
}

void item_temporary_name(const char *name, const char *job, uint64_t random, char *ret)
{
    char end[64];
    int end_len = snprintf(
        end, sizeof(end), ".benchfs-%.24s-%016llx", job, (unsigned long long)random);

    snprintf(ret, NAME_MAX + 1, ".%.*s%s", NAME_MAX - 1 - end_len, name, end);
}

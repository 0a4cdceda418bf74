/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/hub_message.h"

#include <errno.h>

#include "proto/wire.h"

static int u32_append(struct bytes *out, uint32_t value)
{
    struct wire_writer w;
    int rc = bytes_reserve(out, sizeof(value));

    if (rc)
        return rc;
    w = (struct wire_writer){.data = out->data + out->size, .capacity = sizeof(value)};
    wire_put_u32(&w, value);
    out->size += sizeof(value);
    return 0;
}

int hub_welcome_encode(const struct hub_welcome *welcome, struct bytes *out)
{
    int rc = u32_append(out, welcome->rank);

    return rc ? rc : u32_append(out, welcome->size);
}

int hub_welcome_decode(struct hub_welcome *ret, const void *data, size_t len)
{
    struct wire_reader r = {.data = data, .length = len};
    struct hub_welcome welcome;

    if (len != 2 * sizeof(uint32_t))
        return -EPROTO;
    welcome.rank = wire_get_u32(&r);
    welcome.size = wire_get_u32(&r);
    if (welcome.size > HUB_DAEMONS_MAX || welcome.rank >= welcome.size)
        return -EPROTO;
    *ret = welcome;
    return 0;
}

int hub_all_encode(const struct bytes *records, uint32_t n, struct bytes *out)
{
    int rc = u32_append(out, n);

    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        rc = u32_append(out, (uint32_t)records[i].size);
        if (rc == 0)
            rc = bytes_append(out, records[i].data, records[i].size);
    }
    return rc;
}

int hub_all_decode(struct bytes *ret, uint32_t n, const void *data, size_t len)
{
    const uint8_t *next = data;
    const uint8_t *end = next + len;

    for (uint32_t i = 0; i <= n; i++) {
        struct wire_reader r = {.data = next, .length = sizeof(uint32_t)};
        uint32_t value;
        int rc;

        if ((size_t)(end - next) < sizeof(value))
            return -EPROTO;
        value = wire_get_u32(&r);
        next += sizeof(value);
        if (i == 0) { /* the count stands first */
            if (value != n)
                return -EPROTO;
            continue;
        }
        if (value > HUB_RECORD_MAX || value > (size_t)(end - next))
            return -EPROTO;
        rc = bytes_append(&ret[i - 1], next, value);
        if (rc)
            return rc;
        next += value;
    }
    return next == end ? 0 : -EPROTO;
}

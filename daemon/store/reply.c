/* SPDX-License-Identifier: Apache-2.0
 * Answers kept for clients that may ask again: key client and slot, value version,
 * opcode, request number and the answer's body. */
#include <errno.h>
#include <string.h>

#include "store/codec.h"
#include "store/store_impl.h"

#define REPLY_VERSION  1
#define REPLY_KEY_SIZE (8 + 2)
#define REPLY_HEAD     (1 + 2 + 8)

static void make_key(uint8_t key[REPLY_KEY_SIZE], uint64_t client, uint16_t slot)
{
    codec_put_be(codec_put_be(key, client, 8), slot, 2);
}

int store_reply_put(struct store *store,
                    uint64_t client,
                    uint16_t slot,
                    const struct store_reply *reply)
{
    uint8_t key[REPLY_KEY_SIZE];
    void *value;
    uint8_t *p;
    int rc;

    make_key(key, client, slot);
    /* It is part of a change that was let in already, and one slot's record replaces
     * the last one's: it may use the reserve. */
    rc = index_put_reserve(store->index,
                           INDEX_REPLY,
                           key,
                           sizeof(key),
                           REPLY_HEAD + reply->body_len,
                           INDEX_FREE,
                           &value);
    if (rc < 0)
        return rc;
    p = codec_put(value, REPLY_VERSION, 1);
    p = codec_put(p, reply->opcode, 2);
    p = codec_put(p, reply->request, 8);
    if (reply->body_len > 0)
        memcpy(p, reply->body, reply->body_len);
    return 0;
}

static int value_decode(const MDB_val *value, struct store_reply *ret)
{
    const uint8_t *p = value->mv_data;

    if (value->mv_size < REPLY_HEAD || codec_get(&p, 1) != REPLY_VERSION)
        return -EUCLEAN;
    ret->opcode = (uint16_t)codec_get(&p, 2);
    ret->request = codec_get(&p, 8);
    ret->body = p;
    ret->body_len = value->mv_size - REPLY_HEAD;
    return 0;
}

int store_reply_get(struct store *store,
                    uint64_t client,
                    uint16_t slot,
                    struct store_reply *ret)
{
    uint8_t key[REPLY_KEY_SIZE];
    MDB_val value;
    int rc;

    make_key(key, client, slot);
    rc = index_get(store->index, INDEX_REPLY, key, sizeof(key), &value);
    return rc < 0 ? rc : value_decode(&value, ret);
}

int store_reply_remove_all(struct store *store, uint64_t client)
{
    uint8_t start[REPLY_KEY_SIZE];
    MDB_val key, value;
    int rc;

    make_key(start, client, 0);
    rc = index_seek(store->index, INDEX_REPLY, start, sizeof(start), &key, &value);
    while (rc == 0) {
        const uint8_t *p = key.mv_data;

        if (key.mv_size != REPLY_KEY_SIZE)
            return -EUCLEAN;
        if (codec_get_be(&p, 8) != client)
            return 0;
        rc = index_delete_current(store->index, INDEX_REPLY);
        if (rc == 0)
            rc = index_next(store->index, INDEX_REPLY, &key, &value);
    }
    return rc == -ENOENT ? 0 : rc;
}

int store_reply_scan(
    struct store *store,
    int (*each)(void *arg, uint64_t client, uint16_t slot, uint64_t request),
    void *arg)
{
    const uint8_t start[REPLY_KEY_SIZE] = {0};
    struct store_reply reply;
    MDB_val key, value;
    int rc = index_seek(store->index, INDEX_REPLY, start, sizeof(start), &key, &value);

    while (rc == 0) {
        const uint8_t *p = key.mv_data;
        uint64_t client;

        if (key.mv_size != REPLY_KEY_SIZE)
            return -EUCLEAN;
        rc = value_decode(&value, &reply);
        if (rc < 0)
            break;
        client = codec_get_be(&p, 8);
        rc = each(arg, client, (uint16_t)codec_get_be(&p, 2), reply.request);
        if (rc)
            return rc;
        rc = index_next(store->index, INDEX_REPLY, &key, &value);
    }
    return rc == -ENOENT ? 0 : rc;
}

/* SPDX-License-Identifier: Apache-2.0
 * What operations that span several targets leave in the store while they last: claims
 * where they take part, key target, owner, kind and id; intents where they are run,
 * key owner. Both are part of changes that were let in already, so they may use the
 * reserve. */
#include <errno.h>
#include <string.h>

#include "store/codec.h"
#include "store/store_impl.h"

#define CLAIM_VERSION  1u
#define CLAIM_KEY_SIZE (4u + 8u + 1u + 8u)
#define CLAIM_SIZE     (1u + 8u)
#define INTENT_VERSION 1u
#define OWNER_SIZE     8u

static void claim_key(uint8_t key[CLAIM_KEY_SIZE], const struct store_claim *claim)
{
    uint8_t *p = codec_put_be(key, claim->target, 4);

    p = codec_put_be(p, claim->owner, 8);
    p = codec_put_be(p, claim->kind, 1);
    codec_put_be(p, claim->id, 8);
}

int claim_decode(const MDB_val *key, const MDB_val *value, struct store_claim *ret)
{
    const uint8_t *k = key->mv_data;
    const uint8_t *v = value->mv_data;

    if (key->mv_size != CLAIM_KEY_SIZE || value->mv_size != CLAIM_SIZE
        || codec_get(&v, 1) != CLAIM_VERSION)
        return -EUCLEAN;
    ret->target = (uint32_t)codec_get_be(&k, 4);
    ret->owner = codec_get_be(&k, 8);
    ret->kind = (uint8_t)codec_get_be(&k, 1);
    ret->id = codec_get_be(&k, 8);
    ret->dir = codec_get(&v, 8);
    return 0;
}

int store_claim_put(struct store *store, const struct store_claim *claim)
{
    uint8_t key[CLAIM_KEY_SIZE], value[CLAIM_SIZE];

    claim_key(key, claim);
    codec_put(codec_put(value, CLAIM_VERSION, 1), claim->dir, 8);
    return index_put(
        store->index, INDEX_CLAIM, key, sizeof(key), value, sizeof(value), INDEX_FREE);
}

int store_claim_get(struct store *store, const struct store_claim *claim)
{
    uint8_t key[CLAIM_KEY_SIZE];
    MDB_val value;

    claim_key(key, claim);
    return index_get(store->index, INDEX_CLAIM, key, sizeof(key), &value);
}

int store_claim_remove(struct store *store, const struct store_claim *claim)
{
    uint8_t key[CLAIM_KEY_SIZE];
    int rc;

    claim_key(key, claim);
    rc = index_delete(store->index, INDEX_CLAIM, key, sizeof(key));
    return rc == -ENOENT ? 0 : rc;
}

int store_claim_scan(struct store *store,
                     int (*each)(void *arg, const struct store_claim *claim),
                     void *arg)
{
    MDB_val key, value;
    int rc = index_seek(store->index, INDEX_CLAIM, "", 1, &key, &value);

    while (rc == 0) {
        struct store_claim claim;

        rc = claim_decode(&key, &value, &claim);
        if (rc == 0)
            rc = each(arg, &claim);
        if (rc)
            return rc;
        rc = index_next(store->index, INDEX_CLAIM, &key, &value);
    }
    return rc == -ENOENT ? 0 : rc;
}

/* ---- intents */

int store_intent_put(struct store *store, uint64_t owner, const void *body, size_t len)
{
    uint8_t key[OWNER_SIZE];
    void *value;
    int rc;

    codec_put_be(key, owner, OWNER_SIZE);
    rc = index_put_reserve(
        store->index, INDEX_INTENT, key, sizeof(key), 1 + len, INDEX_FREE, &value);
    if (rc == 0)
        memcpy(codec_put(value, INTENT_VERSION, 1), body, len);
    return rc;
}

int store_intent_remove(struct store *store, uint64_t owner)
{
    uint8_t key[OWNER_SIZE];
    int rc;

    codec_put_be(key, owner, OWNER_SIZE);
    rc = index_delete(store->index, INDEX_INTENT, key, sizeof(key));
    return rc == -ENOENT ? 0 : rc;
}

int store_intent_scan(
    struct store *store,
    int (*each)(void *arg, uint64_t owner, const void *body, size_t len),
    void *arg)
{
    MDB_val key, value;
    int rc = index_seek(store->index, INDEX_INTENT, "", 1, &key, &value);

    while (rc == 0) {
        const uint8_t *k = key.mv_data;
        const uint8_t *v = value.mv_data;

        if (key.mv_size != OWNER_SIZE || value.mv_size < 1
            || codec_get(&v, 1) != INTENT_VERSION)
            return -EUCLEAN;
        rc = each(arg, codec_get_be(&k, OWNER_SIZE), v, value.mv_size - 1);
        if (rc)
            return rc;
        rc = index_next(store->index, INDEX_INTENT, &key, &value);
    }
    return rc == -ENOENT ? 0 : rc;
}

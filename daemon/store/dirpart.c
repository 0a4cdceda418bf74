/* SPDX-License-Identifier: Apache-2.0
 * Parts of directories: counts, time of the last change, seal. */
#include "store/dirpart.h"

#include <errno.h>

#include "store/codec.h"
#include "store/dentry.h"
#include "store/store_impl.h"

#define DIRPART_VERSION 1u
#define DIRPART_SIZE    26u
#define FLAG_SEALED     1u
#define FLAG_MEMBER     2u

int dirpart_decode(const MDB_val *value, struct store_dirpart *ret)
{
    const uint8_t *p = value->mv_data;
    uint64_t flags;

    if (value->mv_size != DIRPART_SIZE || codec_get(&p, 1) != DIRPART_VERSION)
        return -EUCLEAN;
    ret->n_entries = codec_get(&p, 8);
    ret->n_subdirs = codec_get(&p, 8);
    ret->mtime_ns = (int64_t)codec_get(&p, 8);
    flags = codec_get(&p, 1);
    ret->is_sealed = flags & FLAG_SEALED;
    ret->is_member = flags & FLAG_MEMBER;
    return ret->n_subdirs > ret->n_entries ? -EUCLEAN : 0;
}

static int put(struct store *store, uint64_t dir, const struct store_dirpart *part)
{
    uint8_t key[DIRPART_KEY_SIZE], value[DIRPART_SIZE];
    uint8_t *p = codec_put(value, DIRPART_VERSION, 1);

    p = codec_put(p, part->n_entries, 8);
    p = codec_put(p, part->n_subdirs, 8);
    p = codec_put(p, (uint64_t)part->mtime_ns, 8);
    codec_put(p,
              (part->is_sealed ? FLAG_SEALED : 0) | (part->is_member ? FLAG_MEMBER : 0),
              1);
    codec_put_be(key, dir, 8);
    return index_put(store->index,
                     INDEX_DIRPART,
                     key,
                     sizeof(key),
                     value,
                     sizeof(value),
                     INDEX_FREE);
}

int store_dirpart_get(struct store *store, uint64_t dir, struct store_dirpart *ret)
{
    uint8_t key[DIRPART_KEY_SIZE];
    MDB_val value;
    int rc;

    codec_put_be(key, dir, 8);
    rc = index_get(store->index, INDEX_DIRPART, key, sizeof(key), &value);
    if (rc == -ENOENT) {
        *ret = (struct store_dirpart){0};
        return 0;
    }
    return rc < 0 ? rc : dirpart_decode(&value, ret);
}

int dirpart_change(struct store *store,
                   uint64_t dir,
                   struct store_dirpart *part,
                   int entries,
                   int subdirs,
                   int64_t now_ns)
{
    int rc;

    part->n_entries += (uint64_t)(int64_t)entries;
    part->n_subdirs += (uint64_t)(int64_t)subdirs;
    if (part->mtime_ns < now_ns)
        part->mtime_ns = now_ns;
    rc = put(store, dir, part);
    if (rc < 0)
        index_txn_fail(store->index, rc);
    return rc;
}

int store_dirpart_forget_time(struct store *store, uint64_t dir)
{
    struct store_dirpart part;
    int rc = store_dirpart_get(store, dir, &part);

    if (rc < 0 || part.mtime_ns == 0)
        return rc;
    part.mtime_ns = 0;
    return put(store, dir, &part);
}

int store_dirpart_member_set(struct store *store, uint64_t dir)
{
    struct store_dirpart part;
    int rc = store_dirpart_get(store, dir, &part);

    if (rc < 0 || part.is_member)
        return rc;
    part.is_member = true;
    return put(store, dir, &part);
}

int store_dirpart_seal(struct store *store, uint64_t dir, bool seal)
{
    struct store_dirpart part;
    int rc = store_dirpart_get(store, dir, &part);

    if (rc < 0)
        return rc;
    if (seal && part.n_entries > 0)
        return -ENOTEMPTY;
    if (part.is_sealed == seal)
        return 0;
    part.is_sealed = seal;
    return put(store, dir, &part);
}

int store_dirpart_remove(struct store *store, uint64_t dir)
{
    uint8_t key[DIRPART_KEY_SIZE];
    struct store_dirpart part;
    int rc = store_dirpart_get(store, dir, &part);

    if (rc < 0)
        return rc;
    if (part.n_entries > 0)
        return -ENOTEMPTY;
    codec_put_be(key, dir, 8);
    rc = index_delete(store->index, INDEX_DIRPART, key, sizeof(key));
    return rc == -ENOENT ? 0 : rc;
}

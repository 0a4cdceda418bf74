/* SPDX-License-Identifier: Apache-2.0
 * Locks on files: key inode, space, client, owner and start of the range; value
 * version, end, type and process. */
#include <errno.h>
#include <string.h>

#include "store/codec.h"
#include "store/store_impl.h"

#define LOCK_VERSION    1
#define LOCK_PREFIX     (8 + 1 + 8 + 8)
#define LOCK_KEY_SIZE   (LOCK_PREFIX + 8)
#define LOCK_VALUE_SIZE (1 + 8 + 1 + 4)

static void
make_key(uint8_t out[LOCK_KEY_SIZE], const struct store_lock_key *key, uint64_t start)
{
    uint8_t *p = codec_put_be(out, key->ino, 8);

    p = codec_put_be(p, key->space, 1);
    p = codec_put_be(p, key->client, 8);
    p = codec_put_be(p, key->owner, 8);
    codec_put_be(p, start, 8);
}

int store_lock_put(struct store *store,
                   const struct store_lock_key *key,
                   const struct store_lock *lock)
{
    uint8_t bytes[LOCK_KEY_SIZE], value[LOCK_VALUE_SIZE];
    uint8_t *p = codec_put(value, LOCK_VERSION, 1);

    make_key(bytes, key, lock->start);
    p = codec_put(p, lock->end, 8);
    p = codec_put(p, lock->type, 1);
    codec_put(p, lock->pid, 4);
    return index_put(store->index,
                     INDEX_LOCK,
                     bytes,
                     sizeof(bytes),
                     value,
                     sizeof(value),
                     INDEX_FREE);
}

static int decode(const MDB_val *key,
                  const MDB_val *value,
                  struct store_lock_key *ret_key,
                  struct store_lock *ret)
{
    const uint8_t *k = key->mv_data, *p = value->mv_data;

    if (key->mv_size != LOCK_KEY_SIZE || value->mv_size != LOCK_VALUE_SIZE
        || codec_get(&p, 1) != LOCK_VERSION)
        return -EUCLEAN;
    ret_key->ino = codec_get_be(&k, 8);
    ret_key->space = (uint8_t)codec_get_be(&k, 1);
    ret_key->client = codec_get_be(&k, 8);
    ret_key->owner = codec_get_be(&k, 8);
    ret->start = codec_get_be(&k, 8);
    ret->end = codec_get(&p, 8);
    ret->type = (uint8_t)codec_get(&p, 1);
    ret->pid = (uint32_t)codec_get(&p, 4);
    return 0;
}

/* Walks the records of first->ino from `first` on, and removes those that `is_wanted`;
 * ends with the first for which it says < 0. */
static int remove_where(struct store *store,
                        const struct store_lock_key *first,
                        int (*is_wanted)(const struct store_lock_key *key,
                                         const struct store_lock_key *first))
{
    uint8_t start[LOCK_KEY_SIZE];
    struct store_lock_key key;
    struct store_lock lock;
    MDB_val k, v;
    int rc;

    make_key(start, first, 0);
    rc = index_seek(store->index, INDEX_LOCK, start, sizeof(start), &k, &v);
    while (rc == 0) {
        int wanted;

        rc = decode(&k, &v, &key, &lock);
        if (rc < 0)
            return rc;
        wanted = key.ino == first->ino ? is_wanted(&key, first) : -1;
        if (wanted < 0)
            return 0;
        if (wanted)
            rc = index_delete_current(store->index, INDEX_LOCK);
        if (rc == 0)
            rc = index_next(store->index, INDEX_LOCK, &k, &v);
    }
    return rc == -ENOENT ? 0 : rc;
}

static int is_of_owner(const struct store_lock_key *key,
                       const struct store_lock_key *first)
{
    return key->space == first->space && key->client == first->client
                   && key->owner == first->owner
               ? 1
               : -1;
}

static int is_of_client(const struct store_lock_key *key,
                        const struct store_lock_key *first)
{
    return key->client == first->owner;
}

int store_lock_remove(struct store *store, const struct store_lock_key *key)
{
    return remove_where(store, key, is_of_owner);
}

int store_lock_remove_client(struct store *store, uint64_t ino, uint64_t client)
{
    /* the walk begins at client 0; whom it looks for stands in place of the owner */
    const struct store_lock_key first = {.ino = ino, .owner = client};

    return remove_where(store, &first, is_of_client);
}

int store_lock_scan(struct store *store,
                    int (*each)(void *arg,
                                const struct store_lock_key *key,
                                const struct store_lock *lock),
                    void *arg)
{
    const uint8_t start[LOCK_KEY_SIZE] = {0};
    struct store_lock_key key;
    struct store_lock lock;
    MDB_val k, v;
    int rc = index_seek(store->index, INDEX_LOCK, start, sizeof(start), &k, &v);

    while (rc == 0) {
        rc = decode(&k, &v, &key, &lock);
        if (rc < 0)
            break;
        rc = each(arg, &key, &lock);
        if (rc)
            return rc;
        rc = index_next(store->index, INDEX_LOCK, &k, &v);
    }
    return rc == -ENOENT ? 0 : rc;
}

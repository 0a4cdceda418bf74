/* SPDX-License-Identifier: Apache-2.0
 * Dentries: get, insert, replace, remove, scan. Parts of directories are in dirpart.c.
 */
#include "store/dentry.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "store/codec.h"
#include "store/dirpart.h"
#include "store/store_impl.h"

#define DENTRY_VERSION 1u
#define DENTRY_SIZE    13u
#define HASH_SIZE      5u
#define HASH_KEY_SIZE  (8u + HASH_SIZE)
#define ORDINAL_MAX    255u
/* Placement hashes names too: with another seed, a target's share of them still
 * spreads over all hashes. */
#define HASH_SEED UINT64_C(0x64656e7472790001)

uint64_t dentry_name_hash(const char *name, size_t len)
{
    return hash_bytes(HASH_SEED, name, len) >> (64 - 8 * HASH_SIZE);
}

int dentry_decode(const MDB_val *key,
                  const MDB_val *value,
                  uint64_t *ret_dir,
                  struct store_dirent *ret)
{
    const uint8_t *k = key->mv_data;
    const uint8_t *v = value->mv_data;

    if (key->mv_size <= DENTRY_KEY_HEAD || key->mv_size > DENTRY_KEY_MAX
        || value->mv_size != DENTRY_SIZE || codec_get(&v, 1) != DENTRY_VERSION)
        return -EUCLEAN;
    *ret_dir = codec_get_be(&k, 8);
    ret->cookie = codec_get_be(&k, HASH_SIZE + 1);
    ret->name = (const char *)k;
    ret->name_len = (uint16_t)(key->mv_size - DENTRY_KEY_HEAD);
    ret->ino = codec_get(&v, 8);
    ret->type = (uint32_t)codec_get(&v, 4);
    if (ret->cookie % (ORDINAL_MAX + 1) == 0)
        return -EUCLEAN;
    return 0;
}

static int check_name(size_t len)
{
    if (len == 0)
        return -EINVAL;
    return len > STORE_NAME_MAX ? -ENAMETOOLONG : 0;
}

struct place {
    uint8_t key[DENTRY_KEY_MAX];
    size_t key_size;
    struct store_dentry dentry; /* what is there */
};

static void make_key(
    struct place *place, uint64_t dir, uint64_t cookie, const char *name, size_t len)
{
    uint8_t *p = codec_put_be(place->key, dir, 8);

    p = codec_put_be(p, cookie, HASH_SIZE + 1);
    memcpy(p, name, len);
    place->key_size = DENTRY_KEY_HEAD + len;
}

/* Finds the name: 0 and its key. -ENOENT: the key it may be inserted with. */
static int
find(struct store *store, uint64_t dir, const char *name, size_t len, struct place *ret)
{
    uint64_t hash = dentry_name_hash(name, len);
    uint64_t cookie = (hash << 8) + 1;
    uint8_t start[HASH_KEY_SIZE];
    struct store_dirent entry;
    MDB_val key, value;
    uint64_t found_dir;
    int rc;

    codec_put_be(codec_put_be(start, dir, 8), hash, HASH_SIZE);
    rc = index_seek(store->index, INDEX_DENTRY, start, sizeof(start), &key, &value);
    while (rc == 0) {
        rc = dentry_decode(&key, &value, &found_dir, &entry);
        if (rc < 0)
            return rc;
        if (found_dir != dir || entry.cookie >> 8 != hash)
            break;
        if (entry.name_len == len && memcmp(entry.name, name, len) == 0) {
            make_key(ret, dir, entry.cookie, name, len);
            ret->dentry = (struct store_dentry){.ino = entry.ino, .type = entry.type};
            return 0;
        }
        /* Ordinals ascend: the first one left out is free. */
        if (entry.cookie == cookie)
            cookie++;
        rc = index_next(store->index, INDEX_DENTRY, &key, &value);
    }
    if (rc < 0 && rc != -ENOENT)
        return rc;
    if (cookie >> 8 != hash)
        return -ENOSPC;
    make_key(ret, dir, cookie, name, len);
    return -ENOENT;
}

static int
put(struct store *store, const struct place *place, const struct store_dentry *dentry)
{
    uint8_t value[DENTRY_SIZE];
    uint8_t *p = codec_put(value, DENTRY_VERSION, 1);

    p = codec_put(p, dentry->ino, 8);
    codec_put(p, dentry->type, 4);
    return index_put(store->index,
                     INDEX_DENTRY,
                     place->key,
                     place->key_size,
                     value,
                     sizeof(value),
                     INDEX_GROW);
}

static int is_subdir(const struct store_dentry *dentry)
{
    return S_ISDIR(dentry->type) ? 1 : 0;
}

int store_dentry_get(struct store *store,
                     uint64_t dir,
                     const char *name,
                     size_t len,
                     struct store_dentry *ret)
{
    struct place place;
    int rc = check_name(len);

    if (rc == 0)
        rc = find(store, dir, name, len, &place);
    /* The cookie space of a hash is full: then this name is not in it. */
    if (rc == -ENOSPC)
        rc = -ENOENT;
    if (rc == 0)
        *ret = place.dentry;
    return rc;
}

int store_dentry_insert(struct store *store,
                        uint64_t dir,
                        const char *name,
                        size_t len,
                        const struct store_dentry *dentry,
                        int64_t now_ns)
{
    struct store_dirpart part;
    struct place place;
    int rc = check_name(len);

    if (rc == 0)
        rc = store_dirpart_get(store, dir, &part);
    if (rc < 0)
        return rc;
    if (part.is_sealed)
        return -ENOENT;
    rc = find(store, dir, name, len, &place);
    if (rc == 0)
        return -EEXIST;
    if (rc != -ENOENT)
        return rc;
    rc = put(store, &place, dentry);
    if (rc < 0)
        return rc;
    return dirpart_change(store, dir, &part, 1, is_subdir(dentry), now_ns);
}

int store_dentry_replace(struct store *store,
                         uint64_t dir,
                         const char *name,
                         size_t len,
                         const struct store_dentry *dentry,
                         int64_t now_ns)
{
    struct store_dirpart part;
    struct place place;
    int rc = check_name(len);

    if (rc == 0)
        rc = store_dirpart_get(store, dir, &part);
    if (rc == 0)
        rc = find(store, dir, name, len, &place);
    if (rc != 0)
        return rc == -ENOSPC ? -ENOENT : rc;
    rc = put(store, &place, dentry);
    if (rc < 0)
        return rc;
    return dirpart_change(
        store, dir, &part, 0, is_subdir(dentry) - is_subdir(&place.dentry), now_ns);
}

int store_dentry_remove(
    struct store *store, uint64_t dir, const char *name, size_t len, int64_t now_ns)
{
    struct store_dirpart part;
    struct place place;
    int rc = check_name(len);

    if (rc == 0)
        rc = store_dirpart_get(store, dir, &part);
    if (rc == 0)
        rc = find(store, dir, name, len, &place);
    if (rc != 0)
        return rc == -ENOSPC ? -ENOENT : rc;
    rc = index_delete(store->index, INDEX_DENTRY, place.key, place.key_size);
    if (rc < 0)
        return rc;
    return dirpart_change(store, dir, &part, -1, -is_subdir(&place.dentry), now_ns);
}

int store_dentry_scan(struct store *store,
                      uint64_t dir,
                      uint64_t cookie,
                      int (*each)(void *arg, const struct store_dirent *entry),
                      void *arg)
{
    uint8_t start[DENTRY_KEY_HEAD];
    struct store_dirent entry;
    MDB_val key, value;
    uint64_t found_dir;
    int rc;

    if (cookie >= (UINT64_C(1) << DENTRY_COOKIE_BITS) - 1)
        return cookie >> DENTRY_COOKIE_BITS ? -EINVAL : 0;
    codec_put_be(codec_put_be(start, dir, 8), cookie + 1, HASH_SIZE + 1);
    rc = index_seek(store->index, INDEX_DENTRY, start, sizeof(start), &key, &value);
    while (rc == 0) {
        rc = dentry_decode(&key, &value, &found_dir, &entry);
        if (rc < 0)
            return rc;
        if (found_dir != dir)
            return 0;
        rc = each(arg, &entry);
        if (rc != 0)
            return rc;
        rc = index_next(store->index, INDEX_DENTRY, &key, &value);
    }
    return rc == -ENOENT ? 0 : rc;
}

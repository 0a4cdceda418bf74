/* SPDX-License-Identifier: Apache-2.0
 * Extended attributes: key inode number and name, value as it is. */
#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#include "store/codec.h"
#include "store/store_impl.h"

#define XATTR_KEY_MAX (8 + STORE_NAME_MAX)

static int
make_key(uint8_t key[XATTR_KEY_MAX], uint64_t ino, const char *name, size_t len)
{
    if (len == 0)
        return -EINVAL;
    if (len > STORE_NAME_MAX)
        return -ERANGE;
    codec_put_be(key, ino, 8);
    memcpy(key + 8, name, len);
    return 0;
}

int store_xattr_get(struct store *store,
                    uint64_t ino,
                    const char *name,
                    size_t len,
                    const void **ret_value,
                    size_t *ret_len)
{
    uint8_t key[XATTR_KEY_MAX];
    MDB_val value;
    int rc = make_key(key, ino, name, len);

    if (rc == 0)
        rc = index_get(store->index, INDEX_XATTR, key, 8 + len, &value);
    if (rc < 0)
        return rc == -ENOENT ? -ENODATA : rc;
    *ret_value = value.mv_data;
    *ret_len = value.mv_size;
    return 0;
}

int store_xattr_set(struct store *store,
                    uint64_t ino,
                    const char *name,
                    size_t len,
                    const void *value,
                    size_t value_len,
                    int flags)
{
    uint8_t key[XATTR_KEY_MAX];
    MDB_val old;
    int rc = make_key(key, ino, name, len);

    if (rc < 0)
        return rc;
    if (value_len > STORE_XATTR_MAX)
        return -E2BIG;
    if (flags & (XATTR_CREATE | XATTR_REPLACE)) {
        rc = index_get(store->index, INDEX_XATTR, key, 8 + len, &old);
        if (rc < 0 && rc != -ENOENT)
            return rc;
        if (rc == 0 && (flags & XATTR_CREATE))
            return -EEXIST;
        if (rc == -ENOENT && (flags & XATTR_REPLACE))
            return -ENODATA;
    }
    return index_put(
        store->index, INDEX_XATTR, key, 8 + len, value, value_len, INDEX_GROW);
}

int store_xattr_remove(struct store *store, uint64_t ino, const char *name, size_t len)
{
    uint8_t key[XATTR_KEY_MAX];
    int rc = make_key(key, ino, name, len);

    if (rc == 0)
        rc = index_delete(store->index, INDEX_XATTR, key, 8 + len);
    return rc == -ENOENT ? -ENODATA : rc;
}

/* 0, -ENOENT (the key is of another inode) or -EUCLEAN. */
static int decode_key(uint64_t ino, const MDB_val *key)
{
    const uint8_t *p = key->mv_data;

    if (key->mv_size <= 8 || key->mv_size > XATTR_KEY_MAX)
        return -EUCLEAN;
    return codec_get_be(&p, 8) == ino ? 0 : -ENOENT;
}

static int seek_first(struct store *store, uint64_t ino, MDB_val *key, MDB_val *value)
{
    uint8_t start[8];

    codec_put_be(start, ino, 8);
    return index_seek(store->index, INDEX_XATTR, start, sizeof(start), key, value);
}

int store_xattr_scan(struct store *store,
                     uint64_t ino,
                     int (*each)(void *arg, const char *name, size_t len),
                     void *arg)
{
    MDB_val key, value;
    int rc = seek_first(store, ino, &key, &value);

    while (rc == 0) {
        rc = decode_key(ino, &key);
        if (rc < 0)
            break;
        rc = each(arg, (const char *)key.mv_data + 8, key.mv_size - 8);
        if (rc != 0)
            return rc;
        rc = index_next(store->index, INDEX_XATTR, &key, &value);
    }
    return rc == -ENOENT ? 0 : rc;
}

int store_xattr_remove_all(struct store *store, uint64_t ino)
{
    MDB_val key, value;
    int rc = seek_first(store, ino, &key, &value);

    while (rc == 0) {
        rc = decode_key(ino, &key);
        if (rc == 0)
            rc = index_delete_current(store->index, INDEX_XATTR);
        if (rc == 0)
            rc = index_next(store->index, INDEX_XATTR, &key, &value);
    }
    return rc == -ENOENT ? 0 : rc;
}

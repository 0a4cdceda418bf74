/* SPDX-License-Identifier: Apache-2.0
 * Inodes, symlink texts, orphans. */
#include <errno.h>
#include <string.h>

#include "store/codec.h"
#include "store/store_impl.h"

#define INODE_VERSION 2u
#define INODE_SIZE    98u
#define INO_KEY_SIZE  8u

static void encode(const struct store_inode *inode, uint8_t *p)
{
    p = codec_put(p, INODE_VERSION, 1);
    p = codec_put(p, inode->parent, 8);
    p = codec_put(p, inode->mode, 4);
    p = codec_put(p, inode->uid, 4);
    p = codec_put(p, inode->gid, 4);
    p = codec_put(p, inode->nlink, 4);
    p = codec_put(p, inode->size, 8);
    p = codec_put(p, inode->cuts, 8);
    p = codec_put(p, (uint64_t)inode->atime_ns, 8);
    p = codec_put(p, (uint64_t)inode->mtime_ns, 8);
    p = codec_put(p, (uint64_t)inode->ctime_ns, 8);
    p = codec_put(p, (uint64_t)inode->btime_ns, 8);
    p = codec_put(p, inode->rdev, 8);
    p = codec_put(p, inode->chunk_size, 4);
    p = codec_put(p, inode->layout, 1);
    codec_put(p, inode->base, 4);
}

static int decode(uint64_t ino, const MDB_val *value, struct store_inode *ret)
{
    const uint8_t *p = value->mv_data;

    if (value->mv_size != INODE_SIZE || codec_get(&p, 1) != INODE_VERSION)
        return -EUCLEAN;
    ret->ino = ino;
    ret->parent = codec_get(&p, 8);
    ret->mode = (uint32_t)codec_get(&p, 4);
    ret->uid = (uint32_t)codec_get(&p, 4);
    ret->gid = (uint32_t)codec_get(&p, 4);
    ret->nlink = (uint32_t)codec_get(&p, 4);
    ret->size = codec_get(&p, 8);
    ret->cuts = codec_get(&p, 8);
    ret->atime_ns = (int64_t)codec_get(&p, 8);
    ret->mtime_ns = (int64_t)codec_get(&p, 8);
    ret->ctime_ns = (int64_t)codec_get(&p, 8);
    ret->btime_ns = (int64_t)codec_get(&p, 8);
    ret->rdev = codec_get(&p, 8);
    ret->chunk_size = (uint32_t)codec_get(&p, 4);
    ret->layout = (uint8_t)codec_get(&p, 1);
    ret->base = (uint32_t)codec_get(&p, 4);
    return 0;
}

int store_inode_get(struct store *store, uint64_t ino, struct store_inode *ret)
{
    uint8_t key[INO_KEY_SIZE];
    MDB_val value;
    int rc;

    codec_put_be(key, ino, 8);
    rc = index_get(store->index, INDEX_INODE, key, sizeof(key), &value);
    return rc < 0 ? rc : decode(ino, &value, ret);
}

int store_inode_put(struct store *store, const struct store_inode *inode)
{
    struct index *index = store->index;
    uint8_t key[INO_KEY_SIZE];
    uint8_t value[INODE_SIZE];
    MDB_val old;

    codec_put_be(key, inode->ino, 8);
    if (store->inode_limit && index_count(index, INDEX_INODE) >= store->inode_limit
        && index_get(index, INDEX_INODE, key, sizeof(key), &old) == -ENOENT)
        return -ENOSPC;
    encode(inode, value);
    return index_put(
        index, INDEX_INODE, key, sizeof(key), value, sizeof(value), INDEX_GROW);
}

int store_inode_remove(struct store *store, uint64_t ino)
{
    struct index *index = store->index;
    uint8_t key[INO_KEY_SIZE];
    int rc;

    codec_put_be(key, ino, 8);
    rc = index_delete(index, INDEX_INODE, key, sizeof(key));
    if (rc < 0)
        return rc;
    rc = index_delete(index, INDEX_SYMLINK, key, sizeof(key));
    if (rc == 0 || rc == -ENOENT)
        rc = store_xattr_remove_all(store, ino);
    if (rc == 0)
        rc = store_dirmember_remove_all(store, ino);
    if (rc < 0)
        index_txn_fail(index, rc);
    return rc;
}

int store_orphan_add(struct store *store, uint64_t ino)
{
    uint8_t key[INO_KEY_SIZE];

    codec_put_be(key, ino, 8);
    return index_put(store->index, INDEX_ORPHAN, key, sizeof(key), "", 1, INDEX_FREE);
}

int store_orphan_remove(struct store *store, uint64_t ino)
{
    uint8_t key[INO_KEY_SIZE];
    int rc;

    codec_put_be(key, ino, 8);
    rc = index_delete(store->index, INDEX_ORPHAN, key, sizeof(key));
    return rc == -ENOENT ? 0 : rc;
}

int store_orphan_next(struct store *store, uint64_t after, uint64_t *ret_ino)
{
    uint8_t start[INO_KEY_SIZE];
    const uint8_t *p;
    MDB_val key, value;
    int rc;

    if (after == UINT64_MAX)
        return -ENOENT;
    codec_put_be(start, after + 1, 8);
    rc = index_seek(store->index, INDEX_ORPHAN, start, sizeof(start), &key, &value);
    if (rc < 0)
        return rc;
    if (key.mv_size != INO_KEY_SIZE)
        return -EUCLEAN;
    p = key.mv_data;
    *ret_ino = codec_get_be(&p, 8);
    return 0;
}

int store_symlink_put(struct store *store, uint64_t ino, const char *text, size_t len)
{
    uint8_t key[INO_KEY_SIZE];

    if (len == 0)
        return -EINVAL;
    if (len > STORE_SYMLINK_MAX)
        return -ENAMETOOLONG;
    codec_put_be(key, ino, 8);
    return index_put(
        store->index, INDEX_SYMLINK, key, sizeof(key), text, len, INDEX_GROW);
}

int store_symlink_get(struct store *store,
                      uint64_t ino,
                      const char **ret_text,
                      size_t *ret_len)
{
    uint8_t key[INO_KEY_SIZE];
    MDB_val value;
    int rc;

    codec_put_be(key, ino, 8);
    rc = index_get(store->index, INDEX_SYMLINK, key, sizeof(key), &value);
    if (rc < 0)
        return rc;
    *ret_text = value.mv_data;
    *ret_len = value.mv_size;
    return 0;
}

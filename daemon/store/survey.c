/* SPDX-License-Identifier: Apache-2.0
 * Walking through all records of a kind, in parts. */
#include "store/survey.h"

#include <errno.h>
#include <string.h>

#include "store/codec.h"
#include "store/dentry.h"
#include "store/store_impl.h"

#define INO_KEY_SIZE 8u

static uint64_t key_number(const MDB_val *key)
{
    const uint8_t *p = key->mv_data;

    return key->mv_size >= INO_KEY_SIZE ? codec_get_be(&p, INO_KEY_SIZE) : 0;
}

static int inode_decode(struct store *store,
                        const MDB_val *key,
                        const MDB_val *value,
                        struct store_record *ret)
{
    (void)value;
    return store_inode_get(store, key_number(key), &ret->inode);
}

static int entry_decode(struct store *store,
                        const MDB_val *key,
                        const MDB_val *value,
                        struct store_record *ret)
{
    (void)store;
    return dentry_decode(key, value, &ret->ino, &ret->entry);
}

static int part_decode(struct store *store,
                       const MDB_val *key,
                       const MDB_val *value,
                       struct store_record *ret)
{
    (void)store;
    ret->ino = key_number(key);
    return dirpart_decode(value, &ret->part);
}

static int chunk_decode(struct store *store,
                        const MDB_val *key,
                        const MDB_val *value,
                        struct store_record *ret)
{
    int rc = chunk_key_decode(key->mv_data, key->mv_size, &ret->ino, &ret->chunk);

    if (rc == 0)
        rc = chunk_record_decode(&store->record, value->mv_data, value->mv_size);
    ret->chunk_end = store->record.end;
    return rc;
}

static int orphan_decode(struct store *store,
                         const MDB_val *key,
                         const MDB_val *value,
                         struct store_record *ret)
{
    (void)store;
    (void)value;
    ret->ino = key_number(key);
    return 0;
}

static int claim_record_decode(struct store *store,
                               const MDB_val *key,
                               const MDB_val *value,
                               struct store_record *ret)
{
    (void)store;
    return claim_decode(key, value, &ret->claim);
}

static int intent_decode(struct store *store,
                         const MDB_val *key,
                         const MDB_val *value,
                         struct store_record *ret)
{
    (void)store;
    (void)key;
    if (value->mv_size < 1)
        return -EUCLEAN;
    ret->intent = (const uint8_t *)value->mv_data + 1;
    ret->intent_len = value->mv_size - 1;
    return 0;
}

static int member_decode(struct store *store,
                         const MDB_val *key,
                         const MDB_val *value,
                         struct store_record *ret)
{
    const uint8_t *p = key->mv_data;

    (void)store;
    (void)value;
    if (key->mv_size != INO_KEY_SIZE + 4)
        return -EUCLEAN;
    ret->ino = codec_get_be(&p, INO_KEY_SIZE);
    ret->member = (uint32_t)codec_get_be(&p, 4);
    return 0;
}

static const struct {
    enum index_db db;
    int (*decode)(struct store *store,
                  const MDB_val *key,
                  const MDB_val *value,
                  struct store_record *ret);
} tables[STORE_N_TABLES] = {
    [STORE_TABLE_INODES] = {INDEX_INODE, inode_decode},
    [STORE_TABLE_DENTRIES] = {INDEX_DENTRY, entry_decode},
    [STORE_TABLE_DIRPARTS] = {INDEX_DIRPART, part_decode},
    [STORE_TABLE_CHUNKS] = {INDEX_CHUNK, chunk_decode},
    [STORE_TABLE_ORPHANS] = {INDEX_ORPHAN, orphan_decode},
    [STORE_TABLE_CLAIMS] = {INDEX_CLAIM, claim_record_decode},
    [STORE_TABLE_INTENTS] = {INDEX_INTENT, intent_decode},
    [STORE_TABLE_DIRMEMBERS] = {INDEX_DIRMEMBER, member_decode},
};

int store_survey(struct store *store,
                 enum store_table table,
                 struct store_position *position,
                 int (*each)(void *arg, const struct store_record *record),
                 void *arg)
{
    enum index_db db = tables[table].db;
    MDB_val key, value;
    int rc =
        position->len > 0
            ? index_seek(store->index, db, position->key, position->len, &key, &value)
            : index_seek(store->index, db, "", 1, &key, &value);

    while (rc == 0) {
        struct store_record record = {.table = table};

        if (key.mv_size > sizeof(position->key))
            return -EUCLEAN;
        memcpy(position->key, key.mv_data, key.mv_size);
        position->len = (uint16_t)key.mv_size;
        rc = tables[table].decode(store, &key, &value, &record);
        if (rc == 0)
            rc = each(arg, &record);
        if (rc)
            return rc;
        rc = index_next(store->index, db, &key, &value);
    }
    position->len = 0;
    return rc == -ENOENT ? 0 : rc;
}

/* SPDX-License-Identifier: Apache-2.0
 * At a directory's home: which targets have, or had, entries of it. Key directory,
 * target. */
#include <errno.h>

#include "store/codec.h"
#include "store/store_impl.h"

#define MEMBER_KEY_SIZE (8u + 4u)

static void make_key(uint8_t key[MEMBER_KEY_SIZE], uint64_t dir, uint32_t target)
{
    codec_put_be(codec_put_be(key, dir, 8), target, 4);
}

int store_dirmember_add(struct store *store, uint64_t dir, uint32_t target)
{
    uint8_t key[MEMBER_KEY_SIZE];

    make_key(key, dir, target);
    return index_put(
        store->index, INDEX_DIRMEMBER, key, sizeof(key), "", 1, INDEX_GROW);
}

int store_dirmember_scan(struct store *store,
                         uint64_t dir,
                         int (*each)(void *arg, uint32_t target),
                         void *arg)
{
    uint8_t start[MEMBER_KEY_SIZE];
    MDB_val key, value;
    int rc;

    make_key(start, dir, 0);
    rc = index_seek(store->index, INDEX_DIRMEMBER, start, sizeof(start), &key, &value);
    while (rc == 0) {
        const uint8_t *p = key.mv_data;

        if (key.mv_size != MEMBER_KEY_SIZE)
            return -EUCLEAN;
        if (codec_get_be(&p, 8) != dir)
            return 0;
        rc = each(arg, (uint32_t)codec_get_be(&p, 4));
        if (rc)
            return rc;
        rc = index_next(store->index, INDEX_DIRMEMBER, &key, &value);
    }
    return rc == -ENOENT ? 0 : rc;
}

int store_dirmember_remove_all(struct store *store, uint64_t dir)
{
    uint8_t start[MEMBER_KEY_SIZE];
    MDB_val key, value;
    int rc;

    make_key(start, dir, 0);
    rc = index_seek(store->index, INDEX_DIRMEMBER, start, sizeof(start), &key, &value);
    while (rc == 0) {
        const uint8_t *p = key.mv_data;

        if (key.mv_size != MEMBER_KEY_SIZE)
            return -EUCLEAN;
        if (codec_get_be(&p, 8) != dir)
            return 0;
        rc = index_delete_current(store->index, INDEX_DIRMEMBER);
        if (rc == 0)
            rc = index_next(store->index, INDEX_DIRMEMBER, &key, &value);
    }
    return rc == -ENOENT ? 0 : rc;
}

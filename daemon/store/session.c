/* SPDX-License-Identifier: Apache-2.0
 * What survives a restart of clients: who they are (key client), and what they have
 * open (key client and inode). Values begin with their version. */
#include <errno.h>
#include <string.h>

#include "store/codec.h"
#include "store/store_impl.h"

#define CLIENT_VERSION 1
#define CLIENT_SIZE    (1 + 1 + 4 + 4 + 8)
#define OPEN_VERSION   1
#define OPEN_KEY_SIZE  (8 + 8)
#define OPEN_SIZE      (1 + 3 * 4)

int store_client_put(struct store *store,
                     uint64_t client,
                     const struct store_client *what)
{
    uint8_t key[8], value[CLIENT_SIZE];
    uint8_t *p = codec_put(value, CLIENT_VERSION, 1);

    codec_put_be(key, client, 8);
    p = codec_put(p, what->has_forwarded, 1);
    p = codec_put(p, what->node, 4);
    p = codec_put(p, what->pid, 4);
    codec_put(p, what->pid_start, 8);
    return index_put(
        store->index, INDEX_CLIENT, key, sizeof(key), value, sizeof(value), INDEX_FREE);
}

int store_client_remove(struct store *store, uint64_t client)
{
    uint8_t key[8];
    int rc;

    codec_put_be(key, client, 8);
    rc = index_delete(store->index, INDEX_CLIENT, key, sizeof(key));
    return rc == -ENOENT ? 0 : rc;
}

static int client_decode(const MDB_val *key,
                         const MDB_val *value,
                         uint64_t *ret_client,
                         struct store_client *ret)
{
    const uint8_t *k = key->mv_data, *p = value->mv_data;

    if (key->mv_size != 8 || value->mv_size != CLIENT_SIZE
        || codec_get(&p, 1) != CLIENT_VERSION)
        return -EUCLEAN;
    *ret_client = codec_get_be(&k, 8);
    ret->has_forwarded = codec_get(&p, 1) != 0;
    ret->node = (uint32_t)codec_get(&p, 4);
    ret->pid = (uint32_t)codec_get(&p, 4);
    ret->pid_start = codec_get(&p, 8);
    return 0;
}

int store_client_scan(struct store *store,
                      int (*each)(void *arg,
                                  uint64_t client,
                                  const struct store_client *what),
                      void *arg)
{
    const uint8_t start[8] = {0};
    struct store_client what;
    MDB_val key, value;
    uint64_t client;
    int rc = index_seek(store->index, INDEX_CLIENT, start, sizeof(start), &key, &value);

    while (rc == 0) {
        rc = client_decode(&key, &value, &client, &what);
        if (rc < 0)
            break;
        rc = each(arg, client, &what);
        if (rc)
            return rc;
        rc = index_next(store->index, INDEX_CLIENT, &key, &value);
    }
    return rc == -ENOENT ? 0 : rc;
}

/* ---- opens */

int store_open_put(struct store *store,
                   uint64_t client,
                   uint64_t ino,
                   const struct store_open *what)
{
    uint8_t key[OPEN_KEY_SIZE], value[OPEN_SIZE];
    uint8_t *p;

    codec_put_be(codec_put_be(key, client, 8), ino, 8);
    if (what->n_readers + what->n_appenders + what->n_free_writers == 0) {
        int rc = index_delete(store->index, INDEX_OPEN, key, sizeof(key));

        return rc == -ENOENT ? 0 : rc;
    }
    p = codec_put(value, OPEN_VERSION, 1);
    p = codec_put(p, what->n_readers, 4);
    p = codec_put(p, what->n_appenders, 4);
    codec_put(p, what->n_free_writers, 4);
    /* reading must go on when the index is full */
    return index_put(
        store->index, INDEX_OPEN, key, sizeof(key), value, sizeof(value), INDEX_FREE);
}

static int open_decode(const MDB_val *key,
                       const MDB_val *value,
                       uint64_t *ret_client,
                       uint64_t *ret_ino,
                       struct store_open *ret)
{
    const uint8_t *k = key->mv_data, *p = value->mv_data;

    if (key->mv_size != OPEN_KEY_SIZE || value->mv_size != OPEN_SIZE
        || codec_get(&p, 1) != OPEN_VERSION)
        return -EUCLEAN;
    *ret_client = codec_get_be(&k, 8);
    *ret_ino = codec_get_be(&k, 8);
    ret->n_readers = (uint32_t)codec_get(&p, 4);
    ret->n_appenders = (uint32_t)codec_get(&p, 4);
    ret->n_free_writers = (uint32_t)codec_get(&p, 4);
    return 0;
}

int store_open_scan(struct store *store,
                    int (*each)(void *arg,
                                uint64_t client,
                                uint64_t ino,
                                const struct store_open *what),
                    void *arg)
{
    const uint8_t start[OPEN_KEY_SIZE] = {0};
    struct store_open what;
    MDB_val key, value;
    uint64_t client, ino;
    int rc = index_seek(store->index, INDEX_OPEN, start, sizeof(start), &key, &value);

    while (rc == 0) {
        rc = open_decode(&key, &value, &client, &ino, &what);
        if (rc < 0)
            break;
        rc = each(arg, client, ino, &what);
        if (rc)
            return rc;
        rc = index_next(store->index, INDEX_OPEN, &key, &value);
    }
    return rc == -ENOENT ? 0 : rc;
}

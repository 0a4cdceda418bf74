/* SPDX-License-Identifier: Apache-2.0
 * The store's records about itself: what it is, inode numbers reserved; and the
 * allocator's state, which is found by reading all chunk records. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/codec.h"
#include "store/store_impl.h"
#include "store/survey.h"

#define STORE_FORMAT     2u
#define STORE_RECORD_MIN 21u
#define JOB_MAX          255u
#define SEQ_STEP         4096u
#define INDEX_ANY_SIZE   (UINT64_C(1) << 44)
/* What an inode number is taken for: the inode, its dentry, symlink text, some xattrs.
 * Better to refuse here than half-way through these. */
#define CREATE_CHANGES 8u
#define SEQ_MAX        ((UINT64_C(1) << 48) - 1)

static const char store_key[] = "store";
static const char seq_key[] = "inode-seq";

static int key_get(struct store *store, const char *key, MDB_val *ret_value)
{
    return index_get(store->index, INDEX_META, key, strlen(key), ret_value);
}

static int key_put(struct store *store, const char *key, const void *data, size_t size)
{
    return index_put(
        store->index, INDEX_META, key, strlen(key), data, size, INDEX_FREE);
}

/* Format, target, block size, capacity, job. Every later format begins with its number.
 */
static int put_store_record(struct store *store, const struct store_config *config)
{
    uint8_t record[STORE_RECORD_MIN + JOB_MAX];
    size_t job_size = strlen(config->job);
    uint8_t *p = record;

    p = codec_put(p, 1, 1);
    p = codec_put(p, STORE_FORMAT, 4);
    p = codec_put(p, config->target, 4);
    p = codec_put(p, STORE_BLOCK_SIZE, 4);
    p = codec_put(p, config->capacity_bytes, 8);
    memcpy(p, config->job, job_size);
    return key_put(store, store_key, record, STORE_RECORD_MIN + job_size);
}

static int
refuse(struct benchfs_error *err, const char *what, uint64_t has, uint64_t want)
{
    return benchfs_error_set(err,
                             EINVAL,
                             "index: record \"store\": %s is %llu, not %llu",
                             what,
                             (unsigned long long)has,
                             (unsigned long long)want);
}

static int check_store_record(const struct store_config *config,
                              const MDB_val *value,
                              struct benchfs_error *err)
{
    const uint8_t *p = value->mv_data;
    uint32_t format, target, block_size;
    uint64_t capacity;
    size_t job_size;

    if (value->mv_size < STORE_RECORD_MIN || value->mv_size > STORE_RECORD_MIN + JOB_MAX
        || codec_get(&p, 1) != 1)
        return benchfs_error_set(err, EUCLEAN, "index: record \"store\": malformed");
    format = (uint32_t)codec_get(&p, 4);
    target = (uint32_t)codec_get(&p, 4);
    block_size = (uint32_t)codec_get(&p, 4);
    capacity = codec_get(&p, 8);
    job_size = value->mv_size - STORE_RECORD_MIN;
    if (format != STORE_FORMAT)
        return refuse(err, "format", format, STORE_FORMAT);
    if (block_size != STORE_BLOCK_SIZE)
        return refuse(err, "block size", block_size, STORE_BLOCK_SIZE);
    if (job_size != strlen(config->job) || memcmp(p, config->job, job_size) != 0)
        return benchfs_error_set(err,
                                 EINVAL,
                                 "index: record \"store\": of job %.*s, not %s",
                                 (int)job_size,
                                 (const char *)p,
                                 config->job);
    if (target != config->target)
        return refuse(err, "target", target, config->target);
    if (capacity > config->capacity_bytes)
        return refuse(err, "capacity", capacity, config->capacity_bytes);
    return 0;
}

static int load_store_record(struct store *store,
                             const struct store_config *config,
                             struct benchfs_error *err)
{
    MDB_val value;
    int rc = key_get(store, store_key, &value);

    if (rc == 0) {
        rc = check_store_record(config, &value, err);
        if (rc < 0)
            return rc;
    } else if (rc == -ENOENT) {
        /* New, or its making was interrupted. */
        for (int db = 0; db < INDEX_N_DBS; db++) {
            if (index_count(store->index, (enum index_db)db) > 0)
                return benchfs_error_set(err, EUCLEAN, "index: no record \"store\"");
        }
    }
    if (rc == 0 || rc == -ENOENT)
        rc = put_store_record(store, config);
    if (rc < 0)
        return benchfs_error_set(err, rc, "index: record \"store\": %s", strerror(-rc));
    return 0;
}

static int load_seq(struct store *store, struct benchfs_error *err)
{
    MDB_val value;
    int rc = key_get(store, seq_key, &value);

    store->seq_next = 1;
    if (rc == 0) {
        const uint8_t *p = value.mv_data;

        if (value.mv_size != 8)
            return benchfs_error_set(
                err, EUCLEAN, "index: record \"%s\": malformed", seq_key);
        store->seq_next = codec_get(&p, 8);
        if (store->seq_next == 0 || store->seq_next > SEQ_MAX)
            return benchfs_error_set(
                err, EUCLEAN, "index: record \"%s\": out of range", seq_key);
    } else if (rc != -ENOENT) {
        return benchfs_error_set(
            err, rc, "index: record \"%s\": %s", seq_key, strerror(-rc));
    }
    store->seq_reserved = store->seq_next;
    store->seq_reserved_committed = store->seq_next;
    return 0;
}

static int mark_extents(struct store *store,
                        uint64_t ino,
                        uint64_t chunk,
                        struct benchfs_error *err)
{
    for (uint32_t i = 0; i < store->record.n_extents; i++) {
        const struct chunk_extent *extent = &store->record.extents[i];
        int rc = arena_mark(store->arena, extent->arena_block, extent->n);

        if (rc < 0)
            return benchfs_error_set(
                err,
                EUCLEAN,
                "index: chunk %llu of inode %llu: arena blocks %llu+%u %s",
                (unsigned long long)chunk,
                (unsigned long long)ino,
                (unsigned long long)extent->arena_block,
                extent->n,
                rc == -EEXIST ? "belong to another extent too"
                              : "are not in the arena");
    }
    return 0;
}

static int recover_blocks(struct store *store, struct benchfs_error *err)
{
    uint64_t ino = 0, chunk = 0;
    MDB_val key, value;
    int rc = index_seek(store->index, INDEX_CHUNK, "", 1, &key, &value);

    while (rc == 0) {
        rc = chunk_key_decode(key.mv_data, key.mv_size, &ino, &chunk);
        if (rc < 0)
            return benchfs_error_set(err, rc, "index: a chunk's key is malformed");
        rc = chunk_record_decode(&store->record, value.mv_data, value.mv_size);
        if (rc < 0)
            return benchfs_error_set(err,
                                     rc,
                                     "index: chunk %llu of inode %llu: %s",
                                     (unsigned long long)chunk,
                                     (unsigned long long)ino,
                                     rc == -EUCLEAN ? "malformed" : strerror(-rc));
        rc = mark_extents(store, ino, chunk, err);
        if (rc < 0)
            return rc;
        rc = index_next(store->index, INDEX_CHUNK, &key, &value);
    }
    if (rc != -ENOENT)
        return benchfs_error_set(err, rc, "index: chunks: %s", strerror(-rc));
    return 0;
}

int store_meta_load(struct store *store,
                    const struct store_config *config,
                    struct benchfs_error *err)
{
    int rc = store_txn_begin(store);

    if (rc < 0)
        return benchfs_error_set(err, rc, "index: %s", strerror(-rc));
    rc = load_store_record(store, config, err);
    if (rc == 0)
        rc = load_seq(store, err);
    if (rc == 0)
        rc = recover_blocks(store, err);
    if (rc == 0 && arena_holes_find(store->arena) < 0)
        rc = benchfs_error_set(err, ENOMEM, "arena: out of memory");
    if (rc < 0) {
        store_txn_abort(store);
        return rc;
    }
    rc = store_txn_commit(store);
    if (rc < 0)
        return benchfs_error_set(err, rc, "index: %s", strerror(-rc));
    return 0;
}

int store_inode_allocate(struct store *store, uint64_t *ret_ino)
{
    uint8_t value[8];
    uint64_t reserved = store->seq_next + SEQ_STEP;
    int rc = index_room_check(store->index, CREATE_CHANGES, 0);

    if (rc < 0)
        return rc;
    if (store->inode_limit
        && index_count(store->index, INDEX_INODE) >= store->inode_limit)
        return -ENOSPC;
    if (store->seq_next >= store->seq_reserved) {
        if (reserved > SEQ_MAX)
            return -ENOSPC;
        codec_put(value, reserved, 8);
        rc = key_put(store, seq_key, value, sizeof(value));
        if (rc < 0)
            return rc;
        store->seq_reserved = reserved;
    }
    *ret_ino = store->seq_next++ << 16 | store->target;
    return 0;
}

/* ---- of a store that is not open */

static int
identity_decode(const MDB_val *value, struct store_config *config, char **ret_job)
{
    const uint8_t *p = value->mv_data;

    if (value->mv_size <= STORE_RECORD_MIN
        || value->mv_size > STORE_RECORD_MIN + JOB_MAX || codec_get(&p, 1) != 1)
        return -EUCLEAN;
    if (codec_get(&p, 4) != STORE_FORMAT)
        return -EPROTONOSUPPORT;
    config->target = (uint32_t)codec_get(&p, 4);
    (void)codec_get(&p, 4);
    config->capacity_bytes = codec_get(&p, 8);
    *ret_job = strndup((const char *)p, value->mv_size - STORE_RECORD_MIN);
    config->job = *ret_job;
    return *ret_job ? 0 : -ENOMEM;
}

int store_identify(struct store_config *config,
                   char **ret_job,
                   struct benchfs_error *err)
{
    struct index *index;
    MDB_val value;
    uint8_t boot[JOURNAL_BOOT_SIZE];
    int rc;

    config->is_durable = store_has_journal(config->directory);
    rc = config->is_durable ? store_boot_get(config->boot_id, boot) : 0;
    if (rc)
        return benchfs_error_set(err, -rc, "the kernel's boot id: %s", strerror(-rc));
    /* it may have to be made from its journal, however large */
    rc = index_open(config->directory,
                    config->is_durable ? INDEX_ANY_SIZE : 0,
                    config->is_durable ? boot : NULL,
                    &index,
                    err);
    if (rc)
        return rc;
    rc = index_txn_begin(index);
    if (rc == 0)
        rc = index_get(index, INDEX_META, store_key, strlen(store_key), &value);
    if (rc == 0)
        rc = identity_decode(&value, config, ret_job);
    index_close(index);
    if (rc)
        return benchfs_error_set(err,
                                 -rc,
                                 "%s/index: record \"store\": %s",
                                 config->directory,
                                 rc == -EPROTONOSUPPORT ? "of another format"
                                 : rc == -EUCLEAN       ? "malformed"
                                                        : strerror(-rc));
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 * Chunk records in the index, and changes to them that take and give blocks. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "store/codec.h"
#include "store/store_impl.h"

int store_chunk_load(struct store *store, uint64_t ino, uint64_t chunk)
{
    uint8_t key[CHUNK_KEY_SIZE];
    MDB_val value;
    int rc;

    chunk_key_encode(key, ino, chunk);
    rc = index_get(store->index, INDEX_CHUNK, key, sizeof(key), &value);
    if (rc == -ENOENT) {
        chunk_record_clear(&store->record);
        return 0;
    }
    if (rc < 0)
        return rc;
    return chunk_record_decode(&store->record, value.mv_data, value.mv_size);
}

int store_chunk_save(struct store *store,
                     uint64_t ino,
                     uint64_t chunk,
                     enum index_room room)
{
    const struct chunk_record *record = &store->record;
    uint8_t key[CHUNK_KEY_SIZE];
    void *value;
    int rc;

    chunk_key_encode(key, ino, chunk);
    if (record->n_extents == 0 && record->end == 0) {
        rc = index_delete(store->index, INDEX_CHUNK, key, sizeof(key));
        return rc == -ENOENT ? 0 : rc;
    }
    rc = index_put_reserve(store->index,
                           INDEX_CHUNK,
                           key,
                           sizeof(key),
                           chunk_record_size(record),
                           room,
                           &value);
    if (rc == 0)
        chunk_record_encode(record, value);
    return rc;
}

int store_chunk_seek_record(struct store *store,
                            uint64_t ino,
                            uint64_t chunk,
                            MDB_val *ret_key,
                            MDB_val *ret_value)
{
    uint8_t key[CHUNK_KEY_SIZE];

    chunk_key_encode(key, ino, chunk);
    return index_seek(store->index, INDEX_CHUNK, key, sizeof(key), ret_key, ret_value);
}

int store_chunk_decode(struct store *store,
                       uint64_t ino,
                       const MDB_val *key,
                       const MDB_val *value,
                       uint64_t *ret_chunk)
{
    uint64_t found;
    int rc = chunk_key_decode(key->mv_data, key->mv_size, &found, ret_chunk);

    if (rc < 0)
        return rc;
    if (found != ino)
        return -ENOENT;
    return chunk_record_decode(&store->record, value->mv_data, value->mv_size);
}

int store_change_map(struct store *store,
                     struct store_change *change,
                     uint32_t block,
                     uint32_t n,
                     uint64_t arena_block)
{
    uint32_t part;
    int rc;

    for (uint32_t done = 0; done < n; done += part) {
        uint64_t old;

        part = chunk_record_map(&store->record, block + done, n - done, &old);
        if (old == CHUNK_HOLE)
            continue;
        rc = arena_runs_push(&change->freed, old, part);
        if (rc < 0)
            return rc;
    }
    return chunk_record_set(&store->record, block, n, arena_block);
}

int store_change_allocate(struct store *store,
                          struct store_change *change,
                          uint64_t goal,
                          uint64_t n,
                          struct arena_runs *ret_runs)
{
    struct arena_runs runs = {0};
    int rc = arena_allocate(store->arena, goal, n, &runs);

    if (rc == 0)
        rc = arena_runs_append(&change->allocated, &runs);
    if (rc < 0) {
        for (size_t i = 0; i < runs.count; i++)
            arena_release(store->arena, runs.run[i].start, runs.run[i].n);
        arena_runs_fini(&runs);
        return rc;
    }
    *ret_runs = runs;
    return 0;
}

/* Replaces a block by a copy. */
static int copy_block(struct store *store,
                      struct store_change *change,
                      uint32_t block,
                      uint64_t *arena_block)
{
    struct arena_runs runs;
    uint64_t copy;
    int rc = store_change_allocate(store, change, CHUNK_HOLE, 1, &runs);

    if (rc < 0)
        return rc;
    copy = runs.run[0].start;
    arena_runs_fini(&runs);
    memcpy(arena_memory(store->arena, copy),
           arena_memory(store->arena, *arena_block),
           STORE_BLOCK_SIZE);
    *arena_block = copy;
    return store_change_map(store, change, block, 1, copy);
}

/* [begin, end) lies in one block, which must not be changed where it is. */
static int zero_copied(struct store *store,
                       struct store_change *change,
                       uint64_t arena_block,
                       uint32_t begin,
                       uint32_t end,
                       enum store_zero how)
{
    uint32_t block = begin / STORE_BLOCK_SIZE;
    int rc;

    if (end - begin == STORE_BLOCK_SIZE)
        return store_change_map(store, change, block, 1, CHUNK_HOLE);
    rc = copy_block(store, change, block, &arena_block);
    if (rc < 0 && (rc != -ENOSPC || how != STORE_ZERO_COPY_OR_NOT))
        return rc;
    memset(arena_memory(store->arena, arena_block) + begin % STORE_BLOCK_SIZE,
           0,
           end - begin);
    return 0;
}

int store_change_zero(struct store *store,
                      struct store_change *change,
                      const struct arena_pin *self,
                      uint32_t begin,
                      uint32_t end,
                      enum store_zero how)
{
    uint32_t next;

    for (; begin < end; begin = next) {
        uint32_t block = begin / STORE_BLOCK_SIZE;
        uint32_t last = (end - 1) / STORE_BLOCK_SIZE;
        uint64_t at;
        uint32_t n = chunk_record_map(&store->record, block, last - block + 1, &at);
        bool is_shared = at != CHUNK_HOLE
                         && (how != STORE_ZERO_IN_PLACE
                             || arena_is_being_written(store->arena, at, n, self));

        next = (block + (is_shared ? 1 : n)) * STORE_BLOCK_SIZE;
        if (next > end)
            next = end;
        if (at == CHUNK_HOLE)
            continue;
        if (is_shared) {
            int rc = zero_copied(store, change, at, begin, next, how);

            if (rc < 0)
                return rc;
            continue;
        }
        memset(
            arena_memory(store->arena, at) + begin % STORE_BLOCK_SIZE, 0, next - begin);
    }
    return 0;
}

int store_change_end(struct store *store, struct store_change *change, int status)
{
    if (status == 0) {
        status = arena_runs_append(&store->txn_allocated, &change->allocated);
        if (status == 0)
            status = arena_runs_append(&store->txn_freed, &change->freed);
        /* The index has the change already: it must not be committed. */
        if (status < 0)
            index_txn_fail(store->index, status);
    } else {
        for (size_t i = 0; i < change->allocated.count; i++)
            arena_release(store->arena,
                          change->allocated.run[i].start,
                          change->allocated.run[i].n);
    }
    arena_runs_fini(&change->allocated);
    arena_runs_fini(&change->freed);
    return status;
}

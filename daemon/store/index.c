/* SPDX-License-Identifier: Apache-2.0
 * LMDB records: get, put, delete, cursors, and the room for changes. The environment
 * and its file are in index_env.c. */
#include "store/index.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/hash.h"
#include "store/codec.h"
#include "store/index_env.h"

/* Pages a change is taken to need: its leaf, and a share of splits; the pages above and
 * the list of free pages are what index_txn_begin() takes off. If that is ever too
 * little, LMDB says so and the transaction fails; nothing breaks. */
#define CHANGE_PAGES 2u
/* Of the journal, for removing things. */
#define JOURNAL_RESERVE (JOURNAL_AHEAD / 4)
/* A larger value gets pages of its own, which have to be adjacent. */
#define VALUE_INLINE 1024u
#define VALUE_PAGES(size)                                                              \
    ((size) > VALUE_INLINE ? (uint64_t)(size) / INDEX_PAGE_SIZE + 2 : 0)

static int fail(struct index *index, int rc)
{
    int status = index_status(rc);

    /* LMDB refuses everything after such an error; so does the commit. */
    if (status != -ENOENT && status != -EEXIST)
        index_txn_fail(index, status);
    return status;
}

/* ---- sums */

static uint64_t key_hash(enum index_db db, MDB_val key)
{
    return hash_bytes((uint64_t)db + 1, key.mv_data, key.mv_size);
}

static uint32_t sum_of(uint64_t key, const void *value, size_t size)
{
    return (uint32_t)hash_bytes(key, value, size);
}

static void sum_put(uint64_t key, void *value, size_t size)
{
    codec_put((uint8_t *)value + size, sum_of(key, value, size), INDEX_SUM_SIZE);
}

bool index_sum_is_right(enum index_db db, MDB_val key, MDB_val *value)
{
    size_t size = value->mv_size - INDEX_SUM_SIZE;
    const uint8_t *p;

    if (value->mv_size < INDEX_SUM_SIZE)
        return false;
    p = (const uint8_t *)value->mv_data + size;
    if (codec_get(&p, INDEX_SUM_SIZE)
        != sum_of(key_hash(db, key), value->mv_data, size))
        return false;
    value->mv_size = size;
    return true;
}

/* Takes the sum off. */
static int sum_check(enum index_db db, MDB_val key, MDB_val *value)
{
    return index_sum_is_right(db, key, value) ? 0 : -EUCLEAN;
}

/* ---- room */

static MDB_val value_of(const void *data, size_t size)
{
    return (MDB_val){.mv_size = size, .mv_data = (void *)(uintptr_t)data};
}

static uint64_t left_pages(const struct index *index)
{
    return index->room_pages > index->used_pages ? index->room_pages - index->used_pages
                                                 : 0;
}

static uint64_t left_tail_pages(const struct index *index)
{
    return index->tail_pages > index->used_pages ? index->tail_pages - index->used_pages
                                                 : 0;
}

int index_room_check(struct index *index, unsigned changes, size_t value_size)
{
    uint64_t adjacent = VALUE_PAGES(value_size);
    uint64_t wanted = changes * CHANGE_PAGES + adjacent;

    if (left_pages(index) < index->reserve_pages + wanted)
        return -ENOSPC;
    if (index->journal
        && index->journal_room
               < journal_frame_size(index->journal) + value_size + JOURNAL_RESERVE)
        return -ENOSPC;
    if (adjacent && left_tail_pages(index) < index->reserve_pages / 2 + adjacent
        && !index_has_free_run(index, index->used_pages + adjacent))
        return -ENOSPC;
    return 0;
}

/* Whether a put would add a record or make one longer, asked only when room is short.
 */
static bool
would_grow(struct index *index, enum index_db db, MDB_val key, size_t value_size)
{
    MDB_val old;

    if (mdb_get(index->txn, index->dbi[db], &key, &old) != 0)
        return true;
    return value_size > old.mv_size;
}

static int take_room(struct index *index,
                     enum index_db db,
                     MDB_val key,
                     size_t value_size,
                     enum index_room room)
{
    if (index->failure)
        return index->failure;
    if (room == INDEX_GROW && !index->uses_reserve
        && index_room_check(index, 1, value_size) < 0
        && would_grow(index, db, key, value_size))
        return -ENOSPC;
    if (left_pages(index) < CHANGE_PAGES + VALUE_PAGES(value_size))
        return -ENOSPC;
    index->used_pages += CHANGE_PAGES + VALUE_PAGES(value_size);
    return 0;
}

uint64_t index_count(struct index *index, enum index_db db)
{
    MDB_stat stat;

    if (mdb_stat(index->txn, index->dbi[db], &stat) != 0)
        return 0;
    return stat.ms_entries;
}

int index_get(struct index *index,
              enum index_db db,
              const void *key,
              size_t key_size,
              MDB_val *ret_value)
{
    MDB_val k = value_of(key, key_size);
    int rc;

    assert(index->txn);
    if (index->failure)
        return index->failure;
    index_reserved_note(index);
    rc = mdb_get(index->txn, index->dbi[db], &k, ret_value);
    return rc ? fail(index, rc) : sum_check(db, k, ret_value);
}

/* After the loss of power there are no clients. */
bool index_is_journaled(const struct index *index, enum index_db db)
{
    return index->journal && db != INDEX_REPLY && db != INDEX_CLIENT && db != INDEX_OPEN
           && db != INDEX_LOCK;
}

void index_reserved_note(struct index *index)
{
    if (!index->reserved)
        return;
    if (index->is_reserved_journaled)
        memcpy(journal_last_value(index->journal, index->reserved_size),
               index->reserved,
               index->reserved_size);
    sum_put(index->reserved_key, index->reserved, index->reserved_size);
    index->reserved = NULL;
}

/* `value` NULL: the caller fills it in. */
static int note_put(
    struct index *index, enum index_db db, MDB_val key, const void *value, size_t size)
{
    int rc;

    if (!index_is_journaled(index, db))
        return 0;
    rc = journal_put(index->journal, (int)db, key.mv_data, key.mv_size, value, size);
    if (rc)
        index_txn_fail(index, rc);
    return rc;
}

static int note_remove(struct index *index, enum index_db db, MDB_val key)
{
    int rc = index_is_journaled(index, db)
                 ? journal_remove(index->journal, (int)db, key.mv_data, key.mv_size)
                 : 0;

    if (rc)
        index_txn_fail(index, rc);
    return rc;
}

int index_record_put(struct index *index,
                     enum index_db db,
                     MDB_val key,
                     const void *value,
                     size_t size,
                     void **ret_value)
{
    MDB_val record = value_of(NULL, size + INDEX_SUM_SIZE);
    int rc;

    index_reserved_note(index);
    rc = mdb_put(index->txn, index->dbi[db], &key, &record, MDB_RESERVE);
    if (rc)
        return fail(index, rc);
    *ret_value = record.mv_data;
    if (value) {
        memcpy(record.mv_data, value, size);
        sum_put(key_hash(db, key), record.mv_data, size);
    }
    return 0;
}

static int put(struct index *index,
               enum index_db db,
               MDB_val key,
               const void *value,
               size_t size,
               enum index_room room,
               void **ret_value)
{
    int rc;

    assert(index->txn);
    rc = take_room(index, db, key, size + INDEX_SUM_SIZE, room);
    if (rc == 0)
        rc = index_record_put(index, db, key, value, size, ret_value);
    if (rc == 0)
        rc = note_put(index, db, key, value, size);
    return rc;
}

int index_put(struct index *index,
              enum index_db db,
              const void *key,
              size_t key_size,
              const void *value,
              size_t value_size,
              enum index_room room)
{
    void *there;

    assert(value || value_size == 0);
    return put(index,
               db,
               value_of(key, key_size),
               value ? value : "",
               value_size,
               room,
               &there);
}

int index_put_reserve(struct index *index,
                      enum index_db db,
                      const void *key,
                      size_t key_size,
                      size_t value_size,
                      enum index_room room,
                      void **ret_value)
{
    MDB_val k = value_of(key, key_size);
    int rc = put(index, db, k, NULL, value_size, room, ret_value);

    if (rc == 0) {
        index->reserved = *ret_value;
        index->reserved_size = value_size;
        index->reserved_key = key_hash(db, k);
        index->is_reserved_journaled = index_is_journaled(index, db);
    }
    return rc;
}

int index_delete(struct index *index,
                 enum index_db db,
                 const void *key,
                 size_t key_size)
{
    MDB_val k = value_of(key, key_size);
    int rc;

    assert(index->txn);
    rc = take_room(index, db, k, 0, INDEX_FREE);
    if (rc < 0)
        return rc;
    index_reserved_note(index);
    rc = mdb_del(index->txn, index->dbi[db], &k, NULL);
    return rc ? fail(index, rc) : note_remove(index, db, k);
}

static int cursor_get(struct index *index,
                      enum index_db db,
                      MDB_val *key,
                      MDB_val *value,
                      MDB_cursor_op op)
{
    int rc;

    assert(index->txn);
    if (index->failure)
        return index->failure;
    if (!index->cursor[db]) {
        rc = mdb_cursor_open(index->txn, index->dbi[db], &index->cursor[db]);
        if (rc)
            return fail(index, rc);
    }
    index_reserved_note(index);
    rc = mdb_cursor_get(index->cursor[db], key, value, op);
    return rc ? fail(index, rc) : 0;
}

static int cursor_record(struct index *index,
                         enum index_db db,
                         MDB_val *key,
                         MDB_val *value,
                         MDB_cursor_op op)
{
    int rc = cursor_get(index, db, key, value, op);

    return rc ? rc : sum_check(db, *key, value);
}

int index_seek(struct index *index,
               enum index_db db,
               const void *key,
               size_t key_size,
               MDB_val *ret_key,
               MDB_val *ret_value)
{
    *ret_key = value_of(key, key_size);
    index->n_deleted = 0;
    return cursor_record(index, db, ret_key, ret_value, MDB_SET_RANGE);
}

int index_next(struct index *index,
               enum index_db db,
               MDB_val *ret_key,
               MDB_val *ret_value)
{
    return cursor_record(index, db, ret_key, ret_value, MDB_NEXT);
}

int index_seek_before(struct index *index,
                      enum index_db db,
                      const void *key,
                      size_t key_size,
                      MDB_val *ret_key,
                      MDB_val *ret_value)
{
    int rc = index_seek(index, db, key, key_size, ret_key, ret_value);

    if (rc == -ENOENT)
        return cursor_record(index, db, ret_key, ret_value, MDB_LAST);
    if (rc < 0)
        return rc;
    return cursor_record(index, db, ret_key, ret_value, MDB_PREV);
}

/* A walk that deletes gives back the pages it empties and goes on with these: however
 * long, it needs little more than its first step, and room in the list of free pages.
 */
int index_delete_current(struct index *index, enum index_db db)
{
    MDB_val key = {0}, value;
    int rc = index->failure;

    if (rc == 0 && index->n_deleted++ % 1024 == 0)
        rc = take_room(index, db, (MDB_val){0}, 0, INDEX_FREE);
    if (rc < 0)
        return rc;
    index_reserved_note(index);
    if (index_is_journaled(index, db)) {
        rc = cursor_get(index, db, &key, &value, MDB_GET_CURRENT);
        if (rc == 0)
            rc = note_remove(index, db, key);
        if (rc < 0)
            return rc;
    }
    rc = mdb_cursor_del(index->cursor[db], 0);
    return rc ? fail(index, rc) : 0;
}

/* SPDX-License-Identifier: Apache-2.0
 * The journal of a durable index: what is written to it, and the index that is made of
 * it after the loss of power. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/codec.h"
#include "store/index_env.h"

#define MIB           (UINT64_C(1) << 20)
#define JOURNAL_MIN   (64 * MIB)
#define JOURNAL_SHARE 4u /* how many times as long as the index it may be */
#define FRAME_SIZE    MIB

static const char journal_key[] = "journal-end";

/* In a transaction, and not part of what the journal has. */
static int journal_end_put(struct index *index, uint64_t end)
{
    uint8_t bytes[16];
    MDB_val key = {sizeof(journal_key) - 1, (void *)(uintptr_t)journal_key};
    void *there;

    codec_put(codec_put(bytes, journal_generation(index->journal), 8), end, 8);
    return index_record_put(index, INDEX_META, key, bytes, sizeof(bytes), &there);
}

static int journal_resume_noted(struct index *index)
{
    MDB_val value;
    const uint8_t *p;
    uint64_t generation;
    int rc = index_txn_begin(index);

    if (rc)
        return rc;
    rc = index_get(index, INDEX_META, journal_key, sizeof(journal_key) - 1, &value);
    if (rc == 0 && value.mv_size != 16)
        rc = -EUCLEAN;
    if (rc == 0) {
        p = value.mv_data;
        generation = codec_get(&p, 8);
        rc = journal_resume(index->journal, generation, codec_get(&p, 8));
    } else if (rc == -ENOENT) {
        rc = journal_restart(index->journal);
    }
    index_txn_abort(index);
    return rc;
}

/* One record of the journal into an index that is made anew. */
static int record_apply(void *arg, const struct journal_record *record)
{
    struct index *index = arg;
    enum index_db db = (enum index_db)record->db;
    int rc = 0;

    if (record->db < 0) {
        if (!index_txn_is_large(index))
            return 0;
        rc = index_txn_commit(index);
        return rc ? rc : index_txn_begin(index);
    }
    if (db >= INDEX_N_DBS)
        return -EUCLEAN;
    if (!record->is_removal)
        return index_put(index,
                         db,
                         record->key,
                         record->key_size,
                         record->value,
                         record->value_size,
                         INDEX_FREE);
    rc = index_delete(index, db, record->key, record->key_size);
    return rc == -ENOENT ? 0 : rc;
}

static int rebuild(struct index *index, struct journal *journal)
{
    int rc = index_txn_begin(index);

    if (rc == 0)
        rc = journal_replay(journal, record_apply, index);
    index->journal = journal;
    if (rc == 0 && !journal_is_empty(journal))
        rc = journal_end_put(index, journal_length(journal));
    if (rc == 0)
        rc = index_txn_commit(index);
    index_txn_abort(index);
    return rc ? rc : journal_adopt(journal);
}

int index_journal_attach(struct index *index,
                         struct journal *journal,
                         bool is_intact,
                         const char *path,
                         struct benchfs_error *err)
{
    int rc;

    if (is_intact) {
        index->journal = journal;
        rc = journal_resume_noted(index);
    } else {
        rc = rebuild(index, journal);
    }
    return rc ? benchfs_error_set(err, -rc, "%s/journal: %s", path, strerror(-rc)) : 0;
}

int index_journal_prepare(const char *path,
                          const char *file,
                          const uint8_t *boot,
                          struct journal **ret,
                          bool *ret_is_intact,
                          struct benchfs_error *err)
{
    int rc = journal_open(path, boot, ret, ret_is_intact, err);

    if (rc)
        return rc;
    if (access(file, F_OK) < 0)
        *ret_is_intact = false;
    if (!*ret_is_intact && unlink(file) < 0 && errno != ENOENT)
        return benchfs_error_set(err, errno, "%s: %m", file);
    return 0;
}

int index_journal_write(struct index *index)
{
    int rc = journal_end_put(index, journal_next_end(index->journal));

    return rc ? rc : journal_append(index->journal, mdb_txn_id(index->txn));
}

struct journal *index_journal(const struct index *index)
{
    return index->journal;
}

static int db_dump(struct index *index, enum index_db db)
{
    MDB_val key, value;
    int rc = index_seek(index, db, "", 1, &key, &value);

    while (rc == 0) {
        if (db != INDEX_META || key.mv_size != sizeof(journal_key) - 1
            || memcmp(key.mv_data, journal_key, key.mv_size) != 0)
            rc = journal_put(index->journal,
                             (int)db,
                             key.mv_data,
                             key.mv_size,
                             value.mv_data,
                             value.mv_size);
        if (rc == 0 && journal_frame_size(index->journal) > FRAME_SIZE)
            rc = journal_append(index->journal, mdb_txn_id(index->txn));
        if (rc == 0)
            rc = index_next(index, db, &key, &value);
    }
    return rc == -ENOENT ? 0 : rc;
}

int index_journal_trim(struct index *index)
{
    int rc = index_txn_begin(index);
    bool is_placed;
    int status;

    if (rc == 0)
        rc = journal_rewrite_begin(index->journal);
    if (rc) {
        index_txn_abort(index);
        index->journal_limit = 2 * journal_length(index->journal);
        return 0; /* as before; tried again when it is twice as long */
    }
    for (int db = 0; db < INDEX_N_DBS && rc == 0; db++) {
        if (index_is_journaled(index, (enum index_db)db))
            rc = db_dump(index, (enum index_db)db);
    }
    if (rc == 0)
        rc = journal_append(index->journal, mdb_txn_id(index->txn));
    rc = journal_rewrite_end(index->journal, rc, &is_placed);
    index->journal_limit = is_placed ? 0 : 2 * journal_length(index->journal);
    status = journal_end_put(index, journal_length(index->journal));
    if (status == 0)
        status = index_status(mdb_txn_commit(index->txn));
    else
        mdb_txn_abort(index->txn);
    index_txn_forget(index);
    if (rc)
        return is_placed ? rc : 0;
    return status;
}

bool index_journal_is_long(const struct index *index)
{
    uint64_t limit = JOURNAL_SHARE * index_end_of_use(index);

    if (limit < JOURNAL_MIN)
        limit = JOURNAL_MIN;
    if (limit < index->journal_limit)
        limit = index->journal_limit;
    return journal_length(index->journal) > limit;
}

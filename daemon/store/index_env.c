/* SPDX-License-Identifier: Apache-2.0
 * LMDB environment: opening, growing its file ahead of use, transactions.
 *
 * Kill -9 safety without sync: with MDB_WRITEMAP pages are changed in the page cache,
 * a transaction writes only pages that the last commit does not use, and its meta page
 * last, with the transaction number as that page's last word. MDB_NOLOCK: the arena's
 * lock keeps other processes out, and there are no readers beside the one writer. */
#include "store/index_env.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fault_point.h"
#include "store/index_pages.h"

#define MIB (UINT64_C(1) << 20)
/* Free pages a transaction begins with, if there is space: enough for some 1500
 * changes, see CHANGE_PAGES. */
#define HEADROOM_BYTES (16 * MIB)
#define STEP_MAX_BYTES (64 * MIB)
#define STEP_MIN_BYTES (MIB / 4)
#define FILE_MIN_BYTES (2 * MIB)
/* Of what the disk has left, this part is for headroom and steps. */
#define DISK_SHARE 8
/* Kept for removing things; less where the whole file is small. */
#define RESERVE_PAGES 1024u
/* What a transaction needs besides its changes: the pages above the leaves in eight
 * databases, and the list of free pages. */
#define BASE_PAGES 64u
/* Free pages looked at for a run of adjacent ones. */
#define FREE_RUN_SEARCH_MAX 32768u

static const char *const db_names[INDEX_N_DBS] = {
    [INDEX_META] = "meta",
    [INDEX_INODE] = "inode",
    [INDEX_SYMLINK] = "symlink",
    [INDEX_DENTRY] = "dentry",
    [INDEX_DIRPART] = "dirpart",
    [INDEX_XATTR] = "xattr",
    [INDEX_CHUNK] = "chunk",
    [INDEX_ORPHAN] = "orphan",
    [INDEX_REPLY] = "reply",
    [INDEX_CLIENT] = "client",
    [INDEX_OPEN] = "open",
    [INDEX_NOTE] = "note",
    [INDEX_LOCK] = "lock",
    [INDEX_CLAIM] = "claim",
    [INDEX_INTENT] = "intent",
    [INDEX_DIRMEMBER] = "dirmember",
};

const char *index_db_name(enum index_db db)
{
    return db_names[db];
}

int index_status(int rc)
{
    if (rc > 0)
        return -rc;
    switch (rc) {
    case MDB_SUCCESS:
        return 0;
    case MDB_NOTFOUND:
        return -ENOENT;
    case MDB_KEYEXIST:
        return -EEXIST;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case MDB_CURSOR_FULL:
    case MDB_PAGE_FULL:
        return -ENOSPC;
    case MDB_BAD_VALSIZE:
        return -EINVAL;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_PANIC:
    case MDB_VERSION_MISMATCH:
    case MDB_INVALID:
    case MDB_INCOMPATIBLE:
        return -EUCLEAN;
    default:
        return -EIO;
    }
}

/* Makes file and map `length` bytes long, all of it from `offset` on allocated; only
 * between transactions. */
static int resize(struct index *index, uint64_t offset, uint64_t length)
{
    int rc;

    do {
        rc = posix_fallocate(index->fd, (off_t)offset, (off_t)(length - offset));
    } while (rc == EINTR);
    if (rc)
        return -rc;
    rc = mdb_env_set_mapsize(index->env, length);
    if (rc) {
        /* LMDB has let go of its old map: nothing works from here on. */
        index->broken = index_status(rc);
        return index->broken;
    }
    index->map_bytes = length;
    return 0;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Asked before growing, because on a full tmpfs fallocate() fills what there is and
 * then undoes it. */
static uint64_t disk_bytes(const struct index *index)
{
    struct statvfs fs;

    if (fstatvfs(index->fd, &fs) < 0 || fs.f_blocks == 0)
        return UINT64_MAX; /* a tmpfs without a size has no counts */
    return fs.f_bavail * (uint64_t)fs.f_frsize;
}

static uint64_t available_bytes(const struct index *index)
{
    return min_u64(index->limit_bytes - index->map_bytes, disk_bytes(index));
}

uint64_t index_end_of_use(const struct index *index)
{
    MDB_envinfo info;

    if (mdb_env_info(index->env, &info) != 0)
        return index->map_bytes;
    return (info.me_last_pgno + 1) * INDEX_PAGE_SIZE;
}

/* A share of the file now, so that growing stays rare; but not much more than is wanted
 * where the disk has little left. */
static uint64_t first_step(const struct index *index, uint64_t wanted_bytes)
{
    uint64_t missing = wanted_bytes - index->map_bytes;
    uint64_t step = min_u64(index->map_bytes / 2, STEP_MAX_BYTES);

    step = min_u64(step, disk_bytes(index) / DISK_SHARE);
    if (step < missing)
        step = missing;
    return (step + STEP_MIN_BYTES - 1) / STEP_MIN_BYTES * STEP_MIN_BYTES;
}

/* Grows the file until the headroom is there; where the file system or the limit
 * refuses, in smaller steps. */
static void grow(struct index *index, uint64_t wanted_bytes)
{
    uint64_t step;

    if (index->map_bytes >= wanted_bytes)
        return;
    step = first_step(index, wanted_bytes);
    while (index->map_bytes < wanted_bytes && step >= STEP_MIN_BYTES) {
        uint64_t length = index->map_bytes + step;

        if (step > available_bytes(index)
            || resize(index, index->map_bytes, length) < 0)
            step = step / 2 / STEP_MIN_BYTES * STEP_MIN_BYTES;
        if (index->broken)
            return;
    }
}

static int make_directory(const char *path, struct benchfs_error *err)
{
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return benchfs_error_set(err, errno, "%s: %m", path);
    return 0;
}

/* An environment with something in it, but not our records, is somebody else's. */
static int check_owner(struct index *index)
{
    MDB_stat stat;
    MDB_dbi main_db;
    int rc = mdb_dbi_open(index->txn, db_names[INDEX_META], 0, &index->dbi[INDEX_META]);

    if (rc != MDB_NOTFOUND)
        return index_status(rc);
    rc = mdb_dbi_open(index->txn, NULL, 0, &main_db);
    if (rc == 0)
        rc = mdb_stat(index->txn, main_db, &stat);
    if (rc)
        return index_status(rc);
    return stat.ms_entries > 0 ? -EUCLEAN : 0;
}

static int
open_databases(struct index *index, const char *path, struct benchfs_error *err)
{
    int rc = index_txn_begin(index);

    if (rc == 0)
        rc = check_owner(index);
    for (int i = 0; i < INDEX_N_DBS && rc == 0; i++)
        rc = index_status(
            mdb_dbi_open(index->txn, db_names[i], MDB_CREATE, &index->dbi[i]));
    if (rc == 0)
        rc = index_txn_commit(index);
    if (rc == -EUCLEAN)
        return benchfs_error_set(err, rc, "%s/data.mdb: not a BenchFS index", path);
    if (rc < 0)
        return benchfs_error_set(
            err, rc, "%s/data.mdb: databases: %s", path, strerror(-rc));
    return 0;
}

/* All of the file is allocated; what is in it has been looked at (index_pages.h). */
static int check_file(struct index *index, const char *path, struct benchfs_error *err)
{
    MDB_stat stat;
    int rc;

    if (mdb_env_stat(index->env, &stat) == 0 && stat.ms_psize != INDEX_PAGE_SIZE)
        return benchfs_error_set(
            err, EINVAL, "%s: pages of %u bytes", path, stat.ms_psize);
    rc = resize(index, 0, index->map_bytes);
    if (rc < 0)
        return benchfs_error_set(err, rc, "%s/data.mdb: %s", path, strerror(-rc));
    return 0;
}

static int
open_environment(struct index *index, const char *path, struct benchfs_error *err)
{
    const unsigned flags = MDB_WRITEMAP | MDB_NOSYNC | MDB_NOMETASYNC | MDB_NOTLS
                           | MDB_NOMEMINIT | MDB_NOLOCK;
    int rc = mdb_env_create(&index->env);

    if (rc == 0)
        rc = mdb_env_set_maxdbs(index->env, INDEX_N_DBS);
    if (rc == 0)
        rc = mdb_env_set_mapsize(index->env, index->map_bytes);
    if (rc == 0)
        rc = mdb_env_open(index->env, path, flags, 0600);
    if (rc == 0)
        rc = mdb_env_get_fd(index->env, &index->fd);
    if (rc)
        return benchfs_error_set(
            err, index_status(rc), "%s/data.mdb: %s", path, mdb_strerror(rc));
    return check_file(index, path, err);
}

int index_open(const char *directory,
               uint64_t limit_bytes,
               const uint8_t *boot,
               struct index **ret,
               struct benchfs_error *err)
{
    char path[PATH_MAX], file[PATH_MAX];
    struct index *index = calloc(1, sizeof(*index));
    struct journal *journal = NULL;
    struct stat st = {0};
    bool is_intact = true;
    int rc;

    if (!index)
        return benchfs_error_set(err, ENOMEM, "%s: out of memory", directory);
    if ((size_t)snprintf(path, sizeof(path), "%s/index", directory) >= sizeof(path)
        || (size_t)snprintf(file, sizeof(file), "%s/data.mdb", path) >= sizeof(file)) {
        rc = benchfs_error_set(err, ENAMETOOLONG, "%s: too long", directory);
        goto fail;
    }
    rc = make_directory(path, err);
    if (rc == 0 && boot)
        rc = index_journal_prepare(path, file, boot, &journal, &is_intact, err);
    if (rc < 0)
        goto fail;
    if (stat(file, &st) < 0 && errno != ENOENT) {
        rc = benchfs_error_set(err, errno, "%s: %m", file);
        goto fail;
    }
    if (st.st_size > 0)
        rc = index_pages_check(file, err);
    if (rc < 0)
        goto fail;
    index->map_bytes = (uint64_t)st.st_size & ~(uint64_t)(INDEX_PAGE_SIZE - 1);
    if (index->map_bytes < FILE_MIN_BYTES)
        index->map_bytes = FILE_MIN_BYTES;
    index->limit_bytes =
        limit_bytes > index->map_bytes ? limit_bytes : index->map_bytes;
    rc = open_environment(index, path, err);
    if (rc == 0)
        rc = open_databases(index, path, err);
    if (rc == 0 && journal)
        rc = index_journal_attach(index, journal, is_intact, path, err);
    if (rc < 0)
        goto fail;
    *ret = index;
    return 0;
fail:
    index->journal = NULL;
    journal_close(journal);
    index_close(index);
    return rc;
}

void index_close(struct index *index)
{
    if (!index)
        return;
    index_txn_abort(index);
    if (index->env)
        mdb_env_close(index->env);
    journal_close(index->journal);
    free(index);
}

struct page_list {
    size_t *pages;
    size_t count, capacity;
};

/* The next list of pages that earlier transactions freed and the coming one can use: it
 * leaves alone what the last one, `last`, freed. LMDB keeps a list per transaction, the
 * count first. */
static bool next_free_list(MDB_cursor *cursor,
                           size_t last,
                           size_t *ret_count,
                           const uint8_t **ret_pages)
{
    MDB_val key, value;
    size_t id;

    if (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) != 0)
        return false;
    memcpy(&id, key.mv_data, sizeof(id));
    memcpy(ret_count, value.mv_data, sizeof(*ret_count));
    *ret_pages = (const uint8_t *)value.mv_data + sizeof(size_t);
    return id < last;
}

/* Sums up the lists; with `into`, also collects the pages until it is full. LMDB shows
 * these lists to reading transactions only. */
static uint64_t walk_free_lists(struct index *index, struct page_list *into)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    const uint8_t *pages;
    uint64_t sum = 0;
    size_t n;

    if (mdb_txn_begin(index->env, NULL, MDB_RDONLY, &txn) != 0)
        return 0;
    if (mdb_cursor_open(txn, 0, &cursor) != 0) {
        mdb_txn_abort(txn);
        return 0;
    }
    while (next_free_list(cursor, mdb_txn_id(txn), &n, &pages)) {
        sum += n;
        if (!into)
            continue;
        if (n > into->capacity - into->count)
            n = into->capacity - into->count;
        memcpy(into->pages + into->count, pages, n * sizeof(size_t));
        into->count += n;
    }
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    return sum;
}

static int compare_pages(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;

    return (x > y) - (x < y);
}

bool index_has_free_run(struct index *index, uint64_t n)
{
    struct page_list list = {.capacity = FREE_RUN_SEARCH_MAX};
    uint64_t run = 0;

    list.pages = malloc(list.capacity * sizeof(*list.pages));
    if (!list.pages)
        return false;
    walk_free_lists(index, &list);
    qsort(list.pages, list.count, sizeof(*list.pages), compare_pages);
    for (size_t i = 0; i < list.count && run < n; i++)
        run = i > 0 && list.pages[i] == list.pages[i - 1] + 1 ? run + 1 : 1;
    free(list.pages);
    return run >= n;
}

static uint64_t reserve_pages(const struct index *index)
{
    return min_u64(index->map_bytes / INDEX_PAGE_SIZE / 8, RESERVE_PAGES);
}

/* Where the file system is small or nearly full, data needs its space too. */
static uint64_t headroom_bytes(const struct index *index)
{
    uint64_t share = disk_bytes(index) / DISK_SHARE;
    uint64_t least = 2 * reserve_pages(index) * INDEX_PAGE_SIZE;

    return min_u64(share < least ? least : share, HEADROOM_BYTES);
}

static void prepare_room(struct index *index, uint64_t end)
{
    bool is_short = index->map_bytes < end + HEADROOM_BYTES;

    if (is_short) {
        grow(index, end + headroom_bytes(index));
        is_short = index->map_bytes < end + HEADROOM_BYTES;
    }
    index->reserve_pages = reserve_pages(index);
    index->tail_pages = (index->map_bytes - end) / INDEX_PAGE_SIZE;
    index->room_pages = index->tail_pages;
    if (is_short)
        index->room_pages += walk_free_lists(index, NULL);
    index->base_pages = min_u64(index->reserve_pages / 2, BASE_PAGES);
    index->used_pages = index->base_pages;
}

int index_txn_begin(struct index *index)
{
    int rc;

    assert(!index->txn);
    if (index->broken)
        return index->broken;
    prepare_room(index, index_end_of_use(index));
    if (index->broken)
        return index->broken;
    rc = mdb_txn_begin(index->env, NULL, 0, &index->txn);
    if (rc) {
        index->txn = NULL;
        return index_status(rc);
    }
    index->n_deleted = 0;
    if (index->journal)
        index->journal_room = journal_room(index->journal);
    return 0;
}

void index_txn_forget(struct index *index)
{
    index->txn = NULL;
    index->failure = 0;
    index->reserved = NULL;
    index->uses_reserve = false;
    for (int i = 0; i < INDEX_N_DBS; i++)
        index->cursor[i] = NULL;
}

int index_txn_commit(struct index *index)
{
    bool has_records = index->journal && journal_has_records(index->journal);
    int rc = index->failure;

    assert(index->txn);
    index_reserved_note(index);
    if (rc == 0 && has_records)
        rc = index_journal_write(index);
    if (rc < 0) {
        index_txn_abort(index);
        return rc;
    }
    FAULT_POINT("journal-written");
    rc = mdb_txn_commit(index->txn);
    if (rc && has_records)
        journal_take_back(index->journal);
    index_txn_forget(index);
    return index_status(rc);
}

void index_txn_abort(struct index *index)
{
    if (!index->txn)
        return;
    mdb_txn_abort(index->txn);
    if (index->journal)
        journal_forget(index->journal);
    index_txn_forget(index);
}

bool index_txn_is_open(const struct index *index)
{
    return index->txn != NULL;
}

void index_reserve_use(struct index *index, bool use)
{
    index->uses_reserve = use;
}

void index_txn_fail(struct index *index, int status)
{
    if (!index->failure)
        index->failure = status;
}

bool index_txn_is_large(const struct index *index)
{
    uint64_t kept = index->reserve_pages + index->base_pages;
    uint64_t room = index->room_pages > kept ? index->room_pages - kept : 0;
    uint64_t limit = room > index->reserve_pages ? room / 2 : index->reserve_pages / 8;

    return index->txn && index->used_pages - index->base_pages > limit;
}

void index_usage_get(struct index *index, uint64_t *ret_used, uint64_t *ret_limit)
{
    uint64_t freed = walk_free_lists(index, NULL) * INDEX_PAGE_SIZE;

    *ret_used = index_end_of_use(index) - freed;
    *ret_limit = index->map_bytes + available_bytes(index);
}

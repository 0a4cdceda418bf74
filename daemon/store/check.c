/* SPDX-License-Identifier: Apache-2.0
 * The check of a whole store. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "store/blockmap.h"
#include "store/codec.h"
#include "store/dentry.h"
#include "store/store_check.h"
#include "store/store_impl.h"

struct check {
    struct store *store;
    void (*report)(void *arg, const char *text);
    void *arg;
    uint64_t n_faults;
    struct blockmap *seen;
    uint64_t n_blocks;
    uint64_t n_dentries; /* as the directory parts have it */
};

typedef unsigned long long ull;

static void fault(struct check *check, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void fault(struct check *check, const char *fmt, ...)
{
    char text[256];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    check->n_faults++;
    check->report(check->arg, text);
}

/* Calls `each` for every record of a database. */
static int
walk(struct check *check,
     enum index_db db,
     void (*each)(struct check *check, const MDB_val *key, const MDB_val *value))
{
    struct index *index = check->store->index;
    MDB_val key, value;
    int rc = index_seek(index, db, "", 1, &key, &value);

    while (rc == 0) {
        each(check, &key, &value);
        rc = index_next(index, db, &key, &value);
    }
    return rc == -ENOENT ? 0 : rc;
}

static uint64_t key_number(const MDB_val *key)
{
    const uint8_t *p = key->mv_data;

    return codec_get_be(&p, 8);
}

static void check_ino_key(struct check *check, const MDB_val *key, const char *what)
{
    if (key->mv_size != 8)
        fault(check, "%s: key of %zu bytes", what, key->mv_size);
}

static void check_inode(struct check *check, const MDB_val *key, const MDB_val *value)
{
    struct store_inode inode;

    (void)value;
    if (key->mv_size != 8)
        check_ino_key(check, key, "inode");
    else if (store_inode_get(check->store, key_number(key), &inode) < 0)
        fault(check, "inode %llu: malformed", (ull)key_number(key));
}

static void check_symlink(struct check *check, const MDB_val *key, const MDB_val *value)
{
    check_ino_key(check, key, "symlink");
    if (value->mv_size == 0 || value->mv_size > STORE_SYMLINK_MAX)
        fault(check, "symlink: text of %zu bytes", value->mv_size);
}

static void check_orphan(struct check *check, const MDB_val *key, const MDB_val *value)
{
    (void)value;
    check_ino_key(check, key, "orphan");
}

static void check_reply(struct check *check, const MDB_val *key, const MDB_val *value)
{
    (void)value;
    if (key->mv_size != 8 + 2)
        fault(check, "reply: key of %zu bytes", key->mv_size);
}

static void check_xattr(struct check *check, const MDB_val *key, const MDB_val *value)
{
    if (key->mv_size <= 8 || key->mv_size > 8 + STORE_NAME_MAX)
        fault(check, "xattr: key of %zu bytes", key->mv_size);
    else if (value->mv_size > STORE_XATTR_MAX)
        fault(check,
              "xattr of inode %llu: %zu bytes",
              (ull)key_number(key),
              value->mv_size);
}

static void check_extent(struct check *check,
                         uint64_t ino,
                         uint64_t chunk,
                         const struct chunk_extent *extent)
{
    const char *what = NULL;
    int rc = blockmap_mark(check->seen, extent->arena_block, extent->n);

    if (rc == -EEXIST)
        what = "belong to another extent too";
    else if (rc < 0)
        what = "are not in the arena";
    else if (!arena_is_used(check->store->arena, extent->arena_block, extent->n))
        what = "are not marked as used";
    if (what)
        fault(check,
              "chunk %llu of inode %llu: arena blocks %llu+%u %s",
              (ull)chunk,
              (ull)ino,
              (ull)extent->arena_block,
              extent->n,
              what);
    check->n_blocks += extent->n;
}

static void check_chunk(struct check *check, const MDB_val *key, const MDB_val *value)
{
    struct chunk_record *record = &check->store->record;
    uint64_t ino, chunk;

    if (chunk_key_decode(key->mv_data, key->mv_size, &ino, &chunk) < 0) {
        fault(check, "chunk: key of %zu bytes", key->mv_size);
        return;
    }
    if (chunk_record_decode(record, value->mv_data, value->mv_size) < 0) {
        fault(check, "chunk %llu of inode %llu: malformed", (ull)chunk, (ull)ino);
        return;
    }
    for (uint32_t i = 0; i < record->n_extents; i++)
        check_extent(check, ino, chunk, &record->extents[i]);
}

static void check_dentry(struct check *check, const MDB_val *key, const MDB_val *value)
{
    struct store_dirent entry;
    uint64_t dir;

    if (dentry_decode(key, value, &dir, &entry) < 0)
        fault(check, "dentry: malformed");
    else if (entry.cookie >> 8 != dentry_name_hash(entry.name, entry.name_len))
        fault(check,
              "dentry %.*s of directory %llu: wrong hash",
              (int)entry.name_len,
              entry.name,
              (ull)dir);
}

struct tally {
    uint64_t n_entries, n_subdirs;
    uint64_t last_cookie;
    bool is_unordered;
};

static int tally_entry(void *arg, const struct store_dirent *entry)
{
    struct tally *tally = arg;

    tally->n_entries++;
    tally->n_subdirs += (entry->type & 0170000) == 0040000;
    tally->is_unordered |= entry->cookie <= tally->last_cookie;
    tally->last_cookie = entry->cookie;
    return 0;
}

static void check_dirpart(struct check *check, const MDB_val *key, const MDB_val *value)
{
    struct store_dirpart part;
    struct tally tally = {0};
    uint64_t dir;

    if (key->mv_size != DIRPART_KEY_SIZE || dirpart_decode(value, &part) < 0) {
        fault(check, "directory part: malformed");
        return;
    }
    dir = key_number(key);
    if (store_dentry_scan(check->store, dir, 0, tally_entry, &tally) < 0)
        fault(check, "directory %llu: cannot be listed", (ull)dir);
    if (tally.n_entries != part.n_entries || tally.n_subdirs != part.n_subdirs)
        fault(check,
              "directory %llu: %llu entries, %llu directories, recorded %llu, %llu",
              (ull)dir,
              (ull)tally.n_entries,
              (ull)tally.n_subdirs,
              (ull)part.n_entries,
              (ull)part.n_subdirs);
    if (tally.is_unordered)
        fault(check, "directory %llu: two names have the same cookie", (ull)dir);
    check->n_dentries += tally.n_entries;
}

static int check_all(struct check *check)
{
    static const struct {
        enum index_db db;
        void (*each)(struct check *check, const MDB_val *key, const MDB_val *value);
    } passes[] = {
        {INDEX_INODE, check_inode},
        {INDEX_SYMLINK, check_symlink},
        {INDEX_ORPHAN, check_orphan},
        {INDEX_XATTR, check_xattr},
        {INDEX_REPLY, check_reply},
        {INDEX_CHUNK, check_chunk},
        {INDEX_DENTRY, check_dentry},
        {INDEX_DIRPART, check_dirpart},
    };
    uint64_t n_dentries = index_count(check->store->index, INDEX_DENTRY);

    for (size_t i = 0; i < sizeof(passes) / sizeof(passes[0]); i++) {
        int rc = walk(check, passes[i].db, passes[i].each);

        if (rc < 0)
            return rc;
    }
    if (n_dentries != check->n_dentries)
        fault(check,
              "%llu dentries, %llu in directory parts",
              (ull)n_dentries,
              (ull)check->n_dentries);
    if (check->n_blocks * STORE_BLOCK_SIZE > arena_used_bytes(check->store->arena))
        fault(check, "more blocks in extents than are marked as used");
    return check->n_faults > 0 ? -EUCLEAN : 0;
}

int store_check(struct store *store,
                void (*report)(void *arg, const char *text),
                void *arg)
{
    struct check check = {.store = store, .report = report, .arg = arg};
    uint64_t n_blocks = arena_size(store->arena) / STORE_BLOCK_SIZE;
    int rc = blockmap_create(n_blocks, &check.seen);

    if (rc < 0)
        return rc;
    blockmap_extend(check.seen, n_blocks);
    rc = check_all(&check);
    blockmap_destroy(check.seen);
    return rc;
}

/* SPDX-License-Identifier: Apache-2.0
 * Opening, closing and removing a store; transactions. */
#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault_point.h"
#include "base/hash.h"
#include "store/codec.h"
#include "store/store_impl.h"

#define MIB          (UINT64_C(1) << 20)
#define CAPACITY_MIN MIB
/* The index: a sixteenth of the data space is enough for files of 4 KiB; small stores
 * may well hold empty files only. */
#define METADATA_MIN   (64 * MIB)
#define METADATA_SHARE 16
/* Inode, dentry and a chunk record, in pages two thirds full. */
#define INODE_ESTIMATE 512
#define JOB_MAX        255

static int check_config(const struct store_config *config, struct benchfs_error *err)
{
    size_t job_size = strlen(config->job);

    if (config->capacity_bytes < CAPACITY_MIN)
        return benchfs_error_set(err,
                                 EINVAL,
                                 "%s: capacity %llu is less than %llu",
                                 config->directory,
                                 (unsigned long long)config->capacity_bytes,
                                 (unsigned long long)CAPACITY_MIN);
    if (config->capacity_bytes > SIZE_MAX / 4)
        return benchfs_error_set(
            err, EINVAL, "%s: capacity is beyond the address space", config->directory);
    if (job_size == 0 || job_size > JOB_MAX)
        return benchfs_error_set(err, EINVAL, "%s: bad job name", config->directory);
    if (config->target > UINT16_MAX)
        return benchfs_error_set(
            err, EINVAL, "%s: target %u", config->directory, config->target);
    return 0;
}

/* Keeps other processes out for as long as the descriptor is open. It is the
 * directory's, and not that of a file in it: with a sync of those under way the kernel
 * would keep them open, and locked, for some time after the process was killed. */
static int directory_lock(int fd)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    return errno == EWOULDBLOCK ? -EBUSY : -errno;
}

static int open_directory(const char *path, struct benchfs_error *err)
{
    int fd, rc;

    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return benchfs_error_set(err, errno, "%s: %m", path);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return benchfs_error_set(err, errno, "%s: %m", path);
    rc = directory_lock(fd);
    if (rc == 0)
        return fd;
    close(fd);
    return rc == -EBUSY
               ? benchfs_error_set(err, EBUSY, "%s: in use by another process", path)
               : benchfs_error_set(err, -rc, "%s: lock: %s", path, strerror(-rc));
}

bool store_has_journal(const char *directory)
{
    char path[PATH_MAX];

    return (size_t)snprintf(path, sizeof(path), "%s/index/journal", directory)
               < sizeof(path)
           && access(path, F_OK) == 0;
}

int store_boot_get(const char *boot_id, uint8_t ret[JOURNAL_BOOT_SIZE])
{
    char text[64] = {0};
    int fd;

    if (!boot_id) {
        fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return -errno;
        if (read(fd, text, sizeof(text) - 1) <= 0)
            text[0] = '\0';
        close(fd);
        boot_id = text;
    }
    if (boot_id[0] == '\0')
        return -ENODATA;
    codec_put(ret, hash_bytes(1, boot_id, strlen(boot_id)), 8);
    codec_put(ret + 8, hash_bytes(2, boot_id, strlen(boot_id)), 8);
    return 0;
}

/* So that the names survive the loss of power: those in the directory, and its own. */
static int directory_sync(const char *path, struct benchfs_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int parent = fd < 0 ? -1 : openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = 0;

    if (parent < 0 || fsync(fd) < 0 || fsync(parent) < 0)
        rc = benchfs_error_set(err, errno, "%s: sync: %m", path);
    if (parent >= 0)
        close(parent);
    if (fd >= 0)
        close(fd);
    return rc;
}

static int open_files(struct store *store,
                      const struct store_config *config,
                      struct benchfs_error *err)
{
    uint64_t metadata = config->capacity_bytes / METADATA_SHARE;
    uint8_t boot[JOURNAL_BOOT_SIZE];
    int fd = open_directory(config->directory, err);
    int rc;

    if (fd < 0)
        return fd;
    store->directory_fd = fd;
    rc = arena_open(fd, "arena", config->capacity_bytes, &store->arena, err);
    if (rc < 0) {
        benchfs_error_prefix(err, "%s/", config->directory);
        return rc;
    }
    if (metadata < METADATA_MIN)
        metadata = METADATA_MIN;
    rc = store->is_durable ? store_boot_get(config->boot_id, boot) : 0;
    if (rc < 0)
        return benchfs_error_set(err, -rc, "the kernel's boot id: %s", strerror(-rc));
    rc = index_open(config->directory,
                    metadata,
                    store->is_durable ? boot : NULL,
                    &store->index,
                    err);
    return rc == 0 && store->is_durable ? directory_sync(config->directory, err) : rc;
}

static int map_zeros(struct store *store, struct benchfs_error *err)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *zeros = mmap(NULL, STORE_CHUNK_MAX, PROT_READ, flags, -1, 0);

    if (zeros == MAP_FAILED)
        return benchfs_error_set(err, errno, "map %u bytes: %m", STORE_CHUNK_MAX);
    store->zeros = zeros;
    return 0;
}

int store_open(const struct store_config *config,
               struct store **ret,
               struct benchfs_error *err)
{
    struct store *store;
    int rc = check_config(config, err);

    if (rc < 0)
        return rc;
    store = calloc(1, sizeof(*store));
    if (!store)
        return benchfs_error_set(err, ENOMEM, "%s: out of memory", config->directory);
    store->directory_fd = -1;
    store->target = config->target;
    store->inode_limit = config->inode_limit;
    store->is_durable = config->is_durable;
    rc = open_files(store, config, err);
    if (rc < 0)
        goto fail;
    rc = map_zeros(store, err);
    if (rc < 0)
        goto fail;
    rc = store_meta_load(store, config, err);
    if (rc < 0) {
        benchfs_error_prefix(err, "%s/", config->directory);
        goto fail;
    }
    *ret = store;
    return 0;
fail:
    store_close(store);
    return rc;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    if (store->index)
        store_txn_abort(store);
    index_close(store->index);
    arena_close(store->arena);
    if (store->zeros)
        munmap(store->zeros, STORE_CHUNK_MAX);
    chunk_record_fini(&store->record);
    arena_runs_fini(&store->txn_allocated);
    arena_runs_fini(&store->txn_freed);
    arena_runs_fini(&store->unsynced_freed);
    arena_runs_fini(&store->syncing_freed);
    if (store->directory_fd >= 0)
        close(store->directory_fd);
    free(store);
}

uint64_t store_idle_bytes(const struct store *store)
{
    return arena_idle_bytes(store->arena);
}

uint64_t store_idle_low(struct store *store)
{
    return arena_idle_low(store->arena);
}

uint64_t store_trim(struct store *store)
{
    return arena_trim(store->arena);
}

static int remove_one(int dirfd, const char *name, int flags)
{
    if (unlinkat(dirfd, name, flags) < 0 && errno != ENOENT)
        return -errno;
    return 0;
}

int store_remove(const char *directory, struct benchfs_error *err)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc;

    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0)
        return benchfs_error_set(err, errno, "%s: %m", directory);
    rc = directory_lock(fd);
    if (rc == 0)
        rc = remove_one(fd, "index/data.mdb", 0);
    if (rc == 0)
        rc = remove_one(fd, "index/journal", 0);
    if (rc == 0)
        rc = remove_one(fd, "index/journal.new", 0);
    if (rc == 0)
        rc = remove_one(fd, "index", AT_REMOVEDIR);
    if (rc == 0)
        rc = remove_one(fd, "arena", 0);
    close(fd);
    if (rc == 0)
        rc = remove_one(AT_FDCWD, directory, AT_REMOVEDIR);
    if (rc < 0)
        return benchfs_error_set(
            err, rc, "%s: remove store: %s", directory, strerror(-rc));
    return 0;
}

void store_arena_get(const struct store *store, void **ret_base, size_t *ret_size)
{
    *ret_base = arena_memory(store->arena, 0);
    *ret_size = arena_size(store->arena);
}

void store_usage_get(const struct store *store, struct store_usage *ret)
{
    uint64_t used, limit, left;

    index_usage_get(store->index, &used, &limit);
    left = limit > used ? limit - used : 0;
    *ret = (struct store_usage){
        .capacity_bytes = arena_size(store->arena),
        .used_bytes = arena_used_bytes(store->arena),
        .metadata_capacity_bytes = limit,
        .metadata_used_bytes = used,
        .inodes_used = store->inodes_used,
        .inodes_free = left / INODE_ESTIMATE,
    };
    if (store->inode_limit) {
        uint64_t by_limit = store->inode_limit > store->inodes_used
                                ? store->inode_limit - store->inodes_used
                                : 0;

        if (ret->inodes_free > by_limit)
            ret->inodes_free = by_limit;
    }
}

int store_txn_begin(struct store *store)
{
    return index_txn_begin(store->index);
}

static void release_all(struct store *store, struct arena_runs *runs)
{
    for (size_t i = 0; i < runs->count; i++)
        arena_release(store->arena, runs->run[i].start, runs->run[i].n);
    runs->count = 0;
}

static void undo(struct store *store)
{
    release_all(store, &store->txn_allocated);
    store->txn_freed.count = 0;
    store->txn_has_cut = false;
    store->seq_reserved = store->seq_reserved_committed;
}

/* A new journal stands for all of the index, so the data must be there. */
static int journal_trim(struct store *store)
{
    int rc = arena_sync(store->arena);

    return rc ? rc : index_journal_trim(store->index);
}

static uint64_t journal_end(const struct store *store)
{
    return store->is_durable ? journal_length(index_journal(store->index)) : 0;
}

int store_txn_commit(struct store *store)
{
    uint64_t inodes = index_count(store->index, INDEX_INODE);
    uint64_t end = journal_end(store);
    int rc = index_txn_commit(store->index);

    FAULT_POINT("index-committed");
    if (rc < 0) {
        undo(store);
        return rc;
    }
    if (store->is_durable) {
        /* out of memory: they stay used until the store is opened again */
        (void)arena_runs_append(&store->unsynced_freed, &store->txn_freed);
        store->txn_freed.count = 0;
        store->has_unsynced |= journal_end(store) != end;
        if (index_journal_is_long(store->index))
            rc = journal_trim(store);
    } else {
        release_all(store, &store->txn_freed);
    }
    store->txn_allocated.count = 0;
    store->txn_has_cut = false;
    store->seq_reserved_committed = store->seq_reserved;
    store->inodes_used = inodes;
    if (rc < 0)
        store->sync_failure = rc; /* of the journal; the transaction is committed */
    return 0;
}

/* ---- syncs */

bool store_is_durable(const struct store *store)
{
    return store->is_durable;
}

int store_sync_begin(struct store *store, struct store_sync *ret)
{
    struct arena_runs freed = store->syncing_freed;
    struct journal_place place;

    assert(store->is_durable && !store->is_syncing && !store_txn_is_open(store));
    if (store->sync_failure)
        return -EIO;
    place = journal_place_get(index_journal(store->index));
    *ret = (struct store_sync){
        .arena_fd = arena_fd(store->arena),
        .journal_fd = -1,
        .generation = place.generation,
        .end = place.end,
    };
    store->syncing_freed = store->unsynced_freed;
    store->unsynced_freed = freed;
    store->has_unsynced = false;
    store->is_syncing = true;
    return 0;
}

int store_sync_mark(struct store *store, struct store_sync *sync)
{
    struct journal *journal = index_journal(store->index);
    struct journal_place place = {sync->generation, sync->end};

    if (sync->status)
        return sync->status;
    /* One that was begun anew since has a mark of its own, farther on. */
    if (sync->generation == journal_generation(journal))
        sync->status = journal_mark(journal, place);
    FAULT_POINT("journal-marked");
    if (sync->status == 0) {
        sync->journal_fd = journal_dup(journal);
        if (sync->journal_fd < 0)
            sync->status = sync->journal_fd;
    }
    sync->is_unmarked = sync->status != 0;
    return sync->status;
}

int store_sync_end(struct store *store, struct store_sync *sync)
{
    if (sync->journal_fd >= 0)
        close(sync->journal_fd);
    store->is_syncing = false;
    if (sync->status == 0) {
        release_all(store, &store->syncing_freed);
        return 0;
    }
    /* without space or descriptors for the mark, another one may go better; else nobody
     * knows what the disk has */
    if (!sync->is_unmarked)
        store->sync_failure = sync->status;
    (void)arena_runs_append(&store->unsynced_freed, &store->syncing_freed);
    store->syncing_freed.count = 0;
    store->has_unsynced = true;
    return sync->status;
}

bool store_has_unsynced(const struct store *store)
{
    return store->has_unsynced;
}

uint64_t store_unsynced_free_bytes(const struct store *store)
{
    uint64_t n = 0;

    for (size_t i = 0; i < store->unsynced_freed.count; i++)
        n += store->unsynced_freed.run[i].n;
    for (size_t i = 0; i < store->syncing_freed.count; i++)
        n += store->syncing_freed.run[i].n;
    return n * STORE_BLOCK_SIZE;
}

void store_txn_abort(struct store *store)
{
    if (!index_txn_is_open(store->index))
        return;
    index_txn_abort(store->index);
    undo(store);
}

bool store_txn_is_open(const struct store *store)
{
    return index_txn_is_open(store->index);
}

bool store_txn_is_large(const struct store *store)
{
    return index_txn_is_large(store->index);
}

void store_txn_fail(struct store *store, int status)
{
    index_txn_fail(store->index, status);
}

int store_room_check(struct store *store, unsigned changes)
{
    return index_room_check(store->index, changes, STORE_NAME_MAX);
}

void store_reserve_use(struct store *store, bool use)
{
    index_reserve_use(store->index, use);
}

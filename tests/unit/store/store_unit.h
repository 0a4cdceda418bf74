/* SPDX-License-Identifier: Apache-2.0
 * A store in a directory of its own, and what its tests do over and over. */
#ifndef BENCHFS_STORE_UNIT_H
#define BENCHFS_STORE_UNIT_H

#include "unit.h"

#include "base/iovec.h"
#include "store/store.h"
#include "store/store_check.h"

#define MIB (UINT64_C(1) << 20)

struct fixture {
    struct unit_dir dir;
    char path[64];
    struct store_config config;
    struct store *store;
};

static inline void fixture_open(struct fixture *f)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;

    if (store_open(&f->config, &f->store, &err) < 0)
        fail_msg("%s", err.text);
}

static inline void
fixture_init_at(struct fixture *f, const char *parent, uint64_t capacity)
{
    snprintf(f->path, sizeof(f->path), "%s/s", parent);
    f->config = (struct store_config){
        .directory = f->path, .job = "7", .target = 3, .capacity_bytes = capacity};
    f->store = NULL;
    fixture_open(f);
}

static inline void fixture_init(struct fixture *f, uint64_t capacity)
{
    unit_dir_create(&f->dir);
    fixture_init_at(f, f->dir.path, capacity);
}

static inline void print_fault(void *arg, const char *text)
{
    (void)arg;
    print_error("store_check: %s\n", text);
}

static inline void fixture_check(struct fixture *f)
{
    assert_int_equal(store_txn_begin(f->store), 0);
    assert_int_equal(store_check(f->store, print_fault, NULL), 0);
    store_txn_abort(f->store);
}

static inline void fixture_reopen(struct fixture *f)
{
    fixture_check(f);
    store_close(f->store);
    fixture_open(f);
    fixture_check(f);
}

static inline void fixture_fini(struct fixture *f)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;

    fixture_check(f);
    store_close(f->store);
    assert_int_equal(store_remove(f->path, &err), 0);
    unit_dir_remove(&f->dir);
}

static inline void begin(struct fixture *f)
{
    assert_int_equal(store_txn_begin(f->store), 0);
}

static inline void commit(struct fixture *f)
{
    assert_int_equal(store_txn_commit(f->store), 0);
}

/* Both halves of a write in the open transaction. */
static inline int put_bytes(struct store *store,
                            uint64_t ino,
                            uint64_t chunk,
                            uint32_t offset,
                            const void *data,
                            uint32_t length)
{
    struct store_write write;
    int rc = store_write_prepare(store, ino, chunk, offset, length, &write);

    if (rc < 0)
        return rc;
    assert_int_equal(iovec_scatter(write.iov, (size_t)write.n_iov, 0, data, length),
                     length);
    return store_write_commit(store, &write, 1);
}

/* Reads; what lies behind the chunk's end is 0xee. Returns the length. */
static inline uint32_t get_bytes(struct store *store,
                                 uint64_t ino,
                                 uint64_t chunk,
                                 uint32_t offset,
                                 void *data,
                                 uint32_t length)
{
    struct iovec *iov;
    uint32_t got;
    int n;

    memset(data, 0xee, length);
    assert_int_equal(store_read(store, ino, chunk, offset, length, &iov, &n, &got), 0);
    if (n > 0)
        assert_int_equal(iovec_gather(iov, (size_t)n, 0, data, length), got);
    free(iov);
    return got;
}

static inline uint64_t used_bytes(struct fixture *f)
{
    struct store_usage usage;

    store_usage_get(f->store, &usage);
    return usage.used_bytes;
}

/* xorshift: tests are repeatable, and say their seed when they fail. */
static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif

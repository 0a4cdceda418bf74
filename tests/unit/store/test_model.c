/* SPDX-License-Identifier: Apache-2.0
 * Random writes (several prepared at a time), reads, truncations, holes, commits,
 * aborts and reopenings against a model in memory. */
#include "store_unit.h"

#define B         STORE_BLOCK_SIZE
#define SIZE      (24 * B)
#define N_INODES  2
#define N_CHUNKS  2
#define N_PENDING 5
#define STEPS     4000

struct chunk {
    uint8_t data[SIZE];
    /* Cannot be foretold: unfinished or failed writes were at work here. */
    bool is_vague[SIZE];
    uint32_t end;
};

struct pending {
    struct store_write write;
    struct chunk *chunk;
    uint8_t value;
    bool is_filled, is_used;
    /* Another write touched the byte meanwhile: written in place, the bytes
     * are those that came last, whichever is committed last. */
    bool is_raced[SIZE];
};

struct model {
    struct fixture f;
    struct chunk chunks[N_INODES][N_CHUNKS];
    struct chunk committed[N_INODES][N_CHUNKS];
    struct pending pending[N_PENDING];
    uint64_t seed;
    uint8_t next_value;
    unsigned n_checked;
};

static uint32_t rnd(struct model *m, uint32_t n)
{
    return (uint32_t)(next_random(&m->seed) % n);
}

static uint64_t ino_of(struct model *m, const struct chunk *chunk)
{
    return 10 + (uint64_t)(chunk - &m->chunks[0][0]) / N_CHUNKS;
}

static uint64_t number_of(struct model *m, const struct chunk *chunk)
{
    return (uint64_t)(chunk - &m->chunks[0][0]) % N_CHUNKS;
}

static struct chunk *committed_of(struct model *m, const struct chunk *chunk)
{
    return &m->committed[0][0] + (chunk - &m->chunks[0][0]);
}

static void check_chunk(struct model *m, const struct chunk *chunk)
{
    static uint8_t data[SIZE];
    uint32_t got =
        get_bytes(m->f.store, ino_of(m, chunk), number_of(m, chunk), 0, data, SIZE);

    assert_int_equal(got, chunk->end);
    for (uint32_t i = 0; i < got; i++) {
        if (!chunk->is_vague[i] && data[i] != chunk->data[i])
            fail_msg("ino %d chunk %d byte %u (block %u): %02x, not %02x",
                     (int)ino_of(m, chunk),
                     (int)number_of(m, chunk),
                     i,
                     i / B,
                     data[i],
                     chunk->data[i]);
    }
    m->n_checked++;
}

static void check_all(struct model *m)
{
    for (int i = 0; i < N_INODES; i++) {
        for (int k = 0; k < N_CHUNKS; k++)
            check_chunk(m, &m->chunks[i][k]);
    }
}

/* Bytes of a chunk that unfinished writes may change while nobody looks. */
static void make_vague(struct chunk *chunk, const struct store_write *write)
{
    for (uint32_t i = 0; i < write->length; i++) {
        if (write->offset + i < chunk->end)
            chunk->is_vague[write->offset + i] = true;
    }
}

/* Whether unfinished writes other than `self` have the byte; they are told. */
static bool is_contended(struct model *m,
                         const struct pending *self,
                         const struct chunk *chunk,
                         uint32_t byte)
{
    bool is_found = false;

    for (int i = 0; i < N_PENDING; i++) {
        struct pending *p = &m->pending[i];

        if (p != self && p->is_used && p->chunk == chunk && byte >= p->write.offset
            && byte - p->write.offset < p->write.length)
            is_found = p->is_raced[byte] = true;
    }
    return is_found;
}

static void set_bytes(struct chunk *chunk, uint32_t begin, uint32_t end, uint8_t value)
{
    for (uint32_t i = begin; i < end; i++) {
        chunk->data[i] = value;
        chunk->is_vague[i] = false;
    }
}

static void do_prepare(struct model *m, struct pending *p)
{
    struct chunk *chunk = &m->chunks[rnd(m, N_INODES)][rnd(m, N_CHUNKS)];
    uint32_t offset = rnd(m, 2) ? rnd(m, SIZE) : rnd(m, SIZE / B) * B;
    uint32_t length = 1 + rnd(m, rnd(m, 2) ? 300 : SIZE);

    if (length > SIZE - offset)
        length = SIZE - offset;
    assert_int_equal(store_write_prepare(m->f.store,
                                         ino_of(m, chunk),
                                         number_of(m, chunk),
                                         offset,
                                         length,
                                         &p->write),
                     0);
    p->chunk = chunk;
    p->value = ++m->next_value;
    p->is_used = true;
    p->is_filled = false;
    memset(p->is_raced, 0, sizeof(p->is_raced));
}

static void do_fill(struct model *m, struct pending *p)
{
    for (int i = 0; i < p->write.n_iov; i++)
        memset(p->write.iov[i].iov_base, p->value, p->write.iov[i].iov_len);
    p->is_filled = true;
    for (uint32_t i = 0; i < p->write.length; i++)
        (void)is_contended(m, p, p->chunk, p->write.offset + i);
    make_vague(p->chunk, &p->write);
    make_vague(committed_of(m, p->chunk), &p->write);
}

static void do_commit_write(struct model *m, struct pending *p)
{
    struct chunk *chunk = p->chunk;
    uint32_t offset = p->write.offset, end = offset + p->write.length;

    if (!p->is_filled)
        do_fill(m, p);
    assert_int_equal(store_write_commit(m->f.store, &p->write, 1), 0);
    p->is_used = false;
    /* Where it went into blocks of others, aborting the transaction does not undo it.
     */
    make_vague(committed_of(m, chunk),
               &(struct store_write){.offset = offset, .length = end - offset});
    if (offset > chunk->end)
        set_bytes(chunk, chunk->end, offset, 0);
    set_bytes(chunk, offset, end, p->value);
    for (uint32_t i = offset; i < end; i++)
        chunk->is_vague[i] = is_contended(m, p, chunk, i) || p->is_raced[i];
    if (chunk->end < end)
        chunk->end = end;
}

static void do_pending(struct model *m)
{
    struct pending *p = &m->pending[rnd(m, N_PENDING)];

    if (!p->is_used) {
        do_prepare(m, p);
    } else if (!p->is_filled && rnd(m, 2)) {
        do_fill(m, p);
    } else if (rnd(m, 5) == 0) {
        store_write_abort(m->f.store, &p->write);
        p->is_used = false;
    } else {
        do_commit_write(m, p);
    }
}

static void do_truncate(struct model *m)
{
    int i = (int)rnd(m, N_INODES);
    uint32_t size = rnd(m, 4) == 0 ? 0 : rnd(m, N_CHUNKS * SIZE);

    assert_int_equal(store_chunk_truncate(m->f.store, 10 + (uint64_t)i, size, SIZE), 0);
    for (uint32_t k = 0; k < N_CHUNKS; k++) {
        uint32_t keep = size > k * SIZE ? size - k * SIZE : 0;

        if (m->chunks[i][k].end > keep)
            m->chunks[i][k].end = keep;
    }
}

static void do_hole(struct model *m)
{
    struct chunk *chunk = &m->chunks[rnd(m, N_INODES)][rnd(m, N_CHUNKS)];
    uint32_t begin = rnd(m, SIZE), end = begin + 1 + rnd(m, SIZE - begin);
    uint64_t ino = ino_of(m, chunk), number = number_of(m, chunk);

    if (rnd(m, 2)) {
        assert_int_equal(
            store_chunk_allocate(m->f.store, ino, number, begin, end - begin), 0);
        return;
    }
    assert_int_equal(store_chunk_punch(m->f.store, ino, number, begin, end - begin), 0);
    if (end > chunk->end)
        end = chunk->end;
    if (begin < end)
        set_bytes(chunk, begin, end, 0);
}

static void begin_txn(struct model *m)
{
    begin(&m->f);
}

static void end_txn(struct model *m)
{
    if (rnd(m, 3) == 0) {
        store_txn_abort(m->f.store);
        memcpy(m->chunks, m->committed, sizeof(m->chunks));
    } else {
        commit(&m->f);
        memcpy(m->committed, m->chunks, sizeof(m->chunks));
    }
}

static void drop_pending(struct model *m)
{
    for (int i = 0; i < N_PENDING; i++) {
        store_write_abort(m->f.store, &m->pending[i].write);
        m->pending[i].is_used = false;
    }
}

static void check_no_leak(struct model *m)
{
    struct store_file_usage usage;
    uint64_t sum = 0;

    for (uint64_t ino = 10; ino < 10 + N_INODES; ino++) {
        assert_int_equal(store_file_usage_get(m->f.store, ino, &usage), 0);
        sum += usage.bytes;
    }
    assert_int_equal(used_bytes(&m->f), sum);
}

static void quiesce(struct model *m)
{
    end_txn(m);
    drop_pending(m);
    if (rnd(m, 2))
        fixture_reopen(&m->f);
    begin_txn(m);
    check_all(m);
    check_no_leak(m);
}

static void run_model(uint64_t seed)
{
    struct model *m = calloc(1, sizeof(*m));

    assert_non_null(m);
    m->seed = seed;
    fixture_init(&m->f, 16 * MIB);
    begin_txn(m);
    for (int step = 0; step < STEPS; step++) {
        uint32_t what = rnd(m, 100);

        if (what < 75)
            do_pending(m);
        else if (what < 80)
            do_truncate(m);
        else if (what < 88)
            do_hole(m);
        else if (what < 92)
            check_chunk(m, &m->chunks[rnd(m, N_INODES)][rnd(m, N_CHUNKS)]);
        else if (what < 99)
            end_txn(m), begin_txn(m);
        else
            quiesce(m);
    }
    quiesce(m);
    store_txn_abort(m->f.store);
    assert_true(m->n_checked > 100);
    fixture_fini(&m->f);
    free(m);
}

static void test_model(void **state)
{
    const char *text = getenv("BENCHFS_TEST_SEED");

    (void)state;
    if (text) {
        run_model(strtoull(text, NULL, 0));
        return;
    }
    for (uint64_t seed = 1; seed <= 4; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        run_model(seed * 0x9e3779b97f4a7c15u);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_model)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

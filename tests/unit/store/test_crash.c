/* SPDX-License-Identifier: Apache-2.0
 * A process that uses a store is killed at random moments, over and over; and at
 * machine instructions spread over a commit, which is LMDB's steps and the arena's.
 * What it had acknowledged is there afterwards, and nothing is half done.
 *
 * Batch k makes file k with content that follows from k, cuts file k-10 to half, makes
 * a hole in file k-20, writes over a part of file k-30, removes file k-50, and notes k
 * in an xattr: so the state after any number of batches is known. */
#include "store_unit.h"

#include <poll.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define ROUNDS      25
#define STEPS_MAX   250000u /* instructions looked at one by one */
#define KEPT        50
#define CONTENT_MAX 30000u
#define HOLE_BEGIN  100u
#define HOLE_END    5000u
#define OVER_BEGIN  50u
#define OVER_END    300u

static uint32_t size_of(uint64_t k)
{
    return 1 + (uint32_t)(k * 7919 % CONTENT_MAX);
}

static uint8_t byte_of(uint64_t k, uint32_t i)
{
    return (uint8_t)(k * 131 + i * 7 + (i >> 8));
}

static size_t name_of(uint64_t k, char name[32])
{
    return (size_t)snprintf(name, 32, "file-%llu", (unsigned long long)k);
}

static uint64_t ino_of(struct store *store, uint64_t k)
{
    struct store_dentry entry;
    char name[32];
    size_t len = name_of(k, name);

    assert_int_equal(store_dentry_get(store, 1, name, len, &entry), 0);
    return entry.ino;
}

static void create_file(struct store *store, uint64_t k)
{
    static uint8_t data[CONTENT_MAX + 1];
    struct store_inode inode = {.mode = S_IFREG, .size = size_of(k), .nlink = 1};
    struct store_dentry entry = {.type = S_IFREG};
    char name[32];
    size_t len = name_of(k, name);

    for (uint32_t i = 0; i < size_of(k); i++)
        data[i] = byte_of(k, i);
    assert_int_equal(store_inode_allocate(store, &inode.ino), 0);
    assert_int_equal(store_inode_put(store, &inode), 0);
    entry.ino = inode.ino;
    assert_int_equal(store_dentry_insert(store, 1, name, len, &entry, (int64_t)k), 0);
    assert_int_equal(put_bytes(store, inode.ino, 0, 0, data, size_of(k)), 0);
}

static void remove_file(struct store *store, uint64_t k)
{
    uint64_t ino = ino_of(store, k);
    char name[32];
    size_t len = name_of(k, name);

    assert_int_equal(store_dentry_remove(store, 1, name, len, 1), 0);
    assert_int_equal(store_chunk_truncate(store, ino, 0, 0), 0);
    assert_int_equal(store_inode_remove(store, ino), 0);
}

/* All of it but the commit. */
static void begin_batch(struct store *store, uint64_t k)
{
    uint8_t over[OVER_END - OVER_BEGIN];

    assert_int_equal(store_txn_begin(store), 0);
    create_file(store, k);
    if (k > 10)
        assert_int_equal(
            store_chunk_truncate(
                store, ino_of(store, k - 10), size_of(k - 10) / 2, 1 << 20),
            0);
    if (k > 20)
        assert_int_equal(
            store_chunk_punch(
                store, ino_of(store, k - 20), 0, HOLE_BEGIN, HOLE_END - HOLE_BEGIN),
            0);
    memset(over, 0xd0, sizeof(over));
    if (k > 30)
        assert_int_equal(
            put_bytes(store, ino_of(store, k - 30), 0, OVER_BEGIN, over, sizeof(over)),
            0);
    if (k > KEPT)
        remove_file(store, k - KEPT);
    assert_int_equal(store_xattr_set(store, 1, "batch", 5, &k, sizeof(k), 0), 0);
}

static void do_batch(struct store *store, uint64_t k)
{
    begin_batch(store, k);
    assert_int_equal(store_txn_commit(store), 0);
}

static uint64_t last_batch(struct store *store)
{
    const void *value;
    uint64_t k = 0;
    size_t len;

    assert_int_equal(store_txn_begin(store), 0);
    if (store_xattr_get(store, 1, "batch", 5, &value, &len) == 0)
        memcpy(&k, value, sizeof(k));
    store_txn_abort(store);
    return k;
}

/* Content of file j after batch k. */
static void check_file(struct store *store, uint64_t j, uint64_t k)
{
    static uint8_t data[CONTENT_MAX + 1];
    uint64_t age = k - j;
    uint32_t want = age >= 10 ? size_of(j) / 2 : size_of(j);
    uint32_t got = get_bytes(store, ino_of(store, j), 0, 0, data, sizeof(data));

    if (age >= 30 && want < OVER_END)
        want = OVER_END;
    /* the next batch may have begun to write over it: the chunk has not grown, though
     */
    assert_int_equal(got, want);
    for (uint32_t i = 0; i < got; i++) {
        bool is_over = age >= 29 && i >= OVER_BEGIN && i < OVER_END;
        bool is_zero = (age >= 20 && i >= HOLE_BEGIN && i < HOLE_END)
                       || (age >= 10 && i >= size_of(j) / 2);

        if (is_over && (age == 29 || data[i] == 0xd0))
            continue;
        if (data[i] != (is_zero ? 0 : byte_of(j, i)))
            fail_msg("file %d of age %d: byte %u is wrong", (int)j, (int)age, i);
    }
}

static void check_state(struct fixture *f, uint64_t k)
{
    struct store_dirpart part;
    struct store_file_usage usage;
    struct store_dentry entry;
    uint64_t first = k > KEPT ? k - KEPT + 1 : 1, bytes = 0;
    char name[32];
    size_t len = name_of(first - 1, name);

    begin(f);
    for (uint64_t j = first; j <= k; j++) {
        check_file(f->store, j, k);
        assert_int_equal(store_file_usage_get(f->store, ino_of(f->store, j), &usage),
                         0);
        bytes += usage.bytes;
    }
    assert_int_equal(store_dentry_get(f->store, 1, name, len, &entry), -ENOENT);
    assert_int_equal(store_dirpart_get(f->store, 1, &part), 0);
    assert_int_equal(part.n_entries, k - first + 1);
    store_txn_abort(f->store);
    assert_int_equal(used_bytes(f), bytes);
}

/* The child: batches until it is killed, each acknowledged with its number. */
static void use_store(const struct store_config *config, int fd)
{
    struct benchfs_error err;
    struct store *store;

    if (store_open(config, &store, &err) < 0)
        _exit(1);
    for (uint64_t k = last_batch(store) + 1;; k++) {
        do_batch(store, k);
        if (write(fd, &k, sizeof(k)) != sizeof(k))
            _exit(1);
    }
}

static uint64_t run_and_kill(const struct store_config *config, uint64_t n_acks)
{
    struct deadline deadline = deadline_after_ms(20000);
    uint64_t acked = 0;
    struct pollfd pfd;
    int fds[2], status;
    pid_t pid;

    assert_int_equal(pipe(fds), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(fds[0]);
        use_store(config, fds[1]);
        _exit(1);
    }
    close(fds[1]);
    pfd = (struct pollfd){.fd = fds[0], .events = POLLIN};
    while (n_acks-- > 0 && poll(&pfd, 1, deadline_remaining_ms(deadline)) == 1) {
        if (read(fds[0], &acked, sizeof(acked)) != sizeof(acked))
            break;
    }
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    while (read(fds[0], &acked, sizeof(acked)) == sizeof(acked))
        ;
    close(fds[0]);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return acked;
}

static void test_kill(void **state)
{
    struct fixture f;
    uint64_t seed = clock_now_ns() | 1, k = 0;

    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    fixture_init(&f, 4 * MIB);
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t acked;

        store_close(f.store);
        acked = run_and_kill(&f.config, 1 + next_random(&seed) % 300);
        fixture_open(&f);
        fixture_check(&f);
        k = last_batch(f.store);
        /* the last one may have been committed, but not told */
        assert_in_range(k, acked, acked + 1);
        check_state(&f, k);
    }
    print_message("%d kills, %llu batches\n", ROUNDS, (unsigned long long)k);
    fixture_fini(&f);
}

/* ---- at an instruction */

/* The child: stops before a commit and after it. */
static void commit_slowly(const struct store_config *config)
{
    struct benchfs_error err;
    struct store *store;

    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0
        || store_open(config, &store, &err) < 0)
        _exit(1);
    begin_batch(store, last_batch(store) + 1);
    raise(SIGSTOP);
    if (store_txn_commit(store) < 0)
        _exit(1);
    raise(SIGSTOP);
    _exit(0);
}

/* Killed after so many instructions of a commit. Returns how many there were; with
 * *ret_is_over, the commit had ended. */
static uint64_t
commit_and_kill(const struct store_config *config, uint64_t n, bool *ret_is_over)
{
    uint64_t steps = 0;
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        commit_slowly(config);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFSTOPPED(status))
        skip(); /* nobody may be traced here */
    assert_int_equal(WSTOPSIG(status), SIGSTOP);
    do {
        assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSTOPPED(status));
        *ret_is_over = WSTOPSIG(status) == SIGSTOP;
    } while (!*ret_is_over && ++steps < n);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return steps;
}

/* Spread over the commit, and half of them over its end, where it becomes true. After a
 * kill it is a little longer than the first time. */
static uint64_t kill_at(uint64_t n_steps, uint64_t i, uint64_t n, uint64_t *seed)
{
    uint64_t from = i % 2 ? n_steps - n_steps / 10 : 0;
    uint64_t range = n_steps + n_steps / 5 - from;

    return from + range * i / n + next_random(seed) % (range / n + 2);
}

static void steps_run(bool is_durable)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct fixture f;
    uint64_t seed = clock_now_ns() | 1, n_steps, n_kills, n_before = 0;
    bool is_over;

    fixture_init(&f, 4 * MIB);
    store_close(f.store);
    if (is_durable) {
        assert_int_equal(store_remove(f.config.directory, &err), 0);
        f.config.is_durable = true;
    }
    fixture_open(&f);
    for (uint64_t k = 1; k <= KEPT + 10; k++)
        do_batch(f.store, k);
    store_close(f.store);
    n_steps = commit_and_kill(&f.config, UINT64_MAX, &is_over);
    assert_true(is_over);
    n_kills = STEPS_MAX / n_steps;
    for (uint64_t i = 0; i < n_kills; i++) {
        uint64_t before, after;

        fixture_open(&f);
        before = last_batch(f.store);
        store_close(f.store);
        commit_and_kill(&f.config, kill_at(n_steps, i, n_kills, &seed), &is_over);
        fixture_open(&f);
        fixture_check(&f);
        after = last_batch(f.store);
        assert_in_range(after, is_over ? before + 1 : before, before + 1);
        n_before += after == before;
        check_state(&f, after);
        store_close(f.store);
    }
    print_message("%llu kills within %llu instructions, %llu before it was committed\n",
                  (unsigned long long)n_kills,
                  (unsigned long long)n_steps,
                  (unsigned long long)n_before);
    fixture_open(&f);
    fixture_fini(&f);
    if (n_kills > 10) /* fewer with a sanitizer, whose commits are long */
        assert_in_range(n_before, 1, n_kills - 1);
}

static void test_kill_in_commit(void **state)
{
    (void)state;
    steps_run(false);
}

static void test_kill_in_durable_commit(void **state)
{
    (void)state;
    steps_run(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_kill_in_commit),
        cmocka_unit_test(test_kill_in_durable_commit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * What clients have open and locked at a shard, and what is left of it when they die.
 */
#include "shard_unit.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define CLIENT UINT64_C(0x1001)
#define OTHER  UINT64_C(0x1002)
#define INO    UINT64_C(0x30000)

static void expect_opens(const struct shard *shard,
                         unsigned n_opens,
                         unsigned n_writers,
                         unsigned n_free_writers)
{
    const struct open_inode *inode = session_inode(shard, INO);

    assert_non_null(inode);
    assert_true(inode->ino == INO);
    assert_int_equal(inode->n_opens, n_opens);
    assert_int_equal(inode->n_writers, n_writers);
    assert_int_equal(inode->n_free_writers, n_free_writers);
}

static void test_counts(void **state)
{
    struct shard *shard = *state;
    const uint32_t append = OPEN_WRITE | OPEN_APPEND;

    assert_null(session_inode(shard, INO));
    assert_int_equal(session_open(shard, CLIENT, INO, OPEN_READ), 0);
    expect_opens(shard, 1, 0, 0);
    assert_int_equal(session_open(shard, CLIENT, INO, append), 0);
    expect_opens(shard, 2, 1, 0);
    assert_int_equal(session_open(shard, OTHER, INO, OPEN_READ | OPEN_WRITE), 0);
    assert_int_equal(session_open(shard, OTHER, INO, OPEN_WRITE), 0);
    expect_opens(shard, 4, 3, 2);
    assert_int_equal(session_close(shard, OTHER, INO, OPEN_WRITE), 0);
    expect_opens(shard, 3, 2, 1);
    assert_int_equal(session_close(shard, OTHER, INO, OPEN_WRITE), 0);
    assert_int_equal(session_close(shard, CLIENT, INO, OPEN_READ), 0);
    expect_opens(shard, 1, 1, 0);
    assert_int_equal(session_close(shard, CLIENT, INO, append), 0);
    assert_null(session_inode(shard, INO));
}

static void test_close_without_open(void **state)
{
    struct shard *shard = *state;

    assert_int_equal(session_close(shard, CLIENT, INO, OPEN_READ), -EBADF);
    assert_int_equal(session_open(shard, CLIENT, INO, OPEN_READ), 0);
    assert_int_equal(session_close(shard, CLIENT, INO, OPEN_WRITE), -EBADF);
    assert_int_equal(session_close(shard, CLIENT, INO + 1, OPEN_READ), -EBADF);
    assert_int_equal(session_close(shard, OTHER, INO, OPEN_READ), -EBADF);
    expect_opens(shard, 1, 0, 0);
    assert_int_equal(session_close(shard, CLIENT, INO, OPEN_READ), 0);
    assert_int_equal(session_close(shard, CLIENT, INO, OPEN_READ), -EBADF);
}

/* Opens that nobody closes are freed with the shard; LeakSanitizer looks. */
static void test_left_open(void **state)
{
    struct shard *shard = *state;

    assert_int_equal(session_open(shard, CLIENT, INO, OPEN_READ), 0);
    assert_int_equal(session_open(shard, CLIENT, INO + 1, OPEN_WRITE), 0);
}

static void test_unknown_client_gone(void **state)
{
    struct shard *shard = *state;

    session_client_gone(shard, CLIENT);
    assert_true(list_is_empty(&shard->ready));
    assert_int_equal(session_note_forward(shard, CLIENT), 0);
    session_client_gone(shard, CLIENT); /* with one target there is nobody to tell */
    shard_unit_batch(shard);
    assert_int_equal(fiber_pool_active(shard->fibers), 0);
    assert_int_equal(table_count(&shard->sessions), 0);
}

/* ---- over a restart */

static void test_restart(void **state)
{
    struct shard_unit *unit = *state;
    struct shard *shard = &unit->shard;

    assert_int_equal(session_open(shard, CLIENT, INO, OPEN_READ), 0);
    assert_int_equal(session_open(shard, CLIENT, INO, OPEN_WRITE), 0);
    assert_int_equal(session_open(shard, OTHER, INO, OPEN_WRITE | OPEN_APPEND), 0);
    assert_int_equal(session_open(shard, OTHER, INO + 1, OPEN_READ), 0);
    assert_int_equal(session_close(shard, OTHER, INO + 1, OPEN_READ), 0);
    shard_unit_restart(unit);
    expect_opens(shard, 3, 2, 1);
    assert_null(session_inode(shard, INO + 1));
    assert_int_equal(session_close(shard, CLIENT, INO, OPEN_WRITE), 0);
    shard_unit_restart(unit);
    expect_opens(shard, 2, 1, 0);
    session_client_gone(shard, CLIENT);
    session_client_gone(shard, OTHER);
    shard_unit_batch(shard);
    assert_null(session_inode(shard, INO));
    shard_unit_restart(unit);
    assert_int_equal(table_count(&shard->sessions), 0);
}

/* ---- who lives */

static void connect_process(struct shard *shard, uint64_t client, int pid)
{
    struct rpc_client_info info = {
        .id = client, .kind = HELLO_CLIENT, .is_local = true, .pid = pid};

    session_connected(shard, &info);
}

static pid_t process_start(void)
{
    int closed[2];
    char byte;
    pid_t pid;

    assert_int_equal(pipe2(closed, O_CLOEXEC), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execlp("sleep", "sleep", "60", (char *)NULL);
        _exit(127);
    }
    close(closed[1]);
    assert_int_equal(read(closed[0], &byte, 1), 0); /* it has let go of the store */
    close(closed[0]);
    return pid;
}

static void process_kill(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* A process that lost its connection by a restart or an eviction keeps what it has
 * open until it ends. */
static void test_process_without_connection(void **state)
{
    struct shard_unit *unit = *state;
    struct shard *shard = &unit->shard;
    pid_t pid = process_start();

    connect_process(shard, CLIENT, pid);
    assert_int_equal(session_open(shard, CLIENT, INO, OPEN_READ), 0);
    shard_unit_batch(shard);
    shard_unit_restart(unit);
    assert_true(watch_is_alive(shard, CLIENT));
    connect_process(shard, CLIENT, pid);
    assert_true(list_is_empty(&shard->watched));
    session_disconnected(shard, CLIENT, true);
    shard_unit_batch(shard);
    assert_false(list_is_empty(&shard->watched));
    expect_opens(shard, 1, 0, 0);
    process_kill(pid);
    assert_false(watch_is_alive(shard, CLIENT));
    /* its time has come */
    list_entry(list_front(&shard->watched), struct session, watch_link)->check_at_ns =
        1;
    shard->watch_timer.run(&shard->watch_timer);
    shard_unit_batch(shard);
    shard_unit_batch(shard);
    assert_null(session_inode(shard, INO));
    assert_int_equal(table_count(&shard->sessions), 0);
}

/* A process that hangs up has ended; so has a daemon whose successor comes. */
static void test_ends(void **state)
{
    struct shard *shard = *state;
    struct rpc_client_info daemon = {
        .id = OTHER, .kind = HELLO_DAEMON, .node = 1, .target = 5};

    connect_process(shard, CLIENT, getpid());
    assert_int_equal(session_open(shard, CLIENT, INO, OPEN_READ), 0);
    session_disconnected(shard, CLIENT, false);
    shard_unit_batch(shard);
    assert_null(session_inode(shard, INO));

    session_connected(shard, &daemon);
    assert_int_equal(session_open(shard, OTHER, INO, OPEN_READ), 0);
    session_disconnected(shard, OTHER, false);
    shard_unit_batch(shard);
    assert_non_null(session_inode(shard, INO));
    daemon.id = OTHER + 1;
    session_connected(shard, &daemon);
    shard_unit_batch(shard);
    assert_null(session_inode(shard, INO));
}

#define TEST(name)                                                                     \
    cmocka_unit_test_setup_teardown(name, shard_unit_setup, shard_unit_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_counts),
        TEST(test_close_without_open),
        TEST(test_left_open),
        TEST(test_unknown_client_gone),
        TEST(test_restart),
        TEST(test_process_without_connection),
        TEST(test_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

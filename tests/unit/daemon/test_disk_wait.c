/* SPDX-License-Identifier: Apache-2.0
 * Waiting for the disk by io_uring, and by a thread where there is none: the one who
 * waits is woken, and told what the disk said. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/disk_wait.h"
#include "transport/rpc.h"

static bool has_ring;

/* In place of the library's. */
int io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags)
{
    struct io_uring_params params = {.flags = flags};

    return has_ring ? io_uring_queue_init_params(entries, ring, &params) : -EPERM;
}

static struct rpc *rpc_new(void)
{
    struct rpc_config config = {.client = 1, .job = "test"};
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct rpc *rpc;

    if (rpc_create(&config, &rpc, &err))
        fail_msg("%s", err.text);
    return rpc;
}

/* What a shard sleeps on gets readable, and stays so until the answer is taken. */
static void descriptor_wait(const struct rpc *rpc)
{
    struct deadline deadline = deadline_after_ms(10000);
    struct pollfd fd = {.fd = rpc_wait_fd(rpc), .events = POLLIN};

    while (poll(&fd, 1, deadline_remaining_ms(deadline)) != 1)
        assert_false(deadline_expired(deadline));
}

/* By waiting as a shard does. */
static int status_wait(struct rpc *rpc, struct disk_wait *wait)
{
    struct deadline deadline = deadline_after_ms(10000);
    int status = 1;

    while (!disk_wait_is_done(wait, &status)) {
        uint64_t before = clock_now_ns();

        assert_false(deadline_expired(deadline));
        rpc_wait(rpc, 10000);
        rpc_progress(rpc);
        assert_true(clock_now_ns() - before < 9 * CLOCK_NS_PER_SEC);
    }
    assert_false(disk_wait_is_done(wait, &status));
    return status;
}

static void waits(void)
{
    static const char data[8 << 20];
    struct rpc *rpc = rpc_new();
    struct disk_wait *wait;
    struct unit_dir dir;
    char path[128];
    int fd, ends[2];

    unit_dir_create(&dir);
    snprintf(path, sizeof(path), "%s/file", dir.path);
    fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(disk_wait_create(rpc, &wait), 0);
    for (int i = 0; i < 20; i++) {
        /* so much that the disk is not done at once */
        assert_int_equal(pwrite(fd, data, sizeof(data), 0), sizeof(data));
        disk_wait_start(wait, fd);
        if (i % 2)
            descriptor_wait(rpc);
        assert_int_equal(status_wait(rpc, wait), 0);
    }
    disk_wait_start(wait, ends[0]);
    assert_int_equal(status_wait(rpc, wait), -EINVAL); /* what fdatasync() says */
    disk_wait_start(wait, fd);
    disk_wait_destroy(wait); /* with one under way */
    rpc_destroy(rpc);
    close(fd);
    close(ends[0]);
    close(ends[1]);
    unit_dir_remove(&dir);
}

static void test_by_thread(void **state)
{
    (void)state;
    has_ring = false;
    waits();
}

static void test_by_ring(void **state)
{
    struct io_uring ring;

    (void)state;
    has_ring = true;
    if (io_uring_queue_init(2, &ring, 0))
        skip(); /* this kernel gives us none */
    io_uring_queue_exit(&ring);
    waits();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_thread),
        cmocka_unit_test(test_by_ring),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * iovec arithmetic, against the same on flat memory. */
#include "unit.h"

#include <limits.h>

#include "base/iovec.h"

#define TOTAL 10

static char memory[TOTAL + 1];

/* "abc", "", "defgh", "", "ij" */
static void make_iov(struct iovec iov[5])
{
    memcpy(memory, "abcdefghij", TOTAL + 1);
    iov[0] = (struct iovec){memory, 3};
    iov[1] = (struct iovec){NULL, 0};
    iov[2] = (struct iovec){memory + 3, 5};
    iov[3] = (struct iovec){memory + 8, 0};
    iov[4] = (struct iovec){memory + 8, 2};
}

static void test_length(void **state)
{
    struct iovec iov[5];
    struct iovec huge[2] = {{NULL, SSIZE_MAX}, {NULL, 1}};
    size_t length;

    (void)state;
    make_iov(iov);
    assert_int_equal(iovec_length(iov, 5, &length), 0);
    assert_int_equal(length, TOTAL);
    assert_int_equal(iovec_length(iov, 0, &length), 0);
    assert_int_equal(length, 0);
    assert_int_equal(iovec_length(huge, 1, &length), 0);
    assert_int_equal(iovec_length(huge, 2, &length), -EOVERFLOW);
}

static void test_copy_every_range(void **state)
{
    struct iovec iov[5];
    char flat[TOTAL + 1];

    (void)state;
    for (size_t offset = 0; offset <= TOTAL + 1; offset++) {
        for (size_t size = 0; size <= TOTAL + 1; size++) {
            size_t start = offset < TOTAL ? offset : TOTAL;
            size_t left = TOTAL - start;
            size_t expected = size < left ? size : left;
            char copy[TOTAL + 2] = {0};

            make_iov(iov);
            assert_int_equal(iovec_gather(iov, 5, offset, copy, size), expected);
            assert_memory_equal(copy, memory + start, expected);
            assert_int_equal(iovec_scatter(iov, 5, offset, "0123456789+", size),
                             expected);
            memcpy(flat, "abcdefghij", TOTAL + 1);
            memcpy(flat + start, "0123456789+", expected);
            assert_memory_equal(memory, flat, TOTAL + 1);
            assert_int_equal(iovec_zero(iov, 5, offset, size), expected);
            memset(flat + start, 0, expected);
            assert_memory_equal(memory, flat, TOTAL + 1);
        }
    }
}

static void test_advance(void **state)
{
    (void)state;
    for (size_t step = 0; step <= TOTAL + 1; step++) {
        struct iovec iov[5];
        struct iovec *rest = iov;
        size_t count = 5;
        size_t length;
        char first = '\0';

        make_iov(iov);
        iovec_advance(&rest, &count, step);
        assert_int_equal(iovec_length(rest, count, &length), 0);
        assert_int_equal(length, step < TOTAL ? TOTAL - step : 0);
        iovec_gather(rest, count, 0, &first, 1);
        assert_int_equal(first, step < TOTAL ? "abcdefghij"[step] : '\0');
    }
}

static void test_slice(void **state)
{
    struct iovec iov[5];
    struct iovec part[5];
    char copy[TOTAL];

    (void)state;
    make_iov(iov);
    assert_int_equal(iovec_slice(iov, 5, 2, 7, part, 5), 3);
    assert_int_equal(iovec_gather(part, 3, 0, copy, TOTAL), 7);
    assert_memory_equal(copy, "cdefghi", 7);
    assert_int_equal(iovec_slice(iov, 5, 2, 7, part, 2), -ENOBUFS);
    assert_int_equal(iovec_slice(iov, 5, 2, 9, part, 5), -EINVAL);
    assert_int_equal(iovec_slice(iov, 5, TOTAL, 0, part, 5), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_copy_every_range),
        cmocka_unit_test(test_advance),
        cmocka_unit_test(test_slice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

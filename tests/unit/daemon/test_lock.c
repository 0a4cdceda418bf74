/* SPDX-License-Identifier: Apache-2.0
 * Ranges of locks, against a model that knows of every byte. */
#include "unit.h"

#include "daemon/lock.h"

#define BYTES  24
#define OWNERS 4

/* Who has each byte how: type by owner. */
struct model {
    uint8_t type[BYTES][OWNERS];
};

static struct lock range_of(uint8_t type, uint64_t owner, uint64_t start, uint64_t end)
{
    return (struct lock){.type = type,
                         .owner = {.client = 7 + owner % 2, .number = owner / 2},
                         .start = start,
                         .end = end};
}

static uint64_t owner_of(const struct lock *lock)
{
    return lock->owner.number * 2 + lock->owner.client - 7;
}

static bool model_conflicts(const struct model *model, const struct lock *wanted)
{
    for (uint64_t byte = wanted->start; byte <= wanted->end && byte < BYTES; byte++) {
        for (uint64_t owner = 0; owner < OWNERS; owner++) {
            uint8_t have = model->type[byte][owner];

            if (owner != owner_of(wanted) && have != LOCK_TYPE_NONE
                && (have == LOCK_TYPE_WRITE || wanted->type == LOCK_TYPE_WRITE))
                return true;
        }
    }
    return false;
}

static void model_set(struct model *model, const struct lock *wanted)
{
    for (uint64_t byte = wanted->start; byte <= wanted->end && byte < BYTES; byte++)
        model->type[byte][owner_of(wanted)] = wanted->type;
}

/* The file says the same of every byte, in as few pieces as can be. */
static void compare(const struct lock_file *file, const struct model *model)
{
    struct model seen = {0};
    size_t n_pieces = 0, n_wanted = 0;

    list_for_each(node, &file->granted)
    {
        const struct lock *lock = list_entry(node, struct lock, link);

        assert_true(lock->start <= lock->end);
        n_pieces++;
        for (uint64_t byte = lock->start; byte <= lock->end && byte < BYTES; byte++) {
            assert_int_equal(seen.type[byte][owner_of(lock)], LOCK_TYPE_NONE);
            seen.type[byte][owner_of(lock)] = lock->type;
        }
    }
    assert_memory_equal(&seen, model, sizeof(seen));
    for (uint64_t owner = 0; owner < OWNERS; owner++) {
        for (int byte = 0; byte < BYTES; byte++)
            n_wanted +=
                model->type[byte][owner] != LOCK_TYPE_NONE
                && (byte == 0
                    || model->type[byte - 1][owner] != model->type[byte][owner]);
    }
    assert_int_equal(n_pieces, n_wanted);
}

static void test_random(void **state)
{
    uint32_t seed = 1;

    (void)state;
    for (int round = 0; round < 200; round++) {
        struct lock_file file;
        struct model model = {0};

        lock_file_init(&file, 1);
        for (int i = 0; i < 100; i++) {
            struct lock wanted;
            uint64_t start, end;

            seed = seed * 1664525 + 1013904223;
            start = seed >> 8 & 0xff;
            end = seed >> 16 & 0xff;
            start %= BYTES;
            end = start + end % (BYTES - start);
            wanted = range_of((uint8_t)((seed >> 24) % 3),
                              (seed >> 28) % OWNERS,
                              start,
                              end == BYTES - 1 ? UINT64_MAX : end);
            if (wanted.type != LOCK_TYPE_NONE) {
                bool conflicts = model_conflicts(&model, &wanted);

                assert_int_equal(lock_find_conflict(&file, &wanted) != NULL, conflicts);
                if (conflicts)
                    continue;
            }
            assert_int_equal(lock_set(&file, &wanted), 0);
            model_set(&model, &wanted);
            compare(&file, &model);
        }
        lock_file_fini(&file);
    }
}

static void test_spaces_and_clients(void **state)
{
    struct lock range = range_of(LOCK_TYPE_WRITE, 0, 0, UINT64_MAX);
    struct lock whole = range_of(LOCK_TYPE_WRITE, 1, 0, UINT64_MAX);
    struct lock_file file;

    (void)state;
    lock_file_init(&file, 1);
    whole.space = LOCK_SPACE_WHOLE;
    assert_int_equal(lock_set(&file, &range), 0);
    assert_null(lock_find_conflict(&file, &whole));
    assert_int_equal(lock_set(&file, &whole), 0);
    assert_false(lock_drop_client(&file, 6));
    assert_true(lock_drop_client(&file, 7));
    assert_null(lock_find_conflict(
        &file, &(struct lock){.type = LOCK_TYPE_WRITE, .end = UINT64_MAX}));
    assert_true(lock_drop_client(&file, 8));
    assert_true(list_is_empty(&file.granted));
    lock_file_fini(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_spaces_and_clients),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

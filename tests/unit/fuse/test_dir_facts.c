/* SPDX-License-Identifier: Apache-2.0
 * The cache of directory facts: noted, replaced, forgotten; from several threads. */
#include "unit.h"

#include <pthread.h>

#include "fuse/dir_facts.h"

static struct wire_attr directory(uint64_t ino, uint64_t parent)
{
    return (struct wire_attr){
        .ino = ino,
        .parent = parent,
        .mode = S_IFDIR | 02750,
        .gid = 77,
    };
}

static void test_note_find(void **state)
{
    struct dir_facts *facts = dir_facts_create();
    struct wire_attr attr = directory(0x10002, 1);
    struct dir_fact fact;

    (void)state;
    assert_non_null(facts);
    assert_false(dir_facts_find(facts, 0x10002, &fact));
    dir_facts_note(facts, &attr);
    assert_true(dir_facts_find(facts, 0x10002, &fact));
    assert_int_equal(fact.parent, 1);
    assert_int_equal(fact.mode, S_IFDIR | 02750);
    assert_int_equal(fact.gid, 77);
    attr.mode = S_IFDIR | 0700;
    dir_facts_note(facts, &attr);
    assert_true(dir_facts_find(facts, 0x10002, &fact));
    assert_int_equal(fact.mode, S_IFDIR | 0700);
    dir_facts_destroy(facts);
    dir_facts_destroy(NULL);
}

static void test_files_are_ignored(void **state)
{
    struct dir_facts *facts = dir_facts_create();
    struct wire_attr attr = {.ino = 5, .mode = S_IFREG | 0644};
    struct dir_fact fact;

    (void)state;
    dir_facts_note(facts, &attr);
    assert_false(dir_facts_find(facts, 5, &fact));
    dir_facts_destroy(facts);
}

#define N_THREADS 4
#define N_ROUNDS  20000

static void *note_and_find(void *arg)
{
    struct dir_facts *facts = arg;

    for (uint64_t i = 1; i <= N_ROUNDS; i++) {
        struct wire_attr attr = directory(i, i + 1);
        struct dir_fact fact;

        dir_facts_note(facts, &attr);
        if (dir_facts_find(facts, i, &fact) && fact.parent != i + 1)
            return facts; /* torn */
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct dir_facts *facts = dir_facts_create();
    pthread_t threads[N_THREADS];

    (void)state;
    for (int i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, note_and_find, facts), 0);
    for (int i = 0; i < N_THREADS; i++) {
        void *torn;

        assert_int_equal(pthread_join(threads[i], &torn), 0);
        assert_null(torn);
    }
    dir_facts_destroy(facts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_note_find),
        cmocka_unit_test(test_files_are_ignored),
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * Intrusive list. */
#include "unit.h"

#include "base/list.h"

struct item {
    int value;
    struct list_node node;
};

static void check(const struct list *list, const int *values, size_t count)
{
    size_t i = 0;

    list_for_each(node, list)
    {
        assert_in_range(i, 0, count - 1);
        assert_int_equal(list_entry(node, struct item, node)->value, values[i]);
        i++;
    }
    assert_int_equal(i, count);
}

static void test_order(void **state)
{
    struct list list = LIST_INIT(list);
    struct list other;
    struct item items[5];

    (void)state;
    list_init(&other);
    for (int i = 0; i < 5; i++) {
        items[i].value = i;
        list_node_init(&items[i].node);
    }
    assert_true(list_is_empty(&list));
    assert_null(list_front(&list));
    assert_null(list_back(&list));
    assert_null(list_pop_front(&list));
    list_push_back(&list, &items[1].node);
    list_push_back(&list, &items[3].node);
    list_push_front(&list, &items[0].node);
    list_insert_before(&items[3].node, &items[2].node);
    check(&list, (int[]){0, 1, 2, 3}, 4);
    list_push_back(&other, &items[4].node);
    list_splice_back(&list, &other);
    assert_true(list_is_empty(&other));
    list_splice_back(&list, &other);
    check(&list, (int[]){0, 1, 2, 3, 4}, 5);
    assert_ptr_equal(list_back(&list), &items[4].node);
    assert_ptr_equal(list_pop_front(&list), &items[0].node);
    assert_false(list_node_is_linked(&items[0].node));
    list_remove(&items[0].node);
    list_splice_back(&other, &list);
    check(&other, (int[]){1, 2, 3, 4}, 4);
}

static void test_remove_in_walk(void **state)
{
    struct list list = LIST_INIT(list);
    struct item items[6];

    (void)state;
    for (int i = 0; i < 6; i++) {
        items[i].value = i;
        list_push_back(&list, &items[i].node);
    }
    list_for_each(node, &list)
    {
        if (list_entry(node, struct item, node)->value % 2 == 0)
            list_remove(node);
    }
    check(&list, (int[]){1, 3, 5}, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_remove_in_walk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

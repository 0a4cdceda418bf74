/* SPDX-License-Identifier: Apache-2.0
 * Intrusive doubly linked list: a ring through a head. The node is a member of the
 * element; the list owns nothing. Not thread-safe. */
#ifndef BENCHFS_BASE_LIST_H
#define BENCHFS_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_node {
    struct list_node *prev;
    struct list_node *next;
};

struct list {
    struct list_node head;
};

#define LIST_INIT(list)                                                                \
    {                                                                                  \
        .head = {.prev = &(list).head, .next = &(list).head }                          \
    }

/* The element that holds `node` as its member. */
#define list_entry(node, type, member)                                                 \
    ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* `node` may be removed in the body, nothing else. */
#define list_for_each(node, list)                                                      \
    for (struct list_node * (node) = (list)->head.next, *node##_next = (node)->next;   \
         (node) != &(list)->head;                                                      \
         (node) = node##_next, node##_next = (node)->next)

static inline void list_init(struct list *list)
{
    list->head.prev = list->head.next = &list->head;
}

/* A node in no list; list_remove() on it does nothing. */
static inline void list_node_init(struct list_node *node)
{
    node->prev = node->next = node;
}

static inline bool list_node_is_linked(const struct list_node *node)
{
    return node->next != node;
}

static inline bool list_is_empty(const struct list *list)
{
    return list->head.next == &list->head;
}

static inline void list_insert_between(struct list_node *node,
                                       struct list_node *prev,
                                       struct list_node *next)
{
    node->prev = prev;
    node->next = next;
    prev->next = node;
    next->prev = node;
}

static inline void list_push_front(struct list *list, struct list_node *node)
{
    list_insert_between(node, &list->head, list->head.next);
}

static inline void list_push_back(struct list *list, struct list_node *node)
{
    list_insert_between(node, list->head.prev, &list->head);
}

static inline void list_insert_before(struct list_node *place, struct list_node *node)
{
    list_insert_between(node, place->prev, place);
}

static inline void list_remove(struct list_node *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_node_init(node);
}

/* The first or last node, or NULL. (The analyzer does not see a node leave its list: it
 * takes the next one for the one that was freed.) */
static inline struct list_node *list_front(const struct list *list)
{
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    return list_is_empty(list) ? NULL : list->head.next;
}

static inline struct list_node *list_back(const struct list *list)
{
    return list_is_empty(list) ? NULL : list->head.prev;
}

/* Removes and returns the first node, or NULL. */
static inline struct list_node *list_pop_front(struct list *list)
{
    struct list_node *node = list_front(list);

    if (node)
        list_remove(node);
    return node;
}

/* Moves all of `from` to the end of `to`; `from` is empty after it. */
static inline void list_splice_back(struct list *to, struct list *from)
{
    if (list_is_empty(from))
        return;
    from->head.next->prev = to->head.prev;
    to->head.prev->next = from->head.next;
    from->head.prev->next = &to->head;
    to->head.prev = from->head.prev;
    list_init(from);
}

#endif

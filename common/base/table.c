/* SPDX-License-Identifier: Apache-2.0
 * Open addressing with linear probing. A removed entry leaves a marker, so nothing
 * moves on removal, which keeps walks valid; growth drops the markers. */
#include "base/table.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/hash.h"

#define TABLE_CAPACITY_MIN 16

static char removed_marker;

static bool slot_is_live(const struct table_slot *slot)
{
    return slot->value && slot->value != &removed_marker;
}

void table_init(struct table *table)
{
    *table = (struct table){.slots = NULL};
}

void table_fini(struct table *table)
{
    if (!table)
        return;
    free(table->slots);
    table_init(table);
}

/* The slot of the key, or NULL. There is always a free slot to end the probing. */
static struct table_slot *find_slot(const struct table *table, uint64_t key)
{
    size_t mask = table->capacity - 1;

    if (table->count == 0)
        return NULL;
    for (size_t i = hash_u64(key) & mask;; i = (i + 1) & mask) {
        struct table_slot *slot = &table->slots[i];

        if (!slot->value)
            return NULL;
        if (slot->key == key && slot_is_live(slot))
            return slot;
    }
}

/* The first slot on the key's path that holds nothing live. */
static struct table_slot *find_free_slot(const struct table *table, uint64_t key)
{
    size_t mask = table->capacity - 1;
    size_t i = hash_u64(key) & mask;

    while (slot_is_live(&table->slots[i]))
        i = (i + 1) & mask;
    return &table->slots[i];
}

static int resize(struct table *table, size_t capacity)
{
    struct table next = {
        .slots = calloc(capacity, sizeof(*next.slots)),
        .capacity = capacity,
        .count = table->count,
        .used = table->count,
    };

    if (!next.slots)
        return -ENOMEM;
    for (size_t i = 0; i < table->capacity; i++) {
        if (slot_is_live(&table->slots[i]))
            *find_free_slot(&next, table->slots[i].key) = table->slots[i];
    }
    free(table->slots);
    *table = next;
    return 0;
}

/* Keeps a quarter of the slots free; after a resize at least half are. */
static int make_room(struct table *table)
{
    size_t capacity = table->capacity ? table->capacity : TABLE_CAPACITY_MIN;

    if (table->capacity && table->used < table->capacity - table->capacity / 4)
        return 0;
    while (table->count >= capacity / 2)
        capacity *= 2;
    return resize(table, capacity);
}

void *table_get(const struct table *table, uint64_t key)
{
    const struct table_slot *slot = find_slot(table, key);

    return slot ? slot->value : NULL;
}

int table_put(struct table *table, uint64_t key, void *value)
{
    struct table_slot *slot;
    int status;

    assert(value && value != &removed_marker);
    if (find_slot(table, key))
        return -EEXIST;
    status = make_room(table);
    if (status < 0)
        return status;
    slot = find_free_slot(table, key);
    if (!slot->value)
        table->used++;
    slot->key = key;
    slot->value = value;
    table->count++;
    return 0;
}

/* Markers with nothing behind them end no search: free them. */
static void free_markers_back_from(struct table *table, size_t i)
{
    size_t mask = table->capacity - 1;

    if (table->slots[(i + 1) & mask].value)
        return;
    for (; table->slots[i].value == &removed_marker; i = (i - 1) & mask) {
        table->slots[i].value = NULL;
        table->used--;
    }
}

void *table_remove(struct table *table, uint64_t key)
{
    struct table_slot *slot = find_slot(table, key);
    void *value;

    if (!slot)
        return NULL;
    value = slot->value;
    slot->value = &removed_marker;
    table->count--;
    free_markers_back_from(table, (size_t)(slot - table->slots));
    return value;
}

void *table_next(const struct table *table, size_t *cursor, uint64_t *ret_key)
{
    while (*cursor < table->capacity) {
        const struct table_slot *slot = &table->slots[(*cursor)++];

        if (slot_is_live(slot)) {
            if (ret_key)
                *ret_key = slot->key;
            return slot->value;
        }
    }
    return NULL;
}

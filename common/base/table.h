/* SPDX-License-Identifier: Apache-2.0
 * Hash table from uint64_t to a pointer. It owns its slots, never the values. Not
 * thread-safe. */
#ifndef BENCHFS_BASE_TABLE_H
#define BENCHFS_BASE_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct table_slot {
    uint64_t key;
    void *value;
};

struct table {
    struct table_slot *slots;
    size_t capacity; /* 0 or a power of two */
    size_t count;    /* live entries */
    size_t used;     /* live entries and removed ones whose slot is not free yet */
};

void table_init(struct table *table);
/* Values are the caller's to free first. NULL is fine. */
void table_fini(struct table *table);

/* The value, or NULL when the key is absent. */
void *table_get(const struct table *table, uint64_t key);

/* `value` must not be NULL. Returns 0, -EEXIST or -ENOMEM. */
int table_put(struct table *table, uint64_t key, void *value);

/* Removes the key and returns its value, or NULL when it was absent. */
void *table_remove(struct table *table, uint64_t key);

static inline size_t table_count(const struct table *table)
{
    return table->count;
}

/* Walks all entries in no order: start with *cursor = 0, NULL is the end; ret_key may
 * be NULL. Entries may be removed meanwhile, any of them; none may be put. */
void *table_next(const struct table *table, size_t *cursor, uint64_t *ret_key);

#endif

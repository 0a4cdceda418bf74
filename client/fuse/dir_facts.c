/* SPDX-License-Identifier: Apache-2.0
 * A direct-mapped cache: one slot per hash value, the newer fact wins. */
#include "fuse/dir_facts.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/hash.h"

#define N_SLOTS 4096u

struct dir_facts {
    pthread_mutex_t lock; /* held for a copy of one slot only */
    struct dir_fact slots[N_SLOTS];
};

struct dir_facts *dir_facts_create(void)
{
    struct dir_facts *facts = calloc(1, sizeof(*facts));

    if (facts != NULL)
        pthread_mutex_init(&facts->lock, NULL);
    return facts;
}

void dir_facts_destroy(struct dir_facts *facts)
{
    if (facts == NULL)
        return;
    pthread_mutex_destroy(&facts->lock);
    free(facts);
}

static struct dir_fact *slot_of(struct dir_facts *facts, uint64_t ino)
{
    return &facts->slots[hash_u64(ino) % N_SLOTS];
}

void dir_facts_note(struct dir_facts *facts, const struct wire_attr *attr)
{
    struct dir_fact *slot;

    if (!S_ISDIR(attr->mode))
        return;
    slot = slot_of(facts, attr->ino);
    pthread_mutex_lock(&facts->lock);
    *slot = (struct dir_fact){
        .ino = attr->ino,
        .parent = attr->parent,
        .mode = attr->mode,
        .gid = attr->gid,
    };
    pthread_mutex_unlock(&facts->lock);
}

bool dir_facts_find(struct dir_facts *facts, uint64_t ino, struct dir_fact *ret)
{
    const struct dir_fact *slot = slot_of(facts, ino);
    bool is_found;

    pthread_mutex_lock(&facts->lock);
    is_found = slot->ino == ino;
    if (is_found)
        *ret = *slot;
    pthread_mutex_unlock(&facts->lock);
    return is_found;
}

/* SPDX-License-Identifier: Apache-2.0
 * A direct-mapped cache: one slot per hash value. A slot's version counts the changes
 * of all directories that share it, so that an old answer never passes for a new one.
 */
#include "fuse/dir_attrs.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/hash.h"

#define N_SLOTS 4096u

struct slot {
    struct wire_attr attr; /* ino 0: empty */
    uint64_t until_ns;     /* clock_now_ns() */
    uint64_t version;
};

struct dir_attrs {
    pthread_mutex_t lock; /* held for a copy of one slot only */
    uint64_t lifetime_ns;
    struct slot slots[N_SLOTS];
};

struct dir_attrs *dir_attrs_create(double lifetime_s)
{
    struct dir_attrs *attrs = calloc(1, sizeof(*attrs));

    if (attrs == NULL)
        return NULL;
    pthread_mutex_init(&attrs->lock, NULL);
    attrs->lifetime_ns = (uint64_t)(lifetime_s * (double)CLOCK_NS_PER_SEC);
    return attrs;
}

void dir_attrs_destroy(struct dir_attrs *attrs)
{
    if (attrs == NULL)
        return;
    pthread_mutex_destroy(&attrs->lock);
    free(attrs);
}

static struct slot *slot_of(struct dir_attrs *attrs, uint64_t ino)
{
    return &attrs->slots[hash_u64(ino) % N_SLOTS];
}

uint64_t dir_attrs_begin(struct dir_attrs *attrs, uint64_t ino)
{
    uint64_t version;

    pthread_mutex_lock(&attrs->lock);
    version = slot_of(attrs, ino)->version;
    pthread_mutex_unlock(&attrs->lock);
    return version;
}

void dir_attrs_note(struct dir_attrs *attrs,
                    const struct wire_attr *attr,
                    uint64_t begin)
{
    struct slot *slot = slot_of(attrs, attr->ino);

    if (!S_ISDIR(attr->mode))
        return;
    pthread_mutex_lock(&attrs->lock);
    if (slot->version == begin) {
        slot->attr = *attr;
        slot->until_ns = clock_now_ns() + attrs->lifetime_ns;
    }
    pthread_mutex_unlock(&attrs->lock);
}

bool dir_attrs_find(struct dir_attrs *attrs,
                    uint64_t ino,
                    struct wire_attr *ret,
                    double *ret_left_s)
{
    const struct slot *slot = slot_of(attrs, ino);
    uint64_t now = clock_now_ns();
    bool is_found;

    pthread_mutex_lock(&attrs->lock);
    is_found = slot->attr.ino == ino && slot->until_ns > now;
    if (is_found) {
        *ret = slot->attr;
        *ret_left_s = (double)(slot->until_ns - now) / (double)CLOCK_NS_PER_SEC;
    }
    pthread_mutex_unlock(&attrs->lock);
    return is_found;
}

void dir_attrs_forget(struct dir_attrs *attrs, uint64_t ino)
{
    struct slot *slot = slot_of(attrs, ino);

    pthread_mutex_lock(&attrs->lock);
    slot->version++;
    slot->attr.ino = 0;
    pthread_mutex_unlock(&attrs->lock);
}

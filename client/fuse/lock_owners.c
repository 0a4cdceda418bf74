/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse/lock_owners.h"

#include <errno.h>

#include "base/hash.h"

void lock_owners_init(struct lock_owners *owners)
{
    pthread_mutex_init(&owners->lock, NULL);
    table_init(&owners->owners);
}

void lock_owners_fini(struct lock_owners *owners)
{
    table_fini(&owners->owners); /* its values are marks */
    pthread_mutex_destroy(&owners->lock);
}

/* Two that hash alike share a mark: then a close may tell the daemon to drop locks that
 * are not there. */
static uint64_t key_of(uint64_t ino, uint64_t owner)
{
    return hash_u64(ino ^ hash_u64(owner));
}

int lock_owners_note(struct lock_owners *owners, uint64_t ino, uint64_t owner)
{
    int rc;

    pthread_mutex_lock(&owners->lock);
    rc = table_put(&owners->owners, key_of(ino, owner), owners);
    pthread_mutex_unlock(&owners->lock);
    return rc == -EEXIST ? 0 : rc;
}

bool lock_owners_take(struct lock_owners *owners, uint64_t ino, uint64_t owner)
{
    bool has;

    pthread_mutex_lock(&owners->lock);
    has = table_remove(&owners->owners, key_of(ino, owner)) != NULL;
    pthread_mutex_unlock(&owners->lock);
    return has;
}

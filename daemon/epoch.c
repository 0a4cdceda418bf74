/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/epoch.h"

#include <errno.h>
#include <stddef.h>

void epoch_init(struct epoch *epoch, uint64_t instance, bool is_restarted)
{
    epoch->value = instance ? instance : 1;
    epoch->keeps_all = is_restarted;
    table_init(&epoch->kept);
}

void epoch_fini(struct epoch *epoch)
{
    table_fini(&epoch->kept);
}

void epoch_raise(struct epoch *epoch)
{
    if (++epoch->value == 0)
        epoch->value = 1;
}

void epoch_keep(struct epoch *epoch, uint64_t key)
{
    int rc;

    if (epoch->keeps_all)
        return;
    rc = table_count(&epoch->kept) < EPOCH_NAMES_MAX
             ? table_put(&epoch->kept, key, epoch)
             : -ENOMEM;
    if (rc == 0 || rc == -EEXIST)
        return;
    epoch->keeps_all = true;
    table_fini(&epoch->kept);
    table_init(&epoch->kept);
}

bool epoch_is_kept(const struct epoch *epoch, uint64_t key)
{
    return epoch->keeps_all || table_get(&epoch->kept, key);
}

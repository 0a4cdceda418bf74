/* SPDX-License-Identifier: Apache-2.0
 *
 * Names on the way of a path, and the directories among them, which are kept: see
 * "Directories that clients keep" in docs/protocol.md.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "client/client_internal.h"

/* Of more than that, all are forgotten, so that none has to be chosen. */
#define KEPT_MAX 4096u

#define EPOCH_UNKNOWN UINT64_MAX

struct kept {
    struct client_entry entry;
    uint64_t parent;
    char name[];
};

static uint64_t kept_key(uint64_t parent, const char *name, size_t len)
{
    return hash_bytes(parent, name, len);
}

static void all_forget(struct client_dirs *dirs)
{
    struct kept *kept;
    size_t cursor = 0;

    while ((kept = table_next(&dirs->kept, &cursor, NULL)))
        free(kept);
    table_fini(&dirs->kept);
    table_init(&dirs->kept);
}

void client_dirs_init(struct client_dirs *dirs)
{
    pthread_mutex_init(&dirs->lock, NULL);
    table_init(&dirs->kept);
    dirs->generation = 1;
}

void client_dirs_fini(struct client_dirs *dirs)
{
    all_forget(dirs);
    table_fini(&dirs->kept);
    free(dirs->epochs);
    pthread_mutex_destroy(&dirs->lock);
}

/* ---- with the lock --------------------------------------------------- */

/* Nothing that is kept, or under way, is believed any more. */
static void all_disbelieve(struct client_dirs *dirs)
{
    all_forget(dirs);
    dirs->generation++;
}

/* The place of a target's epoch; 0: not known. NULL: no memory. */
static uint64_t *epoch_of(struct client *client, uint32_t target)
{
    struct client_dirs *dirs = &client->dirs;

    if (!dirs->epochs)
        dirs->epochs = calloc(client_n_targets(client), sizeof(*dirs->epochs));
    return dirs->epochs ? &dirs->epochs[target] : NULL;
}

/* A directory that was asked for before the epoch changed may be from before it, on
 * whichever target. */
static void epoch_note(struct client *client, uint32_t target, uint64_t value)
{
    struct client_dirs *dirs = &client->dirs;
    uint64_t *epoch = epoch_of(client, target);

    if (epoch && *epoch == value)
        return;
    if (epoch)
        *epoch = value;
    all_disbelieve(dirs);
}

static const struct kept *
kept_find(const struct client_dirs *dirs, uint64_t parent, const char *name, size_t len)
{
    const struct kept *kept = table_get(&dirs->kept, kept_key(parent, name, len));

    if (!kept || kept->parent != parent || strcmp(kept->name, name) != 0)
        return NULL;
    return kept;
}

static void kept_put(struct client_dirs *dirs,
                     uint64_t parent,
                     struct wire_text name,
                     const struct client_entry *entry)
{
    uint64_t key = kept_key(parent, name.data, name.len);
    struct kept *kept = malloc(sizeof(*kept) + name.len + 1);

    if (!kept)
        return;
    *kept = (struct kept){.entry = *entry, .parent = parent};
    memcpy(kept->name, name.data, name.len);
    kept->name[name.len] = '\0';
    if (table_count(&dirs->kept) >= KEPT_MAX)
        all_forget(dirs);
    free(table_remove(&dirs->kept, key));
    if (table_put(&dirs->kept, key, kept))
        free(kept);
}

/* ---- walking --------------------------------------------------------- */

/* What is known of it without asking. */
static bool kept_take(struct client *client,
                      struct client_walk *walk,
                      uint64_t parent,
                      struct wire_text name,
                      struct client_entry *ret)
{
    struct client_dirs *dirs = &client->dirs;
    const struct kept *kept;
    bool is_kept;

    if (walk->is_fresh)
        return false;
    pthread_mutex_lock(&dirs->lock);
    kept = kept_find(dirs, parent, name.data, name.len);
    is_kept = kept && (!walk->is_kept || walk->generation == dirs->generation);
    if (is_kept) {
        *ret = kept->entry;
        walk->is_kept = true;
        walk->is_sure = false;
        walk->generation = dirs->generation;
    }
    pthread_mutex_unlock(&dirs->lock);
    return is_kept;
}

/* The epoch to go out with; -ESTALE: what the walk has come along is not believed any
 * more. */
static int epoch_take(struct client *client,
                      struct client_walk *walk,
                      uint32_t target,
                      uint64_t *ret_epoch,
                      uint64_t *ret_generation)
{
    struct client_dirs *dirs = &client->dirs;
    const uint64_t *epoch;

    pthread_mutex_lock(&dirs->lock);
    epoch = epoch_of(client, target);
    walk->is_stale = walk->is_kept && walk->generation != dirs->generation;
    *ret_epoch = 0;
    if (walk->is_kept)
        *ret_epoch = epoch && *epoch ? *epoch : EPOCH_UNKNOWN;
    *ret_generation = dirs->generation;
    pthread_mutex_unlock(&dirs->lock);
    return walk->is_stale ? -ESTALE : 0;
}

/* *generation: of when it was asked; becomes that of the answer, or 0: what was
 * answered must not be kept. */
static void answer_note(struct client *client,
                        uint32_t target,
                        uint64_t epoch,
                        uint64_t *generation)
{
    struct client_dirs *dirs = &client->dirs;
    bool is_same;

    pthread_mutex_lock(&dirs->lock);
    is_same = dirs->generation == *generation;
    epoch_note(client, target, epoch);
    *generation = is_same ? dirs->generation : 0;
    pthread_mutex_unlock(&dirs->lock);
}

static int walk_ask(struct client *client,
                    struct client_walk *walk,
                    struct msg_walk_request *msg,
                    struct client_entry *ret,
                    uint64_t *ret_generation)
{
    uint32_t target = placement_dentry_target(
        msg->parent, msg->name.data, msg->name.len, client_n_targets(client));
    struct msg_walk_reply reply;
    struct client_call call;
    int status = epoch_take(client, walk, target, &msg->epoch, ret_generation);

    if (status)
        return status;
    client_call_fill(client, &call, OP_WALK, target, walk_request, msg);
    status = client_call_run(client, &call);
    if (status == 0)
        status = client_reply_decode(&call, walk_reply, &reply);
    if (status)
        return status;
    answer_note(client, target, reply.epoch, ret_generation);
    walk->is_stale = reply.is_stale;
    walk->is_sure = !reply.is_stale;
    if (reply.is_stale)
        return -ESTALE;
    *ret = (struct client_entry){.ino = reply.ino,
                                 .type = reply.type,
                                 .has_attr = reply.has_attr,
                                 .attr = reply.attr};
    return reply.ino ? 0 : -ENOENT;
}

static int walk_once(struct client *client,
                     struct client_walk *walk,
                     struct msg_walk_request *msg,
                     struct client_entry *ret)
{
    struct client_dirs *dirs = &client->dirs;
    uint64_t generation;
    int status = walk_ask(client, walk, msg, ret, &generation);
    bool is_dir = status == 0 && S_ISDIR(ret->type);

    if (status)
        return status;
    /* one that is homed elsewhere, since it was renamed, is not kept: its home does not
     * know that somebody would have to hear of changes */
    if (msg->keeps && is_dir && ret->has_attr) {
        pthread_mutex_lock(&dirs->lock);
        if (generation == dirs->generation)
            kept_put(dirs, msg->parent, msg->name, ret);
        pthread_mutex_unlock(&dirs->lock);
    }
    if (ret->has_attr || (is_dir && !msg->keeps))
        return 0;
    status = client_getattr(client, ret->ino, &ret->attr);
    ret->has_attr = status == 0;
    /* removed or replaced between the two messages */
    return status == -ENOENT ? -ESTALE : status;
}

int client_walk_name(struct client *client,
                     struct client_walk *walk,
                     uint64_t parent,
                     const char *name,
                     bool is_last,
                     struct client_entry *ret)
{
    struct msg_walk_request msg = {.parent = parent, .keeps = !is_last};
    size_t len;
    int status = client_name_check(name, &len);

    if (status < 0)
        return status;
    msg.name = client_text(name, len);
    if (!is_last && kept_take(client, walk, parent, msg.name, ret))
        return 0;
    status = -ESTALE;
    for (int i = 0; i < CLIENT_RACE_TRIES && status == -ESTALE && !walk->is_stale; i++)
        status = walk_once(client, walk, &msg, ret);
    return status;
}

bool client_walk_is_astray(struct client *client,
                           struct client_walk *walk,
                           uint64_t dir)
{
    struct client_dirs *dirs = &client->dirs;
    struct wire_attr attr;
    int status;

    if (!walk->is_kept)
        return false;
    status = client_getattr(client, dir, &attr);
    if (status != -ENOENT && status != -ESTALE)
        return false;
    pthread_mutex_lock(&dirs->lock);
    all_disbelieve(dirs);
    pthread_mutex_unlock(&dirs->lock);
    walk->is_stale = true;
    return true;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Listing a directory: its home knows which targets may hold a part of the entries,
 * and these are asked in turn, upwards.
 * A position is the target's number in the upper 16 bits and that target's cookie of
 * the last entry seen in the lower 48.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/client_internal.h"
#include "client/position.h"
#include "proto/placement.h"

#define DIR_BUFFER_SIZE (64u << 10)

struct client_dir {
    struct client *client;
    uint64_t ino;
    uint32_t target; /* being listed; the number of targets: at the end */
    bool has_members;
    bool is_all;                    /* all targets are to be asked */
    uint8_t members[WIRE_TEXT_MAX]; /* a map of bits; the home need not be in it */
    uint16_t members_len;
    uint64_t cookie; /* of the last entry given out from it */
    int lost;        /* entries of a target that can't be reached are missing: status */
    bool is_last;    /* nothing comes after what is in the buffer */
    struct wire_reader reader;
    uint32_t n_left; /* entries in the reader */
    char name[WIRE_NAME_MAX + 1];
    uint8_t buffer[DIR_BUFFER_SIZE];
};

int client_dir_open(struct client *client, uint64_t ino, struct client_dir **ret)
{
    struct client_dir *dir = malloc(sizeof(*dir));

    if (!dir)
        return -ENOMEM;
    dir->client = client;
    dir->has_members = false;
    dir->ino = ino;
    client_dir_seek(dir, 0);
    *ret = dir;
    return 0;
}

void client_dir_close(struct client_dir *dir)
{
    free(dir);
}

void client_dir_seek(struct client_dir *dir, uint64_t position)
{
    if (position == 0)
        dir->has_members = false; /* as it is when this begins */
    dir->target = position_target(position);
    dir->cookie = position_cookie(position);
    dir->is_last = false;
    dir->lost = 0;
    dir->n_left = 0;
}

/* Asks the current target for what comes after the cookie. */
static int dir_fill(struct client_dir *dir)
{
    struct msg_readdir_request msg = {.dir = dir->ino, .cookie = dir->cookie};
    struct iovec iov = {.iov_base = dir->buffer, .iov_len = sizeof(dir->buffer)};
    struct msg_readdir_reply reply;
    struct client_call call;
    int status;

    client_call_fill(
        dir->client, &call, OP_READDIR, dir->target, readdir_request, &msg);
    call.call.rpc.recv = &iov;
    call.call.rpc.n_recv = 1;
    status = client_call_run(dir->client, &call);
    if (status == 0)
        status = client_reply_decode(&call, readdir_reply, &reply);
    if (status)
        return status;
    /* No entry and yet not at the end would be asked for ever. */
    if (reply.n_entries == 0 && !reply.at_end)
        return -EPROTO;
    dir->reader =
        (struct wire_reader){.data = dir->buffer, .length = call.call.rpc.received};
    dir->n_left = reply.n_entries;
    dir->is_last = reply.at_end;
    return 0;
}

static int dir_take(struct client_dir *dir, struct client_dirent *ret)
{
    struct wire_dirent entry;

    wire_get_dirent(&dir->reader, &entry);
    dir->n_left--;
    if (dir->reader.failed || entry.cookie > POSITION_COOKIE_MAX
        || (dir->n_left == 0 && wire_reader_finish(&dir->reader) < 0)) {
        dir->n_left = 0;
        return -EPROTO;
    }
    memcpy(dir->name, entry.name.data, entry.name.len);
    dir->name[entry.name.len] = '\0';
    dir->cookie = entry.cookie;
    ret->ino = entry.ino;
    ret->type = entry.type;
    ret->name = dir->name;
    ret->next = position_make(dir->target, entry.cookie);
    return 1;
}

static int members_get(struct client_dir *dir)
{
    struct msg_inode_request msg = {.ino = dir->ino};
    struct msg_dir_members_reply reply;
    struct client_call call;
    int status;

    client_call_fill(dir->client,
                     &call,
                     OP_DIR_MEMBERS,
                     placement_home(dir->ino),
                     inode_request,
                     &msg);
    status = client_call_run(dir->client, &call);
    if (status == 0)
        status = client_reply_decode(&call, dir_members_reply, &reply);
    if (status)
        return status;
    dir->is_all = reply.is_all;
    dir->members_len = reply.targets.len;
    memcpy(dir->members, reply.targets.data, reply.targets.len);
    dir->has_members = true;
    return 0;
}

static bool is_member(const struct client_dir *dir, uint32_t target)
{
    return dir->is_all || target == placement_home(dir->ino)
           || (target / 8 < dir->members_len
               && dir->members[target / 8] & (1 << target % 8));
}

int client_dir_read(struct client_dir *dir, struct client_dirent *ret)
{
    int status;

    if (!dir->has_members) {
        status = members_get(dir);
        if (status)
            return status;
    }
    while (dir->n_left == 0) {
        if (dir->is_last) {
            dir->target++;
            dir->cookie = 0;
            dir->is_last = false;
        }
        while (dir->target < client_n_targets(dir->client)
               && !is_member(dir, dir->target)) {
            dir->target++;
            dir->cookie = 0;
        }
        if (dir->target >= client_n_targets(dir->client))
            return dir->lost;
        status = dir_fill(dir);
        if (status == -EHOSTDOWN) {
            dir->lost = status;
            dir->is_last = true;
        } else if (status < 0) {
            return status;
        }
    }
    return dir_take(dir, ret);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * What clients have open at a shard, per client and per inode. An inode that is open
 * lives on without a name; one that is open for writing may be longer than its home
 * knows.
 */
#ifndef BENCHFS_DAEMON_SESSION_H
#define BENCHFS_DAEMON_SESSION_H

#include "daemon/shard.h"

/* The client's session, made if there is none. NULL: no memory. */
struct session *session_get(struct shard *shard, uint64_t client);

/* Outside of transactions: the client has a connection, or has lost its last one. */
void session_connected(struct shard *shard, const struct rpc_client_info *info);
void session_disconnected(struct shard *shard, uint64_t client, bool is_evicted);

/* Counts an open of `ino` with enum open_flags `flags` by `client`. 0 or -ENOMEM. */
int session_open(struct shard *shard, uint64_t client, uint64_t ino, uint32_t flags);
/* Whether the client has something open here. */
bool session_has_open(const struct shard *shard, uint64_t client);
/* Whether it has that, opened with such flags. */
bool session_is_open(const struct shard *shard,
                     uint64_t client,
                     uint64_t ino,
                     uint32_t flags);
/* What was open before a restart. 0 or -ENOMEM. */
int session_open_restore(struct shard *shard,
                         uint64_t client,
                         uint64_t ino,
                         const struct store_open *open);
/* The reverse, with the same flags; -EBADF if that client has no such open. */
int session_close(struct shard *shard, uint64_t client, uint64_t ino, uint32_t flags);
/* Takes an open off the inode's counts alone, for a session that is being ended. */
void session_inode_drop(struct shard *shard, uint64_t ino, uint32_t flags);
/* NULL: nobody has it open. */
const struct open_inode *session_inode(const struct shard *shard, uint64_t ino);

/* In a transaction: something of the client is about to be stored. 0 or -errno. */
int session_note_state(struct shard *shard, uint64_t client);

/* Requests of this client are passed on to other targets: they must hear of its end. */
int session_note_forward(struct shard *shard, uint64_t client);

/* The number of the last request whose answer is stored for the client's slot; 0. */
uint64_t session_reply_get(const struct shard *shard, uint64_t client, uint16_t slot);
/* 0 or -ENOMEM */
int session_reply_set(struct shard *shard,
                      uint64_t client,
                      uint16_t slot,
                      uint64_t request);

/* The client is gone: closes what it had open, frees its locks, tells the others. */
void session_client_gone(struct shard *shard, uint64_t client);

/* Frees all tables, at the end of the shard. */
void session_fini(struct shard *shard);

#endif

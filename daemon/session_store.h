/* SPDX-License-Identifier: Apache-2.0
 *
 * What a restarted shard knows of its clients: it is stored with the changes that make
 * it, and loaded before the first request.
 */
#ifndef BENCHFS_DAEMON_SESSION_STORE_H
#define BENCHFS_DAEMON_SESSION_STORE_H

#include "daemon/session.h"

/* In a transaction: stores who the client is, if that is not stored yet. */
int session_store_client(struct shard *shard, struct session *session);
int session_store_open(struct shard *shard,
                       const struct session *session,
                       uint64_t ino,
                       const struct store_open *open);
/* In a transaction: removes all of the session but its opens. */
void session_store_remove(struct shard *shard, const struct session *session);

/* In a transaction, before the shard runs: makes the sessions. 0 or -errno. */
int session_store_load(struct shard *shard);

#endif

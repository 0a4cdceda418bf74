/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether clients without a connection live. A connection that breaks is no end of a
 * client: the network may be down, the server may have been restarted, or have wanted
 * the connection for another. A process of this node lives as long as the kernel says
 * so; for one of another node, that node's daemon is asked; and who belongs to a node
 * that can't be reached for longer than a lease is given up.
 */
#ifndef BENCHFS_DAEMON_WATCH_H
#define BENCHFS_DAEMON_WATCH_H

#include "daemon/op.h"

void watch_init(struct shard *shard);
/* From now on the session is looked after, until watch_forget() or it ends. */
void watch_add(struct shard *shard, struct session *session);
void watch_forget(struct session *session);

/* Whether this shard knows the client of its node to live. */
bool watch_is_alive(struct shard *shard, uint64_t client);

#endif

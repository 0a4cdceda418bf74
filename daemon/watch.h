/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether clients live that say nothing. A connection that breaks is no end of a
 * client: the network may be down, the server may have been restarted, or have wanted
 * the connection for another. A process of this node lives as long as the kernel says
 * so; for one of another node, that node's daemon is asked; and who belongs to a node
 * that can't be reached for longer than a lease is given up.
 *
 * Nor is a connection a sign of life: that nobody is behind it any more is noticed by
 * the transport late, or never. So the nodes of clients that have something open and
 * have said nothing for half a request timeout are asked too. One that does not answer
 * for a whole one loses its clients' connections.
 */
#ifndef BENCHFS_DAEMON_WATCH_H
#define BENCHFS_DAEMON_WATCH_H

#include "daemon/op.h"

void watch_init(struct shard *shard);
/* From now on the session is looked after, until watch_forget() or it ends: it has no
 * connection any more, or it has one, and something open. */
void watch_add(struct shard *shard, struct session *session);
void watch_add_connected(struct shard *shard, struct session *session);
void watch_forget(struct session *session);

/* Whether this shard knows the client of its node to live. */
bool watch_is_alive(struct shard *shard, uint64_t client);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * Space of deleted data goes back to the node: memory that a job's program can have, or
 * disk that others can. Not at once, since what is written next would need it again:
 * what was free for some seconds, less a reserve, is given back bit by bit, so that
 * requests do not wait for it.
 */
#ifndef BENCHFS_DAEMON_TRIM_H
#define BENCHFS_DAEMON_TRIM_H

struct shard;

void trim_init(struct shard *shard);
/* After each batch; costs next to nothing while there is nothing to do. */
void trim_progress(struct shard *shard);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests that must be applied once (OP_ONCE), although a client that has lost its
 * connection sends them again. The answer of the last one of each of a client's slots
 * is stored in the transaction that has its effect, so the daemon recognises a repeated
 * one also after its own restart. Only successful ones are stored: one that failed has
 * changed nothing, and running it again is as good an answer as the first.
 */
#ifndef BENCHFS_DAEMON_REPLAY_H
#define BENCHFS_DAEMON_REPLAY_H

#include "daemon/op.h"

/* Before a request is run. True: it has been taken care of, that is answered as before,
 * refused, or attached to the same request that is still running. */
bool replay_take(struct shard *shard, struct rpc_request *request);
/* The op is about to run. 0 or -ENOMEM, then it must not. */
int replay_start(struct op *op);
/* Within the transaction that decides it: stores the answer, as op->body is now. Once;
 * op_finish() does it for those that have not. 0 or -errno. */
int replay_record(struct op *op);
/* After the commit, before the op's reply: answers whoever asked again meanwhile. */
void replay_end(struct op *op);

/* What clients have got as answers before the shard was restarted. 0 or -errno. */
int replay_load(struct shard *shard);
/* In a transaction: the client is gone and asks no more. */
void replay_client_gone(struct shard *shard, uint64_t client);

#endif

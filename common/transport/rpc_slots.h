/* SPDX-License-Identifier: Apache-2.0
 *
 * The slots of one client at one target: small numbers, each in use by one request at a
 * time that must be applied once (OP_ONCE). A server remembers the last such request of
 * each slot, so what it has to remember is bounded by what a client does at once. The
 * method is that of NFSv4.1 sessions (RFC 8881, section 2.10.6).
 */
#ifndef BENCHFS_TRANSPORT_RPC_SLOTS_H
#define BENCHFS_TRANSPORT_RPC_SLOTS_H

#include <stdint.h>

#include "proto/wire.h"

struct rpc_slots {
    uint64_t used[WIRE_SLOT_MAX / 64]; /* bit s - 1: slot s */
};

/* A slot for a request of this operation, from *slots, which is made when it is NULL
 * (and the caller's to free). *ret_slot 0: it needs none. -ENOMEM; -EAGAIN: all are in
 * use. */
int rpc_slot_assign(struct rpc_slots **slots, uint16_t opcode, uint16_t *ret_slot);

/* The lowest free slot, 1 to WIRE_SLOT_MAX; 0: all are in use. */
uint16_t rpc_slot_take(struct rpc_slots *slots);
/* One that was taken. */
void rpc_slot_give(struct rpc_slots *slots, uint16_t slot);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/rpc_slots.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "proto/ops.h"

#define WORD_BITS 64u

int rpc_slot_assign(struct rpc_slots **slots, uint16_t opcode, uint16_t *ret_slot)
{
    uint16_t slot;

    *ret_slot = 0;
    if (!(op_find(opcode)->flags & OP_ONCE))
        return 0;
    if (!*slots)
        *slots = calloc(1, sizeof(**slots));
    if (!*slots)
        return -ENOMEM;
    slot = rpc_slot_take(*slots);
    if (!slot)
        return -EAGAIN;
    *ret_slot = slot;
    return 0;
}

uint16_t rpc_slot_take(struct rpc_slots *slots)
{
    for (unsigned i = 0; i < WIRE_SLOT_MAX / WORD_BITS; i++) {
        unsigned bit;

        if (slots->used[i] == UINT64_MAX)
            continue;
        bit = (unsigned)__builtin_ctzll(~slots->used[i]);
        slots->used[i] |= UINT64_C(1) << bit;
        return (uint16_t)(i * WORD_BITS + bit + 1);
    }
    return 0;
}

void rpc_slot_give(struct rpc_slots *slots, uint16_t slot)
{
    unsigned bit = (slot - 1u) % WORD_BITS;
    uint64_t *word = &slots->used[(slot - 1u) / WORD_BITS];

    assert(slot > 0 && slot <= WIRE_SLOT_MAX && (*word >> bit & 1));
    *word &= ~(UINT64_C(1) << bit);
}

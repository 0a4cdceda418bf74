/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/rpc_slots.h"

#include <assert.h>

#define WORD_BITS 64u

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

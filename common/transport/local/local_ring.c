/* SPDX-License-Identifier: Apache-2.0
 *
 * The ring. Stores and loads of positions are seq_cst because each is half of a
 * "publish, then look whether the other sleeps" pair.
 */
#include "transport/local/local_ring.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

void local_ring_out_init(struct local_ring_out *ring,
                         const struct local_region *region,
                         enum local_role role)
{
    *ring = (struct local_ring_out){
        .data = region->rings[role],
        .shared_tail = &region->control->sides[role].tail,
        .shared_head = &region->control->sides[!role].head,
    };
}

void local_ring_in_init(struct local_ring_in *ring,
                        const struct local_region *region,
                        enum local_role role)
{
    *ring = (struct local_ring_in){
        .data = region->rings[!role],
        .shared_tail = &region->control->sides[!role].tail,
        .shared_head = &region->control->sides[role].head,
    };
}

/* 0 when `need` bytes are free. */
static int ring_check_space(struct local_ring_out *ring, size_t need)
{
    if (ring->tail - ring->head + need <= LOCAL_RING_SIZE)
        return 0;
    ring->head = atomic_load(ring->shared_head);
    if (ring->tail - ring->head > LOCAL_RING_SIZE)
        return -EPROTO;
    return ring->tail - ring->head + need <= LOCAL_RING_SIZE ? 0 : -EAGAIN;
}

int local_ring_reserve(struct local_ring_out *ring, size_t size, uint8_t **ret_place)
{
    size_t position = ring->tail % LOCAL_RING_SIZE;
    size_t to_end = LOCAL_RING_SIZE - position;
    int rc;

    assert(size % LOCAL_LINE == 0 && size <= LOCAL_RECORD_MAX);
    rc = ring_check_space(ring, to_end < size ? to_end + size : size);
    if (rc)
        return rc;
    if (to_end < size) {
        struct local_record filler = {.size = (uint32_t)to_end,
                                      .kind = LOCAL_RECORD_FILLER};

        memcpy(ring->data + position, &filler, sizeof(filler));
        ring->tail += to_end;
        position = 0;
    }
    *ret_place = ring->data + position;
    return 0;
}

void local_ring_publish(struct local_ring_out *ring, size_t size)
{
    ring->tail += size;
    atomic_store(ring->shared_tail, ring->tail);
}

bool local_ring_has_record(const struct local_ring_in *ring)
{
    return atomic_load(ring->shared_tail) != ring->head;
}

int local_ring_next(struct local_ring_in *ring,
                    struct local_record *ret_record,
                    const uint8_t **ret_place)
{
    for (;;) {
        size_t position = ring->head % LOCAL_RING_SIZE;
        uint64_t available;

        if (ring->tail == ring->head)
            ring->tail = atomic_load_explicit(ring->shared_tail, memory_order_acquire);
        available = ring->tail - ring->head;
        if (available == 0)
            return 0;
        if (available > LOCAL_RING_SIZE || available % LOCAL_LINE)
            return -EPROTO;
        memcpy(ret_record, ring->data + position, sizeof(*ret_record));
        if (ret_record->size < LOCAL_LINE || ret_record->size % LOCAL_LINE
            || ret_record->size > available
            || ret_record->size > LOCAL_RING_SIZE - position)
            return -EPROTO;
        if (ret_record->kind == LOCAL_RECORD_MESSAGE) {
            *ret_place = ring->data + position;
            return 1;
        }
        if (ret_record->kind != LOCAL_RECORD_FILLER)
            return -EPROTO;
        ring->head += ret_record->size;
    }
}

void local_ring_skip(struct local_ring_in *ring, const struct local_record *record)
{
    ring->head += record->size;
}

void local_ring_give_back(struct local_ring_in *ring)
{
    atomic_store(ring->shared_head, ring->head);
}

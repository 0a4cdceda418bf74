/* SPDX-License-Identifier: Apache-2.0
 *
 * A ring of records of any length, one writer, one reader, in shared memory. Positions
 * count bytes and never wrap; a record lies in one piece and begins on a cache line.
 */
#ifndef BENCHFS_TRANSPORT_LOCAL_RING_H
#define BENCHFS_TRANSPORT_LOCAL_RING_H

#include <stdbool.h>

#include "proto/wire.h"
#include "transport/local/local_region.h"

#define LOCAL_LINE 64u

enum local_record_kind {
    LOCAL_RECORD_FILLER = 1, /* up to the end of the ring */
    LOCAL_RECORD_MESSAGE = 2,
};

enum local_payload {
    LOCAL_PAYLOAD_NONE = 0,
    LOCAL_PAYLOAD_INLINE = 1, /* in the record */
    LOCAL_PAYLOAD_DIRECT =
        2, /* spans are addresses of the client; guarded by the gate */
    LOCAL_PAYLOAD_BOUNCE = 3, /* one span, an offset into the bounce area */
    LOCAL_PAYLOAD_PLACED = 4, /* replies: it is where the request said */
};

/* Head of a record. Then: wire header, spans (payload's, then space's), body, inline
 * payload, padding to a cache line. */
struct local_record {
    uint32_t size; /* of the whole record, a multiple of LOCAL_LINE */
    uint8_t kind;
    uint8_t payload_mode;
    uint8_t space_mode; /* requests: for replies too long to be inline */
    uint8_t reserved;
    uint16_t n_payload; /* spans */
    uint16_t n_space;
    uint32_t gate;      /* index */
    uint64_t gate_word; /* 0: none */
    uint64_t payload_len;
    uint32_t body_len;
    uint32_t reserved2[7];
};
_Static_assert(sizeof(struct local_record) == LOCAL_LINE, "one line");

struct local_span {
    uint64_t address;
    uint64_t length;
};

/* The longest record: everything at its limit. */
#define LOCAL_RECORD_MAX                                                               \
    (LOCAL_LINE + WIRE_HEADER_SIZE + 2 * LOCAL_SPANS_MAX * sizeof(struct local_span)   \
     + WIRE_BODY_MAX + LOCAL_INLINE_MAX + LOCAL_LINE)
_Static_assert(2 * LOCAL_RECORD_MAX < LOCAL_RING_SIZE, "always fits an empty ring");

struct local_ring_out {
    uint8_t *data;
    _Atomic uint64_t *shared_tail;
    const _Atomic uint64_t *shared_head;
    uint64_t tail;
    uint64_t head; /* last seen */
};

struct local_ring_in {
    const uint8_t *data;
    const _Atomic uint64_t *shared_tail;
    _Atomic uint64_t *shared_head;
    uint64_t tail; /* last seen */
    uint64_t head;
};

void local_ring_out_init(struct local_ring_out *ring,
                         const struct local_region *region,
                         enum local_role role);
void local_ring_in_init(struct local_ring_in *ring,
                        const struct local_region *region,
                        enum local_role role);

/* Room for a record of `size` bytes (a multiple of LOCAL_LINE, at most
 * LOCAL_RECORD_MAX): 0, -EAGAIN (full), -EPROTO (the reader's position is nonsense). */
int local_ring_reserve(struct local_ring_out *ring, size_t size, uint8_t **ret_place);
/* Makes the reserved record visible. */
void local_ring_publish(struct local_ring_out *ring, size_t size);

/* The next record: 1 (its head copied to *ret_record, checked against what is there),
 * 0 (none) or -EPROTO. */
int local_ring_next(struct local_ring_in *ring,
                    struct local_record *ret_record,
                    const uint8_t **ret_place);
/* Steps over it; the writer learns with local_ring_give_back(). */
void local_ring_skip(struct local_ring_in *ring, const struct local_record *record);
void local_ring_give_back(struct local_ring_in *ring);
bool local_ring_has_record(const struct local_ring_in *ring);

#endif

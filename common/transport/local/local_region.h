/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory that both ends of a node-local connection map: two rings, the gates, a
 * bounce area. Made and sealed by the server. Either end may be broken or hostile: what
 * is read here is copied once, then checked, and nobody can shrink the file.
 */
#ifndef BENCHFS_TRANSPORT_LOCAL_REGION_H
#define BENCHFS_TRANSPORT_LOCAL_REGION_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define LOCAL_MAGIC       0x4c534642u /* "BFSL" */
#define LOCAL_VERSION     1u          /* of the handshake and of everything here */
#define LOCAL_RING_SIZE   (256u << 10)
#define LOCAL_BOUNCE_UNIT (64u << 10)
#define LOCAL_BOUNCE_SIZE (68u << 20) /* the largest payload and some small ones */
#define LOCAL_GATES       256u
#define LOCAL_INLINE_MAX  (16u << 10) /* payload that travels in the ring */
#define LOCAL_SPANS_MAX   64u         /* address ranges of one payload */

enum local_role {
    LOCAL_CLIENT = 0,
    LOCAL_SERVER = 1,
};

/* What one end writes. The other end clears the two flags when it rings. */
struct local_side {
    _Alignas(64) _Atomic uint64_t tail; /* bytes put into its own ring */
    _Alignas(64) _Atomic uint64_t head; /* bytes taken from the other's ring */
    _Alignas(64) _Atomic uint32_t sleeps;
    _Atomic uint32_t wants_space;
};

struct local_control {
    struct local_side sides[2]; /* by enum local_role */
    _Alignas(64) _Atomic uint64_t gates[LOCAL_GATES];
};

struct local_region {
    uint8_t *base; /* NULL: not mapped */
    struct local_control *control;
    uint8_t *rings[2]; /* by who fills it */
    uint8_t *bounce;
};

/* Return 0 or -errno. The descriptor (close-on-exec) is the caller's; the mapping does
 * not need it. */
int local_region_create(struct local_region *region, int *ret_fd);
/* Refuses a file of another size or one that could shrink (-EPROTO). */
int local_region_map(struct local_region *region, int fd);
void local_region_unmap(struct local_region *region);

/*
 * A gate guards the client's memory: the server may touch what a request names only
 * while it has claimed the request's gate, and the client revokes the gate when it
 * gives up. Word: generation << 2 | state, so that an old request never opens for a new
 * one.
 */
enum local_gate_state {
    LOCAL_GATE_FREE = 0,
    LOCAL_GATE_OPEN = 1,
    LOCAL_GATE_BUSY = 2,
};

/* Server. `word` as in the request (state OPEN). False: revoked. */
static inline _Bool local_gate_claim(_Atomic uint64_t *gate, uint64_t word)
{
    uint64_t busy = (word & ~UINT64_C(3)) | LOCAL_GATE_BUSY;

    return atomic_compare_exchange_strong(gate, &word, busy);
}

static inline void local_gate_unclaim(_Atomic uint64_t *gate, uint64_t word)
{
    uint64_t busy = (word & ~UINT64_C(3)) | LOCAL_GATE_BUSY;

    (void)atomic_compare_exchange_strong(gate, &busy, word);
}

/* Client: opens it with a new generation; the word for the request. */
static inline uint64_t local_gate_open(_Atomic uint64_t *gate, uint64_t generation)
{
    uint64_t word = generation << 2 | LOCAL_GATE_OPEN;

    atomic_store(gate, word);
    return word;
}

/* Client: false while the server is moving data. */
static inline _Bool local_gate_revoke(_Atomic uint64_t *gate, uint64_t word)
{
    uint64_t seen = word;
    uint64_t busy = (word & ~UINT64_C(3)) | LOCAL_GATE_BUSY;

    return atomic_compare_exchange_strong(gate, &seen, word & ~UINT64_C(3))
           || seen != busy;
}

#endif

/* SPDX-License-Identifier: Apache-2.0
 * The only place that sees xxhash, which is used from its header and not linked. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/hash.h"

_Static_assert(sizeof(XXH3_state_t) <= sizeof(((struct hash_stream *)0)->state),
               "hash_stream is too small for this version of xxhash");
_Static_assert(_Alignof(XXH3_state_t) <= _Alignof(struct hash_stream),
               "hash_stream is not aligned enough");
_Static_assert(XXH_VERSION_NUMBER >= 800, "XXH3 is stable since xxhash 0.8.0");

static XXH3_state_t *stream_state(struct hash_stream *stream)
{
    return (XXH3_state_t *)(void *)stream->state;
}

uint64_t hash_bytes(uint64_t seed, const void *data, size_t size)
{
    return XXH3_64bits_withSeed(data, size, seed);
}

void hash_stream_init(struct hash_stream *stream, uint64_t seed)
{
    XXH3_state_t *state = stream_state(stream);

    XXH3_INITSTATE(state);
    XXH3_64bits_reset_withSeed(state, seed);
}

void hash_stream_update(struct hash_stream *stream, const void *data, size_t size)
{
    XXH3_64bits_update(stream_state(stream), data, size);
}

uint64_t hash_stream_value(const struct hash_stream *stream)
{
    return XXH3_64bits_digest((const XXH3_state_t *)(const void *)stream->state);
}

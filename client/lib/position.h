/* SPDX-License-Identifier: Apache-2.0
 *
 * Positions in a directory that is spread over targets. With 32768 targets or more a
 * position is negative as an off_t; Linux passes it on unchanged all the same.
 */
#ifndef BENCHFS_CLIENT_POSITION_H
#define BENCHFS_CLIENT_POSITION_H

#include <stdint.h>

#define POSITION_COOKIE_BITS 48
#define POSITION_COOKIE_MAX  ((UINT64_C(1) << POSITION_COOKIE_BITS) - 1)

/* cookie: 0 (before the target's first entry) to POSITION_COOKIE_MAX. */
static inline uint64_t position_make(uint32_t target, uint64_t cookie)
{
    return (uint64_t)target << POSITION_COOKIE_BITS | cookie;
}

static inline uint32_t position_target(uint64_t position)
{
    return (uint32_t)(position >> POSITION_COOKIE_BITS);
}

static inline uint64_t position_cookie(uint64_t position)
{
    return position & POSITION_COOKIE_MAX;
}

#endif

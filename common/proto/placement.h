/* SPDX-License-Identifier: Apache-2.0
 *
 * Where things live: pure functions of inode numbers, names and the number of targets,
 * the same in every client and daemon of a service.
 */
#ifndef BENCHFS_PROTO_PLACEMENT_H
#define BENCHFS_PROTO_PLACEMENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "proto/wire.h"

#define PLACEMENT_ROOT_INO    1ull
#define PLACEMENT_TARGET_BITS 16
#define PLACEMENT_TARGETS_MAX 65535u

/* The inode number of sequence number `seq` (>= 1, < 2^48) homed on `target`. */
static inline uint64_t placement_ino(uint64_t seq, uint32_t target)
{
    return seq << PLACEMENT_TARGET_BITS | target;
}

/* The target that has the inode. */
static inline uint32_t placement_home(uint64_t ino)
{
    return ino == PLACEMENT_ROOT_INO
               ? 0
               : (uint32_t)(ino & ((1u << PLACEMENT_TARGET_BITS) - 1));
}

/* The target that has the entry `name` of directory `parent`. */
static inline uint32_t placement_dentry_target(uint64_t parent,
                                               const char *name,
                                               size_t len,
                                               uint32_t n_targets)
{
    return (uint32_t)(hash_bytes(parent, name, len) % n_targets);
}

/* The target that has chunk number `chunk` of a file with this layout and base. */
static inline uint32_t placement_chunk_target(uint8_t layout,
                                              uint32_t base,
                                              uint64_t chunk,
                                              uint32_t n_targets)
{
    return layout == LAYOUT_LOCAL ? base : (uint32_t)((base + chunk) % n_targets);
}

#endif

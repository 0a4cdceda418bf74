/* SPDX-License-Identifier: Apache-2.0
 *
 * The operations of the protocol: numbers, names and what the transport checks of them.
 */
#ifndef BENCHFS_PROTO_OPS_H
#define BENCHFS_PROTO_OPS_H

#include <stdint.h>

#define OP(number, name, request, reply, flags) OP_##name = (number),
enum opcode {
#include "proto/ops.def"
    OP_COUNT = 96, /* one more than the highest number */
};
#undef OP

/* Longest piece of a COPY: its target has room for that many bytes of each at hand. */
#define COPY_PIECE_MAX (4u << 20)

enum op_flags {
    OP_UNAUTHENTICATED = 1 << 0, /* allowed before the connection is authenticated */
    OP_CHANGES = 1 << 1,         /* changes state */
    OP_PEER = 1 << 2,            /* from daemons only */
    OP_REQUEST_PAYLOAD = 1 << 3, /* the request may carry bulk bytes */
    OP_REPLY_PAYLOAD = 1 << 4,   /* the reply may carry bulk bytes */
    OP_NO_RESEND = 1 << 6,       /* not sent again when its connection breaks */
    OP_ONCE = 1 << 7,            /* repeating it is not the same as doing it once */
    OP_ANY_TARGET = 1 << 5,      /* answered by whoever gets it, never passed on */
    OP_ORDERED = 1 << 8,         /* must not be done after later requests */
};

struct op_info {
    const char *name; /* "CREATE" */
    uint32_t flags;
    uint32_t request_max; /* longest body in bytes */
    uint32_t reply_max;
};

/* NULL for numbers that are no operation. */
const struct op_info *op_find(uint16_t opcode);

#endif

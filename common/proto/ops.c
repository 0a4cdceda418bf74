/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/ops.h"

#include <stddef.h>

#include "proto/messages.h"

#define OP(number, op_name, request, reply, op_flags)                                  \
    [number] = {.name = #op_name,                                                      \
                .flags = (op_flags),                                                   \
                .request_max = MSG_##request##_MAX,                                    \
                .reply_max = MSG_##reply##_MAX},
static const struct op_info op_infos[OP_COUNT] = {
#include "proto/ops.def"
};
#undef OP

const struct op_info *op_find(uint16_t opcode)
{
    if (opcode >= OP_COUNT || !op_infos[opcode].name)
        return NULL;
    return &op_infos[opcode];
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "proto/ops.h"
#include "proto/wire.h"

static void rows_are_found_by_number(void **state)
{
    (void)state;
    assert_string_equal(op_find(OP_CREATE)->name, "CREATE");
    assert_true(op_find(OP_CREATE)->flags & OP_CHANGES);
    assert_true(op_find(OP_HELLO)->flags & OP_UNAUTHENTICATED);
    assert_null(op_find(0));
    assert_null(op_find(OP_COUNT));
    assert_null(op_find(UINT16_MAX));
}

static void only_the_handshake_needs_no_authentication(void **state)
{
    (void)state;
    for (unsigned i = 0; i < OP_COUNT; i++) {
        const struct op_info *info = op_find(i);

        if (info && (info->flags & OP_UNAUTHENTICATED))
            assert_true(i == OP_HELLO || i == OP_AUTH);
        if (info)
            assert_true(info->request_max <= WIRE_BODY_MAX
                        && info->reply_max <= WIRE_BODY_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_found_by_number),
        cmocka_unit_test(only_the_handshake_needs_no_authentication),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

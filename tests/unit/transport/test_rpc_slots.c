/* SPDX-License-Identifier: Apache-2.0
 * Slots of requests that must be applied once. */
#include "unit.h"

#include "proto/ops.h"
#include "transport/rpc_slots.h"

static void test_take_and_give(void **state)
{
    struct rpc_slots slots = {.used = {0}};

    (void)state;
    for (unsigned i = 1; i <= WIRE_SLOT_MAX; i++)
        assert_int_equal(rpc_slot_take(&slots), i);
    assert_int_equal(rpc_slot_take(&slots), 0);
    rpc_slot_give(&slots, 700);
    rpc_slot_give(&slots, 64);
    rpc_slot_give(&slots, WIRE_SLOT_MAX);
    assert_int_equal(rpc_slot_take(&slots), 64);
    assert_int_equal(rpc_slot_take(&slots), 700);
    assert_int_equal(rpc_slot_take(&slots), WIRE_SLOT_MAX);
    assert_int_equal(rpc_slot_take(&slots), 0);
}

static void test_assign(void **state)
{
    struct rpc_slots *slots = NULL;
    uint16_t slot = 99;

    (void)state;
    assert_int_equal(rpc_slot_assign(&slots, OP_LOOKUP, &slot), 0);
    assert_int_equal(slot, 0);
    assert_null(slots);
    for (unsigned i = 1; i <= WIRE_SLOT_MAX; i++) {
        assert_int_equal(rpc_slot_assign(&slots, OP_CREATE, &slot), 0);
        assert_int_equal(slot, i);
    }
    assert_int_equal(rpc_slot_assign(&slots, OP_CREATE, &slot), -EAGAIN);
    assert_int_equal(slot, 0);
    free(slots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_take_and_give),
        cmocka_unit_test(test_assign),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

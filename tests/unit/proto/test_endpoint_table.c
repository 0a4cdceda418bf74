/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "proto/endpoint_table.h"

static struct endpoint sample_endpoint(uint32_t node, uint32_t shard)
{
    static uint8_t address[] = {1, 2, 3, 4, 5};
    static char host_name[] = "n1";
    static char local_path[] = "/run/benchfs/1/shard-0.sock";

    return (struct endpoint){
        .node = node,
        .shard = shard,
        .instance = 7,
        .host = 99,
        .host_name = host_name,
        .local_path = local_path,
        .socket_address = address,
        .socket_address_len = 4,
        .worker_address = address,
        .worker_address_len = sizeof(address),
    };
}

static void encode_sample(struct bytes *out)
{
    struct endpoint endpoints[] = {sample_endpoint(0, 0), sample_endpoint(1, 0)};
    struct endpoint_table table = {
        .job = "1234",
        .uid = 1000,
        .gid = 100,
        .n_nodes = 2,
        .chunk_size = 1 << 20,
        .connection_mode = CONNECTION_ADDRESS,
        .request_timeout_ms = 30000,
        .connect_timeout_ms = 10000,
        .n_endpoints = 2,
        .endpoints = endpoints,
    };

    assert_int_equal(endpoint_table_encode(&table, out), 0);
}

static void table_comes_back_the_same(void **state)
{
    struct bytes out = BYTES_INIT(1 << 20);
    struct endpoint_table back;
    struct benchfs_error err;

    (void)state;
    encode_sample(&out);
    assert_int_equal(endpoint_table_decode(&back, out.data, out.size, &err), 0);
    assert_string_equal(back.job, "1234");
    assert_int_equal(back.uid, 1000);
    assert_int_equal(back.n_nodes, 2);
    assert_int_equal(back.chunk_size, 1 << 20);
    assert_int_equal(back.connection_mode, CONNECTION_ADDRESS);
    assert_int_equal(back.n_endpoints, 2);
    assert_int_equal(back.endpoints[1].node, 1);
    assert_string_equal(back.endpoints[1].local_path, "/run/benchfs/1/shard-0.sock");
    assert_int_equal(back.endpoints[1].worker_address_len, 5);
    assert_int_equal(back.endpoints[1].worker_address[4], 5);
    endpoint_table_fini(&back);
    bytes_fini(&out);
}

static void cut_and_broken_tables_are_refused(void **state)
{
    struct bytes out = BYTES_INIT(1 << 20);
    struct endpoint_table back;
    struct benchfs_error err;
    uint8_t *copy;

    (void)state;
    encode_sample(&out);
    copy = malloc(out.size);
    assert_non_null(copy);
    for (size_t len = 0; len < out.size; len++) {
        memcpy(copy, out.data, len);
        assert_true(endpoint_table_decode(&back, copy, len, &err) < 0);
    }
    memcpy(copy, out.data, out.size);
    copy[4] = 9;
    assert_int_equal(endpoint_table_decode(&back, copy, out.size, &err),
                     -EPROTONOSUPPORT);
    free(copy);
    bytes_fini(&out);
}

static void record_comes_back_the_same(void **state)
{
    struct endpoint endpoints[] = {sample_endpoint(3, 0), sample_endpoint(3, 1)};
    struct bytes out = BYTES_INIT(1 << 20);
    struct benchfs_error err;
    struct endpoint *back;
    uint32_t n;

    (void)state;
    assert_int_equal(endpoint_record_encode(endpoints, 2, &out), 0);
    assert_int_equal(endpoint_record_decode(&back, &n, out.data, out.size, &err), 0);
    assert_int_equal(n, 2);
    assert_int_equal(back[1].shard, 1);
    assert_string_equal(back[0].host_name, "n1");
    endpoint_list_free(back, n);
    assert_true(endpoint_record_decode(&back, &n, out.data, out.size - 1, &err) < 0);
    bytes_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_comes_back_the_same),
        cmocka_unit_test(cut_and_broken_tables_are_refused),
        cmocka_unit_test(record_comes_back_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

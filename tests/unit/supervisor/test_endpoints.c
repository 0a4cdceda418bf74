/* SPDX-License-Identifier: Apache-2.0
 * The endpoint table out of the nodes' records. */
#include "unit.h"

#include <unistd.h>

#include "proto/endpoint_table.h"
#include "supervisor/endpoints.h"

#define N_NODES  3
#define N_SHARDS 2

struct records {
    struct bytes encoded[N_NODES];
    struct round_record items[N_NODES];
    struct round_result result;
};

static void
records_make(struct records *records, uint32_t wrong_node, uint32_t n_shards)
{
    for (uint32_t node = 0; node < N_NODES; node++) {
        struct endpoint endpoints[N_SHARDS + 1];
        char host[16], path[32];

        snprintf(host, sizeof(host), "n%u", node);
        snprintf(path, sizeof(path), "/run/%u", node);
        for (uint32_t i = 0; i < n_shards; i++)
            endpoints[i] = (struct endpoint){
                .node = node == wrong_node ? node + 1 : node,
                .shard = i,
                .instance = 100 + node,
                .host_name = host,
                .local_path = path,
            };
        bytes_init(&records->encoded[node], 65536);
        assert_int_equal(
            endpoint_record_encode(endpoints, n_shards, &records->encoded[node]), 0);
        records->items[node] = (struct round_record){
            .verdict = ROUND_OK,
            .data = records->encoded[node].data,
            .len = records->encoded[node].size,
        };
    }
    records->result = (struct round_result){.n = N_NODES, .records = records->items};
}

static void records_free(struct records *records)
{
    for (uint32_t node = 0; node < N_NODES; node++)
        bytes_fini(&records->encoded[node]);
}

static int build(struct records *records, struct bytes *out, struct benchfs_error *err)
{
    struct benchfs_config *config;
    int rc;

    assert_int_equal(config_default(&config, err), 0);
    rc = endpoints_table_build(config, "42", N_SHARDS, &records->result, out, err);
    config_destroy(config);
    return rc;
}

static void test_build(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct bytes out = BYTES_INIT(1 << 20);
    struct endpoint_table table;
    struct records records;

    (void)state;
    records_make(&records, N_NODES, N_SHARDS);
    assert_int_equal(build(&records, &out, &err), 0);
    assert_int_equal(endpoint_table_decode(&table, out.data, out.size, &err), 0);
    assert_string_equal(table.job, "42");
    assert_int_equal(table.uid, geteuid());
    assert_int_equal(table.n_nodes, N_NODES);
    assert_int_equal(table.n_endpoints, N_NODES * N_SHARDS);
    for (uint32_t t = 0; t < table.n_endpoints; t++) {
        assert_int_equal(table.endpoints[t].node, t / N_SHARDS);
        assert_int_equal(table.endpoints[t].shard, t % N_SHARDS);
        assert_int_equal(table.endpoints[t].instance, 100 + t / N_SHARDS);
    }
    endpoint_table_fini(&table);
    bytes_fini(&out);
    records_free(&records);
}

static void test_bad_records(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct bytes out = BYTES_INIT(1 << 20);
    struct records records;

    (void)state;
    records_make(&records, 1, N_SHARDS);
    assert_int_equal(build(&records, &out, &err), -EPROTO);
    assert_non_null(strstr(err.text, "node 1"));
    records_free(&records);

    records_make(&records, N_NODES, N_SHARDS + 1);
    assert_int_equal(build(&records, &out, &err), -EPROTO);
    assert_non_null(strstr(err.text, "3 shards, not 2"));
    records_free(&records);

    records_make(&records, N_NODES, N_SHARDS);
    records.items[2].len--;
    assert_true(build(&records, &out, &err) < 0);
    records_free(&records);
    bytes_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_build),
        cmocka_unit_test(test_bad_records),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * The endpoint table as JSON. With --print it only prints an example, for the schema.
 */
#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "cli/table_json.h"

static struct sockaddr_in v4;
static struct sockaddr_in6 v6;
static char host[] = "n1", path[] = "/run/benchfs/7/shard-0.sock";
static uint8_t worker[] = {0x00, 0xab, 0xff};

static struct json *example_make(void)
{
    struct endpoint endpoints[] = {
        {
            .instance = 1,
            .host = UINT64_MAX,
            .host_name = host,
            .local_path = path,
            .socket_address = (uint8_t *)&v4,
            .socket_address_len = sizeof(v4),
            .worker_address = worker,
            .worker_address_len = sizeof(worker),
        },
        {
            .node = 1,
            .host_name = host,
            .local_path = path,
            .socket_address = (uint8_t *)&v6,
            .socket_address_len = sizeof(v6),
        },
        {.node = 2, .shard = 0},
    };
    const struct endpoint_table table = {
        .job = "7",
        .n_nodes = 3,
        .chunk_size = 1 << 20,
        .n_endpoints = 3,
        .endpoints = endpoints,
    };

    v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(4711)};
    v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(1)};
    inet_pton(AF_INET, "10.0.0.1", &v4.sin_addr);
    inet_pton(AF_INET6, "fd00::1", &v6.sin6_addr);
    return table_json_make(&table);
}

static void test_fields(void **state)
{
    static const char *const wanted[] = {
        "\"job\":\"7\"",
        "\"connection_mode\":\"socket\"",
        "\"host\":\"ffffffffffffffff\"",
        "\"socket_address\":\"10.0.0.1:4711\"",
        "\"socket_address\":\"[fd00::1]:1\"",
        "\"worker_address\":\"00abff\"",
    };
    struct json *json = example_make();
    char *text;

    (void)state;
    assert_non_null(json);
    assert_int_equal(json_write(json, false, &text, NULL), 0);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        if (!strstr(text, wanted[i]))
            fail_msg("%s is not in %s", wanted[i], text);
    }
    free(text);
    json_destroy(json);
}

static int example_print(void)
{
    struct json *json = example_make();
    char *text;

    if (!json || json_write(json, true, &text, NULL))
        return 1;
    puts(text);
    free(text);
    json_destroy(json);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
    };

    if (argc > 1 && strcmp(argv[1], "--print") == 0)
        return example_print();
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * Listing a directory that is spread over targets. */
#include "client_unit.h"

#include "client/position.h"
#include "proto/placement.h"

#define FILES 30

static void populate(const struct client_unit *unit)
{
    struct msg_create_request what = {.mode = S_IFREG | 0644, .base = BASE_HOME};
    struct wire_attr attr;
    char name[16];

    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof(name), "f%d", i);
        assert_int_equal(
            client_create(unit->client, PLACEMENT_ROOT_INO, name, &what, &attr), 0);
    }
}

static void test_all_once(void **state)
{
    bool seen[FILES] = {false};
    uint64_t positions[FILES];
    int numbers[FILES];
    struct client_dirent entry;
    struct client_unit unit;
    struct client_dir *dir;

    (void)state;
    client_unit_start(&unit, 2, CLIENT_ROUTE_AUTO);
    populate(&unit);
    assert_int_equal(client_dir_open(unit.client, PLACEMENT_ROOT_INO, &dir), 0);
    for (int i = 0; i < FILES; i++) {
        assert_int_equal(client_dir_read(dir, &entry), 1);
        assert_int_equal(entry.type, S_IFREG);
        numbers[i] = (int)strtol(entry.name + 1, NULL, 10);
        assert_false(seen[numbers[i]]);
        seen[numbers[i]] = true;
        positions[i] = entry.next;
        assert_int_not_equal(entry.next, 0);
    }
    assert_int_equal(client_dir_read(dir, &entry), 0);
    assert_int_equal(client_dir_read(dir, &entry), 0);
    /* from every position, what came after it comes again */
    for (int i = 0; i + 1 < FILES; i++) {
        client_dir_seek(dir, positions[i]);
        assert_int_equal(client_dir_read(dir, &entry), 1);
        assert_int_equal(strtol(entry.name + 1, NULL, 10), numbers[i + 1]);
    }
    client_dir_seek(dir, positions[FILES - 1]);
    assert_int_equal(client_dir_read(dir, &entry), 0);
    client_dir_seek(dir, 0);
    assert_int_equal(client_dir_read(dir, &entry), 1);
    client_dir_close(dir);
    client_unit_stop(&unit);
}

/* Entries that come and go meanwhile make no other one missed or doubled. */
static void test_stable(void **state)
{
    int seen[FILES] = {0};
    struct client_dirent entry;
    struct client_unit unit;
    struct client_dir *dir;
    int status;

    (void)state;
    client_unit_start(&unit, FAKE_TARGETS, CLIENT_ROUTE_AUTO);
    populate(&unit);
    assert_int_equal(client_dir_open(unit.client, PLACEMENT_ROOT_INO, &dir), 0);
    while ((status = client_dir_read(dir, &entry)) == 1) {
        char name[16];
        int number = (int)strtol(entry.name + 1, NULL, 10);

        assert_true(number < FILES);
        seen[number]++;
        snprintf(name, sizeof(name), "f%d", number);
        assert_int_equal(client_unlink(unit.client, PLACEMENT_ROOT_INO, name), 0);
    }
    assert_int_equal(status, 0);
    for (int i = 0; i < FILES; i++)
        assert_int_equal(seen[i], 1);
    client_dir_close(dir);
    client_unit_stop(&unit);
}

static void test_empty(void **state)
{
    struct client_dirent entry;
    struct client_unit unit;
    struct client_dir *dir;

    (void)state;
    client_unit_start(&unit, FAKE_TARGETS, CLIENT_ROUTE_AUTO);
    assert_int_equal(client_dir_open(unit.client, PLACEMENT_ROOT_INO, &dir), 0);
    assert_int_equal(client_dir_read(dir, &entry), 0);
    /* a position of a target that there is not */
    client_dir_seek(dir, position_make(60000, 1));
    assert_int_equal(client_dir_read(dir, &entry), 0);
    client_dir_close(dir);
    client_dir_close(NULL);
    client_unit_stop(&unit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_once),
        cmocka_unit_test(test_stable),
        cmocka_unit_test(test_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * The job's directories: lock, remains of an earlier service, the end. */
#include "unit.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/place.h"

static struct unit_dir dir;
static char run_dir[256], store_dir[256];

static int setup(void **state)
{
    (void)state;
    unit_dir_create(&dir);
    snprintf(run_dir, sizeof(run_dir), "%s/run/7", dir.path);
    snprintf(store_dir, sizeof(store_dir), "%s/store/7", dir.path);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unit_dir_remove(&dir);
    return 0;
}

static bool exists(const char *base, const char *name)
{
    char path[512];

    snprintf(path, sizeof(path), "%s%s", base, name);
    return access(path, F_OK) == 0;
}

static void file_make(const char *base, const char *name)
{
    char path[512];

    snprintf(path, sizeof(path), "%s%s", base, name);
    assert_true(close(creat(path, 0600)) == 0);
}

static void test_life(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct place place;
    pid_t holder = 0;

    (void)state;
    assert_int_equal(place_open(&place, run_dir, store_dir, &err), 0);
    assert_int_equal(place_lock(&place, &holder, &err), 0);
    assert_int_equal(place_store_open(&place, true, &err), 0);
    file_make(run_dir, "/shard-0.sock");
    file_make(store_dir, "/stale");
    assert_int_equal(place_clear(&place, &err), 0);
    assert_false(exists(run_dir, "/shard-0.sock"));
    assert_false(exists(store_dir, "/stale"));
    assert_true(exists(run_dir, "/lock"));
    assert_int_equal(place_file_write(&place, "config.json", "{}", &err), 0);
    assert_true(exists(run_dir, "/config.json"));
    file_make(store_dir, "/data");
    place_remove(&place, true);
    place_close(&place);
    assert_false(exists(run_dir, ""));
    assert_false(exists(store_dir, ""));
    assert_false(exists(dir.path, "/run"));
    assert_false(exists(dir.path, "/store"));
}

static void test_lock_is_held(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct place first, second;
    pid_t holder = 0;

    (void)state;
    assert_int_equal(place_open(&first, run_dir, store_dir, &err), 0);
    assert_int_equal(place_lock(&first, &holder, &err), 0);
    assert_int_equal(place_open(&second, run_dir, store_dir, &err), 0);
    assert_int_equal(place_lock(&second, &holder, &err), -EBUSY);
    assert_int_equal(holder, getpid());
    /* one that did not get it removes nothing */
    place_remove(&second, true);
    assert_true(exists(run_dir, "/lock"));
    place_remove(&first, false);
    place_close(&second);
    assert_int_equal(place_open(&second, run_dir, store_dir, &err), 0);
    assert_int_equal(place_lock(&second, &holder, &err), 0);
    place_remove(&second, false);
    place_close(&first);
    place_close(&second);
}

static void test_store_is_shared(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct place first, second;
    char other[300];

    (void)state;
    snprintf(other, sizeof(other), "%s-b", run_dir);
    assert_int_equal(place_open(&first, run_dir, store_dir, &err), 0);
    assert_int_equal(place_open(&second, other, store_dir, &err), 0);
    assert_int_equal(place_store_open(&first, true, &err), 0);
    assert_true(place_store_open(&second, true, &err) < 0);
    assert_non_null(strstr(err.text, "in use by another daemon"));
    place_close(&first);
    place_close(&second);
}

static void test_errors(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct place place;
    char path[400];

    (void)state;
    snprintf(path, sizeof(path), "%s/%0120d", dir.path, 1);
    assert_int_equal(place_open(&place, path, store_dir, &err), -ENAMETOOLONG);
    place_close(&place);
    assert_int_equal(place_open(&place, run_dir, store_dir, &err), 0);
    assert_int_equal(place_store_open(&place, false, &err), -ENOENT);
    assert_non_null(strstr(err.text, "/store"));
    place_close(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_life, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lock_is_held, setup, teardown),
        cmocka_unit_test_setup_teardown(test_store_is_shared, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * Trees in, trees out, through real servers: what comes out is what went in. */
#include "stage_unit.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

/* All that must survive: type, mode, size, time, link target; then the data. */
#define COMPARE(a, b)                                                                  \
    "for d in " a " " b "; do (cd $d && find . -mindepth 1"                            \
    " -printf '%P %y %m %T@ %l' '(' -type f -printf ' %s' -o -printf '' ')'"           \
    " -printf '\\n' | LC_ALL=C sort) >$d.list; done;"                                  \
    " diff " a ".list " b ".list && diff -r --no-dereference -x '*fifo' " a " " b

#define TREE                                                                           \
    "mkdir -p in/a/b/c in/empty in/many in/locked && echo one >in/a/one &&"            \
    " : >in/a/nothing && printf '%5000s' x >in/a/b/c/deep && ln -s ../a/one in/link "  \
    "&&"                                                                               \
    " ln -s nowhere in/dangling && mkfifo in/the-fifo && chmod 640 in/a/one &&"        \
    " for i in $(seq 700); do echo $i >in/many/$i; done &&"                            \
    " head -c 3000000 /dev/urandom >in/a/medium && echo x >in/locked/x &&"             \
    " touch -d '1969-12-31 23:00:00.123456789 UTC' in/a/old &&"                        \
    " touch -d '2001-02-03 04:05:06.123456789' in/a/one in/many in/a/b &&"             \
    " touch -h -d '2002-02-03 04:05:06.5' in/link && chmod 555 in/locked &&"           \
    " chmod 4711 in/a/medium"

static struct unit_service service;

static int setup(void **state)
{
    (void)state;
    unit_service_start(&service, "report.json");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unit_shell(&service, "chmod -Rf u+w . || true");
    unit_service_stop(&service);
    return 0;
}

static void workers_start_all(void)
{
    for (unsigned i = 0; i < UNIT_NODES; i++)
        unit_workers_start(&service, i, 2);
}

static void stage_ok(enum stage_direction direction,
                     const char *source,
                     const char *target,
                     struct stage_result *ret)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;

    if (unit_stage(&service, direction, source, target, ret, &err))
        fail_msg("%s", err.text);
    assert_true(ret->is_finished);
    stage_result_fini(ret);
}

/* Into the scratch and out of it, `outside` and `scratch` being names of directories.
 */
static void round_trip(const char *in, const char *scratch, const char *out)
{
    struct stage_result result;
    char path[PATH_MAX];

    stage_ok(STAGE_IN, unit_path(&service, in, path), scratch, &result);
    stage_ok(STAGE_OUT, scratch, unit_path(&service, out, path), &result);
}

static void test_tree(void **state)
{
    (void)state;
    workers_start_all();
    unit_shell(&service, TREE);
    round_trip("in", "/job/in", "out");
    unit_shell(&service, COMPARE("in", "out"));
    unit_shell(&service, "! find out -name '*.benchfs-*' | grep -q .");
}

static void test_again_over_it(void **state)
{
    (void)state;
    workers_start_all();
    unit_shell(&service, TREE);
    round_trip("in", "/x", "out");
    unit_shell(
        &service,
        "chmod u+w in/locked out/locked && rm in/link && echo now a file >in/link"
        " && echo longer than before >in/a/one");
    round_trip("in", "/x", "out");
    unit_shell(&service, "chmod 555 out/locked in/locked");
    unit_shell(&service, COMPARE("in", "out"));
}

static void test_large_and_sparse(void **state)
{
    (void)state;
    workers_start_all();
    unit_shell(
        &service,
        "mkdir in && head -c 150000001 /dev/urandom >in/large && truncate -s 90M"
        " in/hole && echo end | dd of=in/sparse bs=1 seek=70000000 status=none &&"
        " truncate -s 80000000 in/sparse && truncate -s 1M in/small-hole &&"
        " echo x >>in/small-hole && truncate -s 2M in/small-hole &&"
        " chmod 600 in/large && touch -d '2001-02-03 04:05:06.7' in/large");
    round_trip("in", "/in", "out");
    unit_shell(&service, COMPARE("in", "out"));
    unit_shell(
        &service,
        "[ $(stat -c %b out/sparse) -lt 20000 ] && [ $(stat -c %b out/hole) -lt 100"
        " ]");
}

static void test_single_files(void **state)
{
    struct stage_result result;
    char path[PATH_MAX];

    (void)state;
    workers_start_all();
    unit_shell(&service, "mkdir in && echo 1 >in/one.dat && echo 2 >in/two.dat");
    unit_path(&service, "in/one.dat", path);
    stage_ok(STAGE_IN, path, "/d/e/renamed", &result);
    stage_ok(STAGE_IN, path, "/d/e", &result);
    stage_ok(STAGE_IN, path, "/d/new/", &result);
    unit_path(&service, "in/*.dat", path);
    stage_ok(STAGE_IN, path, "/d/glob", &result);
    stage_ok(STAGE_OUT, "/d", unit_path(&service, "out", path), &result);
    unit_shell(
        &service,
        "[ \"$(cd out && find . -type f | LC_ALL=C sort | xargs)\" ="
        " './e/one.dat ./e/renamed ./glob/one.dat ./glob/two.dat ./new/one.dat' ]");
    stage_ok(STAGE_OUT, "/d/e/renamed", unit_path(&service, "out2/x/y", path), &result);
    stage_ok(STAGE_OUT, "/d/e/renamed", unit_path(&service, "out2/x", path), &result);
    stage_ok(STAGE_OUT, "/d/*/o*.dat", unit_path(&service, "out2/g", path), &result);
    unit_shell(&service,
               "[ \"$(cd out2 && find . -type f | LC_ALL=C sort | xargs)\" ="
               " './g/one.dat ./x/renamed ./x/y' ]");
}

static void stage_fails(enum stage_direction direction,
                        const char *source,
                        const char *target,
                        const char *text)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct stage_result result;

    assert_int_equal(unit_stage(&service, direction, source, target, &result, &err),
                     -EIO);
    if (!strstr(err.text, text))
        fail_msg("\"%s\" is not in \"%s\"", text, err.text);
    assert_true(result.is_finished);
    assert_true(result.n_errors > 0);
    stage_result_fini(&result);
}

static void test_missing_source(void **state)
{
    char path[PATH_MAX];

    (void)state;
    workers_start_all();
    unit_path(&service, "nowhere", path);
    stage_fails(STAGE_IN, path, "/x", "nowhere: No such file or directory");
    unit_path(&service, "no*match", path);
    stage_fails(STAGE_IN, path, "/x", "no*match: no file matches");
    unit_path(&service, "out", path);
    stage_fails(STAGE_OUT, "/none", path, "stage-out: /none: in the scratch: No such");
    stage_fails(STAGE_OUT, "/n*", path, "/n*: no file matches");
}

/* Errors name their file, everything else is copied. */
static void test_errors(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct stage_result result;
    char path[PATH_MAX], in[PATH_MAX];

    (void)state;
    workers_start_all();
    unit_shell(
        &service,
        "mkdir -p in/d out/file out/other && echo x >in/file && echo y >in/d/y &&"
        " echo z >in/z && echo in the way >out/d");
    stage_ok(STAGE_IN, unit_path(&service, "in", in), "/in", &result);
    unit_path(&service, "out", path);
    assert_int_equal(unit_stage(&service, STAGE_OUT, "/in", path, &result, &err), -EIO);
    assert_int_equal(result.n_errors, 2);
    assert_int_equal(result.n_texts, 2);
    assert_int_equal(result.n_files, 1);
    stage_result_fini(&result);
    unit_shell(&service,
               "[ $(cat out/z) = z ] && [ -d out/file ] && [ -f out/d ] &&"
               " ! find out -name '*.benchfs-*' | grep -q .");
}

static void test_full_scratch(void **state)
{
    struct stage_result result;
    char in[PATH_MAX];

    (void)state;
    workers_start_all();
    unit_shell(&service,
               "mkdir in && head -c 1300000000 /dev/zero >in/big && echo x >in/x");
    stage_fails(STAGE_IN, unit_path(&service, "in", in), "/in", "No space left");
    unit_shell(&service, "rm in/big");
    stage_ok(STAGE_IN, in, "/in2", &result);
}

/* What a worker had when it left is done by others. */
static void test_worker_leaves(void **state)
{
    struct config_stage directive = {.target = (char *)(uintptr_t) "/in"};
    struct config_stage_list list = {.items = &directive, .count = 1};
    struct stage_options options = {.timeout_ms = 200};
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct stage_result result;
    char in[PATH_MAX], out[PATH_MAX];

    (void)state;
    unit_shell(&service, TREE "&& head -c 100000000 /dev/urandom >in/large");
    directive.source = unit_path(&service, "in", in);
    /* nobody is there to do it */
    assert_int_equal(
        stage_run(service.clients[0], STAGE_IN, &list, &options, &result, &err),
        -ETIMEDOUT);
    stage_result_fini(&result);
    unit_workers_start(&service, 1, 4);
    options.timeout_ms = 30;
    assert_int_equal(
        stage_run(service.clients[0], STAGE_IN, &list, &options, &result, &err),
        -ETIMEDOUT);
    stage_result_fini(&result);
    unit_workers_stop(&service, 1);
    client_close(service.clients[1]);
    service.clients[1] = NULL;
    unit_workers_start(&service, 0, 2);
    stage_ok(STAGE_IN, in, "/in", &result);
    stage_ok(STAGE_OUT, "/in", unit_path(&service, "out", out), &result);
    unit_shell(&service, COMPARE("in", "out"));
}

static void test_report(void **state)
{
    (void)state;
    workers_start_all();
    unit_shell(&service, "mkdir in && echo 1 >in/1 && echo 22 >in/2");
    round_trip("in", "/in", "out");
    unit_shell(&service,
               "python3 -c 'import json; r = json.load(open(\"report.json\")); i ="
               " r[\"stage_in\"]; o = r[\"stage_out\"]; assert i[\"files\"] == 2 =="
               " o[\"files\"]; assert i[\"bytes\"] == 5 == o[\"bytes\"]; assert"
               " i[\"seconds\"] > 0 < o[\"seconds\"]; assert r[\"run\"][\"seconds\"] >="
               " 0'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_tree, setup, teardown),
        cmocka_unit_test_setup_teardown(test_again_over_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_and_sparse, setup, teardown),
        cmocka_unit_test_setup_teardown(test_single_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_missing_source, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_scratch, setup, teardown),
        cmocka_unit_test_setup_teardown(test_worker_leaves, setup, teardown),
        cmocka_unit_test_setup_teardown(test_report, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

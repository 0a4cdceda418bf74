/* SPDX-License-Identifier: Apache-2.0
 * Paths: prefixes, components, symbolic links, slashes. */
#include "fake_service.h"

#include <unistd.h>

#include "client/api.h"
#include "proto/ops.h"

struct api_unit {
    struct unit_dir dir;
    struct fake_service *service;
    struct benchfs *fs;
};

static void start(struct api_unit *unit)
{
    struct benchfs_options options;
    char error[256] = "";

    unit_dir_create(&unit->dir);
    unit->service = fake_service_start(&unit->dir, FAKE_TARGETS);
    benchfs_options_init(&options);
    options.socket_path = fake_service_socket(unit->service);
    options.mount = "/mnt/scratch/";
    options.pmix = BENCHFS_PMIX_NEVER;
    options.error = error;
    options.error_size = sizeof(error);
    if (benchfs_init(&unit->fs, &options) < 0)
        fail_msg("%s", error);
}

static void stop(struct api_unit *unit)
{
    assert_int_equal(benchfs_fini(unit->fs), 0);
    fake_service_stop(unit->service);
    unit_dir_remove(&unit->dir);
}

static void test_strip(void **state)
{
    (void)state;
    assert_null(api_path_strip("a/b", "/m", 2));
    assert_null(api_path_strip("", "/m", 2));
    assert_string_equal(api_path_strip("/a", "/m", 2), "/a");
    assert_string_equal(api_path_strip("/m/a", "/m", 2), "/a");
    assert_string_equal(api_path_strip("/m", "/m", 2), "/");
    assert_string_equal(api_path_strip("/m/", "/m", 2), "/");
    assert_string_equal(api_path_strip("/mm", "/m", 2), "/mm");
    assert_string_equal(api_path_strip("/m", NULL, 0), "/m");
}

static mode_t type_of(struct api_unit *unit, const char *path, bool follow)
{
    struct stat st;
    int status =
        follow ? benchfs_stat(unit->fs, path, &st) : benchfs_lstat(unit->fs, path, &st);

    return status < 0 ? (mode_t)-status : st.st_mode & S_IFMT;
}

/*
 * /d/         directory
 * /d/f        file
 * /link       -> d
 * /abs        -> /d/f
 * /mounted    -> /mnt/scratch/d/f
 * /d/up       -> ../d/./f
 * /dangling   -> nowhere
 * /loop       -> loop
 */
static void populate(struct api_unit *unit)
{
    struct benchfs *fs = unit->fs;
    int fd;

    assert_int_equal(benchfs_mkdir(fs, "/d/", 0755), 0);
    fd = benchfs_open(fs, "/d/f", O_CREAT | O_EXCL | O_WRONLY, 0644);
    assert_true(fd >= 0);
    assert_int_equal(benchfs_close(fs, fd), 0);
    assert_int_equal(benchfs_symlink(fs, "d", "/link"), 0);
    assert_int_equal(benchfs_symlink(fs, "/d/f", "/abs"), 0);
    assert_int_equal(benchfs_symlink(fs, "/mnt/scratch/d/f", "/mounted"), 0);
    assert_int_equal(benchfs_symlink(fs, "../d/./f", "/d/up"), 0);
    assert_int_equal(benchfs_symlink(fs, "nowhere", "/dangling"), 0);
    assert_int_equal(benchfs_symlink(fs, "loop", "/loop"), 0);
}

static void test_walk(void **state)
{
    static const struct {
        const char *path;
        mode_t followed; /* type, or errno */
        mode_t itself;
    } cases[] = {
        {"/", S_IFDIR, S_IFDIR},
        {"///", S_IFDIR, S_IFDIR},
        {"/.", S_IFDIR, S_IFDIR},
        {"/..", S_IFDIR, S_IFDIR},
        {"/mnt/scratch", S_IFDIR, S_IFDIR},
        {"/mnt/scratch/d/f", S_IFREG, S_IFREG},
        {"/d", S_IFDIR, S_IFDIR},
        {"/d/", S_IFDIR, S_IFDIR},
        {"//d//f", S_IFREG, S_IFREG},
        {"/d/f/", ENOTDIR, ENOTDIR},
        {"/d/f/x", ENOTDIR, ENOTDIR},
        {"/d/../d/./f", S_IFREG, S_IFREG},
        {"/d/../../d/f", S_IFREG, S_IFREG},
        {"/link", S_IFDIR, S_IFLNK},
        {"/link/", S_IFDIR, S_IFDIR},
        {"/link/f", S_IFREG, S_IFREG},
        {"/link/../d", S_IFDIR, S_IFDIR},
        {"/abs", S_IFREG, S_IFLNK},
        {"/abs/", ENOTDIR, ENOTDIR},
        {"/mounted", S_IFREG, S_IFLNK},
        {"/d/up", S_IFREG, S_IFLNK},
        {"/dangling", ENOENT, S_IFLNK},
        {"/loop", ELOOP, S_IFLNK},
        {"/loop/x", ELOOP, ELOOP},
        {"/no", ENOENT, ENOENT},
        {"/no/x", ENOENT, ENOENT},
        {"", ENOENT, ENOENT},
        {"d", EINVAL, EINVAL},
    };
    struct api_unit unit;

    (void)state;
    start(&unit);
    populate(&unit);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (type_of(&unit, cases[i].path, true) != cases[i].followed
            || type_of(&unit, cases[i].path, false) != cases[i].itself)
            fail_msg("%s: %o and %o",
                     cases[i].path,
                     type_of(&unit, cases[i].path, true),
                     type_of(&unit, cases[i].path, false));
    }
    stop(&unit);
}

static void test_long(void **state)
{
    char name[300];
    char path[5000];
    struct api_unit unit;

    (void)state;
    start(&unit);
    memset(name, 'n', sizeof(name));
    name[0] = '/';
    name[256] = '\0';
    assert_int_equal(type_of(&unit, name, true), ENOENT);
    name[256] = 'n';
    name[257] = '\0';
    assert_int_equal(type_of(&unit, name, true), ENAMETOOLONG);
    memset(path, '/', sizeof(path));
    path[PATH_MAX - 1] = '\0';
    assert_int_equal(type_of(&unit, path, true), S_IFDIR);
    path[PATH_MAX - 1] = '/';
    path[PATH_MAX] = '\0';
    assert_int_equal(type_of(&unit, path, true), ENAMETOOLONG);
    stop(&unit);
}

/* 40 links are followed, 41 are a loop. */
static void test_link_chain(void **state)
{
    char path[32];
    char text[32];
    struct api_unit unit;

    (void)state;
    start(&unit);
    assert_int_equal(benchfs_mkdir(unit.fs, "/l0", 0755), 0);
    for (int i = 1; i <= API_SYMLINK_MAX + 1; i++) {
        snprintf(path, sizeof(path), "/l%d", i);
        snprintf(text, sizeof(text), "l%d", i - 1);
        assert_int_equal(benchfs_symlink(unit.fs, text, path), 0);
    }
    snprintf(path, sizeof(path), "/l%d", API_SYMLINK_MAX);
    assert_int_equal(type_of(&unit, path, true), S_IFDIR);
    snprintf(path, sizeof(path), "/l%d", API_SYMLINK_MAX + 1);
    assert_int_equal(type_of(&unit, path, true), ELOOP);
    stop(&unit);
}

static void test_create_through_link(void **state)
{
    struct benchfs *fs;
    struct api_unit unit;
    char text[16];
    int fd;

    (void)state;
    start(&unit);
    fs = unit.fs;
    populate(&unit);
    assert_int_equal(benchfs_open(fs, "/dangling", O_CREAT | O_EXCL | O_RDWR, 0600),
                     -EEXIST);
    assert_int_equal(benchfs_open(fs, "/dangling", O_RDWR, 0), -ENOENT);
    assert_int_equal(benchfs_open(fs, "/dangling", O_RDWR | O_NOFOLLOW, 0), -ELOOP);
    fd = benchfs_open(fs, "/dangling", O_CREAT | O_RDWR, 0600);
    assert_true(fd >= 0);
    assert_int_equal(benchfs_close(fs, fd), 0);
    assert_int_equal(type_of(&unit, "/nowhere", false), S_IFREG);
    assert_int_equal(benchfs_readlink(fs, "/dangling", text, 3), 3);
    assert_memory_equal(text, "now", 3);
    assert_int_equal(benchfs_readlink(fs, "/d", text, sizeof(text)), -EINVAL);
    stop(&unit);
}

static void test_entries(void **state)
{
    char name[NAME_MAX + 4] = "/";
    struct benchfs *fs;
    struct api_unit unit;

    (void)state;
    start(&unit);
    fs = unit.fs;
    populate(&unit);
    assert_int_equal(benchfs_mkdir(fs, "/d", 0755), -EEXIST);
    assert_int_equal(benchfs_mkdir(fs, "/", 0755), -EEXIST);
    assert_int_equal(benchfs_mkdir(fs, "/no/x", 0755), -ENOENT);
    assert_int_equal(benchfs_mkdir(fs, "/dangling", 0755), -EEXIST);
    assert_int_equal(benchfs_rmdir(fs, "/"), -EBUSY);
    assert_int_equal(benchfs_rmdir(fs, "/d/."), -EINVAL);
    assert_int_equal(benchfs_rmdir(fs, "/d/.."), -ENOTEMPTY);
    assert_int_equal(benchfs_rmdir(fs, "/link/"), -ENOTDIR);
    assert_int_equal(benchfs_rmdir(fs, "/d/f"), -ENOTDIR);
    assert_int_equal(benchfs_unlink(fs, "/d"), -EISDIR);
    assert_int_equal(benchfs_unlink(fs, "/d/f/"), -ENOTDIR);
    assert_int_equal(benchfs_unlink(fs, "/no"), -ENOENT);
    assert_int_equal(benchfs_unlink(fs, "/link"), 0);
    assert_int_equal(type_of(&unit, "/d", true), S_IFDIR);
    assert_int_equal(benchfs_symlink(fs, "", "/s"), -ENOENT);
    assert_int_equal(benchfs_symlink(fs, "x", "/s/"), -ENOENT);
    assert_int_equal(benchfs_open(fs, "/new/", O_CREAT | O_RDWR, 0644), -EISDIR);
    memset(name + 1, 'l', NAME_MAX + 1);
    name[NAME_MAX + 2] = '/';
    assert_int_equal(benchfs_open(fs, name, O_CREAT | O_RDWR, 0644), -EISDIR);
    assert_int_equal(benchfs_open(fs, "/", O_CREAT | O_RDWR, 0644), -EISDIR);
    assert_int_equal(benchfs_open(fs, "/mnt/scratch/", O_CREAT | O_RDWR, 0644),
                     -EISDIR);
    assert_int_equal(benchfs_open(fs, "/no/x/", O_CREAT | O_RDWR, 0644), -ENOENT);
    assert_int_equal(benchfs_open(fs, "/d", O_RDWR, 0), -EISDIR);
    assert_int_equal(benchfs_open(fs, "/d/f", O_RDONLY | O_DIRECTORY, 0), -ENOTDIR);
    assert_int_equal(benchfs_link(fs, "/d", "/e"), -EPERM);
    assert_int_equal(benchfs_rename(fs, "/d/.", "/e"), -EBUSY);
    assert_int_equal(benchfs_rename(fs, "/no", "/e"), -ENOENT);
    assert_int_equal(benchfs_rename(fs, "/d/f", "/e/"), -ENOTDIR);
    stop(&unit);
}

/* Walks of a path that is known cost one request each, once all targets' epochs are. */
static void warm_up(struct api_unit *unit, const char *path)
{
    unsigned before;

    for (int i = 0; i < 2 * (int)FAKE_TARGETS; i++)
        (void)type_of(unit, path, false);
    before = fake_service_count(unit->service, OP_WALK);
    (void)type_of(unit, path, false);
    assert_int_equal(fake_service_count(unit->service, OP_WALK), before + 1);
}

static void touch(struct api_unit *unit, const char *path)
{
    int fd = benchfs_creat(unit->fs, path, 0644);

    assert_true(fd >= 0);
    assert_int_equal(benchfs_close(unit->fs, fd), 0);
}

static void test_directories_are_kept(void **state)
{
    struct api_unit unit;
    unsigned before;

    (void)state;
    start(&unit);
    assert_int_equal(benchfs_mkdir(unit.fs, "/a", 0755), 0);
    assert_int_equal(benchfs_mkdir(unit.fs, "/a/b", 0755), 0);
    assert_int_equal(benchfs_mkdir(unit.fs, "/a/b/c", 0755), 0);
    touch(&unit, "/a/b/c/f");
    warm_up(&unit, "/a/b/c/f");
    assert_int_equal(type_of(&unit, "/a/b/c/f", true), S_IFREG);
    /* what is not there takes one more, and what is made none */
    before = fake_service_count(unit.service, OP_WALK);
    assert_int_equal(type_of(&unit, "/a/b/c/no", true), ENOENT);
    touch(&unit, "/a/b/c/g");
    assert_int_equal(fake_service_count(unit.service, OP_WALK), before + 2);
    assert_int_equal(type_of(&unit, "/a/b/c/..", true), S_IFDIR);
    stop(&unit);
}

static void test_kept_directory_is_renamed(void **state)
{
    struct api_unit unit;

    (void)state;
    start(&unit);
    assert_int_equal(benchfs_mkdir(unit.fs, "/a", 0755), 0);
    assert_int_equal(benchfs_mkdir(unit.fs, "/a/b", 0755), 0);
    touch(&unit, "/a/b/f");
    warm_up(&unit, "/a/b/f");
    fake_service_rename(unit.service, "a", "z");
    assert_int_equal(type_of(&unit, "/a/b/f", true), ENOENT);
    assert_int_equal(type_of(&unit, "/z/b/f", true), S_IFREG);
    assert_int_equal(benchfs_mkdir(unit.fs, "/a/b/d", 0755), -ENOENT);
    warm_up(&unit, "/z/b/f");
    fake_service_rename(unit.service, "z", "a");
    assert_int_equal(benchfs_mkdir(unit.fs, "/z/b/d", 0755), -ENOENT);
    assert_int_equal(benchfs_mkdir(unit.fs, "/a/b/d", 0755), 0);
    stop(&unit);
}

static int make_kind(struct api_unit *unit, int kind, const char *path)
{
    switch (kind) {
    case 0:
        touch(unit, path);
        return 0;
    case 1:
        return benchfs_mkdir(unit->fs, path, 0755);
    default:
        return benchfs_symlink(unit->fs, "text", path);
    }
}

/* Nobody says that a directory was removed, and another one made in its place. */
static void test_kept_directory_is_replaced(void **state)
{
    struct api_unit unit;

    (void)state;
    start(&unit);
    assert_int_equal(benchfs_mkdir(unit.fs, "/e", 0755), 0);
    for (int kind = 0; kind < 3; kind++) {
        assert_int_equal(benchfs_mkdir(unit.fs, "/d", 0755), 0);
        touch(&unit, "/d/x");
        warm_up(&unit, "/d/x");
        fake_service_remove(unit.service, "d");
        assert_int_equal(benchfs_mkdir(unit.fs, "/d", 0755), 0);
        assert_int_equal(make_kind(&unit, kind, "/d/y"), 0);
        assert_int_not_equal(type_of(&unit, "/d/y", false), ENOENT);
        warm_up(&unit, "/d/y");
        fake_service_remove(unit.service, "d");
        assert_int_equal(benchfs_mkdir(unit.fs, "/d", 0755), 0);
        assert_int_equal(type_of(&unit, "/d/y", false), ENOENT);
        touch(&unit, "/d/x");
        warm_up(&unit, "/d/x");
        fake_service_remove(unit.service, "d");
        /* that it is no more comes before what else is wrong */
        assert_int_equal(benchfs_link(unit.fs, "/e", "/d/y"), -ENOENT);
    }
    stop(&unit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strip),
        cmocka_unit_test(test_walk),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_link_chain),
        cmocka_unit_test(test_create_through_link),
        cmocka_unit_test(test_entries),
        cmocka_unit_test(test_directories_are_kept),
        cmocka_unit_test(test_kept_directory_is_renamed),
        cmocka_unit_test(test_kept_directory_is_replaced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

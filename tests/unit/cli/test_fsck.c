/* SPDX-License-Identifier: Apache-2.0
 * The check of a whole file system: a sound one of two targets has no fault, and every
 * fault that one record can have is found. */
#include "unit.h"

#include <sys/stat.h>

#include "cli/fsck.h"
#include "proto/placement.h"

#define N_TARGETS 2u
#define DIR       UINT64_C(0x10000) /* homed at target 0 */
#define FILE      UINT64_C(0x20001) /* at 1, with two names */
#define LOST      UINT64_C(0x30000) /* without a name, open */
#define RECORDS   16

struct row {
    uint32_t target;
    struct survey_record record;
};

/* The records of a sound file system. Names are such that their targets are known. */
struct world {
    struct row rows[RECORDS];
    size_t n;
};

static uint32_t target_of(uint64_t dir, const char *name)
{
    return placement_dentry_target(dir, name, strlen(name), N_TARGETS);
}

static struct survey_record *
add(struct world *world, uint32_t target, struct survey_record record)
{
    assert_true(world->n < RECORDS);
    world->rows[world->n] = (struct row){target, record};
    return &world->rows[world->n++].record;
}

static struct survey_record *add_name(
    struct world *world, uint64_t dir, const char *name, uint64_t ino, uint32_t type)
{
    return add(world,
               target_of(dir, name),
               (struct survey_record){
                   .table = SURVEY_DENTRIES,
                   .parent = dir,
                   .ino = ino,
                   .mode = type,
                   .name = {name, (uint16_t)strlen(name)},
               });
}

enum {
    ROOT_ROW,
    DIR_ROW,
    FILE_ROW,
    LOST_ROW,
    DIR_NAME,
    ONE,
    TWO,
    CHUNK_0,
    CHUNK_1,
    ORPHAN,
    PART,
    MEMBER,
};

static void world_make(struct world *world)
{
    world->n = 0;
    add(world,
        0,
        (struct survey_record){.table = SURVEY_INODES,
                               .ino = PLACEMENT_ROOT_INO,
                               .mode = S_IFDIR,
                               .nlink = 2});
    add(world,
        0,
        (struct survey_record){.table = SURVEY_INODES,
                               .ino = DIR,
                               .parent = PLACEMENT_ROOT_INO,
                               .mode = S_IFDIR,
                               .nlink = 2});
    add(world,
        1,
        (struct survey_record){.table = SURVEY_INODES,
                               .ino = FILE,
                               .parent = DIR,
                               .mode = S_IFREG,
                               .nlink = 2,
                               .size = 5000,
                               .chunk_size = 4096,
                               .base = 1});
    add(world,
        0,
        (struct survey_record){.table = SURVEY_INODES,
                               .ino = LOST,
                               .mode = S_IFREG,
                               .chunk_size = 4096,
                               .is_open = 1});
    add_name(world, PLACEMENT_ROOT_INO, "dir", DIR, S_IFDIR);
    add_name(world, DIR, "one", FILE, S_IFREG);
    add_name(world, PLACEMENT_ROOT_INO, "two", FILE, S_IFREG);
    add(world,
        1,
        (struct survey_record){.table = SURVEY_CHUNKS, .ino = FILE, .size = 4096});
    add(world,
        0,
        (struct survey_record){
            .table = SURVEY_CHUNKS, .ino = FILE, .parent = 1, .size = 904});
    add(world, 0, (struct survey_record){.table = SURVEY_ORPHANS, .ino = LOST});
    add(world,
        1,
        (struct survey_record){.table = SURVEY_DIRPARTS, .ino = DIR, .size = 1});
    add(world,
        0,
        (struct survey_record){.table = SURVEY_MEMBERS, .ino = DIR, .base = 1});
}

struct seen {
    unsigned n;
    char first[256];
};

static void see(void *arg, const char *text)
{
    struct seen *seen = arg;

    if (seen->n++ == 0)
        snprintf(seen->first, sizeof(seen->first), "%s", text);
}

static struct seen check(const struct world *world)
{
    struct fsck *fsck = fsck_create(N_TARGETS);
    struct seen seen = {.n = 0};
    struct fsck_counts counts;

    assert_non_null(fsck);
    for (size_t i = 0; i < world->n; i++) {
        if (world->rows[i].record.table < SURVEY_N_TABLES)
            assert_int_equal(
                fsck_add(fsck, world->rows[i].target, &world->rows[i].record), 0);
    }
    assert_int_equal(fsck_run(fsck, see, &seen, &counts), 0);
    assert_int_equal(counts.n_faults, seen.n);
    fsck_destroy(fsck);
    return seen;
}

static void expect(const struct world *world, const char *text)
{
    struct seen seen = check(world);

    if (!text && seen.n > 0)
        fail_msg("%u faults: %s", seen.n, seen.first);
    if (text && (seen.n == 0 || !strstr(seen.first, text)))
        fail_msg("no fault '%s': %s", text, seen.n > 0 ? seen.first : "none at all");
}

static void test_sound(void **state)
{
    struct world world;

    (void)state;
    world.n = 0;
    expect(&world, NULL);
    world_make(&world);
    expect(&world, NULL);
}

static void drop(struct world *world, int row)
{
    world->rows[row].record.table = SURVEY_N_TABLES;
}

#define WITH(row, member, value, text)                                                 \
    do {                                                                               \
        world_make(&world);                                                            \
        world.rows[row].record.member = (value);                                       \
        expect(&world, text);                                                          \
    } while (0)

#define WITHOUT(row, text)                                                             \
    do {                                                                               \
        world_make(&world);                                                            \
        drop(&world, row);                                                             \
        expect(&world, text);                                                          \
    } while (0)

static void test_faults(void **state)
{
    struct world world;

    (void)state;
    WITH(FILE_ROW, nlink, 3, "has 3 links and 2 names");
    WITH(FILE_ROW, mode, S_IFLNK, "another type");
    WITH(FILE_ROW, size, 4999, "beyond the end");
    WITH(FILE_ROW, base, 0, "wrong target");
    WITH(DIR_ROW, parent, DIR, "not where its directory says");
    WITH(DIR_ROW, nlink, 0, "in no directory");
    WITH(LOST_ROW, nlink, 1, "1 links and 0 names");
    WITH(PART, mode, 1, "takes no entries");
    WITH(CHUNK_1, ino, DIR, "no regular file");
    WITH(CHUNK_0, size, 4097, "longer than a chunk");
    WITHOUT(FILE_ROW, "names no inode");
    WITHOUT(LOST_ROW, "has no inode");
    WITHOUT(DIR_ROW, "names no inode");
    WITHOUT(DIR_NAME, "2 links and 0 names");
    WITHOUT(ONE, "2 links and 1 names");
    WITHOUT(ORPHAN, "is no orphan");
    WITHOUT(MEMBER, "whose home does not know it");

    world_make(&world);
    world.rows[TWO].target ^= 1;
    expect(&world, "wrong target");
    world_make(&world);
    world.rows[FILE_ROW].target = 0;
    expect(&world, "not at its home");
    world_make(&world);
    drop(&world, FILE_ROW);
    drop(&world, ONE);
    drop(&world, TWO);
    expect(&world, "is of no inode");
    world_make(&world);
    add(&world,
        1,
        (struct survey_record){.table = SURVEY_FAULTS, .name = {"a block", 7}});
    expect(&world, "target 1: a block");
}

/* Two directories in each other: named, linked, and not to be reached. */
static void test_circle(void **state)
{
    const uint64_t a = UINT64_C(0x50000), b = UINT64_C(0x60000);
    struct world world;

    (void)state;
    world_make(&world);
    add(&world,
        0,
        (struct survey_record){.table = SURVEY_INODES,
                               .ino = a,
                               .parent = b,
                               .mode = S_IFDIR,
                               .nlink = 2});
    add(&world,
        0,
        (struct survey_record){.table = SURVEY_INODES,
                               .ino = b,
                               .parent = a,
                               .mode = S_IFDIR,
                               .nlink = 2});
    add_name(&world, b, "a", a, S_IFDIR);
    add_name(&world, a, "b", b, S_IFDIR);
    expect(&world, "can't be reached");
}

/* What an operation under way is about is not done yet, and no fault. */
static void test_pending(void **state)
{
    struct world world;

    (void)state;
    world_make(&world);
    world.rows[FILE_ROW].record.nlink = 3;
    add(&world, 0, (struct survey_record){.table = SURVEY_PENDING, .ino = FILE});
    expect(&world, NULL);

    world_make(&world);
    drop(&world, FILE_ROW);
    drop(&world, CHUNK_0);
    drop(&world, CHUNK_1);
    drop(&world, ONE);
    expect(&world, "names no inode");
    add(&world,
        0,
        (struct survey_record){
            .table = SURVEY_PENDING, .parent = PLACEMENT_ROOT_INO, .name = {"two", 3}});
    expect(&world, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_circle),
        cmocka_unit_test(test_pending),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

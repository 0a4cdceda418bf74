/* SPDX-License-Identifier: Apache-2.0
 * What operations of other targets hold at a shard: locks, closed directories, links;
 * how they end, and that a restart keeps them. And the keys that an intent keeps. */
#include "shard_unit.h"

#include <sys/stat.h>

#include "daemon/ops/ops.h"

#define OWNER UINT64_C(0x1001)
#define OTHER UINT64_C(0x1002)
#define DIR   UINT64_C(0x30000)
#define KEY   UINT64_C(77)
#define FROM  3u

static struct store_claim claim_of(uint64_t owner, uint8_t kind, uint64_t id)
{
    return (struct store_claim){.target = FROM, .owner = owner, .kind = kind, .id = id};
}

static struct op op_of(struct shard *shard)
{
    struct op op = {.shard = shard, .lock_owner = 1};

    list_node_init(&op.task.link);
    return op;
}

static int lock(struct shard *shard, uint64_t owner, uint64_t key, uint64_t dir)
{
    struct store_claim claim = claim_of(owner, CLAIM_LOCK, key);
    uint64_t wanted;

    claim.dir = dir;
    return claim_lock(shard, &claim, &wanted);
}

static int seal(struct shard *shard, uint64_t owner, uint64_t dir)
{
    struct store_claim claim = claim_of(owner, CLAIM_DIR, dir);

    return claim_dir(shard, &claim);
}

static int end(struct shard *shard, uint64_t owner, bool commit)
{
    struct op op = op_of(shard);

    return claim_end(&op, FROM, owner, commit ? CLAIM_COMMITTED : CLAIM_ABORTED);
}

static bool is_sealed(struct shard *shard, uint64_t dir)
{
    struct store_dirpart part;

    assert_int_equal(store_dirpart_get(shard->store, dir, &part), 0);
    return part.is_sealed;
}

static void test_locks(void **state)
{
    struct shard_unit *unit = *state;
    struct shard *shard = &unit->shard;
    struct op op = op_of(shard);

    assert_int_equal(lock(shard, OWNER, KEY, 0), 0);
    assert_int_equal(lock(shard, OWNER, KEY, 0), 0); /* asked again */
    assert_int_equal(lock(shard, OTHER, KEY, 0), -EBUSY);
    shard_unit_restart(unit);
    assert_int_equal(lock(shard, OWNER, KEY, 0), 0);
    assert_int_equal(lock(shard, OTHER, KEY, 0), -EBUSY);
    assert_int_equal(claim_end(&op, FROM + 1, OWNER, CLAIM_COMMITTED),
                     -EINVAL); /* not its own */
    assert_int_equal(end(shard, OWNER, true), 0);
    assert_int_equal(end(shard, OWNER, true), 0);
    assert_int_equal(lock(shard, OTHER, KEY, 0), 0);
    shard_unit_restart(unit);
    assert_int_equal(lock(shard, OWNER, KEY, 0), -EBUSY);
    assert_int_equal(end(shard, OTHER, false), 0);
}

/* A directory is closed or gets an entry, never both. */
static void test_directories(void **state)
{
    struct store_dentry dentry = {.ino = 9, .type = S_IFREG};
    struct shard_unit *unit = *state;
    struct shard *shard = &unit->shard;

    assert_int_equal(lock(shard, OWNER, KEY, DIR), 0);
    assert_int_equal(seal(shard, OTHER, DIR), -EAGAIN);
    shard_unit_restart(unit);
    assert_int_equal(seal(shard, OTHER, DIR), -EAGAIN);
    assert_int_equal(end(shard, OWNER, true), 0);
    assert_int_equal(seal(shard, OTHER, DIR), 0);
    assert_int_equal(seal(shard, OTHER, DIR), 0);
    assert_int_equal(lock(shard, OWNER, KEY, DIR), -EBUSY);
    assert_false(keylock_is_locked(&shard->locks, KEY, 0));
    shard_unit_restart(unit);
    assert_true(keylock_is_locked(&shard->locks, keylock_key_dir(DIR), 0));
    assert_int_equal(end(shard, OTHER, false), 0);
    assert_false(is_sealed(shard, DIR));

    assert_int_equal(store_dentry_insert(shard->store, DIR, "a", 1, &dentry, 1), 0);
    assert_int_equal(seal(shard, OTHER, DIR), -ENOTEMPTY);
    assert_false(keylock_is_locked(&shard->locks, keylock_key_dir(DIR), 0));
    assert_int_equal(store_dentry_remove(shard->store, DIR, "a", 1, 1), 0);
    assert_int_equal(seal(shard, OTHER, DIR), 0);
    shard_unit_restart(unit);
    assert_int_equal(end(shard, OTHER, true), 0);
    assert_true(is_sealed(shard, DIR));
    assert_false(keylock_is_locked(&shard->locks, keylock_key_dir(DIR), 0));
}

static uint32_t links(struct shard *shard, uint64_t ino)
{
    struct store_inode inode;

    assert_int_equal(store_inode_get(shard->store, ino, &inode), 0);
    return inode.nlink;
}

static void test_links(void **state)
{
    struct shard_unit *unit = *state;
    struct shard *shard = &unit->shard;
    struct store_inode inode = {.mode = S_IFREG, .nlink = 1, .chunk_size = 4096};
    struct store_claim claim;
    struct op op = op_of(shard);

    assert_int_equal(store_inode_allocate(shard->store, &inode.ino), 0);
    assert_int_equal(store_inode_put(shard->store, &inode), 0);
    claim = claim_of(OWNER, CLAIM_LINK, inode.ino);
    for (int commit = 0; commit <= 1; commit++) {
        assert_int_equal(inode_link_add(&op, inode.ino, &inode), 0);
        assert_int_equal(claim_put(shard, &claim), 0);
        assert_int_equal(claim_get(shard, &claim), 0);
        shard_unit_restart(unit);
        assert_int_equal(links(shard, inode.ino), 2);
        assert_int_equal(end(shard, OWNER, commit), 0);
        assert_int_equal(claim_get(shard, &claim), -ENOENT);
        assert_int_equal(links(shard, inode.ino), commit ? 2 : 1);
    }
}

/* The coordinator may ask again for what it has been told, as long as it knows it. */
static void test_done(void **state)
{
    struct shard_unit *unit = *state;
    struct shard *shard = &unit->shard;
    struct store_claim claim = claim_of(OWNER, CLAIM_DONE, DIR);
    struct op op = op_of(shard);

    assert_int_equal(lock(shard, OWNER, KEY, 0), 0);
    assert_int_equal(claim_put(shard, &claim), 0);
    assert_int_equal(end(shard, OWNER, true), 0);
    assert_int_equal(lock(shard, OTHER, KEY, 0), 0);
    assert_int_equal(claim_get(shard, &claim), 0);
    shard_unit_restart(unit);
    assert_int_equal(end(shard, OWNER, true), 0);
    assert_int_equal(claim_get(shard, &claim), 0);
    assert_int_equal(claim_end(&op, FROM, OWNER, CLAIM_FORGOTTEN), 0);
    assert_int_equal(claim_get(shard, &claim), -ENOENT);
    assert_int_equal(end(shard, OTHER, false), 0);
}

static int count_one(void *arg, uint64_t owner, const void *body, size_t len)
{
    (void)owner;
    (void)body;
    (void)len;
    ++*(unsigned *)arg;
    return 0;
}

/* With no other target there is nothing to be done by others. */
static void test_intent_of_one(void **state)
{
    struct shard *shard = *state;
    struct op op = op_of(shard);
    struct intent *intent = intent_create(&op);
    unsigned n = 0;

    intent_step_others(intent, OP_CLAIM_END, "", 0);
    assert_int_equal(coordinate_begin(&op), 0);
    assert_true(is_coordinated(shard, op.lock_owner));
    assert_int_equal(store_intent_scan(shard->store, count_one, &n), 0);
    assert_int_equal(n, 0);
    coordinate_end(&op);
    assert_false(is_coordinated(shard, op.lock_owner));
    intent_destroy(intent);
}

/* The head as intent_commit() writes it: no size to set, one key. */
static void test_intent_load(void **state)
{
    struct shard_unit *unit = *state;
    struct shard *shard = &unit->shard;
    uint8_t body[57] = {0};

    body[24] = 1;
    body[25] = KEY;
    assert_int_equal(store_intent_put(shard->store, OWNER, body, sizeof(body)), 0);
    shard_unit_restart(unit);
    assert_true(is_coordinated(shard, OWNER));
    assert_true(keylock_is_locked(&shard->locks, KEY, 0));
    assert_false(keylock_is_locked(&shard->locks, KEY, OWNER));
    assert_int_equal(store_intent_remove(shard->store, OWNER), 0);
    assert_int_equal(store_intent_put(shard->store, OTHER, body, 20), 0);
    assert_int_equal(intent_load(shard), -EUCLEAN); /* too short */
    body[24] = 5;
    assert_int_equal(store_intent_put(shard->store, OTHER, body, sizeof(body)), 0);
    assert_int_equal(intent_load(shard), -EUCLEAN); /* too many keys */
}

#define TEST(name)                                                                     \
    cmocka_unit_test_setup_teardown(name, shard_unit_setup, shard_unit_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_locks),
        TEST(test_directories),
        TEST(test_links),
        TEST(test_done),
        TEST(test_intent_of_one),
        TEST(test_intent_load),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * The loss of power under a durable store. This program's own fdatasync() and fsync()
 * record what files and directories were like: after the loss that is what is certain,
 * and of what was changed since, any page may have reached the disk, and any not. */
#include "store_unit.h"

#include "store/survey.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* So small that freed blocks are soon wanted again. */
#define CAPACITY  (2 * MIB)
#define FILES     24
#define SIZE_MAX_ 30000u
#define HISTORY   4096
#define PAGE      4096u

/* ---- the disk ---------------------------------------------------------- */

struct image {
    uint64_t ino;
    uint8_t *data;
    size_t length;
};

static struct image images[64];
static unsigned n_images;
static uint64_t journal_ino; /* that has the name, for the disk */
static int crash_countdown;  /* syncs until it happens in the middle of one; 0: not */
static void (*crash_hook)(void);

static struct image *image_of(uint64_t ino)
{
    for (unsigned i = 0; i < n_images; i++) {
        if (images[i].ino == ino)
            return &images[i];
    }
    return NULL;
}

static uint8_t *read_whole(int fd, size_t *ret_length)
{
    struct stat st;
    uint8_t *data;

    assert_int_equal(fstat(fd, &st), 0);
    data = malloc((size_t)st.st_size + 1);
    assert_int_equal(pread(fd, data, (size_t)st.st_size, 0), st.st_size);
    *ret_length = (size_t)st.st_size;
    return data;
}

static void image_record(int fd, uint64_t ino)
{
    struct image *image = image_of(ino);

    if (!image) {
        assert_true(n_images < sizeof(images) / sizeof(images[0]));
        image = &images[n_images++];
        *image = (struct image){.ino = ino};
    }
    free(image->data);
    image->data = read_whole(fd, &image->length);
}

/* The parameter has its name from unistd.h. */
int fdatasync(int __fildes)
{
    struct stat st;

    if (crash_countdown > 0 && --crash_countdown == 0)
        crash_hook();
    assert_int_equal(fstat(__fildes, &st), 0);
    image_record(__fildes, st.st_ino);
    return 0;
}

int fsync(int fd)
{
    struct stat st;

    if (fstatat(fd, "journal", &st, 0) == 0)
        journal_ino = st.st_ino;
    return 0;
}

static void images_forget(void)
{
    for (unsigned i = 0; i < n_images; i++)
        free(images[i].data);
    n_images = 0;
    journal_ino = 0;
}

/* What the disk has of a file: `share` of 4 pages that are not certain are the new
 * ones. */
static void file_survive(
    const char *from, const char *to, uint64_t ino, unsigned share, uint64_t *random)
{
    const struct image *image = image_of(ino);
    size_t length, certain = image ? image->length : 0;
    int fd = open(from, O_RDONLY);
    uint8_t *now, *left;

    assert_true(fd >= 0);
    now = read_whole(fd, &length);
    close(fd);
    left = calloc(1, (length > certain ? length : certain) + 1);
    if (image)
        memcpy(left, image->data, certain);
    for (size_t at = 0; at < length; at += PAGE) {
        if (next_random(random) % 4 < share)
            memcpy(left + at, now + at, length - at < PAGE ? length - at : PAGE);
    }
    if (share == 0 || next_random(random) % 2)
        length = certain;
    fd = open(to, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, left, length), length);
    close(fd);
    free(left);
    free(now);
}

/* ---- what should be there ---------------------------------------------- */

struct file {
    uint64_t ino; /* 0: not there */
    uint32_t size;
    uint8_t *content; /* never changed, so shared by states */
};

struct state {
    struct file files[FILES];
};

static struct state history[HISTORY]; /* by commit */
static uint32_t changed_at[1 << 16];  /* in place, by inode's number: commit */
static uint32_t last_commit, synced_commit;
static struct fixture fixture;
static uint64_t seed_state;
static uint8_t *contents[HISTORY * 8];
static unsigned n_contents;

static uint8_t *content_new(void)
{
    assert_true(n_contents < sizeof(contents) / sizeof(contents[0]));
    return contents[n_contents++] = calloc(1, SIZE_MAX_);
}

static size_t name_of(unsigned i, char name[16])
{
    return (size_t)snprintf(name, 16, "f%u", i);
}

static void change_note(const struct file *file)
{
    changed_at[file->ino >> 16] = last_commit + 1;
}

static void file_write(struct file *file, uint32_t offset, uint32_t length)
{
    uint8_t *content = content_new();

    change_note(file);
    if (file->content)
        memcpy(content, file->content, SIZE_MAX_);
    for (uint32_t i = 0; i < length; i++)
        content[offset + i] = (uint8_t)next_random(&seed_state);
    file->content = content;
    if (offset + length > file->size)
        file->size = offset + length;
    assert_int_equal(
        put_bytes(fixture.store, file->ino, 0, offset, content + offset, length), 0);
}

static void file_make(struct file *file, unsigned i)
{
    struct store_inode inode = {.mode = S_IFREG, .nlink = 1};
    struct store_dentry entry = {.type = S_IFREG};
    char name[16];
    size_t len = name_of(i, name);

    assert_int_equal(store_inode_allocate(fixture.store, &inode.ino), 0);
    assert_int_equal(store_inode_put(fixture.store, &inode), 0);
    entry.ino = inode.ino;
    assert_int_equal(store_dentry_insert(fixture.store, 1, name, len, &entry, 1), 0);
    *file = (struct file){.ino = inode.ino};
    file_write(file, 0, 1 + (uint32_t)(next_random(&seed_state) % SIZE_MAX_));
}

static void file_remove(struct file *file, unsigned i)
{
    char name[16];
    size_t len = name_of(i, name);

    assert_int_equal(store_dentry_remove(fixture.store, 1, name, len, 1), 0);
    assert_int_equal(store_chunk_truncate(fixture.store, file->ino, 0, 0), 0);
    assert_int_equal(store_inode_remove(fixture.store, file->ino), 0);
    *file = (struct file){.ino = 0};
}

static void file_cut(struct file *file)
{
    uint8_t *content = content_new();

    change_note(file);
    file->size = (uint32_t)(next_random(&seed_state) % (file->size + 1));
    memcpy(content, file->content, file->size);
    file->content = content;
    assert_int_equal(
        store_chunk_truncate(fixture.store, file->ino, file->size, 1u << 20), 0);
}

static void file_change(struct file *file, unsigned i)
{
    uint32_t offset = (uint32_t)(next_random(&seed_state) % SIZE_MAX_);

    switch (next_random(&seed_state) % 4) {
    case 0:
        file_remove(file, i);
        break;
    case 1:
        if (file->size > 0)
            file_cut(file);
        break;
    default:
        file_write(file,
                   offset,
                   1 + (uint32_t)(next_random(&seed_state) % (SIZE_MAX_ - offset)));
    }
}

static void commit_some(void)
{
    struct store_note note = {.kind = 1, .value = last_commit + 1};
    struct state *state = &history[last_commit + 1];

    assert_true(last_commit + 1 < HISTORY);
    *state = history[last_commit];
    begin(&fixture);
    for (int n = 1 + (int)(next_random(&seed_state) % 3); n > 0; n--) {
        unsigned i = (unsigned)(next_random(&seed_state) % FILES);
        struct file *file = &state->files[i];

        if (file->ino)
            file_change(file, i);
        else
            file_make(file, i);
    }
    assert_int_equal(store_note_put(fixture.store, &note), 0);
    commit(&fixture);
    last_commit++;
}

static void sync_some(void)
{
    uint32_t commit_at_begin = last_commit;
    struct store_sync sync;

    assert_int_equal(store_sync_begin(fixture.store, &sync), 0);
    for (int n = (int)(next_random(&seed_state) % 4); n > 0; n--)
        commit_some();
    sync.status = fdatasync(sync.arena_fd);
    for (int n = (int)(next_random(&seed_state) % 4); n > 0; n--)
        commit_some();
    assert_int_equal(store_sync_mark(fixture.store, &sync), 0);
    for (int n = (int)(next_random(&seed_state) % 4); n > 0; n--)
        commit_some();
    sync.status = fdatasync(sync.journal_fd);
    for (int n = (int)(next_random(&seed_state) % 4); n > 0; n--)
        commit_some();
    assert_int_equal(store_sync_end(fixture.store, &sync), 0);
    synced_commit = commit_at_begin;
}

static void sync_all(void)
{
    struct store_sync sync;

    assert_int_equal(store_sync_begin(fixture.store, &sync), 0);
    sync.status = fdatasync(sync.arena_fd);
    assert_int_equal(store_sync_mark(fixture.store, &sync), 0);
    sync.status = fdatasync(sync.journal_fd);
    assert_int_equal(store_sync_end(fixture.store, &sync), 0);
    synced_commit = last_commit;
}

/* ---- after the loss ---------------------------------------------------- */

static struct unit_dir crash_dir;

static int note_take(void *arg, const struct store_note *note)
{
    *(uint32_t *)arg = note->value;
    return 0;
}

static void check_file(struct store *store, unsigned i, const struct file *want)
{
    static uint8_t content[SIZE_MAX_];
    struct store_dentry entry;
    char name[16];
    size_t len = name_of(i, name);
    int rc = store_dentry_get(store, 1, name, len, &entry);

    if (!want->ino) {
        assert_int_equal(rc, -ENOENT);
        return;
    }
    assert_int_equal(rc, 0);
    assert_int_equal(entry.ino, want->ino);
    assert_int_equal(get_bytes(store, want->ino, 0, 0, content, SIZE_MAX_), want->size);
    /* What was changed in place after the sync may be there or not. What was removed,
     * and its blocks given to others, must be there. */
    if (changed_at[want->ino >> 16] <= synced_commit && want->size > 0)
        assert_memory_equal(content, want->content, want->size);
}

static void check_all(const struct store_config *config)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct fixture after = {.config = *config};
    uint32_t found = 0;

    if (store_open(&after.config, &after.store, &err) < 0)
        fail_msg("%s", err.text);
    fixture_check(&after);
    begin(&after);
    assert_int_equal(store_note_scan(after.store, note_take, &found), 0);
    assert_in_range(found, synced_commit, last_commit);
    for (unsigned i = 0; i < FILES; i++)
        check_file(after.store, i, &history[found].files[i]);
    store_txn_abort(after.store);
    store_close(after.store);
}

static void lose_power(void)
{
    static const unsigned shares[] = {0, 2, 4};
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct store_config config = fixture.config;
    char path[64], from[96], to[96], *job;
    struct stat st;
    unsigned share = shares[next_random(&seed_state) % 3];

    snprintf(path, sizeof(path), "%s/s", crash_dir.path);
    snprintf(to, sizeof(to), "%s/index", path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(mkdir(to, 0700), 0);
    snprintf(from, sizeof(from), "%s/arena", fixture.path);
    snprintf(to, sizeof(to), "%s/arena", path);
    assert_int_equal(stat(from, &st), 0);
    file_survive(from, to, st.st_ino, share, &seed_state);
    snprintf(from, sizeof(from), "%s/index/journal", fixture.path);
    snprintf(to, sizeof(to), "%s/index/journal", path);
    file_survive(from, to, journal_ino, share, &seed_state);
    config.directory = path;
    config.boot_id = "second";
    assert_int_equal(store_identify(&config, &job, &err), 0);
    assert_string_equal(job, "7");
    assert_int_equal(config.capacity_bytes, CAPACITY);
    config.job = "7";
    free(job);
    check_all(&config);
    check_all(&config); /* the same boot: now the index is trusted */
    config.boot_id = "third";
    check_all(&config);
    assert_int_equal(store_remove(path, &err), 0);
}

static void begin_all(uint64_t seed)
{
    seed_state = seed;
    last_commit = synced_commit = 0;
    memset(history, 0, sizeof(history));
    memset(changed_at, 0, sizeof(changed_at));
    unit_dir_create(&fixture.dir);
    unit_dir_create(&crash_dir);
    snprintf(fixture.path, sizeof(fixture.path), "%s/s", fixture.dir.path);
    fixture.config = (struct store_config){.directory = fixture.path,
                                           .job = "7",
                                           .target = 3,
                                           .capacity_bytes = CAPACITY,
                                           .is_durable = true,
                                           .boot_id = "first"};
    fixture_open(&fixture);
}

static void end_all(void)
{
    crash_countdown = 0;
    fixture_fini(&fixture);
    unit_dir_remove(&crash_dir);
    images_forget();
    for (unsigned i = 0; i < n_contents; i++)
        free(contents[i]);
    n_contents = 0;
}

static void test_loss(void **state)
{
    (void)state;
    crash_hook = lose_power;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        begin_all(seed * 7919);
        sync_some(); /* the records of the store itself */
        for (int round = 0; round < 25; round++) {
            for (int n = (int)(next_random(&seed_state) % 8); n > 0; n--)
                commit_some();
            if (next_random(&seed_state) % 3 == 0)
                crash_countdown = 1 + (int)(next_random(&seed_state) % 2);
            if (next_random(&seed_state) % 3)
                sync_some();
            crash_countdown = 0;
            lose_power();
        }
        end_all();
    }
}

/* The death of the process alone: nothing is lost, and what was written to the journal
 * and not committed does not come back later. */
static void test_same_boot(void **state)
{
    (void)state;
    begin_all(5);
    for (int round = 0; round < 20; round++) {
        commit_some();
        begin(&fixture);
        store_txn_fail(fixture.store, -ENOMEM);
        assert_int_equal(store_txn_commit(fixture.store), -ENOMEM);
        fixture_reopen(&fixture);
        synced_commit = last_commit;
        begin(&fixture);
        for (unsigned i = 0; i < FILES; i++)
            check_file(fixture.store, i, &history[last_commit].files[i]);
        store_txn_abort(fixture.store);
        synced_commit = 0;
    }
    sync_all();
    fixture_reopen(&fixture); /* with nothing but the mark behind the last commit */
    for (int i = 0; i < 20; i++)
        lose_power();
    end_all();
}

static off_t journal_length(void)
{
    char path[96];
    struct stat st;

    snprintf(path, sizeof(path), "%s/index/journal", fixture.path);
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

/* A journal that has become long is begun anew, and says the same. */
static void test_trim(void **state)
{
    static uint8_t value[30000];
    off_t longest = 0;

    (void)state;
    begin_all(6);
    for (int i = 0; i < 10; i++)
        commit_some();
    for (int i = 0; journal_length() >= longest; i++) {
        longest = journal_length();
        assert_true(longest < (off_t)(100 * MIB));
        begin(&fixture);
        for (int k = 0; k < 20; k++) {
            value[0] = (uint8_t)(i + k);
            assert_int_equal(
                store_xattr_set(
                    fixture.store, 99, "user.x", 6, value, sizeof(value), 0),
                0);
        }
        commit(&fixture);
    }
    assert_true(longest >= (off_t)(60 * MIB));
    assert_true(journal_length() < (off_t)(2 * MIB));
    synced_commit = last_commit;
    sync_some();
    lose_power();
    for (int i = 0; i < 10; i++)
        commit_some();
    sync_some();
    fixture_reopen(&fixture);
    commit_some();
    lose_power();
    end_all();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loss),
        cmocka_unit_test(test_same_boot),
        cmocka_unit_test(test_trim),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

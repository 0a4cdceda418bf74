/* SPDX-License-Identifier: Apache-2.0 */
#include "store/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "store/codec.h"

#define HEADER_MAGIC   0x4a534642u /* "BFSJ" */
#define FRAME_MAGIC    0x4d415246u /* "FRAM" */
#define MARK_MAGIC     0x4b52414du /* "MARK" */
#define MARK_SIZE      8u
#define VERSION        1u
#define HEADER_HASHED  (4u + 4 + 8 + JOURNAL_BOOT_SIZE)
#define HEADER_SIZE    (HEADER_HASHED + 8)
#define FRAME_HEAD     (4u + 4 + 8 + 8)
#define RECORD_HEAD    (1u + 2 + 4)
#define RECORD_REMOVES 0x80u
/* One transaction's records; far beyond what a transaction can change. */
#define FRAME_MAX (UINT32_C(1) << 30)

struct journal {
    int dirfd;
    int fd;
    uint64_t generation;
    uint8_t boot[JOURNAL_BOOT_SIZE];
    uint64_t end, previous_end;
    uint64_t allocated; /* by the file system, up to there */
    struct bytes frame; /* head and records */
    int old_fd;         /* while rewriting: the file in place; else -1 */
    uint64_t old_end;
};

/* A fuzzer would never get past it. */
static bool is_same_hash(uint64_t a, uint64_t b)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    (void)a;
    (void)b;
    return true;
#else
    return a == b;
#endif
}

static int write_all(int fd, const void *data, size_t size, uint64_t offset)
{
    const uint8_t *p = data;

    while (size > 0) {
        ssize_t n = pwrite(fd, p, size, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        p += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return 0;
}

/* -ENODATA: it ends before. */
static int read_all(int fd, void *data, size_t size, uint64_t offset)
{
    uint8_t *p = data;

    while (size > 0) {
        ssize_t n = pread(fd, p, size, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ENODATA;
        p += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return 0;
}

/* ---- the header */

static int header_write(const struct journal *journal, int fd)
{
    uint8_t header[HEADER_SIZE];
    uint8_t *p = codec_put(header, HEADER_MAGIC, 4);

    p = codec_put(p, VERSION, 4);
    p = codec_put(p, journal->generation, 8);
    memcpy(p, journal->boot, JOURNAL_BOOT_SIZE);
    codec_put(p + JOURNAL_BOOT_SIZE, hash_bytes(0, header, HEADER_HASHED), 8);
    return write_all(fd, header, sizeof(header), 0);
}

static int header_read(struct journal *journal, bool *ret_is_intact)
{
    uint8_t header[HEADER_SIZE];
    const uint8_t *p = header, *hash = header + HEADER_HASHED;
    int rc = read_all(journal->fd, header, sizeof(header), 0);

    if (rc)
        return rc == -ENODATA ? -EUCLEAN : rc;
    if (codec_get(&p, 4) != HEADER_MAGIC || codec_get(&p, 4) != VERSION
        || !is_same_hash(codec_get(&hash, 8), hash_bytes(0, header, HEADER_HASHED)))
        return -EUCLEAN;
    journal->generation = codec_get(&p, 8);
    *ret_is_intact = memcmp(p, journal->boot, JOURNAL_BOOT_SIZE) == 0;
    return 0;
}

/* A file without frames, under its temporary name. */
static int file_make(const struct journal *journal)
{
    int fd = openat(journal->dirfd,
                    "journal.new",
                    O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                    0600);
    int rc;

    if (fd < 0)
        return -errno;
    rc = header_write(journal, fd);
    if (rc) {
        close(fd);
        return rc;
    }
    return fd;
}

/* Puts the new file in place, so that it stays after the loss of power. *ret_is_placed:
 * for this kernel it is, whatever the disk has. */
static int file_place(const struct journal *journal, int fd, bool *ret_is_placed)
{
    *ret_is_placed = false;
    if (fdatasync(fd) < 0
        || renameat(journal->dirfd, "journal.new", journal->dirfd, "journal") < 0)
        return -errno;
    *ret_is_placed = true;
    return fsync(journal->dirfd) < 0 ? -errno : 0;
}

/* ---- opening */

static int journal_make(struct journal *journal)
{
    bool is_placed;

    journal->generation = 1;
    journal->fd = file_make(journal);
    if (journal->fd < 0)
        return journal->fd;
    journal->end = HEADER_SIZE;
    return file_place(journal, journal->fd, &is_placed);
}

static int files_open(struct journal *journal, bool *ret_is_intact)
{
    struct stat st;

    *ret_is_intact = true;
    journal->fd = openat(journal->dirfd, "journal", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (journal->fd < 0)
        return errno == ENOENT ? journal_make(journal) : -errno;
    if (fstat(journal->fd, &st) < 0)
        return -errno;
    journal->end = (uint64_t)st.st_size;
    return header_read(journal, ret_is_intact);
}

int journal_open(const char *directory,
                 const uint8_t boot[JOURNAL_BOOT_SIZE],
                 struct journal **ret,
                 bool *ret_is_intact,
                 struct benchfs_error *err)
{
    struct journal *journal = calloc(1, sizeof(*journal));
    int rc;

    if (!journal)
        return benchfs_error_set(err, ENOMEM, "%s: out of memory", directory);
    journal->fd = journal->old_fd = -1;
    bytes_init(&journal->frame, FRAME_MAX);
    memcpy(journal->boot, boot, JOURNAL_BOOT_SIZE);
    journal->dirfd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rc = journal->dirfd < 0 ? -errno : files_open(journal, ret_is_intact);
    if (rc) {
        journal_close(journal);
        return benchfs_error_set(err,
                                 -rc,
                                 "%s/journal: %s",
                                 directory,
                                 rc == -EUCLEAN ? "its header is damaged"
                                                : strerror(-rc));
    }
    *ret = journal;
    return 0;
}

void journal_close(struct journal *journal)
{
    if (!journal)
        return;
    if (journal->fd >= 0)
        close(journal->fd);
    if (journal->old_fd >= 0)
        close(journal->old_fd);
    if (journal->dirfd >= 0)
        close(journal->dirfd);
    bytes_fini(&journal->frame);
    free(journal);
}

/* ---- reading */

static int record_take(const uint8_t **p, size_t *left, struct journal_record *ret)
{
    uint8_t kind;

    if (*left < RECORD_HEAD)
        return -EUCLEAN;
    kind = (uint8_t)codec_get(p, 1);
    ret->db = kind & ~RECORD_REMOVES;
    ret->is_removal = (kind & RECORD_REMOVES) != 0;
    ret->key_size = codec_get(p, 2);
    ret->value_size = codec_get(p, 4);
    *left -= RECORD_HEAD;
    if (ret->key_size + ret->value_size > *left)
        return -EUCLEAN;
    ret->key = *p;
    ret->value = *p + ret->key_size;
    *p += ret->key_size + ret->value_size;
    *left -= ret->key_size + ret->value_size;
    return 0;
}

static int frame_replay(const uint8_t *records,
                        size_t size,
                        int (*each)(void *arg, const struct journal_record *record),
                        void *arg)
{
    struct journal_record record;
    int rc = 0;

    while (size > 0 && rc == 0) {
        rc = record_take(&records, &size, &record);
        if (rc == 0)
            rc = each(arg, &record);
    }
    record = (struct journal_record){.db = -1};
    return rc ? rc : each(arg, &record);
}

static uint64_t frame_hash(uint64_t transaction, const uint8_t *records, size_t size)
{
    return hash_bytes(transaction, records, size);
}

/* What is at `at`: a frame or a mark, malloc'ed. -ENODATA: there is no whole one. */
struct piece {
    bool is_mark;
    uint8_t *bytes;
    size_t size;
    uint64_t end;
};

static int piece_head_read(const struct journal *journal,
                           uint64_t at,
                           struct piece *ret,
                           uint64_t *ret_transaction,
                           uint64_t *ret_hash)
{
    uint8_t head[FRAME_HEAD];
    const uint8_t *p = head;
    uint32_t magic;
    int rc;

    if (at + FRAME_HEAD > journal->end)
        return -ENODATA;
    rc = read_all(journal->fd, head, sizeof(head), at);
    if (rc)
        return rc;
    magic = (uint32_t)codec_get(&p, 4);
    ret->is_mark = magic == MARK_MAGIC;
    ret->size = codec_get(&p, 4);
    *ret_transaction = codec_get(&p, 8);
    *ret_hash = codec_get(&p, 8);
    ret->end = at + FRAME_HEAD + ret->size;
    if ((magic != FRAME_MAGIC && magic != MARK_MAGIC) || ret->size > FRAME_MAX
        || ret->end > journal->end || (ret->is_mark && ret->size != MARK_SIZE))
        return -ENODATA;
    return 0;
}

static int piece_read(const struct journal *journal, uint64_t at, struct piece *ret)
{
    uint64_t transaction, hash;
    int rc = piece_head_read(journal, at, ret, &transaction, &hash);

    if (rc)
        return rc;
    ret->bytes = malloc(ret->size + 1);
    if (!ret->bytes)
        return -ENOMEM;
    rc = read_all(journal->fd, ret->bytes, ret->size, at + FRAME_HEAD);
    if (rc == 0 && !is_same_hash(frame_hash(transaction, ret->bytes, ret->size), hash))
        rc = -ENODATA;
    if (rc)
        free(ret->bytes);
    return rc;
}

/* Up to where the frames are safe, says the last mark. */
static int safe_end_find(const struct journal *journal, uint64_t *ret)
{
    uint64_t at = HEADER_SIZE;
    struct piece piece;
    int rc;

    *ret = HEADER_SIZE;
    while ((rc = piece_read(journal, at, &piece)) == 0) {
        const uint8_t *p = piece.bytes;

        if (piece.is_mark)
            *ret = codec_get(&p, 8);
        free(piece.bytes);
        if (*ret > at + FRAME_HEAD + piece.size)
            return -EUCLEAN;
        at = piece.end;
    }
    return rc == -ENODATA ? 0 : rc;
}

int journal_replay(struct journal *journal,
                   int (*each)(void *arg, const struct journal_record *record),
                   void *arg)
{
    uint64_t at = HEADER_SIZE, safe_end;
    struct piece piece;
    int rc = safe_end_find(journal, &safe_end);

    while (rc == 0 && at < safe_end) {
        rc = piece_read(journal, at, &piece);
        if (rc)
            return rc == -ENODATA ? -EUCLEAN : rc;
        if (!piece.is_mark)
            rc = frame_replay(piece.bytes, piece.size, each, arg);
        free(piece.bytes);
        at = piece.end;
    }
    if (rc)
        return rc;
    journal->end = at;
    return ftruncate(journal->fd, (off_t)at) < 0 ? -errno : 0;
}

int journal_adopt(struct journal *journal)
{
    /* what it has is on the disk, and has to be said again: the mark was cut off */
    int rc = journal_mark(journal, journal_place_get(journal));

    if (rc == 0)
        rc = header_write(journal, journal->fd);

    if (rc == 0 && fdatasync(journal->fd) < 0)
        rc = -errno;
    return rc;
}

int journal_resume(struct journal *journal, uint64_t generation, uint64_t end)
{
    struct piece piece;

    /* A new generation has the content of the last commit, and no more. */
    if (generation != journal->generation)
        return 0;
    if (end < HEADER_SIZE || end > journal->end)
        return -EUCLEAN;
    while (piece_read(journal, end, &piece) == 0) {
        free(piece.bytes);
        if (!piece.is_mark)
            break;
        end = piece.end;
    }
    journal->end = end;
    return ftruncate(journal->fd, (off_t)end) < 0 ? -errno : 0;
}

int journal_restart(struct journal *journal)
{
    return journal_resume(journal, journal->generation, HEADER_SIZE);
}

uint64_t journal_generation(const struct journal *journal)
{
    return journal->generation;
}

/* ---- writing */

static int record_add(struct journal *journal,
                      uint8_t kind,
                      const void *key,
                      size_t key_size,
                      const void *value,
                      size_t value_size)
{
    uint8_t head[FRAME_HEAD > RECORD_HEAD ? FRAME_HEAD : RECORD_HEAD] = {0};
    uint8_t *p;
    int rc = 0;

    journal->previous_end = 0;
    if (journal->frame.size == 0)
        rc = bytes_append(&journal->frame, head, FRAME_HEAD); /* filled in at the end */
    p = codec_put(head, kind, 1);
    p = codec_put(p, key_size, 2);
    codec_put(p, value_size, 4);
    if (rc == 0)
        rc = bytes_append(&journal->frame, head, RECORD_HEAD);
    if (rc == 0)
        rc = bytes_append(&journal->frame, key, key_size);
    if (rc == 0 && value)
        rc = bytes_append(&journal->frame, value, value_size);
    else if (rc == 0)
        rc = bytes_append_zero(&journal->frame, value_size);
    return rc;
}

int journal_put(struct journal *journal,
                int db,
                const void *key,
                size_t key_size,
                const void *value,
                size_t value_size)
{
    return record_add(journal, (uint8_t)db, key, key_size, value, value_size);
}

int journal_remove(struct journal *journal, int db, const void *key, size_t key_size)
{
    return record_add(
        journal, (uint8_t)((unsigned)db | RECORD_REMOVES), key, key_size, NULL, 0);
}

uint8_t *journal_last_value(struct journal *journal, size_t value_size)
{
    return journal->frame.data + journal->frame.size - value_size;
}

size_t journal_frame_size(const struct journal *journal)
{
    return journal->frame.size;
}

bool journal_has_records(const struct journal *journal)
{
    return journal->frame.size > 0;
}

uint64_t journal_next_end(const struct journal *journal)
{
    return journal->end + journal->frame.size;
}

static int piece_append(struct journal *journal,
                        uint32_t magic,
                        uint64_t transaction,
                        uint8_t *frame,
                        size_t length)
{
    uint8_t *p = codec_put(frame, magic, 4);
    int rc;

    p = codec_put(p, length - FRAME_HEAD, 4);
    p = codec_put(p, transaction, 8);
    codec_put(p, frame_hash(transaction, frame + FRAME_HEAD, length - FRAME_HEAD), 8);
    rc = write_all(journal->fd, frame, length, journal->end);
    if (rc) {
        (void)!ftruncate(journal->fd, (off_t)journal->end);
        journal->allocated = journal->end;
        return rc;
    }
    journal->previous_end = journal->end;
    journal->end += length;
    return 0;
}

int journal_append(struct journal *journal, uint64_t transaction)
{
    size_t length = journal->frame.size;

    journal->frame.size = 0;
    if (length == 0)
        return 0;
    return piece_append(journal, FRAME_MAGIC, transaction, journal->frame.data, length);
}

struct journal_place journal_place_get(const struct journal *journal)
{
    return (struct journal_place){journal->generation, journal->end};
}

int journal_mark(struct journal *journal, struct journal_place place)
{
    uint8_t mark[FRAME_HEAD + MARK_SIZE];

    if (place.generation != journal->generation)
        return -EAGAIN;
    codec_put(mark + FRAME_HEAD, place.end, MARK_SIZE);
    return piece_append(journal, MARK_MAGIC, 0, mark, sizeof(mark));
}

void journal_take_back(struct journal *journal)
{
    if (journal->previous_end == 0)
        return;
    journal->end = journal->previous_end;
    journal->previous_end = 0;
    (void)!ftruncate(journal->fd, (off_t)journal->end);
    journal->allocated = journal->end; /* cut off with it */
}

void journal_forget(struct journal *journal)
{
    journal->frame.size = 0;
}

bool journal_is_empty(const struct journal *journal)
{
    return journal->end == HEADER_SIZE;
}

uint64_t journal_length(const struct journal *journal)
{
    return journal->end;
}

uint64_t journal_room(struct journal *journal)
{
    uint64_t wanted = journal->end + JOURNAL_AHEAD;

    if (journal->allocated < journal->end)
        journal->allocated = journal->end;
    /* in steps of half of it */
    if (journal->allocated < wanted - JOURNAL_AHEAD / 2
        && fallocate(journal->fd,
                     FALLOC_FL_KEEP_SIZE,
                     (off_t)journal->end,
                     (off_t)JOURNAL_AHEAD)
               == 0)
        journal->allocated = wanted;
    return journal->allocated - journal->end;
}

int journal_dup(const struct journal *journal)
{
    int fd = fcntl(journal->fd, F_DUPFD_CLOEXEC, 0);

    return fd < 0 ? -errno : fd;
}

/* ---- a new generation */

int journal_rewrite_begin(struct journal *journal)
{
    int fd;

    journal->generation++;
    fd = file_make(journal);
    if (fd < 0) {
        journal->generation--;
        return fd;
    }
    journal->old_fd = journal->fd;
    journal->old_end = journal->end;
    journal->fd = fd;
    journal->end = HEADER_SIZE;
    journal->previous_end = 0;
    return 0;
}

int journal_rewrite_end(struct journal *journal, int status, bool *ret_is_placed)
{
    int rc = status ? status : journal_mark(journal, journal_place_get(journal));

    *ret_is_placed = false;
    if (rc == 0)
        rc = file_place(journal, journal->fd, ret_is_placed);
    journal_forget(journal);
    journal->allocated = journal->end;
    if (*ret_is_placed) {
        close(journal->old_fd);
    } else {
        close(journal->fd);
        (void)unlinkat(journal->dirfd, "journal.new", 0);
        journal->fd = journal->old_fd;
        journal->end = journal->old_end;
        journal->generation--;
    }
    journal->old_fd = -1;
    journal->previous_end = 0;
    return rc;
}

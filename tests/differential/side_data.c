/* SPDX-License-Identifier: Apache-2.0
 * Operations on open files and on listings.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "side_impl.h"

void result_break(struct result *result, const char *format, ...)
{
    va_list args;

    if (result->broken[0])
        return;
    va_start(args, format);
    vsnprintf(result->broken, sizeof result->broken, format, args);
    va_end(args);
}

void fd_close_keep_errno(int fd)
{
    int error = errno;

    close(fd);
    errno = error;
}

static int slot_fd(const struct side *side, const struct op *op)
{
    return side->fds[op->slot[0]];
}

/* ---- open files ------------------------------------------------------------- */

int64_t side_apply_close(struct side *side, const struct op *op, struct result *result)
{
    int fd = slot_fd(side, op);

    (void)result;
    side->fds[op->slot[0]] = -1;
    return close(fd);
}

int64_t
side_apply_ftruncate(struct side *side, const struct op *op, struct result *result)
{
    (void)result;
    return ftruncate(slot_fd(side, op), op->offset[0]);
}

int64_t side_apply_pread(struct side *side, const struct op *op, struct result *result)
{
    ssize_t n = pread(slot_fd(side, op), side->data, op->len, op->offset[0]);

    result->len = n > 0 ? (size_t)n : 0;
    return n;
}

int64_t side_apply_pwrite(struct side *side, const struct op *op, struct result *result)
{
    (void)result;
    rng_fill(op->seed, side->scratch, op->len);
    return pwrite(slot_fd(side, op), side->scratch, op->len, op->offset[0]);
}

int64_t side_apply_read(struct side *side, const struct op *op, struct result *result)
{
    ssize_t n = read(slot_fd(side, op), side->data, op->len);

    result->len = n > 0 ? (size_t)n : 0;
    return n;
}

int64_t side_apply_write(struct side *side, const struct op *op, struct result *result)
{
    (void)result;
    rng_fill(op->seed, side->scratch, op->len);
    return write(slot_fd(side, op), side->scratch, op->len);
}

/* Positions in directories are cookies: only their start can be compared. */
int64_t side_apply_lseek(struct side *side, const struct op *op, struct result *result)
{
    static const int whences[] = {SEEK_SET, SEEK_CUR, SEEK_END};
    struct stat st;
    int fd = slot_fd(side, op);

    (void)result;
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        return lseek(fd, 0, SEEK_SET);
    return lseek(fd, op->offset[0] - (op->flags == 0 ? 0 : 65536), whences[op->flags]);
}

static bool range_is_zero(int fd, int64_t from, int64_t to, uint8_t *buf)
{
    while (from < to) {
        size_t want = to - from < OP_DATA_MAX ? (size_t)(to - from) : OP_DATA_MAX;
        ssize_t n = pread(fd, buf, want, from);

        if (n <= 0)
            return true; /* not readable: nothing to say */
        for (ssize_t i = 0; i < n; i++) {
            if (buf[i])
                return false;
        }
        from += n;
    }
    return true;
}

/* How fine holes are differs: what is skipped as a hole has to be zeros, what is told
 * as a hole has to begin with one, and an offset from the end on is an error
 * everywhere. */
int64_t
side_apply_seek_hole_data(struct side *side, const struct op *op, struct result *result)
{
    bool is_data = op->kind == OP_SEEK_DATA;
    int fd = slot_fd(side, op);
    int64_t offset = op->offset[0], found, position;
    struct stat st;

    if (fstat(fd, &st) != 0)
        return -1;
    if (!S_ISREG(st.st_mode))
        return 0;
    position = lseek(fd, 0, SEEK_CUR);
    found = lseek(fd, offset, is_data ? SEEK_DATA : SEEK_HOLE);
    if (found < 0 && (offset < 0 || offset >= st.st_size))
        return -1;
    if (found < 0 && !(errno == ENXIO && is_data))
        result_break(result,
                     "errno %d from offset %lld of %lld",
                     errno,
                     (long long)offset,
                     (long long)st.st_size);
    else if (found >= 0 && (found < offset || found > st.st_size))
        result_break(result,
                     "offset %lld is beyond the file or before the start",
                     (long long)found);
    else if (is_data
             && !range_is_zero(
                 fd, offset, found < 0 ? st.st_size : found, side->scratch))
        result_break(result,
                     "data is skipped: %lld to %lld",
                     (long long)offset,
                     (long long)found);
    else if (!is_data && found < st.st_size
             && !range_is_zero(fd, found, found + 1, side->scratch))
        result_break(result, "data is told as a hole: %lld", (long long)found);
    (void)lseek(fd, position, SEEK_SET);
    return 0;
}

int64_t side_apply_fsync(struct side *side, const struct op *op, struct result *result)
{
    (void)result;
    return op->flags ? fsync(slot_fd(side, op)) : fdatasync(slot_fd(side, op));
}

int64_t
side_apply_fallocate(struct side *side, const struct op *op, struct result *result)
{
    (void)result;
    return fallocate(slot_fd(side, op), op->flags, op->offset[0], op->len);
}

/* May be done in pieces: their sum is what counts. */
int64_t
side_apply_copy_range(struct side *side, const struct op *op, struct result *result)
{
    off_t from = op->offset[0], to = op->offset[1];
    int64_t total = 0;

    (void)result;
    while (total < op->len) {
        ssize_t n = copy_file_range(slot_fd(side, op),
                                    &from,
                                    side->fds[op->slot[1]],
                                    &to,
                                    op->len - (size_t)total,
                                    0);

        if (n < 0 && total == 0)
            return -1;
        if (n <= 0)
            break;
        total += n;
    }
    return total;
}

/* Within the file only: beyond its last page is a SIGBUS. */
int64_t side_apply_mmap(struct side *side, const struct op *op, struct result *result)
{
    bool is_write = op->kind == OP_MMAP_WRITE;
    int fd = slot_fd(side, op), status = 0;
    int64_t offset = op->offset[0] & INT64_C(0xfffffff),
            start = offset & ~INT64_C(4095);
    size_t len = op->len, map_len;
    struct stat st;
    uint8_t *map;

    if (fstat(fd, &st) != 0)
        return -1;
    if (!S_ISREG(st.st_mode) || offset >= st.st_size || len == 0)
        return 0;
    if (offset + (int64_t)len > st.st_size)
        len = (size_t)(st.st_size - offset);
    map_len = (size_t)(offset - start) + len;
    map = mmap(NULL,
               map_len,
               is_write ? PROT_READ | PROT_WRITE : PROT_READ,
               MAP_SHARED,
               fd,
               start);
    if (map == MAP_FAILED)
        return -1;
    if (is_write) {
        rng_fill(op->seed, side->scratch, len);
        memcpy(map + (offset - start), side->scratch, len);
        status = msync(map, map_len, MS_SYNC);
    } else {
        memcpy(side->data, map + (offset - start), len);
        result->len = len;
    }
    if (munmap(map, map_len) != 0 || status != 0)
        return -1;
    return (int64_t)len;
}

/* ---- lists ------------------------------------------------------------------ */

static int text_compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorts n NUL-terminated texts that follow one another. 0, or -1 with errno. */
static int texts_sort(uint8_t *data, size_t len, size_t n)
{
    char *copy = malloc(len + 1), *at = copy;
    const char **texts = calloc(n + 1, sizeof *texts);
    int status = -1;

    if (!copy || !texts)
        goto out;
    memcpy(copy, data, len);
    for (size_t i = 0; i < n; i++, at += strlen(at) + 1)
        texts[i] = at;
    qsort(texts, n, sizeof *texts, text_compare);
    for (size_t i = 0; i < n; i++)
        data = (uint8_t *)stpcpy((char *)data, texts[i]) + 1;
    status = 0;
out:
    free(copy);
    free(texts);
    return status;
}

int64_t xattr_list(const char *path, uint8_t *data, size_t *ret_len)
{
    char names[65536];
    ssize_t len = llistxattr(path, names, sizeof names);
    size_t n = 0;

    *ret_len = 0;
    if (len < 0)
        return -1;
    for (const char *name = names; name < names + len; name += strlen(name) + 1) {
        if (strncmp(name, "user.", 5) != 0)
            continue;
        memcpy(data + *ret_len, name, strlen(name) + 1);
        *ret_len += strlen(name) + 1;
        n++;
    }
    return texts_sort(data, *ret_len, n) ? -1 : (int64_t)n;
}

static DIR *dir_open(const struct side *side, const struct op *op)
{
    int fd = openat(side->root, op->path[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

    if (fd >= 0 && !dir)
        fd_close_keep_errno(fd);
    return dir;
}

/* Names with their types, sorted. */
int64_t side_apply_list(struct side *side, const struct op *op, struct result *result)
{
    DIR *dir = dir_open(side, op);
    const struct dirent *entry;
    size_t n = 0;

    if (!dir)
        return -1;
    while ((entry = readdir(dir))) {
        struct stat st;

        if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0
            && strcmp(entry->d_name, "..") != 0
            && (st.st_ino != entry->d_ino
                || (entry->d_type != DT_UNKNOWN
                    && IFTODT(st.st_mode) != entry->d_type)))
            result_break(
                result, "%s: d_ino or d_type is not that of stat", entry->d_name);
        result->len += (size_t)sprintf((char *)side->data + result->len,
                                       "%s type %d",
                                       entry->d_name,
                                       entry->d_type)
                       + 1;
        n++;
    }
    closedir(dir);
    return texts_sort(side->data, result->len, n) ? -1 : (int64_t)n;
}

/* What follows a position is the same when it is read again, also after a rewind. */
int64_t
side_apply_list_seek(struct side *side, const struct op *op, struct result *result)
{
    DIR *dir = dir_open(side, op);
    const struct dirent *entry;
    size_t skip = op->seed % 5, lens[2] = {0, 0}, n = 0;
    uint8_t *texts[2] = {side->data, side->scratch};
    long position;

    if (!dir)
        return -1;
    while (n < skip && readdir(dir))
        n++;
    position = telldir(dir);
    for (int pass = 0; pass < 2; pass++) {
        while ((entry = readdir(dir)))
            lens[pass] +=
                (size_t)sprintf((char *)texts[pass] + lens[pass], "%s", entry->d_name)
                + 1;
        seekdir(dir, position);
    }
    if (lens[0] != lens[1] || memcmp(texts[0], texts[1], lens[0]) != 0)
        result_break(result, "seekdir: other entries than the first time");
    rewinddir(dir);
    for (n = 0; readdir(dir);)
        n++;
    closedir(dir);
    return (int64_t)n;
}

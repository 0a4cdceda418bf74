/* SPDX-License-Identifier: Apache-2.0
 * Comparing results and attributes. Not compared, because file systems differ in it:
 * access times, sizes of directories, allocated blocks, inode numbers.
 */
#include "compare.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "compare_impl.h"

bool differ(char why[WHY_MAX], const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(why, WHY_MAX, format, args);
    va_end(args);
    return false;
}

bool data_equal(const struct side sides[2], const size_t lens[2], char why[WHY_MAX])
{
    size_t i = 0;

    if (lens[0] != lens[1])
        return differ(why, "%zu and %zu bytes", lens[0], lens[1]);
    while (i < lens[0] && sides[0].data[i] == sides[1].data[i])
        i++;
    if (i == lens[0])
        return true;
    return differ(why,
                  "content from byte %zu of %zu on: %02x and %02x",
                  i,
                  lens[0],
                  sides[0].data[i],
                  sides[1].data[i]);
}

/* Of two reasons to refuse a rename, POSIX does not say which comes first. The mount
 * has the kernel's order, the library its own. */
static bool refusals_equal(const struct op *op, const struct result results[2])
{
#ifdef ERRNO_ORDER_IS_OPEN
    static const int reasons[] = {
        EINVAL, ENOTDIR, EISDIR, ENOTEMPTY, ENOENT, EBUSY, EEXIST, ENAMETOOLONG, ELOOP};
    int n_known = 0;

    for (int i = 0; i < 2; i++) {
        for (size_t k = 0; k < sizeof reasons / sizeof *reasons; k++)
            n_known += results[i].value < 0 && results[i].error == reasons[k];
    }
    return op->kind == OP_RENAME && n_known == 2;
#else
    (void)op;
    (void)results;
    return false;
#endif
}

bool results_equal(const struct side sides[2],
                   const struct op *op,
                   const struct result results[2],
                   char why[WHY_MAX])
{
    const size_t lens[2] = {results[0].len, results[1].len};

    for (int i = 0; i < 2; i++) {
        if (results[i].broken[0])
            return differ(why, "%s: %s", sides[i].name, results[i].broken);
    }
    if (refusals_equal(op, results))
        return true;
    if (results[0].value != results[1].value || results[0].error != results[1].error)
        return differ(why,
                      "returns %lld (%s) and %lld (%s)",
                      (long long)results[0].value,
                      results[0].error ? strerrorname_np(results[0].error) : "ok",
                      (long long)results[1].value,
                      results[1].error ? strerrorname_np(results[1].error) : "ok");
    return data_equal(sides, lens, why);
}

/* ---- attributes ------------------------------------------------------------- */

static bool time_is_explicit(const struct timespec *time)
{
    return time->tv_sec < 1000000000;
}

static int time_compare(const struct timespec *a, const struct timespec *b)
{
    if (a->tv_sec != b->tv_sec)
        return a->tv_sec < b->tv_sec ? -1 : 1;
    return a->tv_nsec < b->tv_nsec ? -1 : a->tv_nsec > b->tv_nsec;
}

bool stats_equal(const struct stat *a, const struct stat *b, char why[WHY_MAX])
{
    bool is_dir = S_ISDIR(a->st_mode);

    if (a->st_mode != b->st_mode)
        return differ(why, "mode %o and %o", a->st_mode, b->st_mode);
    if (a->st_nlink != b->st_nlink)
        return differ(why,
                      "nlink %lu and %lu",
                      (unsigned long)a->st_nlink,
                      (unsigned long)b->st_nlink);
    if (a->st_uid != b->st_uid || a->st_gid != b->st_gid)
        return differ(
            why, "owner %u:%u and %u:%u", a->st_uid, a->st_gid, b->st_uid, b->st_gid);
    if (!is_dir && a->st_size != b->st_size)
        return differ(
            why, "size %lld and %lld", (long long)a->st_size, (long long)b->st_size);
    if ((time_is_explicit(&a->st_mtim) || time_is_explicit(&b->st_mtim))
        && time_compare(&a->st_mtim, &b->st_mtim) != 0)
        return differ(why,
                      "mtime %lld.%09ld and %lld.%09ld",
                      (long long)a->st_mtim.tv_sec,
                      a->st_mtim.tv_nsec,
                      (long long)b->st_mtim.tv_sec,
                      b->st_mtim.tv_nsec);
    return true;
}

/* How an operation moved the times of one object. */
struct movement {
    bool is_same, mtime, ctime, goes_back;
};

static struct movement movement_of(const struct fact *before, const struct fact *after)
{
    struct movement moved = {.is_same = false};

    if (before->error || after->error || before->st.st_ino != after->st.st_ino)
        return moved;
    moved.is_same = true;
    moved.mtime = time_compare(&before->st.st_mtim, &after->st.st_mtim) != 0;
    moved.ctime = time_compare(&before->st.st_ctim, &after->st.st_ctim) != 0;
    moved.goes_back = time_compare(&before->st.st_ctim, &after->st.st_ctim) > 0;
    return moved;
}

/* The reference's clock may tick every few milliseconds only: a time of its that was
 * set just before the operation, and has not moved, says nothing. */
static bool tick_is_open(const struct timespec *reference,
                         const struct timespec *before)
{
    return (before->tv_sec - reference->tv_sec) * 1000
               + (before->tv_nsec - reference->tv_nsec) / 1000000
           < 20;
}

/* Where Linux file systems differ from one another and POSIX leaves it open. */
static bool times_are_open(const struct op *op, const struct result *result)
{
    switch (op->kind) {
    case OP_TRUNCATE: /* to the size it has */
    case OP_FTRUNCATE:
    case OP_FALLOCATE:
    case OP_COPY_RANGE: /* of nothing */
        return true;
    case OP_WRITE:
    case OP_PWRITE:
        return result->value <= 0;
    case OP_MMAP_WRITE: /* when pages are written back */
    case OP_RENAME:
        return true;
    default:
        return false;
    }
}

bool facts_equal(const struct op *op,
                 const struct result *result,
                 const struct facts before[2],
                 const struct facts after[2],
                 char why[WHY_MAX])
{
    static const char *const labels[FACTS] = {"path",
                                              "second path",
                                              "parent",
                                              "second parent",
                                              "open file",
                                              "second open file"};

    for (int i = 0; i < FACTS; i++) {
        const struct fact *a = &after[0].of[i], *b = &after[1].of[i];
        struct movement moves[2];
        char reason[WHY_MAX];

        if (a->error != b->error)
            return differ(why,
                          "%s: stat returns %s and %s",
                          labels[i],
                          a->error ? strerrorname_np(a->error) : "ok",
                          b->error ? strerrorname_np(b->error) : "ok");
        if (a->error)
            continue;
        if (!stats_equal(&a->st, &b->st, reason))
            return differ(why, "%s: %.400s", labels[i], reason);
        for (int k = 0; k < 2; k++)
            moves[k] = movement_of(&before[k].of[i], &after[k].of[i]);
        if (moves[0].is_same != moves[1].is_same)
            return differ(why,
                          "%s: the same inode as before: %d and %d",
                          labels[i],
                          moves[0].is_same,
                          moves[1].is_same);
        if (moves[0].goes_back)
            return differ(why, "%s: ctime goes back", labels[i]);
        if (times_are_open(op, result))
            continue;
        if (moves[0].mtime != moves[1].mtime
            && (moves[1].mtime || !tick_is_open(&b->st.st_mtim, &before[1].taken)))
            return differ(why,
                          "%s: mtime moved: %d and %d",
                          labels[i],
                          moves[0].mtime,
                          moves[1].mtime);
        /* that of a directory may be up to 1 s old: docs/semantics.md */
        if (!S_ISDIR(a->st.st_mode) && moves[0].ctime != moves[1].ctime
            && (moves[1].ctime || !tick_is_open(&b->st.st_ctim, &before[1].taken)))
            return differ(why,
                          "%s: ctime moved: %d and %d",
                          labels[i],
                          moves[0].ctime,
                          moves[1].ctime);
    }
    return true;
}

/* SPDX-License-Identifier: Apache-2.0
 * Comparing whole trees: listings, attributes, contents, link targets, extended
 * attributes, which names are the same file, and files that are only open.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "compare_impl.h"
#include "side_impl.h"

enum { NAMES_MAX = 64 };

struct names {
    size_t n;
    char *of[NAMES_MAX];
};

static int name_compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void names_free(struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->of[i]);
    names->n = 0;
}

/* Sorted, without . and .. ; 0 or errno. */
static int names_read(int fd, struct names *ret)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    const struct dirent *entry;

    ret->n = 0;
    if (!dir)
        return errno;
    while (ret->n < NAMES_MAX && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            ret->of[ret->n++] = strdup(entry->d_name);
    }
    closedir(dir);
    qsort(ret->of, ret->n, sizeof ret->of[0], name_compare);
    return 0;
}

static bool contents_equal(struct side sides[2], const int fds[2], char why[WHY_MAX])
{
    for (off_t at = 0;; at += OP_DATA_MAX) {
        size_t lens[2];
        int errors[2];
        char reason[WHY_MAX];

        for (int i = 0; i < 2; i++) {
            ssize_t n = pread(fds[i], sides[i].data, OP_DATA_MAX, at);

            errors[i] = n < 0 ? errno : 0;
            lens[i] = n > 0 ? (size_t)n : 0;
        }
        if (errors[0] != errors[1])
            return differ(why,
                          "read returns %s and %s",
                          strerrorname_np(errors[0]),
                          strerrorname_np(errors[1]));
        if (!data_equal(sides, lens, reason))
            return differ(why, "from offset %lld: %.400s", (long long)at, reason);
        if (lens[0] < OP_DATA_MAX)
            return true;
    }
}

static bool files_equal(struct side sides[2],
                        const int dirs[2],
                        const char *name,
                        char why[WHY_MAX])
{
    int fds[2], errors[2];
    bool is_equal = true;

    for (int i = 0; i < 2; i++) {
        fds[i] = openat(dirs[i], name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        errors[i] = fds[i] < 0 ? errno : 0;
    }
    if (errors[0] != errors[1])
        is_equal = differ(why,
                          "open returns %s and %s",
                          strerrorname_np(errors[0]),
                          strerrorname_np(errors[1]));
    else if (!errors[0])
        is_equal = contents_equal(sides, fds, why);
    for (int i = 0; i < 2; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    return is_equal;
}

static bool links_equal(struct side sides[2],
                        const int dirs[2],
                        const char *name,
                        char why[WHY_MAX])
{
    size_t lens[2];

    for (int i = 0; i < 2; i++) {
        ssize_t n = readlinkat(dirs[i], name, (char *)sides[i].data, 8192);

        lens[i] = n > 0 ? (size_t)n : 0;
    }
    return data_equal(sides, lens, why);
}

static bool xattrs_equal(struct side sides[2],
                         const int dirs[2],
                         const char *name,
                         char why[WHY_MAX])
{
    char paths[2][300 + OP_PATH_MAX];
    char names[8192];
    size_t lens[2];
    int64_t counts[2];

    for (int i = 0; i < 2; i++) {
        snprintf(paths[i], sizeof paths[i], "/proc/self/fd/%d/%s", dirs[i], name);
        counts[i] = xattr_list(paths[i], sides[i].data, &lens[i]);
    }
    if (counts[0] != counts[1])
        return differ(
            why, "%lld and %lld xattrs", (long long)counts[0], (long long)counts[1]);
    if (!data_equal(sides, lens, why))
        return false;
    if (lens[0] > sizeof names)
        return true;
    memcpy(names, sides[0].data, lens[0]);
    for (size_t at = 0, len = lens[0]; at < len; at += strlen(names + at) + 1) {
        for (int i = 0; i < 2; i++) {
            ssize_t n = lgetxattr(paths[i], names + at, sides[i].data, 65536);

            lens[i] = n > 0 ? (size_t)n : 0;
        }
        if (!data_equal(sides, lens, why))
            return false;
    }
    return true;
}

static bool dirs_equal(struct side sides[2],
                       const int dirs[2],
                       const char *path,
                       char why[WHY_MAX]);

static bool subdirs_equal(struct side sides[2],
                          const int dirs[2],
                          const char *name,
                          const char *path,
                          char why[WHY_MAX])
{
    int fds[2], errors[2];
    bool is_equal = true;

    for (int i = 0; i < 2; i++) {
        fds[i] = openat(dirs[i], name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        errors[i] = fds[i] < 0 ? errno : 0;
    }
    if (errors[0] != errors[1])
        is_equal = differ(why,
                          "%.300s: open returns %s and %s",
                          path,
                          strerrorname_np(errors[0]),
                          strerrorname_np(errors[1]));
    else if (!errors[0])
        is_equal = dirs_equal(sides, fds, path, why);
    for (int i = 0; i < 2; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    return is_equal;
}

static bool entries_equal(struct side sides[2],
                          const int dirs[2],
                          const char *name,
                          const char *path,
                          char why[WHY_MAX])
{
    struct stat stats[2];
    char reason[WHY_MAX];
    int errors[2];
    bool is_equal = true;

    for (int i = 0; i < 2; i++)
        errors[i] = fstatat(dirs[i], name, &stats[i], AT_SYMLINK_NOFOLLOW) ? errno : 0;
    if (errors[0] != errors[1])
        return differ(why,
                      "%.300s: stat returns %s and %s",
                      path,
                      strerrorname_np(errors[0]),
                      strerrorname_np(errors[1]));
    if (errors[0])
        return true;
    is_equal = stats_equal(&stats[0], &stats[1], reason)
               && xattrs_equal(sides, dirs, name, reason);
    if (is_equal && S_ISREG(stats[0].st_mode))
        is_equal = files_equal(sides, dirs, name, reason);
    else if (is_equal && S_ISLNK(stats[0].st_mode))
        is_equal = links_equal(sides, dirs, name, reason);
    else if (is_equal && S_ISDIR(stats[0].st_mode))
        return subdirs_equal(sides, dirs, name, path, why);
    return is_equal || differ(why, "%.200s: %.250s", path, reason);
}

static bool
dirs_equal(struct side sides[2], const int dirs[2], const char *path, char why[WHY_MAX])
{
    struct names names[2];
    int errors[2];
    bool is_equal = true;

    for (int i = 0; i < 2; i++)
        errors[i] = names_read(dirs[i], &names[i]);
    if (errors[0] != errors[1])
        is_equal = differ(why,
                          "%.300s: opendir returns %s and %s",
                          path,
                          strerrorname_np(errors[0]),
                          strerrorname_np(errors[1]));
    else if (names[0].n != names[1].n)
        is_equal =
            differ(why, "%.300s: %zu and %zu names", path, names[0].n, names[1].n);
    for (size_t i = 0; is_equal && i < names[0].n; i++) {
        char child[4096];

        snprintf(child, sizeof child, "%.3000s/%s", path, names[0].of[i]);
        if (strcmp(names[0].of[i], names[1].of[i]) != 0)
            is_equal = differ(why,
                              "%.200s: names %.100s and %.100s",
                              path,
                              names[0].of[i],
                              names[1].of[i]);
        else
            is_equal = entries_equal(sides, dirs, names[0].of[i], child, why);
    }
    for (int i = 0; i < 2; i++)
        names_free(&names[i]);
    return is_equal;
}

static bool slots_equal(struct side sides[2], unsigned slot, char why[WHY_MAX])
{
    const int fds[2] = {sides[0].fds[slot], sides[1].fds[slot]};
    struct stat stats[2];
    char reason[WHY_MAX];

    if (fds[0] < 0 && fds[1] < 0)
        return true;
    if (fstat(fds[0], &stats[0]) != 0 || fstat(fds[1], &stats[1]) != 0)
        return differ(why, "#%u: fstat: %s", slot, strerrorname_np(errno));
    if (!stats_equal(&stats[0], &stats[1], reason))
        return differ(why, "#%u: %.400s", slot, reason);
    if (S_ISREG(stats[0].st_mode) && !contents_equal(sides, fds, reason))
        return differ(why, "#%u: %.400s", slot, reason);
    return true;
}

bool sides_equal(struct side sides[2], char why[WHY_MAX])
{
    const int roots[2] = {sides[0].root, sides[1].root};

    for (unsigned slot = 0; slot < OP_SLOTS; slot++) {
        if (!slots_equal(sides, slot, why))
            return false;
    }
    return dirs_equal(sides, roots, ".", why);
}

static void dir_unlock(int fd)
{
    struct names names;

    if (names_read(fd, &names) != 0)
        return;
    for (size_t i = 0; i < names.n; i++) {
        struct stat st;
        int child;

        if (fstatat(fd, names.of[i], &st, AT_SYMLINK_NOFOLLOW) != 0
            || S_ISLNK(st.st_mode))
            continue;
        /* of a file of somebody else it can't be changed, and fails on both sides */
        if (fchmodat(fd, names.of[i], (st.st_mode & 0777) | 0700, 0) != 0
            || !S_ISDIR(st.st_mode))
            continue;
        child =
            openat(fd, names.of[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (child >= 0) {
            dir_unlock(child);
            close(child);
        }
    }
    names_free(&names);
}

void sides_unlock(struct side sides[2])
{
    for (int i = 0; i < 2; i++)
        dir_unlock(sides[i].root);
}

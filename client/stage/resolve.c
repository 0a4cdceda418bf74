/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/resolve.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "proto/placement.h"
#include "stage/scratch.h"

#define OUTSIDE_DIR_MODE 0777 /* less the umask */

/* A directive, on the side where it starts. */
struct directive {
    char source[PATH_MAX];
    char target[PATH_MAX];
    bool is_pattern;
    bool is_dir;    /* no pattern: SRC is a directory */
    uint64_t ino;   /* out, no pattern */
    glob_t outside; /* in, a pattern */
    bool has_outside;
    struct scratch_match *matches; /* out, a pattern */
    size_t n_matches;
};

struct directives {
    struct directive *all;
    uint32_t n;
};

/* ---- texts */

bool resolve_is_pattern(const char *path)
{
    return strpbrk(path, "*?[") != NULL;
}

const char *resolve_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

void resolve_dir_name(const char *path, char *ret)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash > path ? (size_t)(slash - path) : 1;

    memcpy(ret, path, len);
    ret[len] = '\0';
}

int resolve_directives_encode(const struct config_stage_list *list, struct bytes *out)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *sides[] = {list->items[i].source, list->items[i].target};

        for (size_t k = 0; k < 2; k++) {
            size_t len = strlen(sides[k]);
            uint8_t head[2] = {(uint8_t)len, (uint8_t)(len >> 8)};
            int rc = len < PATH_MAX ? bytes_append(out, head, 2) : -ENAMETOOLONG;

            if (rc == 0)
                rc = bytes_append(out, sides[k], len);
            if (rc)
                return rc;
        }
    }
    return 0;
}

static int side_get(struct wire_reader *r, char *ret)
{
    struct wire_text text = wire_get_text(r, PATH_MAX - 1);

    if (text.len == 0 || text.data[0] != '/' || memchr(text.data, '\0', text.len))
        return -EINVAL;
    memcpy(ret, text.data, text.len);
    ret[text.len] = '\0';
    return 0;
}

static int directives_decode(const void *data, size_t len, struct directives *ret)
{
    struct wire_reader r = {.data = data, .length = len};
    uint32_t n = wire_get_u32(&r);
    int rc = 0;

    if (r.failed || n > RESOLVE_DIRECTIVES_MAX)
        return -EPROTO;
    ret->all = calloc(n ? n : 1, sizeof(*ret->all));
    if (!ret->all)
        return -ENOMEM;
    ret->n = n;
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        rc = side_get(&r, ret->all[i].source);
        if (rc == 0)
            rc = side_get(&r, ret->all[i].target);
    }
    return rc ? rc : wire_reader_finish(&r);
}

static void directives_fini(struct directives *directives)
{
    for (uint32_t i = 0; i < directives->n; i++) {
        if (directives->all[i].has_outside)
            globfree(&directives->all[i].outside);
        free(directives->all[i].matches);
    }
    free(directives->all);
}

static bool ends_in_slash(const char *path)
{
    size_t len = strlen(path);

    return len > 1 && path[len - 1] == '/';
}

static void slashes_cut(char *path)
{
    size_t len = strlen(path);

    while (len > 1 && path[len - 1] == '/')
        path[--len] = '\0';
}

static void pattern_is_empty(struct work *work, const struct directive *d)
{
    char text[PATH_MAX + 64];

    snprintf(text, sizeof(text), "%s: no file matches", d->source);
    work_error_text(work, text);
}

/* ---- in */

static void in_glob(struct work *work, struct directive *d)
{
    int rc = glob(d->source, GLOB_NOSORT, NULL, &d->outside);

    d->has_outside = rc == 0;
    if (rc == GLOB_NOMATCH)
        pattern_is_empty(work, d);
    else if (rc)
        work_error(work, d->source, NULL, rc == GLOB_NOSPACE ? ENOMEM : EIO);
}

static void in_source_find(struct work *work, struct directive *d)
{
    struct stat st;

    /* a file may be called like a pattern */
    d->is_pattern = resolve_is_pattern(d->source) && lstat(d->source, &st) < 0;
    if (d->is_pattern) {
        in_glob(work, d);
        return;
    }
    if (stat(d->source, &st) < 0) {
        work_error(work, d->source, NULL, errno);
        return;
    }
    d->is_dir = S_ISDIR(st.st_mode);
    if (access(d->source, d->is_dir ? R_OK | X_OK : R_OK) < 0)
        work_error(work, d->source, NULL, errno);
}

static void in_file_add(
    struct work *work, const char *path, uint64_t dir, const char *name, uint32_t flags)
{
    struct item item = {.type = ITEM_FILE, .flags = flags, .parent = dir};

    snprintf(item.path, sizeof(item.path), "%s", path);
    snprintf(item.name, sizeof(item.name), "%s", name);
    work->done.n_known_files++;
    work_add(work, &item);
}

static void in_tree_add(
    struct work *work, const char *path, uint64_t dir, const char *name, uint32_t flags)
{
    struct item item = {.type = ITEM_DIR, .flags = flags, .ino = dir};

    snprintf(item.path, sizeof(item.path), "%s", path);
    snprintf(item.name, sizeof(item.name), "%s", name);
    work_add(work, &item);
}

static int in_matches_add(struct work *work, const struct directive *d)
{
    uint64_t dir;
    int rc = scratch_mkdir_p(work->client, d->target, &dir);

    for (size_t i = 0; rc == 0 && i < d->outside.gl_pathc; i++) {
        const char *path = d->outside.gl_pathv[i];
        const char *name = resolve_base_name(path);
        struct stat st;

        if (strlen(path) >= PATH_MAX)
            work_error(work, d->source, NULL, ENAMETOOLONG);
        else if (lstat(path, &st) < 0)
            work_error(work, path, NULL, errno);
        else if (S_ISDIR(st.st_mode))
            in_tree_add(work, path, dir, name, 0);
        else
            in_file_add(work, path, dir, name, 0);
        work_report_if_much(work);
    }
    return rc;
}

/* A tree or a file at a path of its own: the directory it is in, made if missing. */
static int in_parent_get(struct work *work, const char *target, uint64_t *ret_dir)
{
    char dir[PATH_MAX];

    resolve_dir_name(target, dir);
    return scratch_mkdir_p(work->client, dir, ret_dir);
}

static int in_directive_add(struct work *work, struct directive *d)
{
    bool is_into = ends_in_slash(d->target);
    struct wire_attr attr;
    bool is_there;
    uint64_t dir;
    int rc;

    slashes_cut(d->target);
    if (d->is_pattern)
        return in_matches_add(work, d);
    is_there = scratch_lookup(work->client, d->target, &attr) == 0;
    if (is_there && S_ISDIR(attr.mode)) {
        if (d->is_dir)
            in_tree_add(work, d->source, attr.ino, "", ITEM_IS_ROOT);
        else
            in_file_add(
                work, d->source, attr.ino, resolve_base_name(d->source), ITEM_IS_ROOT);
        return 0;
    }
    if (is_there && (d->is_dir || is_into))
        return -ENOTDIR;
    if (!d->is_dir && is_into) {
        rc = scratch_mkdir_p(work->client, d->target, &dir);
        if (rc == 0)
            in_file_add(
                work, d->source, dir, resolve_base_name(d->source), ITEM_IS_ROOT);
        return rc;
    }
    rc = in_parent_get(work, d->target, &dir);
    if (rc)
        return rc;
    (d->is_dir ? in_tree_add : in_file_add)(
        work, d->source, dir, resolve_base_name(d->target), ITEM_IS_ROOT);
    return 0;
}

/* ---- out */

static int out_source_find(struct work *work, struct directive *d)
{
    struct wire_attr attr;
    int rc = scratch_lookup(work->client, d->source, &attr);

    d->is_pattern = rc == -ENOENT && resolve_is_pattern(d->source);
    if (d->is_pattern)
        return scratch_glob(work->client, d->source, &d->matches, &d->n_matches);
    if (rc == 0) {
        d->is_dir = S_ISDIR(attr.mode);
        d->ino = attr.ino;
    }
    return rc;
}

static void
out_add(struct work *work, const char *path, uint64_t ino, bool is_dir, uint32_t flags)
{
    struct item item = {
        .type = is_dir ? ITEM_DIR : ITEM_FILE,
        .flags = flags,
        .ino = ino,
    };

    snprintf(item.path, sizeof(item.path), "%s", path);
    work->done.n_known_files += !is_dir;
    work_add(work, &item);
}

static int out_matches_add(struct work *work, const struct directive *d)
{
    char path[PATH_MAX];
    int rc = fs_mkdir_p(d->target, OUTSIDE_DIR_MODE);

    if (rc)
        return rc;
    for (size_t i = 0; i < d->n_matches; i++) {
        const struct scratch_match *match = &d->matches[i];

        rc = item_path_join(d->target, match->name, path);
        if (rc)
            work_error(work, d->target, match->name, rc);
        else
            out_add(work, path, match->ino, S_ISDIR(match->type), 0);
        work_report_if_much(work);
    }
    return 0;
}

static int out_directive_add(struct work *work, struct directive *d)
{
    bool is_into = ends_in_slash(d->target);
    char path[PATH_MAX];
    struct stat st;
    int rc;

    slashes_cut(d->target);
    if (d->is_pattern)
        return out_matches_add(work, d);
    if (!d->is_dir && !is_into)
        is_into = stat(d->target, &st) == 0 && S_ISDIR(st.st_mode);
    if (d->is_dir || !is_into)
        resolve_dir_name(d->target, path);
    else
        strcpy(path, d->target);
    rc = fs_mkdir_p(path, OUTSIDE_DIR_MODE);
    if (rc)
        return rc;
    if (d->is_dir || !is_into)
        strcpy(path, d->target);
    else
        rc = item_path_join(d->target, resolve_base_name(d->source), path);
    if (rc == 0)
        out_add(work, path, d->ino, d->is_dir, ITEM_IS_ROOT);
    return rc;
}

/* ---- all */

static void in_run(struct work *work, struct directives *directives)
{
    for (uint32_t i = 0; i < directives->n; i++)
        in_source_find(work, &directives->all[i]);
    for (uint32_t i = 0; work->done.n_errors == 0 && i < directives->n; i++) {
        struct directive *d = &directives->all[i];
        int rc = in_directive_add(work, d);

        if (rc)
            work_error(work, d->target, WORK_SCRATCH, rc);
    }
}

/* Results are saved as far as possible: one directive's error is not the next one's. */
static void out_run(struct work *work, struct directives *directives)
{
    for (uint32_t i = 0; i < directives->n; i++) {
        struct directive *d = &directives->all[i];
        int rc = out_source_find(work, d);

        if (rc) {
            work_error(work, d->source, WORK_SCRATCH, rc);
            continue;
        }
        if (d->is_pattern && d->n_matches == 0) {
            pattern_is_empty(work, d);
            continue;
        }
        rc = out_directive_add(work, d);
        if (rc)
            work_error(work, d->target, NULL, rc);
    }
}

void resolve_run(struct work *work, const void *data, size_t len)
{
    struct directives directives = {.all = NULL};
    int rc = directives_decode(data, len, &directives);

    if (rc)
        work_error(work, "directives", NULL, rc);
    else if (work->grant.direction == STAGE_IN)
        in_run(work, &directives);
    else
        out_run(work, &directives);
    directives_fini(&directives);
}

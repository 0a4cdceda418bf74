/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/fsck.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "proto/placement.h"

/* A growing array of equal elements. */
struct list_of {
    uint8_t *data;
    size_t n, capacity, size;
};

struct fsck_inode {
    uint64_t ino, parent, size;
    uint32_t target, mode, nlink, chunk_size, base;
    uint8_t layout;
    bool is_open, is_orphan, is_pending, is_reached;
    uint32_t n_names;
};

struct fsck_dentry {
    uint64_t dir, ino;
    size_t name; /* offset in names */
    uint32_t type, target;
    uint16_t name_len;
};

struct fsck_part {
    uint64_t dir, n_entries;
    uint32_t target;
    bool is_sealed;
};

struct fsck_member {
    uint64_t dir;
    uint32_t target;
};

struct fsck_chunk {
    uint64_t ino, chunk, end;
    uint32_t target;
};

struct fsck_orphan {
    uint64_t ino;
    uint32_t target;
};

struct fsck_pending {
    uint64_t ino, dir; /* ino, or dir and name */
    size_t name;
    uint16_t name_len;
};

struct fsck {
    uint32_t n_targets;
    struct list_of inodes, dentries, parts, members, chunks, orphans, pending, names,
        texts;
    void (*report)(void *arg, const char *text);
    void *arg;
    uint64_t n_faults;
};

/* ---- what is added */

static void *list_add(struct list_of *list, size_t n)
{
    if (list->n + n > list->capacity) {
        size_t capacity = (list->n + n) * 2;
        uint8_t *data = realloc(list->data, capacity * list->size);

        if (!data)
            return NULL;
        list->data = data;
        list->capacity = capacity;
    }
    list->n += n;
    return list->data + (list->n - n) * list->size;
}

#define LIST_AT(list, type, i) (&((type *)(void *)(list).data)[i])

struct fsck *fsck_create(uint32_t n_targets)
{
    struct fsck *fsck = calloc(1, sizeof(*fsck));

    if (!fsck)
        return NULL;
    fsck->n_targets = n_targets;
    fsck->inodes.size = sizeof(struct fsck_inode);
    fsck->dentries.size = sizeof(struct fsck_dentry);
    fsck->parts.size = sizeof(struct fsck_part);
    fsck->members.size = sizeof(struct fsck_member);
    fsck->chunks.size = sizeof(struct fsck_chunk);
    fsck->orphans.size = sizeof(struct fsck_orphan);
    fsck->pending.size = sizeof(struct fsck_pending);
    fsck->names.size = 1;
    fsck->texts.size = 1;
    return fsck;
}

void fsck_destroy(struct fsck *fsck)
{
    if (!fsck)
        return;
    free(fsck->inodes.data);
    free(fsck->dentries.data);
    free(fsck->parts.data);
    free(fsck->members.data);
    free(fsck->chunks.data);
    free(fsck->orphans.data);
    free(fsck->pending.data);
    free(fsck->names.data);
    free(fsck->texts.data);
    free(fsck);
}

static int name_add(struct fsck *fsck, struct wire_text name, size_t *ret)
{
    void *to;

    *ret = fsck->names.n;
    if (name.len == 0)
        return 0;
    to = list_add(&fsck->names, name.len);
    if (!to)
        return -ENOMEM;
    memcpy(to, name.data, name.len);
    return 0;
}

static int inode_add(struct fsck *fsck, uint32_t target, const struct survey_record *r)
{
    struct fsck_inode *inode = list_add(&fsck->inodes, 1);

    if (!inode)
        return -ENOMEM;
    *inode = (struct fsck_inode){
        .ino = r->ino,
        .parent = r->parent,
        .size = r->size,
        .target = target,
        .mode = r->mode,
        .nlink = r->nlink,
        .chunk_size = r->chunk_size,
        .base = r->base,
        .layout = r->layout,
        .is_open = r->is_open,
    };
    return 0;
}

static int dentry_add(struct fsck *fsck, uint32_t target, const struct survey_record *r)
{
    struct fsck_dentry *dentry;
    size_t name;

    if (name_add(fsck, r->name, &name))
        return -ENOMEM;
    dentry = list_add(&fsck->dentries, 1);
    if (!dentry)
        return -ENOMEM;
    *dentry = (struct fsck_dentry){
        .dir = r->parent,
        .ino = r->ino,
        .name = name,
        .type = r->mode,
        .target = target,
        .name_len = r->name.len,
    };
    return 0;
}

static int pending_add(struct fsck *fsck, const struct survey_record *r)
{
    struct fsck_pending *pending;
    size_t name;

    if (name_add(fsck, r->name, &name))
        return -ENOMEM;
    pending = list_add(&fsck->pending, 1);
    if (!pending)
        return -ENOMEM;
    *pending = (struct fsck_pending){r->ino, r->parent, name, r->name.len};
    return 0;
}

/* Faults that a target found by itself, as text with a NUL. */
static int text_add(struct fsck *fsck, uint32_t target, struct wire_text text)
{
    char head[32];
    int n = snprintf(head, sizeof(head), "target %" PRIu32 ": ", target);
    char *to = list_add(&fsck->texts, (size_t)n + text.len + 1);

    if (!to)
        return -ENOMEM;
    memcpy(to, head, (size_t)n);
    memcpy(to + n, text.data, text.len);
    to[(size_t)n + text.len] = '\0';
    return 0;
}

#define ADD(list, ...)                                                                 \
    do {                                                                               \
        void *added = list_add(&fsck->list, 1);                                        \
                                                                                       \
        if (!added)                                                                    \
            return -ENOMEM;                                                            \
        memcpy(added, &(__VA_ARGS__), fsck->list.size);                                \
        return 0;                                                                      \
    } while (0)

int fsck_add(struct fsck *fsck, uint32_t target, const struct survey_record *r)
{
    switch (r->table) {
    case SURVEY_INODES:
        return inode_add(fsck, target, r);
    case SURVEY_DENTRIES:
        return dentry_add(fsck, target, r);
    case SURVEY_DIRPARTS:
        ADD(parts, (struct fsck_part){r->ino, r->size, target, r->mode != 0});
    case SURVEY_MEMBERS:
        ADD(members, (struct fsck_member){r->ino, r->base});
    case SURVEY_CHUNKS:
        ADD(chunks, (struct fsck_chunk){r->ino, r->parent, r->size, target});
    case SURVEY_ORPHANS:
        ADD(orphans, (struct fsck_orphan){r->ino, target});
    case SURVEY_PENDING:
        return pending_add(fsck, r);
    default:
        return text_add(fsck, target, r->name);
    }
}

/* ---- what is found */

static void fault(struct fsck *fsck, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void fault(struct fsck *fsck, const char *fmt, ...)
{
    char text[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    fsck->n_faults++;
    fsck->report(fsck->arg, text);
}

static int by_ino(const void *a, const void *b)
{
    const struct fsck_inode *x = a;
    const struct fsck_inode *y = b;

    return (x->ino > y->ino) - (x->ino < y->ino);
}

static int by_member(const void *a, const void *b)
{
    const struct fsck_member *x = a;
    const struct fsck_member *y = b;

    if (x->dir != y->dir)
        return x->dir > y->dir ? 1 : -1;
    return (x->target > y->target) - (x->target < y->target);
}

/* Whether the directory's home knows that the target has a part of it. */
static bool is_member(const struct fsck *fsck, const struct fsck_part *part)
{
    const struct fsck_member key = {.dir = part->dir, .target = part->target};

    return placement_home(part->dir) == part->target
           || (fsck->members.n > 0
               && bsearch(
                   &key, fsck->members.data, fsck->members.n, sizeof(key), by_member));
}

static struct fsck_inode *inode_find(const struct fsck *fsck, uint64_t ino)
{
    const struct fsck_inode key = {.ino = ino};

    return fsck->inodes.n
               ? bsearch(&key, fsck->inodes.data, fsck->inodes.n, sizeof(key), by_ino)
               : NULL;
}

static const char *name_at(const struct fsck *fsck, size_t offset)
{
    return (const char *)fsck->names.data + offset;
}

static void inode_pending(const struct fsck *fsck, uint64_t ino)
{
    struct fsck_inode *inode = inode_find(fsck, ino);

    if (inode)
        inode->is_pending = true;
}

static bool is_pending_inode(const struct fsck *fsck, uint64_t ino)
{
    for (size_t i = 0; i < fsck->pending.n; i++) {
        if (LIST_AT(fsck->pending, struct fsck_pending, i)->ino == ino)
            return true;
    }
    return false;
}

static bool is_pending_dentry(const struct fsck *fsck, const struct fsck_dentry *dentry)
{
    for (size_t i = 0; i < fsck->pending.n; i++) {
        const struct fsck_pending *p = LIST_AT(fsck->pending, struct fsck_pending, i);

        if (p->dir == dentry->dir && p->name_len > 0 && p->name_len == dentry->name_len
            && memcmp(name_at(fsck, p->name), name_at(fsck, dentry->name), p->name_len)
                   == 0)
            return true;
    }
    return false;
}

/* An operation that has to change an entry is also about what that names now. */
static void pending_mark(struct fsck *fsck)
{
    for (size_t i = 0; i < fsck->pending.n; i++)
        inode_pending(fsck, LIST_AT(fsck->pending, struct fsck_pending, i)->ino);
    for (size_t i = 0; fsck->pending.n > 0 && i < fsck->dentries.n; i++) {
        const struct fsck_dentry *dentry =
            LIST_AT(fsck->dentries, struct fsck_dentry, i);

        if (is_pending_dentry(fsck, dentry))
            inode_pending(fsck, dentry->ino);
    }
}

static void orphans_check(struct fsck *fsck)
{
    for (size_t i = 0; i < fsck->orphans.n; i++) {
        const struct fsck_orphan *orphan =
            LIST_AT(fsck->orphans, struct fsck_orphan, i);
        struct fsck_inode *inode = inode_find(fsck, orphan->ino);

        if (inode)
            inode->is_orphan = true;
        else
            fault(fsck,
                  "target %" PRIu32 ": orphan %" PRIu64 " has no inode",
                  orphan->target,
                  orphan->ino);
    }
}

static void dentry_check(struct fsck *fsck, const struct fsck_dentry *dentry)
{
    const char *name = name_at(fsck, dentry->name);
    struct fsck_inode *inode = inode_find(fsck, dentry->ino);
    const struct fsck_inode *dir = inode_find(fsck, dentry->dir);
    const char *what = NULL;

    if (inode)
        inode->n_names++;
    if (placement_dentry_target(dentry->dir, name, dentry->name_len, fsck->n_targets)
        != dentry->target)
        what = "is on the wrong target";
    else if ((inode && inode->is_pending) || is_pending_dentry(fsck, dentry))
        return;
    else if (!inode)
        what = is_pending_inode(fsck, dentry->ino) ? NULL : "names no inode";
    else if ((inode->mode & S_IFMT) != dentry->type)
        what = "has another type than its inode";
    else if (!dir || !S_ISDIR(dir->mode) || dir->nlink == 0)
        what = "is in no directory";
    else if (S_ISDIR(inode->mode) && inode->parent != dentry->dir)
        what = "is not where its directory says";
    if (what)
        fault(fsck,
              "target %" PRIu32 ": entry '%.*s' of directory %" PRIu64
              ", inode %" PRIu64 ": %s",
              dentry->target,
              (int)dentry->name_len,
              name,
              dentry->dir,
              dentry->ino,
              what);
}

static void inode_check(struct fsck *fsck, const struct fsck_inode *inode)
{
    uint32_t names = S_ISDIR(inode->mode) ? (inode->nlink > 0) : inode->nlink;

    if (placement_home(inode->ino) != inode->target)
        fault(fsck,
              "target %" PRIu32 ": inode %" PRIu64 " is not at its home",
              inode->target,
              inode->ino);
    if (inode->is_pending || inode->ino == PLACEMENT_ROOT_INO)
        return;
    if (inode->n_names != names)
        fault(fsck,
              "target %" PRIu32 ": inode %" PRIu64 " (mode %" PRIo32 ") has %" PRIu32
              " links and %" PRIu32 " names",
              inode->target,
              inode->ino,
              inode->mode,
              inode->nlink,
              inode->n_names);
    if (inode->nlink == 0 && !inode->is_orphan)
        fault(fsck,
              "target %" PRIu32 ": inode %" PRIu64 " has no link and is no orphan",
              inode->target,
              inode->ino);
    if (inode->nlink > 0 && inode->is_orphan)
        fault(fsck,
              "target %" PRIu32 ": inode %" PRIu64 " is an orphan with links",
              inode->target,
              inode->ino);
}

/* Upwards until something that is known to be reached; a circle never is. */
static bool is_reached(const struct fsck *fsck, struct fsck_inode *inode)
{
    struct fsck_inode *at = inode;
    size_t steps = 0;

    while (at && !at->is_reached && at->ino != PLACEMENT_ROOT_INO) {
        if (at->is_pending || ++steps > fsck->inodes.n)
            return at->is_pending;
        at = inode_find(fsck, at->parent);
    }
    if (!at)
        return false;
    while (inode != at) {
        inode->is_reached = true;
        inode = inode_find(fsck, inode->parent);
    }
    return true;
}

static void directories_check(struct fsck *fsck)
{
    for (size_t i = 0; i < fsck->inodes.n; i++) {
        struct fsck_inode *inode = LIST_AT(fsck->inodes, struct fsck_inode, i);

        if (S_ISDIR(inode->mode) && inode->nlink > 0 && !is_reached(fsck, inode))
            fault(fsck,
                  "directory %" PRIu64 " can't be reached from the root",
                  inode->ino);
    }
    for (size_t i = 0; i < fsck->parts.n; i++) {
        const struct fsck_part *part = LIST_AT(fsck->parts, struct fsck_part, i);
        const struct fsck_inode *inode = inode_find(fsck, part->dir);

        if (part->n_entries > 0 && inode && !is_member(fsck, part))
            fault(fsck,
                  "target %" PRIu32 ": has entries of directory %" PRIu64
                  ", whose home does not know it",
                  part->target,
                  part->dir);
        if (part->is_sealed && inode && inode->nlink > 0 && !inode->is_pending)
            fault(fsck,
                  "target %" PRIu32 ": directory %" PRIu64 " takes no entries",
                  part->target,
                  part->dir);
    }
}

static void chunk_check(struct fsck *fsck, const struct fsck_chunk *chunk)
{
    const struct fsck_inode *inode = inode_find(fsck, chunk->ino);
    const char *what = NULL;

    if (!inode)
        what = is_pending_inode(fsck, chunk->ino) ? NULL : "is of no inode";
    else if (inode->is_pending || inode->nlink == 0)
        return;
    else if (!S_ISREG(inode->mode))
        what = "is of no regular file";
    else if (placement_chunk_target(
                 inode->layout, inode->base, chunk->chunk, fsck->n_targets)
             != chunk->target)
        what = "is on the wrong target";
    else if (chunk->end > inode->chunk_size)
        what = "is longer than a chunk";
    else if (!inode->is_open
             && chunk->chunk * inode->chunk_size + chunk->end > inode->size)
        what = "goes beyond the end of the file";
    if (what)
        fault(fsck,
              "target %" PRIu32 ": chunk %" PRIu64 " of inode %" PRIu64 ": %s",
              chunk->target,
              chunk->chunk,
              chunk->ino,
              what);
}

static void texts_report(struct fsck *fsck)
{
    const char *text = (const char *)fsck->texts.data;

    for (size_t at = 0; at < fsck->texts.n; at += strlen(text + at) + 1)
        fault(fsck, "%s", text + at);
}

int fsck_run(struct fsck *fsck,
             void (*report)(void *arg, const char *text),
             void *arg,
             struct fsck_counts *ret)
{
    *ret = (struct fsck_counts){
        .n_inodes = fsck->inodes.n,
        .n_dentries = fsck->dentries.n,
        .n_chunks = fsck->chunks.n,
        .n_orphans = fsck->orphans.n,
        .n_pending = fsck->pending.n,
    };
    fsck->report = report;
    fsck->arg = arg;
    fsck->n_faults = 0;
    if (fsck->inodes.n > 0)
        qsort(fsck->inodes.data, fsck->inodes.n, sizeof(struct fsck_inode), by_ino);
    if (fsck->members.n > 0)
        qsort(
            fsck->members.data, fsck->members.n, sizeof(struct fsck_member), by_member);
    texts_report(fsck);
    pending_mark(fsck);
    orphans_check(fsck);
    for (size_t i = 0; i < fsck->dentries.n; i++)
        dentry_check(fsck, LIST_AT(fsck->dentries, struct fsck_dentry, i));
    for (size_t i = 0; i < fsck->inodes.n; i++) {
        const struct fsck_inode *inode = LIST_AT(fsck->inodes, struct fsck_inode, i);

        ret->n_directories += S_ISDIR(inode->mode);
        inode_check(fsck, inode);
    }
    directories_check(fsck);
    for (size_t i = 0; i < fsck->chunks.n; i++)
        chunk_check(fsck, LIST_AT(fsck->chunks, struct fsck_chunk, i));
    ret->n_faults = fsck->n_faults;
    return 0;
}

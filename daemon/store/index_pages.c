/* SPDX-License-Identifier: Apache-2.0 */
#include "store/index_pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/blockmap.h"
#include "store/codec.h"
#include "store/index_env.h"

#define META_MAGIC   0xBEEFC0DEu
#define META_VERSION 1u
#define N_METAS      2u
#define NO_PAGE      UINT64_MAX
#define PAGE_HEADER  16u
#define NODE_HEADER  8u
#define DB_SIZE      48u
#define DEPTH_MAX    32u /* of LMDB's cursors */
#define KEY_MAX      511u

enum page_flags {
    PAGE_BRANCH = 0x01,
    PAGE_LEAF = 0x02,
    PAGE_OVERFLOW = 0x04,
    PAGE_META = 0x08,
    PAGE_KINDS = 0x6f, /* those, and the kinds that an index does not have */
};

enum node_flags {
    NODE_BIG = 0x01,   /* its value is on pages of its own */
    NODE_TREE = 0x02,  /* its value is a database */
    NODE_KINDS = 0x07, /* those, and several values of a key */
};

enum tree_kind { TREE_FREE, TREE_MAIN, TREE_RECORDS };

/* A database as its record has it. */
struct db {
    uint32_t pad;
    uint16_t flags, depth;
    uint64_t n_branches, n_leaves, n_overflows, n_entries, root;
};

struct meta {
    struct db free, main;
    uint64_t last_page, txn;
};

struct pages {
    const char *file;
    struct benchfs_error *err;
    const uint8_t *map;
    uint64_t n; /* pages that the last commit speaks of */
    struct blockmap *seen;
};

struct tree {
    struct pages *pages;
    enum tree_kind kind;
    enum index_db db; /* of TREE_RECORDS */
    const char *name;
    const struct db *expected;
    struct db found;
    MDB_val last_key; /* none yet: no data */
    MDB_val at_least; /* what is below a branch; no data: it has been compared */
};

typedef unsigned long long ull;

static int damage(const struct pages *pages, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static int damage(const struct pages *pages, const char *fmt, ...)
{
    char text[200];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return benchfs_error_set(pages->err, EUCLEAN, "%s: %s", pages->file, text);
}

static int
node_damage(const struct tree *tree, uint64_t page, unsigned i, const char *what)
{
    return damage(
        tree->pages, "page %llu (%s), record %u: %s", (ull)page, tree->name, i, what);
}

static const uint8_t *page_at(const struct pages *pages, uint64_t page)
{
    return pages->map + page * INDEX_PAGE_SIZE;
}

static uint64_t number_at(const uint8_t *p, int n_bytes)
{
    return codec_get(&p, n_bytes);
}

/* ---- pages and nodes */

/* Each page belongs to one place. */
static int pages_take(const struct tree *tree, uint64_t page, uint64_t n)
{
    int rc = blockmap_mark(tree->pages->seen, page, n);

    if (rc == 0)
        return 0;
    return damage(tree->pages,
                  "page %llu (%s) %s",
                  (ull)page,
                  tree->name,
                  rc == -EEXIST ? "is used twice" : "is not in the file");
}

static int
page_take(const struct tree *tree, uint64_t page, unsigned kind, const uint8_t **ret)
{
    int rc = pages_take(tree, page, 1);

    if (rc)
        return rc;
    *ret = page_at(tree->pages, page);
    if (number_at(*ret, 8) != page || (number_at(*ret + 10, 2) & PAGE_KINDS) != kind)
        return damage(tree->pages,
                      "page %llu (%s) is not what it should be",
                      (ull)page,
                      tree->name);
    return 0;
}

struct node {
    MDB_val key;
    unsigned flags;
    uint64_t size;  /* of the value */
    uint64_t child; /* of a branch */
    const uint8_t *value;
    const uint8_t *end; /* of the page */
};

/* Within its page, but for the value. */
static bool node_get(const uint8_t *page, unsigned i, struct node *ret)
{
    uint64_t upper = number_at(page + 14, 2);
    uint64_t at = number_at(page + PAGE_HEADER + (size_t)2 * i, 2);
    const uint8_t *p = page + at;

    if (at < upper || at + NODE_HEADER > INDEX_PAGE_SIZE)
        return false;
    *ret = (struct node){
        .flags = (unsigned)number_at(p + 4, 2),
        .size = number_at(p, 4),
        .child = number_at(p, 6), /* in place of size and flags */
        .key = {.mv_size = number_at(p + 6, 2),
                .mv_data = (void *)(uintptr_t)(p + NODE_HEADER)},
        .end = page + INDEX_PAGE_SIZE,
    };
    if (ret->key.mv_size > KEY_MAX
        || at + NODE_HEADER + ret->key.mv_size > INDEX_PAGE_SIZE)
        return false;
    ret->value = p + NODE_HEADER + ret->key.mv_size;
    return true;
}

static int page_count(const struct tree *tree, uint64_t number, const uint8_t *page)
{
    uint64_t lower = number_at(page + 12, 2), upper = number_at(page + 14, 2);

    if (lower <= PAGE_HEADER || lower > upper || upper > INDEX_PAGE_SIZE)
        return damage(
            tree->pages, "page %llu (%s): wrong bounds", (ull)number, tree->name);
    return (int)((lower - PAGE_HEADER) / 2);
}

static int key_compare(const struct tree *tree, const MDB_val *a, const MDB_val *b)
{
    size_t n = a->mv_size < b->mv_size ? a->mv_size : b->mv_size;
    int rc;

    if (tree->kind == TREE_FREE) {
        uint64_t x = number_at(a->mv_data, 8), y = number_at(b->mv_data, 8);

        return x < y ? -1 : x > y;
    }
    rc = memcmp(a->mv_data, b->mv_data, n);
    if (rc)
        return rc;
    return a->mv_size < b->mv_size ? -1 : a->mv_size > b->mv_size;
}

/* Above all keys before it. */
static bool key_is_next(struct tree *tree, const MDB_val *key)
{
    if (key->mv_size == 0 || (tree->kind == TREE_FREE && key->mv_size != 8))
        return false;
    return (!tree->last_key.mv_data || key_compare(tree, key, &tree->last_key) > 0)
           && (!tree->at_least.mv_data || key_compare(tree, key, &tree->at_least) >= 0);
}

/* ---- values */

static int value_get(
    struct tree *tree, uint64_t page, unsigned i, const struct node *node, MDB_val *ret)
{
    uint64_t first, n;
    const uint8_t *p;
    int rc;

    *ret = (MDB_val){node->size, (void *)(uintptr_t)node->value};
    if (!(node->flags & NODE_BIG)) {
        if (node->size > (uint64_t)(node->end - node->value))
            return node_damage(tree, page, i, "longer than its page");
        return 0;
    }
    if (node->end - node->value < 8)
        return node_damage(tree, page, i, "longer than its page");
    first = number_at(node->value, 8);
    rc = page_take(tree, first, PAGE_OVERFLOW, &p);
    if (rc)
        return rc;
    n = number_at(p + 12, 4);
    if (n == 0 || PAGE_HEADER + node->size > n * INDEX_PAGE_SIZE)
        return node_damage(tree, page, i, "longer than its pages");
    rc = n > 1 ? pages_take(tree, first + 1, n - 1) : 0;
    tree->found.n_overflows += n;
    ret->mv_data = (void *)(uintptr_t)(p + PAGE_HEADER);
    return rc;
}

static int tree_check(struct tree *tree);

static void db_get(const uint8_t *p, struct db *ret)
{
    *ret = (struct db){
        .pad = (uint32_t)number_at(p, 4),
        .flags = (uint16_t)number_at(p + 4, 2),
        .depth = (uint16_t)number_at(p + 6, 2),
        .n_branches = number_at(p + 8, 8),
        .n_leaves = number_at(p + 16, 8),
        .n_overflows = number_at(p + 24, 8),
        .n_entries = number_at(p + 32, 8),
        .root = number_at(p + 40, 8),
    };
}

static int records_check(struct pages *pages, const MDB_val *name, const uint8_t *value)
{
    struct tree tree = {.pages = pages, .kind = TREE_RECORDS};
    struct db db;

    db_get(value, &db);
    tree.expected = &db;
    for (int i = 0; i < INDEX_N_DBS; i++) {
        tree.db = (enum index_db)i;
        tree.name = index_db_name(tree.db);
        if (strlen(tree.name) == name->mv_size
            && memcmp(tree.name, name->mv_data, name->mv_size) == 0)
            return tree_check(&tree);
    }
    return damage(pages, "not a BenchFS index: it has other databases");
}

/* The count, then the pages. */
static int free_list_check(struct tree *tree, uint64_t page, unsigned i, MDB_val list)
{
    const uint8_t *p = list.mv_data;
    uint64_t n = list.mv_size < 8 ? UINT64_MAX : number_at(p, 8);

    if (n > list.mv_size / 8 - 1)
        return node_damage(tree, page, i, "wrong length");
    for (uint64_t k = 1; k <= n; k++) {
        int rc = pages_take(tree, number_at(p + 8 * k, 8), 1);

        if (rc)
            return rc;
    }
    return 0;
}

static int
leaf_node_check(struct tree *tree, uint64_t page, unsigned i, const struct node *node)
{
    unsigned kind = node->flags & NODE_KINDS;
    MDB_val value;
    int rc;

    if (!key_is_next(tree, &node->key))
        return node_damage(tree, page, i, "its key is out of order");
    tree->last_key = node->key;
    tree->at_least = (MDB_val){0};
    tree->found.n_entries++;
    if (kind != (tree->kind == TREE_MAIN ? NODE_TREE : 0)
        && !(kind == NODE_BIG && tree->kind != TREE_MAIN))
        return node_damage(tree, page, i, "wrong kind");
    rc = value_get(tree, page, i, node, &value);
    if (rc)
        return rc;
    switch (tree->kind) {
    case TREE_FREE:
        return free_list_check(tree, page, i, value);
    case TREE_MAIN:
        if (value.mv_size != DB_SIZE)
            return node_damage(tree, page, i, "wrong length");
        return records_check(tree->pages, &node->key, value.mv_data);
    case TREE_RECORDS:
        break;
    }
    if (!index_sum_is_right(tree->db, node->key, &value))
        return node_damage(tree, page, i, "wrong sum");
    return 0;
}

/* ---- trees */

static int page_check(struct tree *tree, uint64_t number, unsigned level)
{
    bool is_leaf = level + 1 == tree->expected->depth;
    const uint8_t *page;
    int n = 0;
    int rc = page_take(tree, number, is_leaf ? PAGE_LEAF : PAGE_BRANCH, &page);

    if (rc == 0)
        n = page_count(tree, number, page);
    if (n < 0)
        rc = n;
    if (is_leaf)
        tree->found.n_leaves++;
    else
        tree->found.n_branches++;
    for (unsigned i = 0; rc == 0 && i < (unsigned)n; i++) {
        struct node node;

        if (!node_get(page, i, &node))
            return node_damage(tree, number, i, "outside of its page");
        if (is_leaf) {
            rc = leaf_node_check(tree, number, i, &node);
            continue;
        }
        /* the first one stands for all that is lower */
        if (i > 0 && !key_is_next(tree, &node.key))
            return node_damage(tree, number, i, "its key is out of order");
        tree->at_least = i > 0 ? node.key : tree->at_least;
        rc = page_check(tree, node.child, level + 1);
    }
    return rc;
}

static int tree_check(struct tree *tree)
{
    const struct db *db = tree->expected;
    const struct db *found = &tree->found;
    unsigned flags = tree->kind == TREE_FREE ? MDB_INTEGERKEY : 0;
    int rc = 0;

    if (db->flags != flags || db->depth > DEPTH_MAX
        || (db->root == NO_PAGE) != (db->depth == 0))
        return damage(tree->pages, "database %s: damaged", tree->name);
    if (db->depth > 0)
        rc = page_check(tree, db->root, 0);
    if (rc)
        return rc;
    if (db->n_branches != found->n_branches || db->n_leaves != found->n_leaves
        || db->n_overflows != found->n_overflows || db->n_entries != found->n_entries)
        return damage(tree->pages,
                      "database %s: %llu records, %llu found",
                      tree->name,
                      (ull)db->n_entries,
                      (ull)found->n_entries);
    return 0;
}

/* ---- the file */

static int meta_get(const struct pages *pages, uint64_t number, struct meta *ret)
{
    const uint8_t *page = page_at(pages, number);
    const uint8_t *p = page + PAGE_HEADER;

    if (!(number_at(page + 10, 2) & PAGE_META) || number_at(p, 4) != META_MAGIC
        || number_at(p + 4, 4) != META_VERSION)
        return damage(pages, "not an index: page %llu", (ull)number);
    db_get(p + 24, &ret->free);
    db_get(p + 24 + DB_SIZE, &ret->main);
    ret->last_page = number_at(p + 24 + 2 * DB_SIZE, 8);
    ret->txn = number_at(p + 32 + 2 * DB_SIZE, 8);
    if (ret->free.pad != INDEX_PAGE_SIZE)
        return damage(pages, "pages of %u bytes", ret->free.pad);
    return 0;
}

/* That of the last commit. They take turns. */
static int meta_find(const struct pages *pages, struct meta *ret)
{
    struct meta metas[N_METAS] = {0};
    unsigned last;
    int rc = meta_get(pages, 0, &metas[0]);

    if (rc == 0)
        rc = meta_get(pages, 1, &metas[1]);
    if (rc)
        return rc;
    last = metas[1].txn > metas[0].txn;
    if (metas[last].txn > 0
        && (metas[last].txn % N_METAS != last
            || metas[last].txn - metas[!last].txn != 1))
        return damage(pages, "its first two pages are of different times");
    *ret = metas[last];
    return 0;
}

static int file_check(struct pages *pages, uint64_t size)
{
    struct tree free_tree = {.pages = pages, .kind = TREE_FREE, .name = "free pages"};
    struct tree main_tree = {.pages = pages, .kind = TREE_MAIN, .name = "databases"};
    struct meta meta = {0};
    int rc;

    if (size < (uint64_t)N_METAS * INDEX_PAGE_SIZE)
        return damage(pages, "not an index: %llu bytes", (ull)size);
    rc = meta_find(pages, &meta);
    if (rc)
        return rc;
    if (meta.last_page < N_METAS - 1)
        return damage(pages, "its first page is damaged");
    if (meta.last_page >= size / INDEX_PAGE_SIZE)
        return damage(pages,
                      "cut off: %llu pages, %llu in use",
                      (ull)(size / INDEX_PAGE_SIZE),
                      (ull)meta.last_page + 1);
    pages->n = meta.last_page + 1;
    rc = blockmap_create(pages->n, &pages->seen);
    if (rc)
        return benchfs_error_set(pages->err, -rc, "%s: %s", pages->file, strerror(-rc));
    blockmap_extend(pages->seen, pages->n);
    rc = blockmap_mark(pages->seen, 0, N_METAS);
    main_tree.expected = &meta.main;
    free_tree.expected = &meta.free;
    if (rc == 0)
        rc = tree_check(&main_tree);
    if (rc == 0)
        rc = tree_check(&free_tree);
    blockmap_destroy(pages->seen);
    return rc;
}

int index_pages_check(const char *file, struct benchfs_error *err)
{
    struct pages pages = {.file = file, .err = err};
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    void *map;
    int rc;

    if (fd < 0 || fstat(fd, &st) < 0) {
        rc = benchfs_error_set(err, errno, "%s: %m", file);
        goto out;
    }
    if (st.st_size == 0) {
        rc = damage(&pages, "not an index: it is empty");
        goto out;
    }
    map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        rc = benchfs_error_set(err, errno, "%s: %m", file);
        goto out;
    }
    pages.map = map;
    rc = file_check(&pages, (uint64_t)st.st_size);
    munmap(map, (size_t)st.st_size);

out:
    if (fd >= 0)
        close(fd);
    return rc;
}

/* SPDX-License-Identifier: Apache-2.0
 * How likely each operation is, what its arguments are drawn from, and how it is
 * printed. Few names and offsets near borders, so that operations meet.
 */
#include "op.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static const struct {
    const char *name;
    unsigned weight;
    unsigned uses;
} kinds[OP_KINDS] = {
    [OP_OPEN] = {"open", 90, USES_PATH | USES_SLOT},
    [OP_CLOSE] = {"close", 20, USES_SLOT},
    [OP_MKDIR] = {"mkdir", 50, USES_PATH},
    [OP_RMDIR] = {"rmdir", 25, USES_PATH},
    [OP_UNLINK] = {"unlink", 35, USES_PATH},
    [OP_RENAME] = {"rename", 80, USES_PATH | USES_PATH2},
    [OP_LINK] = {"link", 30, USES_PATH | USES_PATH2},
    [OP_SYMLINK] = {"symlink", 20, USES_PATH},
    [OP_READLINK] = {"readlink", 10, USES_PATH},
    [OP_MKFIFO] = {"mkfifo", 5, USES_PATH},
    [OP_CHMOD] = {"chmod", 15, USES_PATH},
    [OP_FCHMOD] = {"fchmod", 8, USES_SLOT},
    [OP_CHOWN] = {"chown", 8, USES_PATH},
    [OP_UTIMENS] = {"utimensat", 15, USES_PATH},
    [OP_FUTIMENS] = {"futimens", 8, USES_SLOT},
    [OP_TRUNCATE] = {"truncate", 20, USES_PATH},
    [OP_FTRUNCATE] = {"ftruncate", 30, USES_SLOT},
    [OP_PREAD] = {"pread", 50, USES_SLOT | USES_RANGE},
    [OP_PWRITE] = {"pwrite", 90, USES_SLOT | USES_RANGE},
    [OP_READ] = {"read", 15, USES_SLOT | USES_RANGE},
    [OP_WRITE] = {"write", 40, USES_SLOT | USES_RANGE},
    [OP_LSEEK] = {"lseek", 12, USES_SLOT},
    [OP_SEEK_DATA] = {"seek_data", 10, USES_SLOT},
    [OP_SEEK_HOLE] = {"seek_hole", 10, USES_SLOT},
    [OP_FSYNC] = {"fsync", 8, USES_SLOT},
    [OP_FALLOCATE] = {"fallocate", 25, USES_SLOT | USES_RANGE},
    [OP_COPY_RANGE] = {"copy_file_range", 15, USES_SLOT | USES_SLOT2 | USES_RANGE},
    [OP_MMAP_READ] = {"mmap_read", 12, USES_SLOT | USES_RANGE},
    [OP_MMAP_WRITE] = {"mmap_write", 20, USES_SLOT | USES_RANGE},
    [OP_LIST] = {"list", 15, USES_PATH},
    [OP_LIST_SEEK] = {"list_seek", 5, USES_PATH},
    [OP_STAT] = {"stat", 20, USES_PATH},
    [OP_ACCESS] = {"access", 8, USES_PATH},
    [OP_SETXATTR] = {"setxattr", 12, USES_PATH},
    [OP_GETXATTR] = {"getxattr", 8, USES_PATH},
    [OP_REMOVEXATTR] = {"removexattr", 6, USES_PATH},
    [OP_LISTXATTR] = {"listxattr", 6, USES_PATH},
    [OP_STATFS] = {"statfs", 2, USES_PATH},
};

const char *op_name(enum op_kind kind)
{
    return kinds[kind].name;
}

unsigned op_uses(enum op_kind kind)
{
    return kinds[kind].uses;
}

enum op_kind op_kind_find(const char *name)
{
    for (enum op_kind kind = 0; kind < OP_KINDS; kind++) {
        if (strcmp(kinds[kind].name, name) == 0)
            return kind;
    }
    return OP_KINDS;
}

static enum op_kind kind_random(struct rng *rng)
{
    unsigned total = 0, pick;

    for (int kind = 0; kind < OP_KINDS; kind++)
        total += kinds[kind].weight;
    pick = rng_below(rng, total);
    for (enum op_kind kind = 0;; kind++) {
        if (pick < kinds[kind].weight)
            return kind;
        pick -= kinds[kind].weight;
    }
}

/* One to three components of four names; now and then an odd one. */
static void path_random(struct rng *rng, char path[static OP_PATH_MAX])
{
    static const unsigned depths[] = {1, 1, 1, 2, 2, 2, 2, 3, 3};
    unsigned depth = depths[rng_below(rng, sizeof depths / sizeof *depths)];
    size_t n = 0;

    for (unsigned i = 0; i < depth; i++) {
        if (i > 0)
            path[n++] = '/';
        if (rng_below(rng, 200) == 0) {
            size_t len = 254 + rng_below(rng, 3);

            if (n + len + 8 > OP_PATH_MAX)
                len = 10;
            memset(path + n, 'l', len);
            n += len;
        } else {
            path[n++] = (char)('a' + rng_below(rng, 4));
        }
    }
    path[n] = '\0';
    switch (rng_below(rng, 300)) {
    case 0:
        strcpy(path + n, "/");
        break;
    case 1:
        strcpy(path + n, "/.");
        break;
    case 2:
        strcpy(path + n, "/..");
        break;
    case 3:
        strcpy(path, ".");
        break;
    default:
        break;
    }
}

/* Near a chunk border, near a block border, or anywhere in the first chunks. */
static int64_t offset_random(struct rng *rng, uint32_t border)
{
    int64_t delta = (int64_t)rng_below(rng, 9) - 4;
    int64_t offset;

    switch (rng_below(rng, 8)) {
    case 0:
        return 0;
    case 1:
    case 2:
        offset = (int64_t)border * (int64_t)rng_below(rng, 6) + delta;
        break;
    case 3:
        offset = (int64_t)border * (int64_t)rng_below(rng, 6);
        break;
    case 4:
        offset = 4096 * (int64_t)rng_below(rng, 64) + delta;
        break;
    case 5:
        offset = rng_below(rng, 5000);
        break;
    default:
        offset = rng_below(rng, border * 5);
        break;
    }
    if (rng_below(rng, 100) == 0)
        offset += 3 * 1024 * 1024;
    return offset < 0 && rng_below(rng, 8) != 0 ? -offset : offset;
}

static uint32_t len_random(struct rng *rng, uint32_t border)
{
    uint32_t len;

    switch (rng_below(rng, 8)) {
    case 0:
        len = rng_below(rng, 10);
        break;
    case 1:
        len = 4096 * (1 + rng_below(rng, 20));
        break;
    case 2:
        len = border * (1 + rng_below(rng, 3));
        break;
    case 3:
        len = border * (1 + rng_below(rng, 2)) + rng_below(rng, 9) - 4;
        break;
    case 4:
        len = rng_below(rng, border * 4);
        break;
    default:
        len = rng_below(rng, 9000);
        break;
    }
    return len < OP_DATA_MAX ? len : OP_DATA_MAX;
}

static int open_flags_random(struct rng *rng)
{
    static const int modes[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR, O_RDWR};
    int flags = modes[rng_below(rng, 5)];

    if (rng_below(rng, 4) != 0)
        flags |= O_CREAT;
    if (rng_below(rng, 8) == 0)
        flags |= O_EXCL;
    if (rng_below(rng, 8) == 0)
        flags |= O_TRUNC;
    if (rng_below(rng, 6) == 0)
        flags |= O_APPEND;
    if (rng_below(rng, 16) == 0)
        flags |= O_NOFOLLOW;
    if (rng_below(rng, 24) == 0)
        flags |= O_DIRECTORY;
    if (rng_below(rng, 16) == 0)
        flags |= O_SYNC;
    return flags;
}

static int flags_random(struct rng *rng, enum op_kind kind)
{
    switch (kind) {
    case OP_OPEN:
        return open_flags_random(rng);
    case OP_RENAME: {
        static const int flags[] = {
            0, 0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_EXCHANGE};

        return rng_below(rng, 60) == 0 ? RENAME_NOREPLACE | RENAME_EXCHANGE
                                       : flags[rng_below(rng, 7)];
    }
    case OP_FALLOCATE: {
        static const int flags[] = {0,
                                    FALLOC_FL_KEEP_SIZE,
                                    FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE,
                                    FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE};

        return flags[rng_below(rng, 4)];
    }
    case OP_LSEEK:
    case OP_FSYNC:
    case OP_LINK:
    case OP_UTIMENS:
    case OP_FUTIMENS:
    case OP_SETXATTR:
        return (int)rng_below(rng, 3);
    case OP_ACCESS:
        return (int)rng_below(rng, 8);
    default:
        return 0;
    }
}

/* Mostly modes with which work goes on. */
static uint32_t mode_random(struct rng *rng)
{
    static const uint32_t modes[] = {0644, 0755, 0777, 0700, 0600, 0666, 0664};

    switch (rng_below(rng, 12)) {
    case 0:
        return rng_below(rng, 01000);
    case 1:
        return 0700 | rng_below(rng, 010000);
    default:
        return modes[rng_below(rng, 7)];
    }
}

void op_random(struct op *op, struct rng *rng, uint32_t border)
{
    memset(op, 0, sizeof *op);
    op->kind = kind_random(rng);
    path_random(rng, op->path[0]);
    path_random(rng, op->path[1]);
    if (rng_below(rng, 60) == 0)
        strcpy(op->path[1], op->path[0]);
    op->slot[0] = rng_below(rng, OP_SLOTS);
    op->slot[1] = rng_below(rng, OP_SLOTS);
    op->flags = flags_random(rng, op->kind);
    op->mode = mode_random(rng);
    op->offset[0] = offset_random(rng, border);
    op->offset[1] = offset_random(rng, border);
    op->len = len_random(rng, border);
    op->seed = rng_next(rng);
}

static void open_flags_print(int flags, FILE *out)
{
    static const struct {
        int flag;
        const char *name;
    } names[] = {{O_CREAT, "O_CREAT"},
                 {O_EXCL, "O_EXCL"},
                 {O_TRUNC, "O_TRUNC"},
                 {O_APPEND, "O_APPEND"},
                 {O_NOFOLLOW, "O_NOFOLLOW"},
                 {O_DIRECTORY, "O_DIRECTORY"},
                 {O_SYNC, "O_SYNC"}};
    static const char *const access[] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"};

    fprintf(out, " %s", access[flags & O_ACCMODE]);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if ((flags & names[i].flag) == names[i].flag)
            fprintf(out, "|%s", names[i].name);
    }
}

void op_print(const struct op *op, FILE *out)
{
    unsigned uses = op_uses(op->kind);

    fprintf(out, "%s", op_name(op->kind));
    if (uses & USES_SLOT)
        fprintf(out, " #%u", op->slot[0]);
    if (uses & USES_SLOT2)
        fprintf(out, " #%u", op->slot[1]);
    if (uses & USES_PATH)
        fprintf(out, " %s", op->path[0]);
    if (uses & USES_PATH2)
        fprintf(out, " %s", op->path[1]);
    if (op->kind == OP_OPEN)
        open_flags_print(op->flags, out);
    else if (op->flags)
        fprintf(out, " flags %d", op->flags);
    if (op->kind == OP_OPEN || op->kind == OP_MKDIR || op->kind == OP_CHMOD
        || op->kind == OP_FCHMOD || op->kind == OP_MKFIFO)
        fprintf(out, " mode %04o", op->mode);
    if (uses & USES_RANGE)
        fprintf(out, " offset %lld len %u", (long long)op->offset[0], op->len);
    else if (op->kind == OP_TRUNCATE || op->kind == OP_FTRUNCATE || op->kind == OP_LSEEK
             || op->kind == OP_SEEK_DATA || op->kind == OP_SEEK_HOLE)
        fprintf(out, " offset %lld", (long long)op->offset[0]);
    if (op->kind == OP_COPY_RANGE)
        fprintf(out, " to %lld", (long long)op->offset[1]);
    fprintf(out, "\n");
}

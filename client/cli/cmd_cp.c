/* SPDX-License-Identifier: Apache-2.0
 * benchfs cp: files and trees into, out of and within the scratch, without the mount.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/units.h"
#include "cli/cli.h"
#include "cli/tree.h"

/* Many chunks at a time: the client sends them in parallel. */
#define BUFFER_SIZE (16 * UNITS_MIB)
#define DEPTH_MAX   512

struct copy {
    const struct cli_command *command;
    struct tree local, scratch;
    bool is_recursive;
    bool keeps_attributes;
    void *buffer;
    int status;
};

/* A path and the side it is on. */
struct place {
    struct tree *tree;
    char *path;
};

static void complain(struct copy *copy, const char *path, int rc)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;

    benchfs_error_set(&err, -rc, "%s: %s", path, strerror(-rc));
    copy->status = cli_fail(copy->command, &err);
}

static bool is_zero(const void *data, size_t size)
{
    const unsigned char *bytes = data;

    return size > 0 && bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

static int write_all(const struct tree *tree,
                     struct tree_file *file,
                     const uint8_t *data,
                     size_t size,
                     uint64_t offset)
{
    while (size > 0) {
        ssize_t n = tree->ops->write(file, data, size, offset);

        if (n <= 0)
            return n < 0 ? (int)n : -EIO;
        data += n;
        size -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

/* A negative status names the side at fault in *ret_place. */
static int data_copy(struct copy *copy,
                     const struct place *from,
                     struct tree_file *in,
                     const struct place *to,
                     struct tree_file *out,
                     const struct place **ret_place)
{
    bool ends_with_hole = false;
    uint64_t offset = 0;
    int rc = 0;

    for (;;) {
        ssize_t n = from->tree->ops->read(in, copy->buffer, BUFFER_SIZE, offset);

        *ret_place = from;
        if (n < 0)
            return (int)n;
        *ret_place = to;
        if (n == 0)
            return ends_with_hole ? to->tree->ops->truncate(to->tree, to->path, offset)
                                  : 0;
        ends_with_hole = is_zero(copy->buffer, (size_t)n);
        if (!ends_with_hole)
            rc = write_all(to->tree, out, copy->buffer, (size_t)n, offset);
        if (rc)
            return rc;
        offset += (uint64_t)n;
    }
}

static void file_copy(struct copy *copy,
                      const struct place *from,
                      const struct tree_stat *st,
                      const struct place *to)
{
    const struct place *at = from;
    struct tree_file *in, *out;
    int rc = from->tree->ops->open(from->tree, from->path, &in), close_rc;

    if (rc) {
        complain(copy, from->path, rc);
        return;
    }
    rc = to->tree->ops->create(to->tree, to->path, st->mode, &out);
    at = to;
    if (rc == 0) {
        rc = data_copy(copy, from, in, to, out, &at);
        close_rc = to->tree->ops->close(out);
        if (rc == 0 && close_rc) {
            rc = close_rc;
            at = to;
        }
    }
    (void)from->tree->ops->close(in);
    if (rc == 0 && copy->keeps_attributes) {
        at = to;
        rc = to->tree->ops->attributes_set(to->tree, to->path, st);
    }
    if (rc)
        complain(copy, at->path, rc);
}

static void
symlink_copy(struct copy *copy, const struct place *from, const struct place *to)
{
    char text[4096];
    int rc = from->tree->ops->readlink(from->tree, from->path, text, sizeof(text));

    if (rc) {
        complain(copy, from->path, rc);
        return;
    }
    rc = to->tree->ops->symlink(to->tree, to->path, text);
    if (rc)
        complain(copy, to->path, rc);
}

static void any_copy(struct copy *copy,
                     const struct place *from,
                     const struct place *to,
                     unsigned depth);

static void directory_copy(struct copy *copy,
                           const struct place *from,
                           const struct tree_stat *st,
                           const struct place *to,
                           unsigned depth)
{
    struct tree_names names = {.count = 0};
    int rc = depth > DEPTH_MAX ? -ELOOP
                               : from->tree->ops->list(from->tree, from->path, &names);

    if (rc)
        complain(copy, from->path, rc);
    /* so that we can fill it, whatever its mode; that comes at the end */
    if (rc == 0 && (rc = to->tree->ops->mkdir(to->tree, to->path, st->mode | 0700)))
        complain(copy, to->path, rc);
    for (size_t i = 0; rc == 0 && i < names.count; i++) {
        struct place child = {.tree = from->tree,
                              .path = tree_path_join(from->path, names.items[i])};
        struct place target = {.tree = to->tree,
                               .path = tree_path_join(to->path, names.items[i])};

        if (child.path && target.path)
            any_copy(copy, &child, &target, depth + 1);
        else
            complain(copy, from->path, -ENOMEM);
        free(child.path);
        free(target.path);
    }
    if (rc == 0 && copy->keeps_attributes
        && (rc = to->tree->ops->attributes_set(to->tree, to->path, st)))
        complain(copy, to->path, rc);
    tree_names_free(&names);
}

static void any_copy(struct copy *copy,
                     const struct place *from,
                     const struct place *to,
                     unsigned depth)
{
    struct tree_stat st;
    /* named on the command line, a symlink means what it points to, as with cp -r */
    int rc = from->tree->ops->stat(
        from->tree, from->path, depth == 0 && !copy->is_recursive, &st);

    if (rc)
        complain(copy, from->path, rc);
    else if (S_ISREG(st.mode))
        file_copy(copy, from, &st, to);
    else if (S_ISLNK(st.mode))
        symlink_copy(copy, from, to);
    else if (S_ISDIR(st.mode) && copy->is_recursive)
        directory_copy(copy, from, &st, to, depth);
    else if (S_ISDIR(st.mode))
        complain(copy, from->path, -EISDIR);
    else
        complain(copy, from->path, -EINVAL);
}

/* Whether `path` is `dir` or beneath it. */
static bool is_within(const char *path, const char *dir)
{
    size_t len = strlen(dir);

    if (len == 1)
        return true;
    return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* Into a directory that is there, under the source's name; else as that name. */
static void argument_copy(struct copy *copy,
                          struct place *from,
                          const struct place *to,
                          bool is_into)
{
    const char *base = strrchr(from->path, '/') + 1;
    struct place target = *to;

    target.path =
        is_into && base[0] ? tree_path_join(to->path, base) : strdup(to->path);
    if (!target.path)
        complain(copy, from->path, -ENOMEM);
    else if (from->tree == target.tree
             && (strcmp(target.path, from->path) == 0
                 || (copy->is_recursive && is_within(target.path, from->path))))
        complain(copy, target.path, -EINVAL); /* into itself */
    else
        any_copy(copy, from, &target, 0);
    free(target.path);
}

static int place_parse(struct copy *copy,
                       const char *text,
                       struct place *ret,
                       struct benchfs_error *err)
{
    bool is_scratch;
    int rc = tree_path_parse(text, &is_scratch, &ret->path, err);

    if (rc == 0)
        ret->tree = is_scratch ? &copy->scratch : &copy->local;
    return rc;
}

static int arguments_copy(struct copy *copy, char **texts, int count)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct place to = {.path = NULL};
    struct tree_stat st;
    bool is_into;

    if (place_parse(copy, texts[count - 1], &to, &err))
        return cli_fail(copy->command, &err);
    is_into = to.tree->ops->stat(to.tree, to.path, true, &st) == 0 && S_ISDIR(st.mode);
    if (count > 2 && !is_into)
        complain(copy, to.path, -ENOTDIR);
    for (int i = 0; i < count - 1 && (count == 2 || is_into); i++) {
        struct place from = {.path = NULL};

        if (place_parse(copy, texts[i], &from, &err))
            copy->status = cli_fail(copy->command, &err);
        else
            argument_copy(copy, &from, &to, is_into);
        free(from.path);
    }
    free(to.path);
    return copy->status;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct copy copy = {
        .command = command,
        .local.ops = &tree_local_ops,
        .scratch.ops = &tree_scratch_ops,
    };
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct cli_common common = {.socket = NULL};
    int id, status;

    while ((id = cli_option_next(command, argc, argv, "rRp", NULL, &common)) != -1) {
        if (id == '?')
            return CLI_USAGE;
        copy.is_recursive |= id == 'r' || id == 'R';
        copy.keeps_attributes |= id == 'p';
    }
    if (common.wants_help)
        return CLI_OK;
    if (argc - optind < 2)
        return cli_usage_fail(command, "a source and a target are needed");
    copy.buffer = malloc(BUFFER_SIZE);
    if (!copy.buffer) {
        benchfs_error_set(&err, ENOMEM, "out of memory");
        return cli_fail(command, &err);
    }
    if (cli_client_open(&common, &copy.scratch.client, &err))
        status = cli_fail(command, &err);
    else
        status = arguments_copy(&copy, argv + optind, argc - optind);
    client_close(copy.scratch.client);
    free(copy.buffer);
    return status;
}

const struct cli_command cmd_cp = {
    .name = "cp",
    .summary = "copy files into, out of or within the scratch",
    .usage = "usage: benchfs cp [-r] [-p] [--socket PATH] SRC... DST\n"
             "Copies without the mount. ':/in' is /in in the scratch, and so is\n"
             "$BENCHFS_MOUNT/in; other paths are the node's own.\n"
             "  benchfs cp -r data :/in        into the scratch\n"
             "  benchfs cp :/out/result .      out of it\n"
             "  -r, -R         directories too; symlinks stay symlinks\n"
             "  -p             keep permissions and times\n"
             "  --socket PATH  socket of the node's daemon (default: $BENCHFS_SOCKET,\n"
             "                 then the job's)\n",
    .run = run,
};

/* SPDX-License-Identifier: Apache-2.0
 * benchfs ls: the scratch's files, without the mount. */
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/tree.h"

#define DEPTH_MAX 512

struct listing {
    const struct cli_command *command;
    struct tree tree;
    bool is_long;
    bool is_recursive;
    bool has_headers; /* more than one directory is shown */
    bool is_not_first;
    int status;
    struct json *json; /* an array; NULL: text */
};

static void complain(struct listing *listing, const char *path, int rc)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;

    benchfs_error_set(&err, -rc, "%s: %s", path, strerror(-rc));
    listing->status = cli_fail(listing->command, &err);
}

static char type_letter(uint32_t mode)
{
    static const struct {
        uint32_t type;
        char letter;
    } letters[] = {{S_IFREG, '-'},
                   {S_IFDIR, 'd'},
                   {S_IFLNK, 'l'},
                   {S_IFIFO, 'p'},
                   {S_IFSOCK, 's'},
                   {S_IFCHR, 'c'},
                   {S_IFBLK, 'b'}};

    for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++) {
        if ((mode & S_IFMT) == letters[i].type)
            return letters[i].letter;
    }
    return '?';
}

static char *mode_format(uint32_t mode, char text[11])
{
    static const char bits[] = "rwxrwxrwx";

    text[0] = type_letter(mode);
    for (int i = 0; i < 9; i++)
        text[1 + i] = mode & (0400u >> i) ? bits[i] : '-';
    if (mode & S_ISUID)
        text[3] = mode & S_IXUSR ? 's' : 'S';
    if (mode & S_ISGID)
        text[6] = mode & S_IXGRP ? 's' : 'S';
    if (mode & S_ISVTX)
        text[9] = mode & S_IXOTH ? 't' : 'T';
    text[10] = '\0';
    return text;
}

static void long_print(struct listing *listing,
                       const char *path,
                       const char *name,
                       const struct tree_stat *st)
{
    time_t seconds = (time_t)(st->mtime_ns / (int64_t)CLOCK_NS_PER_SEC);
    const struct passwd *user = getpwuid(st->uid);
    const struct group *group = getgrgid(st->gid);
    char mode[11], when[32] = "", link[4096];
    struct tm local;

    if (localtime_r(&seconds, &local))
        strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &local);
    printf("%s %3u ", mode_format(st->mode, mode), st->nlink);
    if (user)
        printf("%-8s ", user->pw_name);
    else
        printf("%-8u ", st->uid);
    if (group)
        printf("%-8s ", group->gr_name);
    else
        printf("%-8u ", st->gid);
    printf("%12" PRIu64 " %s %s", st->size, when, name);
    if (S_ISLNK(st->mode)
        && listing->tree.ops->readlink(&listing->tree, path, link, sizeof(link)) == 0)
        printf(" -> %s", link);
    putchar('\n');
}

static int
json_put(struct listing *listing, const char *path, const struct tree_stat *st)
{
    char mode[11];
    struct json *entry = json_make_object();
    int rc = json_append(listing->json, entry);

    rc = rc ? rc : json_set(entry, "path", json_make_string(path));
    rc = rc ? rc
            : json_set(entry, "mode", json_make_string(mode_format(st->mode, mode)));
    rc = rc ? rc : json_set(entry, "size", json_make_u64(st->size));
    rc = rc ? rc : json_set(entry, "uid", json_make_u64(st->uid));
    rc = rc ? rc : json_set(entry, "gid", json_make_u64(st->gid));
    rc = rc ? rc : json_set(entry, "nlink", json_make_u64(st->nlink));
    return rc ? rc : json_set(entry, "mtime_ns", json_make_i64(st->mtime_ns));
}

/* Shows one entry; `name` as the user shall read it. */
static void entry_show(struct listing *listing,
                       const char *path,
                       const char *name,
                       const struct tree_stat *st)
{
    if (listing->json) {
        int rc = json_put(listing, path, st);

        if (rc)
            complain(listing, path, rc);
    } else if (listing->is_long) {
        long_print(listing, path, name, st);
    } else {
        puts(name);
    }
}

static void directory_show(struct listing *listing, const char *path, unsigned depth);

static void entries_show(struct listing *listing,
                         const char *path,
                         const struct tree_names *names,
                         bool wants_directories,
                         unsigned depth)
{
    for (size_t i = 0; i < names->count; i++) {
        char *child = tree_path_join(path, names->items[i]);
        struct tree_stat st;
        int rc = child ? listing->tree.ops->stat(&listing->tree, child, false, &st)
                       : -ENOMEM;

        /* gone between the two calls: as if it had never been listed */
        if (rc && rc != -ENOENT)
            complain(listing, child ? child : path, rc);
        else if (rc == 0 && !wants_directories)
            entry_show(listing, child, names->items[i], &st);
        else if (rc == 0 && S_ISDIR(st.mode))
            directory_show(listing, child, depth + 1);
        free(child);
    }
}

static void directory_show(struct listing *listing, const char *path, unsigned depth)
{
    struct tree_names names = {.count = 0};
    int rc = depth > DEPTH_MAX ? -ELOOP
                               : listing->tree.ops->list(&listing->tree, path, &names);

    if (rc) {
        complain(listing, path, rc);
    } else {
        if (listing->has_headers && !listing->json)
            printf("%s%s:\n", listing->is_not_first ? "\n" : "", path);
        listing->is_not_first = true;
        entries_show(listing, path, &names, false, depth);
        if (listing->is_recursive)
            entries_show(listing, path, &names, true, depth);
    }
    tree_names_free(&names);
}

static void argument_show(struct listing *listing, const char *text)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    bool is_scratch;
    struct tree_stat st;
    char *path;
    int rc = tree_path_parse(text, &is_scratch, &path, &err);

    if (rc) {
        listing->status = cli_fail(listing->command, &err);
        return;
    }
    /* "/in" alone can only mean the scratch's */
    rc = listing->tree.ops->stat(&listing->tree, path, !listing->is_long, &st);
    if (rc)
        complain(listing, path, rc);
    else if (S_ISDIR(st.mode))
        directory_show(listing, path, 0);
    else
        entry_show(listing, path, path, &st);
    free(path);
}

static int listing_run(struct listing *listing, int argc, char **argv)
{
    bool has_arguments = optind < argc;

    listing->has_headers = listing->is_recursive || argc - optind > 1;
    if (!has_arguments)
        argument_show(listing, ":/");
    for (int i = optind; i < argc; i++)
        argument_show(listing, argv[i]);
    if (listing->json && cli_json_print(listing->json))
        listing->status = CLI_FAILED;
    json_destroy(listing->json);
    return listing->status;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct listing listing = {.command = command, .tree.ops = &tree_scratch_ops};
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct cli_common common = {.socket = NULL};
    int id, status;

    while ((id = cli_option_next(command, argc, argv, "lR", NULL, &common)) != -1) {
        if (id == '?')
            return CLI_USAGE;
        listing.is_long |= id == 'l';
        listing.is_recursive |= id == 'R';
    }
    if (common.wants_help)
        return CLI_OK;
    if (cli_client_open(&common, &listing.tree.client, &err))
        return cli_fail(command, &err);
    listing.json = common.is_json ? json_make_array() : NULL;
    status = listing_run(&listing, argc, argv);
    client_close(listing.tree.client);
    return status;
}

const struct cli_command cmd_ls = {
    .name = "ls",
    .summary = "list files of the scratch",
    .usage = "usage: benchfs ls [-l] [-R] [--json] [--socket PATH] [PATH...]\n"
             "Lists files and directories of the scratch; PATH counts from its root\n"
             "(/in), or lies beneath $BENCHFS_MOUNT.\n"
             "  -l             with mode, owner, size and time\n"
             "  -R             with all directories beneath\n"
             "  --json         as a JSON array\n"
             "  --socket PATH  socket of the node's daemon (default: $BENCHFS_SOCKET,\n"
             "                 then the job's)\n",
    .run = run,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void tree_names_free(struct tree_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
    *names = (struct tree_names){.count = 0};
}

int tree_names_add(struct tree_names *names, const char *name)
{
    char **items = names->items;

    /* grows by doubling, at powers of two */
    if ((names->count & (names->count - 1)) == 0) {
        size_t room = names->count ? 2 * names->count : 1;

        items = reallocarray(names->items, room, sizeof(*items));
        if (!items)
            return -ENOMEM;
        names->items = items;
    }
    items[names->count] = strdup(name);
    if (!items[names->count])
        return -ENOMEM;
    names->count++;
    return 0;
}

static int name_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void tree_names_sort(struct tree_names *names)
{
    if (names->count)
        qsort(names->items, names->count, sizeof(*names->items), name_compare);
}

char *tree_path_join(const char *dir, const char *name)
{
    size_t len = strlen(dir);
    const char *slash = len > 0 && dir[len - 1] == '/' ? "" : "/";
    char *path;

    return asprintf(&path, "%s%s%s", dir, slash, name) < 0 ? NULL : path;
}

/* Without "//", "/./" and a slash at the end; ".." stays: it means what the tree says.
 */
static void path_tidy(char *path)
{
    char *out = path;
    const char *in = path;

    while (*in) {
        size_t len;

        in += strspn(in, "/");
        len = strcspn(in, "/");
        if (len > 0 && !(len == 1 && in[0] == '.')) {
            *out++ = '/';
            memmove(out, in, len);
            out += len;
        }
        in += len;
    }
    if (out == path)
        *out++ = '/';
    *out = '\0';
}

/* What follows the mount's path, or NULL. */
static const char *beneath_mount(const char *path)
{
    const char *mount = getenv("BENCHFS_MOUNT");
    size_t len = mount ? strlen(mount) : 0;

    while (len > 1 && mount[len - 1] == '/')
        len--;
    if (len == 0 || strncmp(path, mount, len) != 0
        || (path[len] != '/' && path[len] != '\0'))
        return NULL;
    return path[len] ? path + len : "/";
}

int tree_path_parse(const char *text,
                    bool *ret_is_scratch,
                    char **ret_path,
                    struct benchfs_error *err)
{
    bool is_scratch = text[0] == ':';
    const char *inner;
    char *path = NULL, *cwd;

    if (!text[0] || (is_scratch && text[1] != '/'))
        return benchfs_error_set(err, EINVAL, "%s: not a path", text);
    if (is_scratch) {
        path = strdup(text + 1);
    } else if (text[0] == '/') {
        path = strdup(text);
    } else {
        cwd = getcwd(NULL, 0);
        path = cwd ? tree_path_join(cwd, text) : NULL;
        free(cwd);
    }
    if (!path)
        return benchfs_error_set(err, errno, "%s: %m", text);
    path_tidy(path);
    inner = is_scratch ? NULL : beneath_mount(path);
    if (inner) {
        is_scratch = true;
        memmove(path, inner, strlen(inner) + 1);
    }
    *ret_is_scratch = is_scratch;
    *ret_path = path;
    return 0;
}

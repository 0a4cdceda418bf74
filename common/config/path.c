/* SPDX-License-Identifier: Apache-2.0
 * Paths in settings. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "config/types.h"

static bool has_control_character(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return true;
    }
    return false;
}

/* Appends the components of rest to path, which has room for them. */
static int append_components(char *path, char *rest, struct benchfs_error *err)
{
    char *end = path;
    char *name;

    while ((name = strsep(&rest, "/"))) {
        size_t length = strlen(name);

        if (length == 0 || strcmp(name, ".") == 0)
            continue;
        if (strcmp(name, "..") == 0)
            return benchfs_error_set(err, EINVAL, "a path with \"..\"");
        if (length > NAME_MAX)
            return benchfs_error_set(err, EINVAL, "a path with too long a name");
        *end++ = '/';
        memcpy(end, name, length);
        end += length;
    }
    if (end == path)
        *end++ = '/';
    *end = '\0';
    return 0;
}

int config_path_parse(const char *text,
                      size_t size,
                      char **ret_path,
                      struct benchfs_error *err)
{
    char copy[PATH_MAX];
    char path[PATH_MAX];
    int status;

    if (size == 0 || text[0] != '/')
        return benchfs_error_set(err, EINVAL, "not an absolute path");
    if (size >= sizeof(copy))
        return benchfs_error_set(err, EINVAL, "too long a path");
    memcpy(copy, text, size);
    copy[size] = '\0';
    if (has_control_character(copy))
        return benchfs_error_set(err, EINVAL, "a path with a control character");
    if (!json_text_is_utf8(copy))
        return benchfs_error_set(err, EINVAL, "a path that is not valid UTF-8");
    status = append_components(path, copy, err);
    if (status < 0)
        return status;
    *ret_path = strdup(path);
    return *ret_path ? 0 : benchfs_error_set(err, ENOMEM, "out of memory");
}

bool config_path_is_within(const char *path, const char *dir)
{
    size_t length = strlen(dir);

    if (strcmp(dir, "/") == 0)
        return true;
    return strncmp(path, dir, length) == 0
           && (path[length] == '\0' || path[length] == '/');
}

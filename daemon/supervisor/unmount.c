/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/unmount.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "launch/child.h"

#define MOUNTINFO_MAX   (16u << 20)
#define FUSERMOUNT_MS   5000
#define MOUNTINFO_FIELD 4 /* the mount point, counted from 0 */

/* As mountinfo writes paths: space, tab, newline and backslash in octal. */
static char *path_escape(const char *path)
{
    char *escaped = malloc(4 * strlen(path) + 1);
    char *end = escaped;

    if (!escaped)
        return NULL;
    for (; *path; path++) {
        if (strchr(" \t\n\\", *path))
            end += sprintf(end, "\\%03o", (unsigned char)*path);
        else
            *end++ = *path;
    }
    *end = '\0';
    return escaped;
}

static bool line_is_of(const char *line, const char *path, size_t path_len)
{
    for (int field = 0; field < MOUNTINFO_FIELD; field++) {
        line += strcspn(line, " \n");
        if (*line != ' ')
            return false;
        line++;
    }
    return strncmp(line, path, path_len) == 0 && line[path_len] == ' ';
}

bool unmount_is_needed(const char *path)
{
    char *escaped = path_escape(path);
    char *text = NULL;
    bool is_found = false;

    if (escaped
        && fs_file_read("/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL) == 0) {
        for (const char *line = text; *line && !is_found; line++) {
            is_found = line_is_of(line, escaped, strlen(escaped));
            line += strcspn(line, "\n");
            if (*line == '\0')
                break;
        }
    }
    free(text);
    free(escaped);
    return is_found;
}

static const char *fusermount_path(void)
{
    static const char *const paths[] = {"/usr/bin/fusermount3", "/bin/fusermount3"};

    return access(paths[0], X_OK) == 0 ? paths[0] : paths[1];
}

int unmount_lazy(const char *path, struct benchfs_error *err)
{
    char *const argv[] = {(char *)fusermount_path(),
                          (char[]){"-u"},
                          (char[]){"-z"},
                          (char[]){"-q"},
                          (char[]){"--"},
                          (char *)path,
                          NULL};
    const struct child_options options = {.socket_type = 0};
    struct child child = CHILD_INIT("fusermount3");
    char text[CHILD_STATUS_TEXT_MAX];
    int rc = child_start(&child, argv, &options, err);

    if (rc)
        return rc;
    child_end(&child, deadline_after_ms(FUSERMOUNT_MS), FUSERMOUNT_MS);
    if (child.status != 0)
        rc = benchfs_error_set(err,
                               EBUSY,
                               "can't unmount %s: fusermount3 %s",
                               path,
                               child_status_text(&child, text));
    child_fini(&child);
    return rc;
}
